"""Slices of one value that are mixed become one product, those of one window one convolution.

before   %3 = narrow(2) <- %2, %4 = narrow(4) <- %2, %5 = mixture(w0 · %3 + w1 · %4 + w2 · %2)
after    %5 = slices(w0 · 2 + w1 · 4 + w2 · 8) <- %2

before   %3 = conv(5, centre: 3) `k` <- %2, %4 = conv(5) `k` <- %2, %5 = mixture(w0 · %3 + w1 · %4)
after    %5 = windows(w0 · 3 + w1 · 5) of conv(5) `k` <- %2

So a number that is still to be chosen costs about what the largest of its values does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from compiler.flat.nodes import Mixture, SharedLayer, Slices, Windows, numbers, sizes
from compiler.flat.rewriting import readers, rebuilt, without_dead
from compiler.ir import Layer, Region
from compiler.layers import channels
from compiler.program import Program


@dataclass(frozen=True)
class Slice:
    name: str = "slice"

    def apply(self, program: Program) -> Program:
        sliced = rebuilt(program.network, _Slicing)
        return replace(program, network=without_dead(sliced))


class _Slicing:
    """Numbers stay what they were, as what is sliced is only left for dead."""

    def __init__(self, region: Region) -> None:
        self.readers = readers(region)

    def __call__(self, new: Region, node: Any) -> int:
        is_plain = isinstance(node, Mixture) and not node.lanes
        if is_plain and all(term.norm is None for term in node.terms):
            return new.add(self.slices(new, node) or self.windows(new, node) or node)
        return new.add(node)

    def slices(self, new: Region, node: Mixture) -> Slices | None:
        inner = [new.node(value) for value in node.values]
        whole = {n.operands[0] for n in inner if _is_narrow(n)}
        if len(whole) != 1:
            return None
        (base,) = whole
        ends = []
        for value, each in zip(node.values, inner, strict=True):
            if value != base and not (_is_narrow(each) and each.operands[0] == base):
                return None
            ends.append(channels(sizes(each)) if value == base else numbers(each)["n"])
        operands = (base, *node.operands[len(node.terms) :])
        return Slices(
            operands=operands, shape=node.shape, terms=node.terms, ends=tuple(ends), span=node.span
        )

    def windows(self, new: Region, node: Mixture) -> Windows | None:
        inner = [new.node(value) for value in node.values]
        layer, *others = map(_without_centre, inner)
        once = all(self.readers[value] == 1 for value in node.values)
        if layer is None or not others or set(others) != {layer} or not once:
            return None
        given = [numbers(each) for each in inner]
        ends = tuple(each.get("centre", each["k"]) for each in given)
        operands = (*layer.operands, *node.operands[len(node.terms) :])
        return Windows(
            operands=operands,
            shape=node.shape,
            terms=node.terms,
            ends=ends,
            layer=layer,
            span=node.span,
        )


def _is_narrow(node: Any) -> bool:
    return isinstance(node, Layer) and node.layer == "narrow"


def _without_centre(node: Any) -> SharedLayer | None:
    """A convolution by the whole of its window, without what tells its slices apart."""
    if not isinstance(node, SharedLayer) or node.layer not in ("conv", "depthwise"):
        return None
    arguments = tuple(pair for pair in node.arguments if pair[0] != "centre")
    return replace(node, arguments=arguments, span=None, bound=None)
