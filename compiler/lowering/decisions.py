"""The decisions that a body makes, and what `keep` and genotypes must know of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from compiler.ir import Condition, Decision, Region, choices
from compiler.lowering.values import ONE, Amount, Birth
from dsl.diagnostics import Label, fault
from dsl.source import Span


class Decisions:
    """The decisions of one body, and of the branches in it, in the order of the program."""

    def __init__(self) -> None:
        self.made: list[Decision] = []
        self.aliases: dict[str, float] = {}
        """Names of values that are another one's here, with their places among the values."""
        self.clock = 0
        """How many times a `choose` has been evaluated."""
        self.option = ""
        """The option being written out, `n[0] from a as block`: decisions in it are so called."""
        self._births: dict[str, int] = {}
        self._reused: Span | None = None
        self._crowded: Span | None = None
        self._joins: dict[str | None, Span] = {}
        self._joined = 0
        self._torn: tuple[Span, Span] | None = None

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
        unique, count = path, 2
        while unique in self._births:
            unique, count = f"{path} ({count})", count + 1
        self._births[unique] = birth.clock
        birth.path = unique
        self.made.append(
            Decision(
                unique,
                node if on_edge else None,
                source if on_edge else None,
                options,
                amount.least,
                amount.most,
                amount.above,
            )
        )
        return unique

    def settle(self, path: str, **changes: object) -> None:
        """Completes a decision that was noted before its options were known."""
        place = next(i for i, made in enumerate(self.made) if made.path == path)
        self.made[place] = replace(self.made[place], **changes)  # type: ignore[arg-type]

    def cancel(self, path: str) -> None:
        """Takes back a decision that has turned out to be none."""
        self.made = [made for made in self.made if made.path != path]
        del self._births[path]

    def reused(self, span: Span) -> None:
        """A decision that was made before has been obeyed once more."""
        self._reused = span

    def condition(
        self, condition: Condition, clock: int, paths: Iterable[str] | None = None
    ) -> None:
        """Puts decisions under a condition that were evaluated after `clock`; all, or of these."""
        inner = {p for p in paths or self._births if self._births[p] > clock}
        self.made = [
            replace(made, within=(*condition, *made.within), node=None)
            if made.path in inner and not set(condition) <= set(made.within)
            else made
            for made in self.made
        ]

    def obeyed(self, region: Region) -> tuple[Decision, ...]:
        """The decisions but for numbers on which nothing hangs in a region."""
        paths = {node.decision for _, _, node in choices(region)}
        return tuple(made for made in self.made if made.path in paths or not made.numbers)

    @property
    def mark(self) -> tuple[int, int]:
        """How many decisions there are, and how many of them stand on edges of a join."""
        return len(self._outer()), self._joined

    def since(self, mark: tuple[int, int]) -> Condition:
        """That the only decision made since `mark` has come out, where there is a single one."""
        own = self._outer()[mark[0] :]
        return tuple((made.path, frozenset(made.selectable)) for made in own if len(own) == 1)

    def close_edge(self, mark: tuple[int, int], span: Span) -> None:
        """An edge has ended that began at `mark`."""
        if len(self._outer()) > mark[0] + 1:
            self._crowded = span

    def close_join(self, mark: tuple[int, int], node: str | None, span: Span) -> None:
        """A join of `node` has ended that began at `mark`."""
        own = len(self._outer()) - mark[0] - (self._joined - mark[1])
        if own:
            self._joined += own
            first = self._joins.setdefault(node, span)
            if first != span:
                self._torn = first, span

    def _outer(self) -> list[Decision]:
        """Decisions that do not hang on others."""
        return [made for made in self.made if not made.within]

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
