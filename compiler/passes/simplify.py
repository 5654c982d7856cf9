"""What does nothing is left out of a flat region: identities, zeros that are added, dead values.

before   %2 = identity <- %1, %3 = zero <- %1, %4 = sum <- %2, %3, %5 = sum <- %4, %1
after    %5 = sum <- %1, %1
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from compiler.expr import Const
from compiler.flat.nodes import Mixture, mixture, numbers, sizes
from compiler.flat.rewriting import readers, rebuilt, without_dead
from compiler.ir import Elementwise, Join, Layer, Region, channel_axis
from compiler.layers import ZERO_KEEPING
from compiler.program import Program

NEUTRAL = {"+": 0, "-": 0, "*": 1, "/": 1}


@dataclass(frozen=True)
class Simplify:
    name: str = "simplify"

    def apply(self, program: Program) -> Program:
        simple = rebuilt(program.network, lambda _: _simplified)
        flat = rebuilt(simple, _Flattening)
        return replace(program, network=without_dead(flat))


def _simplified(new: Region, node: Any) -> int:
    first = node.operands[0]
    match node:
        case Layer() if _does_nothing(node):
            return int(first)
        case Layer(layer=layer) if layer in ZERO_KEEPING and _is_zero(new, first):
            return int(first)
        case Elementwise(number=Const(value), swapped=False) if value == NEUTRAL[node.operator]:
            return int(first)
        case Join(how="sum"):
            left = [o for o in node.operands if not _is_zero(new, o)] or [first]
            return left[0] if len(left) == 1 else new.add(replace(node, operands=tuple(left)))
        case Join() if len(node.operands) == 1:
            return int(first)
        case Mixture():
            return _mixed(new, node)
    return new.add(node)


def _mixed(new: Region, node: Mixture) -> int:
    """A mixture without the terms that are zeros."""
    pairs = list(zip(node.values, node.terms, strict=True))
    left = [(v, t) for v, t in pairs if t.norm is not None or not _is_zero(new, v)]
    if not left:  # its weights have gradients all the same, of zeros
        return new.add(node)
    values, terms = zip(*left, strict=True)
    return new.add(mixture(values, terms, node.shape, span=node.span))


def _does_nothing(node: Layer) -> bool:
    given = numbers(node)
    match node.layer:
        case "identity" | "drop_path":  # a supernet drops no edges
            return True
        case "apply":
            return bool(given["f"] == "identity")
        case "dropout":
            return bool(given["p"] == 0)
        case "crop" | "pad":
            return bool(given["n"] == 0)
        case "upsample":
            return bool(given["n"] == 1)
        case "narrow":
            return bool(given["n"] == sizes(node)[channel_axis(len(node.shape))])
        case "shuffle":  # one group, or groups of one channel each
            return given["groups"] in (1, sizes(node)[0])
    return False


def _is_zero(new: Region, number: int) -> bool:
    node = new.node(number)
    return isinstance(node, Layer) and node.layer == "zero"


class _Flattening:
    """Sums of sums become one sum, where nothing else reads the inner one."""

    def __init__(self, region: Region) -> None:
        self.readers = readers(region)
        self.terms: dict[int, tuple[int, ...]] = {}

    def __call__(self, new: Region, node: Any) -> int:
        old = len(new.values)  # numbers stay what they were
        if isinstance(node, Join) and node.how == "sum":
            inner = [
                self.terms.get(o, (o,)) if self.readers[o] == 1 else (o,) for o in node.operands
            ]
            node = replace(node, operands=tuple(o for part in inner for o in part))
            self.terms[old] = node.operands
        return new.add(node)
