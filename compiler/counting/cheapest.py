"""What a cell kind decides to come to the least, or to the most, by prices of its options.

Every node takes its best edges with their best options. What a cell shares is paid for once however
many options use it, so a decision also hangs on what others have paid for. The search goes through
the decisions in their order, and keeps the best way to every number of kept edges and every set of
paid things that decisions to come may use as well; mostly there is one such set, the empty one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from compiler.decision import Decision
from compiler.ir import Region
from compiler.program import kept
from dsl.diagnostics import fault

MOST_STATES = 100_000
"""So many sets of shared things are told apart."""

Condition = tuple[str, str | None]
"""That an edge is kept, by the path of its decision; or that its option is the one named."""
Picks = tuple[tuple[str, str], ...]
"""Paths with the options that are chosen."""
State = tuple[int, frozenset[str]]
"""How many edges of the node at hand are kept, and which shared things are paid for."""
States = dict[State, tuple[int, Picks]]


@dataclass
class Prices:
    """What a kind comes to, all its uses together: by itself, and by what it decides."""

    own: dict[Condition | None, int] = field(default_factory=dict)
    """What a kept edge, or an option, costs that shares nothing; None is what is there anyway."""
    uses: dict[Condition | None, set[str]] = field(default_factory=dict)
    """The shared things that it uses."""
    shared: dict[str, int] = field(default_factory=dict)
    """What each of these costs."""

    def add(self, condition: Condition | None, cost: int, uses: Iterable[str] = ()) -> None:
        self.own[condition] = self.own.get(condition, 0) + cost
        self.uses.setdefault(condition, set()).update(uses)

    @property
    def base(self) -> int:
        """What a kind comes to whatever it decides."""
        return self.own.get(None, 0) + sum(self.shared[name] for name in self.uses.get(None, ()))

    def of(self, path: str, label: str) -> tuple[int, frozenset[str]]:
        """What an option costs on its kept edge, and the shared things that it brings."""
        keys: tuple[Condition, Condition] = (path, None), (path, label)
        uses = frozenset().union(*(self.uses.get(key, ()) for key in keys))
        return sum(self.own.get(key, 0) for key in keys), uses - self.uses.get(None, set())

    def options(self, decision: Decision) -> Iterator[tuple[str, int, frozenset[str]]]:
        """The options of a decision with what they cost and use."""
        for label in decision.selectable:
            yield label, *self.of(decision.path, label)


def best(
    kind: Region, prices: Prices, sign: int, assumed: Mapping[str, bool]
) -> tuple[int, Picks] | None:
    """The least that a kind comes to where `sign` is 1, the most where it is -1, and how.

    `assumed` says of some edges whether they are kept. None where that cannot be; among equals,
    what is found first in the order of the file.

    Raises:
        DartsError: when there are too many shared things to tell apart.
    """
    later = _used_later(kind, prices)
    states: States = {(0, frozenset()): (prices.base, ())}
    for node, count in kept(kind).items():
        for decision in kind.decisions:
            if decision.place == node:
                ways = _ways(states, decision, count, prices, assumed.get(decision.path))
                states = _best_ways(ways, later[decision.path], sign)
        states = {(0, paid): way for (k, paid), way in states.items() if k == count}
    if not states:
        return None
    ((value, picks),) = states.values()
    order = [decision.path for decision in kind.decisions]
    return value, tuple(sorted(picks, key=lambda pick: order.index(pick[0])))


def _ways(
    states: States, decision: Decision, count: int, prices: Prices, is_kept: bool | None
) -> Iterator[tuple[State, tuple[int, Picks]]]:
    """Where one more decision leads: to each of its options, or past an edge that is dropped."""
    options = list(prices.options(decision))
    for (k, paid), (value, picks) in states.items():
        if k < count and is_kept is not False:
            for label, own, uses in options:
                more = own + sum(prices.shared[name] for name in uses - paid)
                yield (k + 1, paid | uses), (value + more, (*picks, (decision.path, label)))
        if is_kept is not True:
            yield (k, paid), (value, picks)


def _best_ways(
    ways: Iterable[tuple[State, tuple[int, Picks]]], later: frozenset[str], sign: int
) -> States:
    """The best way to every state, what is of no use later forgotten."""
    states: States = {}
    for (k, paid), way in ways:
        state = k, paid & later
        if state not in states or sign * way[0] < sign * states[state][0]:
            states[state] = way
    if len(states) > MOST_STATES:
        message = f"options share things in more than {MOST_STATES:,} ways"
        raise fault("E0103", message, None, "fewer shared operations")
    return states


def _used_later(kind: Region, prices: Prices) -> dict[str, frozenset[str]]:
    """By the path of a decision, the shared things that decisions after it may use."""
    nodes = list(kept(kind))
    order = sorted(kind.decisions, key=lambda d: nodes.index(d.place))
    found: dict[str, frozenset[str]] = {}
    later: frozenset[str] = frozenset()
    for decision in reversed(order):
        found[decision.path] = later
        later = later.union(*(uses for _, _, uses in prices.options(decision)))
    return found
