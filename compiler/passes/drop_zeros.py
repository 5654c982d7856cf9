"""Zeros in a mixture only take their share of the softmax: nothing need be computed for them.

before   w0·zeros + w1·max_pool(x) + w2·skip(x)
after               w1·max_pool(x) + w2·skip(x)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from compiler.ir import Call, Choice, Input, Layer, Region
from compiler.program import Program, rewritten


@dataclass(frozen=True)
class DropZeros:
    name: str = "drop_zeros"

    def apply(self, program: Program) -> Program:
        return replace(program, network=rewritten(program.network, _mark))


def _mark(region: Region) -> None:
    """Marks the options that are nothing but zeros, unless no other would be left.

    Side by side with others, zeros take their place.
    """
    for _, node in region.nodes():
        if isinstance(node, Choice) and node.how != "sum":
            options = node.region.options
            node.region.options = tuple(replace(option, idle=False) for option in options)
    idle = [_is_zeros(option.body) for option in region.options]
    if not all(idle):
        region.options = tuple(
            replace(option, idle=is_idle)
            for option, is_idle in zip(region.options, idle, strict=True)
        )


def _is_zeros(region: Region) -> bool:
    """Whether a region is nothing but zeros, itself or by what it calls."""
    rest = [node for _, node in region.nodes() if not isinstance(node, Input)]
    match rest:
        case [Layer(layer="zero")]:
            return True
        case [Call(region=inner)]:
            return _is_zeros(inner)
    return False
