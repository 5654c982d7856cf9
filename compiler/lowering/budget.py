"""How much lowering a program may take: what doubles at every turn must end before it hurts."""

from __future__ import annotations

from dsl.diagnostics import DartsError, fault
from dsl.source import Span

MOST_TURNS = 25_000


class Budget:
    """Counts evaluations and applications, whatever they are of."""

    def __init__(self) -> None:
        self.spent = 0

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
