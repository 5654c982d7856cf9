"""All final models of a space in one program: the ground on which the cost of any is looked up.

Every cell holds what every option of every decision would put into it, built by the specialiser
itself, one beside the other. A sum stands where they meet, of which a final model has one term. So
one walk with numbers finds the cost of every layer that any final model has, and `Superposed` says
which of them are there under which conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from compiler.builder import Builder
from compiler.ir import Choice, Join, Layer, Node, Region, Scan
from compiler.program import Program, kept
from compiler.specialise import Specialiser

Condition = tuple[str, str | None]
"""That an edge is kept, by the path of its decision; or that its option is the one named."""
Chosen = Mapping[str, str]


@dataclass
class Superposed:
    """A cell or a network with all options in it."""

    kind: Region
    """The region as the space has it, with its decisions."""
    region: Region
    meetings: dict[int, dict[str, int]] = field(default_factory=dict)
    """By the number of a sum that stands for a choice, what it is under every option."""
    decisions: dict[int, str] = field(default_factory=dict)
    """And the path of its decision."""
    parts: dict[int, Condition] = field(default_factory=dict)
    """What options put in, with the option."""
    joins: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """What a `concat` joins that reads as many values as will be kept, where more flow in."""
    choices: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """By the path of a decision, the values that it reads."""

    def droppable(self) -> frozenset[str]:
        """The paths of decisions on edges that need not be kept."""
        counts = kept(self.kind)
        nodes = [d.node or d.path for d in self.kind.decisions]
        pairs = zip(self.kind.decisions, nodes, strict=True)
        return frozenset(d.path for d, node in pairs if counts[node] < nodes.count(node))

    def edges(self, operands: Iterable[int]) -> list[int]:
        """The values among these that are there only where an edge is kept."""
        conditions = self.conditions()
        return [operand for operand in operands if conditions[operand]]

    def conditions(self) -> dict[int, frozenset[Condition]]:
        """Under which conditions every value is there.

        A value vanishes with any that it reads; a join, with all of them. Several edges that may
        be dropped enter one join, where some are kept.
        """
        found: dict[int, frozenset[Condition]] = {}
        droppable = self.droppable()
        for number, node in self.region.nodes():
            if number in self.parts:
                found[number] = frozenset([self.parts[number]])
                continue
            if number in self.decisions:
                path = self.decisions[number]
                found[number] = frozenset([(path, None)] if path in droppable else [])
                continue
            reads = [found[operand] for operand in self.joins.get(number, node.operands)]
            if isinstance(node, Join):
                alike = len(set(reads)) == 1
                found[number] = reads[0] if alike else frozenset()
            else:
                found[number] = frozenset().union(*reads)
        return found

    def before(self) -> dict[int, frozenset[str]]:
        """The values that are computed only where one of some edges is kept, by their decisions.

        They stand before the choice of an edge that may be dropped, and nothing else reads them.
        """
        droppable, ends = self.droppable(), ends_of(self.region)
        readers: dict[int, list[frozenset[str]]] = {}
        for path, operands in self.choices.items():
            for operand in operands:
                edge = [path] if path in droppable else []
                readers.setdefault(operand, []).append(frozenset(edge))
        found: dict[int, frozenset[str]] = {}
        for number, node in reversed(list(self.region.nodes())):
            if number in self.parts or number in self.decisions:
                continue
            read = readers.get(number, [])
            own = frozenset().union(*read) if read and all(read) else frozenset()
            if own and node.bound is None and number not in ends:
                found[number] = own
            for operand in self.joins.get(number, node.operands):
                readers.setdefault(operand, []).append(found.get(number, frozenset()))
        return found

    def operands(
        self, chosen: Chosen, conditions: Mapping[int, frozenset[Condition]]
    ) -> dict[int, tuple[int, ...]]:
        """The values that are there when a genotype is chosen, with what they read.

        As `specialise` does, zeros are left out of sums, and what a choice or a sum is left with is
        that value itself.
        """
        found: dict[int, tuple[int, ...]] = {}
        zeros: set[int] = set()
        for number, node in self.region.nodes():
            if not all(holds(condition, chosen) for condition in conditions[number]):
                continue
            if number in self.decisions:
                reads = [self.meetings[number][chosen[self.decisions[number]]]]
            else:
                reads = [o for o in self.joins.get(number, node.operands) if o in found]
            if isinstance(node, Join) and node.how == "sum":
                reads = [operand for operand in reads if operand not in zeros] or reads[:1]
            found[number] = tuple(reads)
            match node:
                case Layer(layer="zero"):
                    zeros.add(number)
                case Layer(layer="drop_path") | Join() if len(reads) == 1 and reads[0] in zeros:
                    zeros.add(number)
        return found


def ends_of(region: Region) -> set[int]:
    """What a region gives back, or keeps over time."""
    states = {i for i, n in region.nodes() if isinstance(n, Scan) and n.region.states}
    return {*region.outputs, *region.auxiliary, *states}


def holds(condition: Condition, chosen: Chosen) -> bool:
    path, label = condition
    return path in chosen and label in (None, chosen[path])


def superpose(program: Program) -> tuple[Program, dict[int, Superposed]]:
    """A final program without choices that holds all of its options, and its cells and network.

    These come by the identity of their regions, each before those that it uses.
    """
    superposer = _Superposer()
    whole = replace(program, network=superposer.region(program.network))
    made = {id(region): region for region in reversed(whole.regions())}
    apart = {
        key: superposer.found.get(key) or Superposed(region, region)
        for key, region in made.items()
        if region.kind in ("cell", "network")
    }
    return whole, apart


class _Superposer(Specialiser):
    """Replaces every choice by all of its options."""

    def __init__(self) -> None:
        super().__init__({})
        self.found: dict[int, Superposed] = {}
        self.kinds: list[Region] = []

    def rebuilt(self, region: Region) -> Region:
        self.kinds.append(region)
        new = super().rebuilt(region)
        self.kinds.pop()
        return new

    def at(self, builder: Builder) -> Superposed:
        """What is known of the region that is being built."""
        new = Superposed(self.kinds[-1], builder.region)
        return self.found.setdefault(id(builder.region), new)

    def node(
        self, builder: Builder, region: Region, node: Node, operands: list[int | None]
    ) -> int | None:
        self.at(builder)
        return super().node(builder, region, node, operands)

    def choice(self, builder: Builder, region: Region, node: Choice, operands: list[int]) -> int:
        at = self.at(builder)
        at.choices[node.decision] = tuple(operands)
        found: dict[str, int] = {}
        for option in node.region.options:
            if option.sink:
                continue
            self.chosen = {region.name: {node.decision: option.label}}
            start = len(builder.region.values)
            result = super().choice(builder, region, node, operands)
            assert result is not None, "an option that is chosen is there"
            found[option.label] = result
            for number in range(start, len(builder.region.values)):
                at.parts[number] = node.decision, option.label
        meeting = Join(operands=tuple(found.values()), shape=node.shape, how="sum", span=node.span)
        number = builder.region.add(meeting)
        at.meetings[number], at.decisions[number] = found, node.decision
        return number

    def join(self, builder: Builder, node: Join, operands: list[int]) -> int | None:
        """Zeros stay in sums; a `concat` reads as many of its edges as will be kept."""
        at = self.at(builder)
        rest = tuple(operands)
        if node.how == "concat":
            rest = tuple(_as_many_as_kept(at, operands))
        if len(rest) == len(operands):
            return builder.join(node.how, rest, node.span)
        number = builder.join(node.how, rest, node.span)
        if number in rest:  # an edge alone, which is none of the others
            shape = builder.shape(number)
            number = builder.region.add(Join(operands=rest, shape=shape, how=node.how))
        at.joins[number] = tuple(operands)
        return number

    def passes_through(self, builder: Builder, region: Region, node: Layer, operand: int) -> bool:
        """What drops paths weighs nothing, so it may stay behind all options."""
        return False


def _as_many_as_kept(at: Superposed, operands: list[int]) -> Iterator[int]:
    """The first values of those that enter a `concat`, as many as the node keeps."""
    conditions = at.conditions()
    edges = dict.fromkeys(conditions[operand] for operand in operands if conditions[operand])
    taken = list(edges)
    if len(edges) > 1:
        ((path, _),) = taken[0]
        (into,) = (d.node or d.path for d in at.kind.decisions if d.path == path)
        taken = taken[: kept(at.kind)[into]]
    for operand in operands:
        if not conditions[operand] or conditions[operand] in taken:
            yield operand
