"""The program in which all final models of a space are priced.

It keeps its choices, for a walk with numbers notes what every option comes to. But a `concat` that
keeps some of its edges reads no more than it will keep, so that what follows has the size that it
has in a final model; and the options of a choice are written out as they stand there, so that what
each of them puts into a model can be told apart. All values have the numbers that they have in the
space.

before   n0 = concat(choose {...}(x), choose {...}(y))   n1 = conv(1)(n0)   keep 1 edge per node
after    n0 = concat(choose {...}(x))                    n1 = conv(1)(n0)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from compiler.builder import Builder, complexity, within
from compiler.counting.edges import Edges, there
from compiler.ir import Choice, Join, Layer, Node, Region
from compiler.program import kept
from compiler.specialise import Specialiser, symbols_of


class Narrower(Specialiser):
    """Rebuilds regions with their choices in them; `done` has them by the identity of the old."""

    def __init__(self) -> None:
        super().__init__({})
        self.there: dict[int, Edges] = {}
        self.sets: dict[Any, Region] = {}
        """Options as they stand, which many edges have in common."""

    def rebuilt(self, region: Region) -> Region:
        self.there[id(region)] = there(region)
        new = super().rebuilt(region)
        assert self.origins[id(new)] == list(region.values), "a value has another number"
        return new

    def node(
        self, builder: Builder, region: Region, node: Node, operands: list[int | None]
    ) -> int | None:
        if not isinstance(node, Join):
            return super().node(builder, region, node, operands)
        rest = node.operands
        if node.how == "concat":
            rest = _narrow(region, node.operands, self.there[id(region)])
        made = builder.join(node.how, rest, node.span)
        if made in rest:  # an edge alone, which is a value of its own none the less
            lone = Join(operands=rest, shape=builder.shape(made), how=node.how, span=node.span)
            made = builder.region.add(lone)
        return made

    def choice(self, builder: Builder, node: Choice, operands: list[int | None]) -> int:
        read = [operand for operand in operands if operand is not None]
        shapes = [builder.shape(operand) for operand in read]
        key = id(node.region), node.arguments, tuple(shapes)
        if key not in self.sets:
            env = symbols_of(node, builder, read)
            options = (o for o in node.region.options if not o.sink)
            written = tuple(replace(o, body=within(o.body, env, shapes)) for o in options)
            self.sets[key] = Region(node.region.name, "branch", options=written)
        own = self.sets[key]
        shape = min((o.body.output.shape for o in own.options), key=complexity)
        return builder.region.add(replace(node, shape=shape, region=own, arguments=()))

    def passes_through(self, builder: Builder, region: Region, node: Layer, operand: int) -> bool:
        return False


def _narrow(kind: Region, operands: tuple[int, ...], edges: Edges) -> tuple[int, ...]:
    """Of what enters a `concat`, as much as will be kept: the first of its edges."""
    places, counts = {d.path: d.place for d in kind.decisions}, kept(kind)
    paths = dict.fromkeys(path for operand in operands for path in edges[operand])
    taken = {path for number, path in enumerate(paths) if number < counts[places[path]]}
    return tuple(operand for operand in operands if edges[operand] <= taken)
