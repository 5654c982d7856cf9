"""What a picture's colours mean: the candidates of each set, or the kinds that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil

from compiler.pictures.graph import Cell
from compiler.pictures.layout import SIZE
from compiler.pictures.lettering import shown, width
from compiler.pictures.operations import OperationKind

SWATCH = 25.0
"""What a swatch takes before its label, in pixels."""
APART = 18.0
ROW_HEIGHT = 19.0
FIXED = "fixed"
"""What operations are called that nothing decides."""


@dataclass(frozen=True)
class Entry:
    """A line of a legend: a title, empty where it needs none, and labels with their kinds."""

    title: str
    items: tuple[tuple[str, OperationKind], ...]


@dataclass(frozen=True)
class Row:
    """A row with the x of everything in it; `width` is where it ends."""

    title: str
    items: tuple[tuple[float, str, OperationKind], ...]
    width: float


def entries_of(cells: Sequence[Cell]) -> tuple[Entry, ...]:
    """A legend of the cells' sets; without sets, of the kinds of operation that they show."""
    sets = list(dict.fromkeys(candidates for cell in cells for candidates in cell.sets))
    used = {box.kind for cell in cells for box in cell.boxes}
    kinds = tuple((kind.value, kind) for kind in OperationKind if kind in used)
    if not sets:
        return (Entry("", kinds),) if kinds else ()
    entries = [Entry(each.name if len(sets) > 1 or kinds else "", each.options) for each in sets]
    return (*entries, Entry(FIXED, kinds)) if kinds else tuple(entries)


def rows_of(entries: tuple[Entry, ...], room: float) -> list[Row]:
    """The rows of a legend, broken where they would be wider than `room` pixels."""
    indent = max((width(shown(e.title), SIZE) + APART for e in entries if e.title), default=0.0)
    return [row for entry in entries for row in _broken(entry, indent, room - indent)]


def _broken(entry: Entry, indent: float, room: float) -> Iterator[Row]:
    """An entry in as few rows as fit, about equally long, their items below each other."""
    wide = [SWATCH + width(shown(label), SIZE) + APART for label, _ in entry.items]
    per_row = len(wide)
    columns = [0.0]
    for count in range(1, len(wide) + 1):
        per_row = ceil(len(wide) / count)
        columns = [max(wide[i::per_row]) for i in range(per_row)]
        if sum(columns) - APART <= room:
            break
    starts = list(accumulate(columns, initial=indent))
    for first in range(0, len(wide), per_row):
        own = entry.items[first : first + per_row]
        items = tuple((x, *item) for x, item in zip(starts, own, strict=False))
        yield Row("" if first else entry.title, items, starts[len(own)] - APART)
