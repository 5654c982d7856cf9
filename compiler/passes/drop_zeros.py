"""Zeros in a mixture only take their share of the softmax: nothing need be computed for them.

before   w0·zeros + w1·max_pool(x) + w2·skip(x)
after               w1·max_pool(x) + w2·skip(x)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from compiler.ir import Form, Layer, Option, Program, Region, rewritten


@dataclass(frozen=True)
class DropZeros:
    name: str = "drop_zeros"

    def apply(self, program: Program) -> Program:
        return replace(program, network=rewritten(program.network, _mark))


def _mark(region: Region) -> None:
    """Marks the options that are nothing but zeros, unless no other would be left."""
    idle = [_is_zeros(option) for option in region.options]
    if not all(idle):
        region.options = tuple(
            replace(option, idle=is_idle)
            for option, is_idle in zip(region.options, idle, strict=True)
        )


def _is_zeros(option: Option) -> bool:
    last = option.body.output
    return option.body.form is Form.SINGLE and isinstance(last, Layer) and last.layer == "zero"
