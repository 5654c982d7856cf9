"""From a space to its program with all sizes known: what building and describing begin with."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.facts import Facts
from compiler.instantiate import instantiate
from compiler.lowering import lower
from compiler.profile import Values, values_of
from compiler.program import Program
from dsl.blame import Blame
from dsl.diagnostics import DartsError
from dsl.space import Space


def measure(
    space: Space, phase: str, profile: str | None, overrides: Mapping[str, object]
) -> tuple[Values, Program, Facts]:
    """A space lowered in one phase, its sizes inferred at the values in force.

    Raises:
        DartsError: for a fault of the file or an override.
    """
    try:
        values = values_of(space, phase, profile, overrides)
        program = lower(space, phase, values.parameters, values.profile, values.has_auxiliary)
        return values, program, instantiate(program)
    except DartsError as error:
        blame = Blame(space.file, space.scopes)
        # Whatever an override has done, no profile is to blame for it.
        profiles = () if overrides else tuple(filter(None, (profile, phase)))
        raise DartsError(blame.told(d, profiles) for d in error.diagnostics) from None
