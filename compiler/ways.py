"""The way that a shape took through a region, for faults of size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compiler.facts import Sizes
from compiler.ir import Input, Node, Region
from compiler.layers import dimensions
from dsl.diagnostics import Label
from dsl.source import Source, Span

MOST = 4
"""The most places that one fault points back to."""

Shapes = Mapping[int, Sizes | None]


def ways(region: Region, shapes: Shapes, node: Node, source: Source | None) -> list[Label]:
    """Where the shapes that `node` reads come from, as far as it is written in `source`.

    Of one value that flows in, every place that changed its shape, of several the last one each.
    """
    operands = tuple(dict.fromkeys(node.operands))
    labels: dict[object, Label] = {}
    for operand in operands:
        way = [label for label in _way(region, shapes, operand) if label.span.source.main is source]
        for label in way[: MOST if len(operands) == 1 else 1]:
            labels.setdefault(label.span, label)
    return list(labels.values())[:MOST]


def origin(region: Region, number: int) -> Span | None:
    """Where a value, its sizes still unknown, got the number of dimensions that it has.

    A value that has a name is shown as it is: the reader knows it.
    """
    while True:
        node = region.node(number)
        alike = (o for o in node.operands if len(region.node(o).shape) == len(node.shape))
        kept = next(alike, None)
        if kept is None or node.bound is not None:
            span: Span | None = node.span
            return span
        number = kept


def name_of(region: Region, number: int) -> str | None:
    """The name of a value, or of the one that it was made of."""
    while True:
        node = region.node(number)
        if node.bound is not None or not node.operands:
            name: str | None = node.bound
            return name
        number = node.operands[0]


def _way(region: Region, shapes: Shapes, number: int) -> Iterator[Label]:
    """The places where a value got its shape, the last one first."""
    while True:
        node, shape = region.node(number), shapes.get(number)
        if shape is None:
            return
        if isinstance(node, Input) or not node.operands:
            if node.span is not None:
                yield Label(node.span, f"`{node.bound}` is {dimensions(shape)}")
            return
        kept = next((o for o in node.operands if shapes.get(o) == shape), None)
        if kept is None and node.span is not None:
            yield Label(node.span, f"this gives {dimensions(shape)}")
        number = node.operands[0] if kept is None else kept
