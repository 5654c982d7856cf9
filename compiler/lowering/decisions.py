"""The decisions that a body makes, and what `keep` and genotypes must know of them."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import replace

from compiler.decision import Condition, Decision
from compiler.ir import Region, choices
from compiler.lowering.values import ONE, Amount, Birth
from dsl.diagnostics import Label, fault
from dsl.source import Span

_LAST = "\U0010ffff"
"""Sorts behind every path."""


class Decisions:
    """The decisions of one body, and of the branches in it, in the order of the program."""

    def __init__(self) -> None:
        self._made: dict[str, Decision] = {}
        self.aliases: dict[str, float] = {}
        """Names of values that are another one's here, with their places among the values."""
        self.clock = 0
        """How many times a `choose` has been evaluated."""
        self.option = ""
        """The option being written out, `n[0] from a as block`: decisions in it are so called."""
        self._births: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []
        """The paths of decisions, those evaluated first before others."""
        self._numbers: dict[str, tuple[str, int]] = {}
        """What a path that has a number is called without it, and that number."""
        self._free: dict[str, int] = {}
        """Below which number no path of a name is free."""
        self._outer = 0
        """How many decisions do not hang on others."""
        self._reused: Span | None = None
        self._crowded: Span | None = None
        self._joins: dict[str | None, Span] = {}
        self._joined = 0
        self._torn: tuple[Span, Span] | None = None

    @property
    def made(self) -> tuple[Decision, ...]:
        return tuple(self._made.values())

    def known(self, path: str) -> Decision | None:
        return self._made.get(path)

    def born(self, name: str = "") -> Birth:
        """One more evaluation of a `choose`."""
        self.clock += 1
        return Birth(self.clock, name)

    def add(
        self,
        birth: Birth,
        node: str | None,
        source: str | None,
        options: tuple[tuple[str, bool], ...] = (),
        amount: Amount = ONE,
    ) -> str:
        """Notes a decision on the edge from `source` into `node`; the path that it is called by."""
        path = f"{node or 'return'} from {source}" if source else (node or "return")
        on_edge = not self.option and not birth.name and source is not None
        path = birth.name or self.option or path
        unique = self._unused(path)
        self._births[unique] = birth.clock
        insort(self._order, (birth.clock, unique))
        birth.path = unique
        self._outer += 1
        self._made[unique] = Decision(
            unique,
            node if on_edge else None,
            source if on_edge else None,
            options,
            amount.least,
            amount.most,
            amount.above,
        )
        return unique

    def _unused(self, path: str) -> str:
        if path not in self._births:
            return path
        count = self._free.get(path, 2)
        while f"{path} ({count})" in self._births:
            count += 1
        self._free[path] = count
        unique = f"{path} ({count})"
        self._numbers[unique] = path, count
        return unique

    def settle(self, path: str, **changes: object) -> None:
        """Completes a decision that was noted before its options were known."""
        self._made[path] = replace(self._made[path], **changes)  # type: ignore[arg-type]

    def cancel(self, path: str) -> None:
        """Takes back a decision that has turned out to be none."""
        self._outer -= not self._made.pop(path).within
        self._order.remove((self._births.pop(path), path))
        base, number = self._numbers.pop(path, (path, 2))
        if base in self._free:
            self._free[base] = min(self._free[base], number)

    def reused(self, span: Span) -> None:
        """A decision that was made before has been obeyed once more."""
        self._reused = span

    def condition(
        self, condition: Condition, after: int, until: int, paths: Iterable[str] | None = None
    ) -> None:
        """Puts decisions under a condition that were evaluated after one and until another, both
        by the clock; all of them, or those among `paths`."""
        if paths is None:
            first = bisect_right(self._order, (after, _LAST))
            inner = [path for clock, path in self._order[first:] if clock <= until]
        else:
            inner = [p for p in dict.fromkeys(paths) if after < self._births[p] <= until]
        for path in inner:
            made = self._made[path]
            if not set(condition) <= set(made.within):
                self._outer -= not made.within
                self._made[path] = replace(made, within=(*condition, *made.within), node=None)

    def obeyed(self, region: Region) -> tuple[Decision, ...]:
        """The decisions but for numbers on which nothing hangs in a region."""
        paths = {node.decision for _, _, node in choices(region)}
        return tuple(made for made in self.made if made.path in paths or not made.numbers)

    @property
    def mark(self) -> tuple[int, int]:
        """How many decisions there are, and how many of them stand on edges of a join."""
        return self._outer, self._joined

    def since(self, mark: tuple[int, int]) -> Condition:
        """That the only decision made since `mark` has come out, where there is a single one."""
        if self._outer != mark[0] + 1:
            return ()
        last = next(made for made in reversed(self._made.values()) if not made.within)
        return ((last.path, frozenset(last.selectable)),)

    def close_edge(self, mark: tuple[int, int], span: Span) -> None:
        """An edge has ended that began at `mark`."""
        if self._outer > mark[0] + 1:
            self._crowded = span

    def close_join(self, mark: tuple[int, int], node: str | None, span: Span) -> None:
        """A join of `node` has ended that began at `mark`."""
        own = self._outer - mark[0] - (self._joined - mark[1])
        if own:
            self._joined += own
            first = self._joins.setdefault(node, span)
            if first != span:
                self._torn = first, span

    def check_kept(self) -> None:
        """Where edges are kept, each has one decision of its own, and a node one join.

        Raises:
            DartsError: where it is not so.
        """
        if self._crowded is not None:
            raise fault(
                "E0609",
                "this edge holds several decisions, so `keep` cannot rank it",
                self._crowded,
                "one `choose` to an edge",
            )
        if self._reused is not None:
            raise fault(
                "E0609",
                "this edge obeys a decision that others obey too, so `keep` cannot rank it",
                self._reused,
                "`choose 2 of { … }` ranks edges by weights of their own",
            )
        if self._torn is not None:
            first, second = self._torn
            raise fault(
                "E0609",
                "edges enter two joins of this node, so `keep` cannot tell what each is left with",
                second,
                "bind each join to a name, which then is a node",
                Label(first, "the first join"),
            )

    def sources(self, region: Region) -> tuple[str, ...]:
        """The names of the values that edges with choices leave or enter, in the order bound."""
        named = {name for made in self.made for name in (made.source, made.node)}
        places = {name: place for name, place in self.aliases.items() if name in named}
        for number, node in region.nodes():
            if node.bound is not None and node.bound in named:
                places.setdefault(node.bound, number)  # an op's own names come later
        return tuple(sorted(places, key=lambda name: places[name]))
