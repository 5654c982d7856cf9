"""The steps of a repeat, once it is known how many there are."""

from __future__ import annotations

from compiler.expr import Plain, symbols
from compiler.ir import Repeat, Step
from compiler.whereabouts import Whereabouts
from dsl.diagnostics import Label
from dsl.source import Span

MOST_STEPS = 10_000


def count_of(where: Whereabouts, node: Repeat, env: dict[str, Plain]) -> int:
    """How many steps a repeat has.

    Raises:
        DartsError: for a number that cannot be.
    """
    count = where.value(node.count, env, node)
    if isinstance(count, int) and 1 <= count <= MOST_STEPS:
        return count
    known = where.known_as(symbols(node.count), env)
    message = f"a repeat has 0 to {MOST_STEPS} steps, this is {count}{known}"
    raise where.fault("E0702", message, node.span)


def placed(where: Whereabouts, node: Repeat, env: dict[str, Plain], count: int) -> dict[int, Step]:
    """The steps that are named by their places.

    Raises:
        DartsError: for a place that is not there, or is named twice.
    """
    found: dict[int, Step] = {}
    written: dict[int, Span] = {}
    for step in node.steps[1:]:
        for place, span in zip(step.places or (), step.spans, strict=True):
            index = where.value(place, env, node)
            if not isinstance(index, int) or not 0 <= index < count:
                raise where.fault(
                    "E0703", f"step {index} of a repeat of {count} steps", span,
                    f"steps are numbered from 0 to {count - 1}",
                )  # fmt: skip
            if index in found:
                raise where.fault(
                    "E0704",
                    f"step {index} of this repeat is named twice",
                    span,
                    "a longer repeat, or other places",
                    Label(written[index], "first named here"),
                )
            found[index], written[index] = step, span
    return found
