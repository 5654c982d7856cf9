"""What is wrong around choices: `of`, `above`, `..`, families of cells and `per stage`."""

from __future__ import annotations

from itertools import pairwise

from dsl.diagnostics import DartsError, fault
from dsl.foreign import Rule
from dsl.place import STATEMENTS, Place
from dsl.source import Span

_CHOOSE = ("choose", "entangled")
_ENDS = STATEMENTS | {"}", ")", "]", ","}


def _of(place: Place) -> DartsError | None:
    """`choose 2 { … }`, `choose of { … }` and `choose 1-3 of { … }`."""
    found, last = place.found, place.back(1)
    if last.text == "of" and place.back(2).text in _CHOOSE:
        message = "`of` stands behind how many are chosen"
        return fault("E0105", message, last.span, "`choose 2 of { … }`, or no `of`")
    if found.text == "of" and last.text.isdigit() and place.back(2).text == "-":
        help = f"`choose {place.back(3).text}..{last.text} of …`"
        return fault("E0105", "from how many to how many is written with `..`", last.span, help)
    counts = last.text.isdigit() and place.back(2).text in (*_CHOOSE, "..")
    if not counts or not (found.text == "{" or found.is_name):
        return None
    first = place.back(3 if place.back(2).text == ".." else 1)
    amount = Span(place.source, first.span.start, last.span.end).text
    options = "{ … }" if found.text == "{" else found.text
    message = "`of` is missing between how many are chosen and of what"
    return fault("E0105", message, found.span, f"`choose {amount} of {options}`")


def _above(place: Place) -> DartsError | None:
    """`above`, with nothing behind: what ends the statement was read as its number."""
    words = (*place.before, place.found)
    for word, behind in [*pairwise(words)][-3:]:
        if word.text == "above" and behind.text in _ENDS:
            return fault("E0105", "`above` does not say which number", word.span, "`above 0.5`")
    return None


def _range(place: Place) -> DartsError | None:
    if place.found.text != "..":
        return None
    message = "a range stands in a set, behind `in`, or between `choose` and `of`"
    return fault("E0105", message, place.found.span, "`{ 1..4 }`, `for k in 1..4`")


def _per_stage(place: Place) -> DartsError | None:
    """`per stage` and the number of a family, where the header of a cell has them elsewhere."""
    declared, found = place.declaration, place.found
    if declared is None or place.inside:
        return None
    near = (place.back(2), place.back(1), found)
    per = next((word for word in near if word.text == "per"), None)
    behind = (place.back(1).text, found.text, place.following)
    if per is not None and declared.text == "cell" and "stage" in behind:
        message = "`per stage` stands behind what a cell reads"
        return fault("E0105", message, per.span, "`cell unit from x per stage = …`")
    if per is not None and declared.text in ("cell", "op", "network"):
        message = "a cell may decide `per stage`, and nothing else decides per anything"
        return fault("E0105", message, per.span, "`cell unit from x per stage = …`")
    if found.text == "[" and place.back(2).text in ("op", "set"):
        help = f"`cell {place.back(1).text}[…]`"
        return fault("E0105", "only cells come in families", found.span, help)
    return None


RULES: tuple[Rule, ...] = (_of, _above, _per_stage, _range)
