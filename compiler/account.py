"""How decisions came about: what was selected, what came next, and how close that was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from compiler.decision import Decision, Keep, winners


@dataclass(frozen=True)
class EdgeAudit:
    """A decision: what its options score, the best of them and the one after, and its fate.

    `scores` has the strength of every option that may be selected, in the order of the file, and
    `rank` is what the edges of a node are ranked by: the strength of the best option, except by
    `edge`. `threshold` is what an option must score where as many are selected as do.
    """

    decision: Decision
    scores: Mapping[str, float]
    option: str
    second: str | None
    rank: float
    kept: bool
    threshold: float | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """What is selected: one option, or several where the file chooses several."""
        return winners(self.option)

    @property
    def strength(self) -> float:
        """The score of what is selected; of several, the weakest."""
        return min((self.scores[label] for label in self.options), default=0.0)

    @property
    def second_strength(self) -> float | None:
        return None if self.second is None else self.scores[self.second]

    @property
    def margin(self) -> float | None:
        """By how much the best option is ahead of the second; None where it is the only one.

        Where a threshold says how many are selected, by how much it is kept or missed, if less.
        """
        return min((margin for margin, _ in self._margins()), default=None)

    @property
    def loser(self) -> str | None:
        """What the selected options are ahead of by the margin: an option, or the threshold."""
        return min(self._margins(), key=lambda found: found[0], default=(0.0, None))[1]

    def _margins(self) -> Iterator[tuple[float, str]]:
        number, second = len(self.options), self.second_strength
        least, most = self.decision.least, self.decision.most
        if second is not None and self.second is not None:
            if self.threshold is None or (number == max(least, 1) or number == most):
                yield self.strength - second, self.second
            if self.threshold is not None and number < most:
                yield self.threshold - second, self.second
        if self.threshold is not None and number > least:
            yield self.strength - self.threshold, f"{self.decision.above:g}"


class Gap(NamedTuple):
    """How close it was that a node had kept other edges; None stands for the threshold."""

    winner: EdgeAudit | None
    loser: EdgeAudit | None
    margin: float


@dataclass(frozen=True)
class NodeAudit:
    """The edges of a node in the order of the program, or one decision that stands on no edge."""

    name: str
    edges: tuple[EdgeAudit, ...]
    gap: Gap | None = None
    """None where every edge is kept. There each decision is one of its own, with a margin of its
    own."""

    @property
    def kept(self) -> tuple[EdgeAudit, ...]:
        return tuple(edge for edge in self.edges if edge.kept)

    @property
    def dropped(self) -> tuple[EdgeAudit, ...]:
        return tuple(edge for edge in self.edges if not edge.kept)

    @property
    def runner_up(self) -> EdgeAudit | None:
        """What would be kept next, in place of the weakest that is, or beside it.

        Where edges are counted over all nodes, it may be another node's.
        """
        return None if self.gap is None else self.gap.loser

    @property
    def margin(self) -> float | None:
        """By how much the weakest kept edge is ahead of the runner-up, or of a threshold."""
        return None if self.gap is None else self.gap.margin


@dataclass(frozen=True)
class KindAudit:
    """How a kind decided; `keep` is what the file keeps, None where that is all."""

    name: str
    rule: str
    keep: Keep | None
    nodes: tuple[NodeAudit, ...]
