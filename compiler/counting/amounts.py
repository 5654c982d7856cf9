"""Adds up what the layers of a program come to: trained numbers and multiplications.

The walk with numbers (`compiler.instantiate`) notes them for every layer, once for every size at
which a region is used; here they are counted as often as they are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from compiler.facts import Facts, Instance


@dataclass
class Amount:
    """What a part of a network comes to, the cells in it left out, which are counted with it.

    `made` says how often each of those cells is there, `run` how often it is computed, by the
    identity of its `Instance`. What a part shares with the region around it waits in `shared`: it
    is made once, however often it is used.
    """

    parameters: int = 0
    macs: int = 0
    made: Counter[int] = field(default_factory=Counter)
    run: Counter[int] = field(default_factory=Counter)
    shared: dict[str, Amount] = field(default_factory=dict)

    def add(self, other: Amount, shared_as: str = "", is_run: bool = True) -> None:
        """Adds a part, which is shared if it has a name as such; it need not be computed."""
        if is_run:
            self.macs += other.macs
        if is_run and other.run:
            self.run.update(other.run)
        self.shared.update(other.shared)
        if shared_as:
            self.shared[shared_as] = other
        else:
            self.parameters += other.parameters
            if other.made:
                self.made.update(other.made)

    def include(self, other: Amount, made: int, run: int) -> None:
        """Adds what is made and computed so many times, and shares nothing."""
        self.parameters += made * other.parameters
        self.macs += run * other.macs
        for cell, times in other.made.items():
            self.made[cell] += made * times
        for cell, times in other.run.items():
            self.run[cell] += run * times

    def closed(self) -> Amount:
        """With all that is shared made once."""
        if not self.shared:
            return self
        whole = Amount(self.parameters, self.macs, self.made.copy(), self.run)
        for made in self.shared.values():
            whole.parameters += made.parameters
            whole.made.update(made.made)
        return whole


@dataclass
class Counting:
    """Counts the parts of a network; cells whose regions are in `apart` are left out."""

    apart: frozenset[int] = frozenset()
    idle: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """By the identity of a region, its values that are not computed."""
    known: dict[int, Amount] = field(default_factory=dict)
    instances: dict[int, Instance] = field(default_factory=dict)
    """The cells that were left out, by their identity."""

    def node(self, instance: Instance, number: int) -> Amount:
        """What a node comes to, to be added under its name in `Node.shared`."""
        if number in instance.own:
            return Amount(*instance.own[number])
        found = Amount()
        for inner in instance.inside.get(number, ()):
            if id(inner.region) in self.apart:
                self.instances[id(inner)] = inner
                found.add(Amount(made=Counter([id(inner)]), run=Counter([id(inner)])))
            else:
                found.add(self.region(inner))
        return found

    def region(self, instance: Instance) -> Amount:
        """What a region comes to; of a branch, what it shares is left to the region around."""
        if id(instance) not in self.known:
            numbers = instance.region.values.keys() - instance.region.heads()
            found = self.some(instance, numbers)
            self.known[id(instance)] = found if instance.region.is_branch else found.closed()
        return self.known[id(instance)]

    def some(self, instance: Instance, numbers: Iterable[int]) -> Amount:
        """What some nodes of a region come to."""
        found = Amount()
        idle = self.idle.get(id(instance.region), frozenset())
        for number in numbers:
            shared_as = instance.region.node(number).shared
            found.add(self.node(instance, number), shared_as, number not in idle)
        return found


def amounts(facts: Facts, idle: Mapping[int, frozenset[int]] | None = None) -> Amount:
    """What a program without choices comes to, its auxiliary head left out."""
    return Counting(idle=idle or {}).region(facts.instance)


def headed(facts: Facts) -> int:
    """The parameters of a program without choices, its auxiliary head included."""
    everything = Counting().some(facts.instance, facts.instance.region.values)
    return everything.closed().parameters
