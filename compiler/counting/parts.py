"""What the parts of a space come to, of which any of its final models has some.

Costs add up, since all options of one choice give the same shape: what an option brings does not
hang on the others. So a space is walked with numbers once (see `narrow.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from compiler.counting.amounts import Amount, Counting
from compiler.counting.edges import Edges, before, idle, there
from compiler.counting.narrow import Narrower
from compiler.facts import Instance
from compiler.instantiate import instantiate
from compiler.ir import Choice, Form, Input, Region
from compiler.program import Program
from dsl.diagnostics import fault


class Part(NamedTuple):
    """A value of a region; where that is a choice, one of the values that an option makes."""

    number: int
    label: str | None = None
    offset: int = 0


Amounts = Mapping[Part, Amount]
"""What parts come to; those that come to nothing are left out."""


@dataclass(frozen=True)
class Entry:
    """A cell, or the network, with what its parts come to at every size at which it is used."""

    kind: Region
    """As the space has it, with its decisions."""
    narrowed: Mapping[int, Region]
    """By the identity of a region of the space, the one that was walked in its place."""
    there: Edges
    before: Edges
    heads: frozenset[int]
    """Its values that reach the auxiliary output alone."""
    uses: Mapping[int, Amounts]
    """By the identity of its instances."""

    def times(self, use: int, around: Amount) -> tuple[int, int]:
        """How often an instance is made and computed, by what is known of the cells around it."""
        if self.kind.kind == "network":
            return 1, 1
        return around.made[use], around.run[use]

    def total(self, amounts: Amounts, some: Some) -> Amount:
        """What it comes to, once, where some of its parts are there."""
        found = Amount()
        unused = idle(self.before, some.kept)
        for part in some.parts:
            if part in amounts:
                found.add(amounts[part], is_run=part.number not in unused)
        return found.closed()


@dataclass(frozen=True)
class Some:
    """Some parts of an entry, where some of its edges are kept."""

    parts: frozenset[Part]
    kept: Iterable[str]


def network_and_cells(program: Program) -> list[Region]:
    """The network and all cells, each before those that it uses."""
    return [r for r in reversed(program.regions()) if r.kind in ("cell", "network")]


def entries(program: Program, apart: Sequence[Region]) -> list[Entry]:
    """What the network and some cells come to, these each before those in it; the others are
    counted with what they stand in.

    Raises:
        DartsError: where edges of different widths enter a `concat` that keeps some of them.
    """
    narrower = Narrower()
    network = narrower.region(program.network)
    facts = instantiate(replace(program, network=network))
    regions = [narrower.done.get(id(kind), kind) for kind in apart]
    counting = Counting(frozenset(id(region) for region in regions if region is not network))
    counting.instances[id(facts.instance)] = facts.instance
    found = []
    for kind, region in zip(apart, regions, strict=True):
        # by now all that use the cell have been counted, so that all its instances are known
        own = [i for i in counting.instances.values() if i.region is region]
        edges, heads = there(kind), frozenset(kind.heads())
        for instance in own:
            _check_widths(kind, edges, instance)
        uses = {id(instance): _amounts(counting, instance) for instance in own}
        found.append(Entry(kind, narrower.done, edges, before(kind), heads, uses))
    return found


def _amounts(counting: Counting, instance: Instance) -> Amounts:
    found: dict[Part, Amount] = {}
    for number, node in instance.region.nodes():
        if isinstance(node, Choice):
            for option, body in zip(node.region.options, instance.inside[number], strict=True):
                for offset, amount in enumerate(_of_option(counting, body)):
                    found[Part(number, option.label, offset)] = amount
        else:
            found[Part(number)] = counting.some(instance, [number])
    return {part: amount for part, amount in found.items() if amount != Amount()}


def _of_option(counting: Counting, body: Instance) -> Iterator[Amount]:
    """What the values come to that an option puts into a cell (see `Builder.branch`)."""
    if body.region.form is Form.CHAIN:
        yield counting.region(body)
        return
    for number, node in body.region.nodes():
        if not isinstance(node, Input):
            yield counting.some(body, [number])


def _check_widths(kind: Region, edges: Edges, instance: Instance) -> None:
    for number, node in kind.nodes():
        if len(instance.region.node(number).operands) == len(node.operands):
            continue
        if len({instance.shapes[operand] for operand in node.operands if edges[operand]}) > 1:
            raise fault(
                "E0609",
                f"`{kind.name}` keeps some of the edges of a `concat`, which have different "
                "widths, so that its cost is no sum over them",
                node.span,
                "bring the edges to one width",
            )


def total(entries: Iterable[Entry], there: Iterable[Some]) -> Amount:
    """What a network comes to where some parts of every entry are there, all cells in it."""
    whole = Amount()
    for entry, some in zip(entries, there, strict=True):
        for use, amounts in entry.uses.items():
            made, run = entry.times(use, whole)
            if made or run:
                whole.include(entry.total(amounts, some), made, run)
    return whole
