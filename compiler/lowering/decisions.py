"""The decisions that a body makes, and what `keep` and genotypes must know of them."""

from __future__ import annotations

from compiler.ir import Decision, Region
from dsl.diagnostics import Label, fault
from dsl.source import Span


class Decisions:
    """The decisions of one body, in the order of the program."""

    def __init__(self) -> None:
        self.made: list[Decision] = []
        self.aliases: dict[str, float] = {}
        """Names of values that are another one's here, with their places among the values."""
        self._paths: set[str] = set()
        self._crowded: Span | None = None
        self._joins: dict[str | None, Span] = {}
        self._joined = 0
        self._torn: tuple[Span, Span] | None = None

    def add(
        self, node: str | None, source: str | None, options: tuple[tuple[str, bool], ...]
    ) -> str:
        """Notes a decision on the edge from `source` into `node`; the path that it is called by."""
        path = f"{node or 'return'} from {source}" if source else (node or "return")
        unique, count = path, 2
        while unique in self._paths:
            unique, count = f"{path} ({count})", count + 1
        self._paths.add(unique)
        self.made.append(Decision(unique, node if source else None, source, options))
        return unique

    @property
    def mark(self) -> tuple[int, int]:
        """How many decisions there are, and how many of them stand on edges of a join."""
        return len(self.made), self._joined

    def close_edge(self, mark: tuple[int, int], span: Span) -> None:
        """An edge has ended that began at `mark`."""
        if len(self.made) > mark[0] + 1:
            self._crowded = span

    def close_join(self, mark: tuple[int, int], node: str | None, span: Span) -> None:
        """A join of `node` has ended that began at `mark`."""
        own = len(self.made) - mark[0] - (self._joined - mark[1])
        if own:
            self._joined += own
            first = self._joins.setdefault(node, span)
            if first != span:
                self._torn = first, span

    def check_kept(self) -> None:
        """Where edges are kept, each has one decision, and a node one join.

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
                places[node.bound] = number
        return tuple(sorted(places, key=lambda name: places[name]))
