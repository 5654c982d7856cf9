"""How much lowering a program may take: what doubles at every turn must end before it hurts."""

from __future__ import annotations

from dsl.diagnostics import DartsError, fault
from dsl.source import Span

MOST_TURNS = 25_000
MOST_DEEP = 130
"""How deep evaluations may stand in one another, those of all declarations together."""


class Budget:
    """Counts evaluations and applications, whatever they are of."""

    def __init__(self) -> None:
        self.spent = 0
        self.depth = 0

    def deeper(self, span: Span) -> None:
        """Enters an evaluation, which `depth` leaves again.

        Raises:
            DartsError: when it stands in too many others.
        """
        if self.depth >= MOST_DEEP:
            message = f"by here evaluations stand in one another more than {MOST_DEEP} times"
            help = "fewer ops and sets that lead to one another, or simpler expressions"
            raise fault("E0103", message, span, help)
        self.depth += 1

    def spend(self, span: Span, turns: int = 1) -> None:
        """Raises:
        DartsError: when there was too much of it.
        """
        before, self.spent = self.spent, self.spent + turns
        if before > MOST_TURNS:
            raise DartsError(())  # which has been said
        if self.spent > MOST_TURNS:
            raise fault(
                "E0103",
                f"this program comes to more than {MOST_TURNS:,} evaluations by here",
                span,
                "smaller groups and sets, fewer edges, or ops that do not hold one another twice",
            )
