"""The cost of any final model of a space, as a sum of entries of a table.

Costs add up, since all options of one choice give the same shape: what an option brings does not
hang on the others. So a program with all options in it (see `superpose.py`) is walked once, and a
genotype then says which of its values are there.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.compile import Genes
from compiler.counting.amounts import Amount, Counting
from compiler.counting.costs import Cost
from compiler.counting.superpose import Chosen, Condition, Superposed, superpose
from compiler.facts import Instance
from compiler.fitting import resolve
from compiler.genotype import Genotype
from compiler.instantiate import instantiate
from compiler.measure import measure
from compiler.needed import Rules, needed
from compiler.program import Program
from dsl.diagnostics import fault
from dsl.load import load
from dsl.space import Space

Amounts = Mapping[int, Amount]
"""What values come to, by their numbers; those that come to nothing are left out."""


@dataclass(frozen=True)
class Entry:
    """A cell, or the network, with what its values come to at every size at which it is used."""

    superposed: Superposed
    conditions: Mapping[int, frozenset[Condition]]
    before: Mapping[int, frozenset[str]]
    uses: Mapping[int, Amounts]
    """By the identity of its instances."""

    def edges(self, number: int) -> set[str]:
        """The edges, by their decisions, on which it hangs that a value is there or computed."""
        return {path for path, _ in self.conditions[number]} | self.before.get(number, set())

    def times(self, use: int, around: Amount) -> tuple[int, int]:
        """How often an instance is made and computed, by what is known of the cells around it."""
        if self.superposed.region.kind == "network":
            return 1, 1
        return around.made[use], around.run[use]

    def idle(self, kept: Container[str]) -> frozenset[int]:
        """The values that are not computed where only some edges are kept."""
        return frozenset(n for n, paths in self.before.items() if not any(p in kept for p in paths))

    def total(self, amounts: Amounts, some: Some) -> Amount:
        """What it comes to, once, where some of its values are there."""
        values = self.superposed.region.values
        found = Amount()
        for number in some.there:
            if number in amounts:
                found.add(amounts[number], values[number].shared, number not in some.idle)
        return found.closed()


@dataclass(frozen=True)
class Some:
    """Some values of an entry, and those among them that are not computed."""

    there: frozenset[int]
    idle: frozenset[int] = frozenset()


class CostTable:
    """What every final model of a space comes to, in its final phase.

    Raises:
        DartsError: for a fault of the file, the profile or an override; and for a `concat` that
            keeps some of its edges, where these have different widths.
    """

    def __init__(
        self, space: Space | str | Path, profile: str | None = None, **overrides: Any
    ) -> None:
        space = space if isinstance(space, Space) else load(space)
        _, program, _ = measure(space, "final", profile, overrides)
        self.kinds = program.kinds
        self.entries = entries(*superpose(program))
        self._rules = Rules()
        self._network, *_ = self.entries
        self._heads = frozenset(self._network.superposed.region.heads())
        self._fixed = {
            id(entry): self._left(entry, {})
            for entry in self.entries
            if not entry.superposed.meetings
        }

    def cost(self, genotype: Genes) -> Cost:
        """What the final model of a genotype comes to.

        Raises:
            DartsError: when the genotype is not one of this space.
        """
        genotype = genotype if isinstance(genotype, Genotype) else Genotype.load(genotype)
        return self.cost_of(resolve(genotype, self.kinds))

    def cost_of(self, chosen: Mapping[str, Chosen]) -> Cost:
        """The same for the options that are chosen, by kind and path, as `resolve` gives them."""
        left = [
            self._fixed.get(id(entry)) or self._left(entry, chosen[entry.superposed.kind.name])
            for entry in self.entries
        ]
        there = [whole for whole, _ in left]
        whole, pruned = total(self.entries, there), total(self.entries, [live for _, live in left])
        auxiliary = 0
        if self._heads:
            headed = Some(there[0].there | self._heads)
            auxiliary = total(self.entries, [headed, *there[1:]]).parameters - whole.parameters
        return Cost(whole.parameters, whole.macs, auxiliary, pruned.parameters, pruned.macs)

    def _left(self, entry: Entry, chosen: Chosen) -> tuple[Some, Some]:
        """The values of an entry that are there, and those that pruning leaves."""
        operands = entry.superposed.operands(chosen, entry.conditions)
        left = needed(entry.superposed.region, self._rules, operands)
        heads = self._heads if entry is self._network else frozenset()
        there = Some(frozenset(operands) - heads, entry.idle(chosen))
        return there, Some(left.live - left.heads)


def entries(program: Program, apart: Mapping[int, Superposed]) -> list[Entry]:
    """The network and the cells that are counted apart, each before those in it.

    Raises:
        DartsError: where edges of different widths enter a `concat` that keeps some of them.
    """
    facts = instantiate(program)
    counting = Counting(frozenset(apart) - {id(program.network)})
    counting.instances[id(facts.instance)] = facts.instance
    found = []
    for key, superposed in apart.items():
        # by now all that use the cell have been counted, so that all its instances are known
        own = [i for i in counting.instances.values() if id(i.region) == key]
        for instance in own:
            _check_widths(superposed, instance)
        uses = {id(instance): _amounts(counting, instance) for instance in own}
        found.append(Entry(superposed, superposed.conditions(), superposed.before(), uses))
    return found


def _amounts(counting: Counting, instance: Instance) -> Amounts:
    amounts = {number: counting.node(instance, number) for number in instance.region.values}
    return {number: amount for number, amount in amounts.items() if amount != Amount()}


def _check_widths(superposed: Superposed, instance: Instance) -> None:
    for number, operands in superposed.joins.items():
        edges = superposed.edges(operands)
        if len({instance.shapes[operand] for operand in edges}) > 1:
            raise fault(
                "E0609",
                f"`{superposed.kind.name}` keeps some of the edges of a `concat`, which have "
                "different widths, so that its cost is no sum over them",
                superposed.region.node(number).span,
                "bring the edges to one width",
            )


def total(entries: Iterable[Entry], there: Iterable[Some]) -> Amount:
    """What a network comes to where some values of every entry are there, all cells in it."""
    whole = Amount()
    for entry, some in zip(entries, there, strict=True):
        for use, amounts in entry.uses.items():
            made, run = entry.times(use, whole)
            if made or run:
                whole.include(entry.total(amounts, some), made, run)
    return whole
