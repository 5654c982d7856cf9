"""The cheapest and the dearest models of a space whose decisions hang together.

Costs are a sum of functions of a few decisions each (`interactions.py`), which follow from walks of
some models (`elimination.py`). All decisions are given an outcome there, also those that are not
made; what a node keeps is one outcome, and so is what a kind keeps that counts edges in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, islice, product

from compiler.counting.costs import walked
from compiler.counting.elimination import Terms, TooManyError, least, terms
from compiler.counting.interactions import interactions
from compiler.decision import Decision, Keep, together
from compiler.ir import Region
from compiler.program import Program, is_made, kept_in_all, ranked
from dsl.diagnostics import DartsError, fault

MOST_WALKS = 4_000
"""So many models are walked."""
MOST_WAYS = 300_000
"""So many ways are told apart in which decisions that hang together come out."""

Options = Mapping[str, str]
Chosen = dict[str, dict[str, str]]


@dataclass
class Extremes:
    """Finds the extremes of parameters and multiplications, numbers 0 and 1.

    Raises:
        DartsError: when too many decisions hang together.
    """

    program: Program
    outcomes: dict[str, list[Options]] = field(default_factory=dict)
    """By what is decided at once, all it may come to."""
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    """By kind and path, where a decision is among these."""
    known: dict[str, tuple[int, int]] = field(default_factory=dict)
    functions: list[Terms] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            for kind in self.program.kinds:
                self.add(kind)
            scopes = interactions(self.program, lambda kind, path: self.names[kind.name, path])
            self.functions = terms(self.counts, scopes, self.value, MOST_WALKS)
        except TooManyError:
            raise self.fault() from None

    def fault(self) -> DartsError:
        message = f"too many decisions of `{self.program.name}` hang together in what they cost"
        help = "what a genotype costs can be asked for each by itself"
        return fault("E0103", message, None, help)

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(options) for name, options in self.outcomes.items()}

    def add(self, kind: Region) -> None:
        """Notes what a kind decides at once."""
        keep = kind.keep
        ways: dict[str, Iterator[Options]] = {}
        edges = [d for d in kind.decisions if keep is not None and ranked(d, keep)]
        for decision in kind.decisions:
            name = f"{kind.name} {decision.path}"
            if keep is not None and decision in edges:
                name = kind.name if keep.in_all else f"{kind.name} at {decision.place}"
                own = [d for d in edges if keep.in_all or d.place == decision.place]
                count = kept_in_all(kind) if keep.in_all else keep.count
                ways.setdefault(name, _kept(replace(keep, count=count), own))
            else:
                ways[name] = _of_one(decision)
            self.names[kind.name, decision.path] = name
        for name, options in ways.items():
            self.outcomes[name] = list(islice(options, MOST_WALKS + 1))
            if len(self.outcomes[name]) > MOST_WALKS:
                raise TooManyError

    def chosen(self, numbers: Mapping[str, int]) -> Chosen:
        """What is made, where all that is decided has the outcomes of these numbers; else 0."""
        found: Chosen = {}
        for kind in self.program.kinds:
            options: dict[str, str] = {}
            names = dict.fromkeys(self.names[kind.name, d.path] for d in kind.decisions)
            for name in names:
                options |= self.outcomes[name][numbers.get(name, 0)]
            made: dict[str, str] = {}
            for decision in kind.decisions:
                if decision.path in options and is_made(decision, made):
                    made[decision.path] = options[decision.path]
            found[kind.name] = made
        return found

    def value(self, numbers: Mapping[str, int]) -> tuple[int, int]:
        chosen = self.chosen(numbers)
        key = repr(chosen)
        if key not in self.known:
            whole = walked(self.program, chosen)[0]
            self.known[key] = whole.parameters, whole.macs
        return self.known[key]

    def extreme(self, which: int, sign: int) -> tuple[int, Chosen]:
        """The least where `sign` is 1, the most where it is -1, and what is decided for it."""
        try:
            value, numbers = least(self.counts, self.functions[which], sign, MOST_WAYS)
        except TooManyError:
            raise self.fault() from None
        assert self.value(numbers)[which] == value, "decisions hang together that seemed not to"
        return value, self.chosen(numbers)


def _outcomes(decision: Decision) -> Iterator[str]:
    labels = decision.selectable
    for count in range(decision.least, decision.most + 1):
        yield from map(together, combinations(labels, count))


def _of_one(decision: Decision) -> Iterator[Options]:
    yield from ({decision.path: option} for option in _outcomes(decision))


def _kept(keep: Keep, decisions: Sequence[Decision]) -> Iterator[Options]:
    """All that some decisions may come to of which edges, or options, are kept."""
    nodes = list(dict.fromkeys(d.place for d in decisions))
    options = [
        (d, option)
        for d in decisions
        for option in (d.selectable if keep.unit == "candidates" else ("",))
    ]
    most = len(options) if keep.count is None else min(keep.count, len(options))
    for count in range(len(nodes) if keep.above is not None else most, most + 1):
        for some in combinations(options, count):
            if {d.place for d, _ in some} == set(nodes):
                yield from _with_options(some)


def _with_options(some: Sequence[tuple[Decision, str]]) -> Iterator[Options]:
    """The options of edges that are kept, where these are not what is kept."""
    if some[0][1]:
        found: dict[str, list[str]] = {}
        for decision, option in some:
            found.setdefault(decision.path, []).append(option)
        yield {path: together(options) for path, options in found.items()}
        return
    for options in product(*(_outcomes(decision) for decision, _ in some)):
        yield {d.path: option for (d, _), option in zip(some, options, strict=True)}
