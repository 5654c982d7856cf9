"""Where everything in a picture of a cell stands, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.pictures.graph import Box, Cell
from compiler.pictures.lettering import shown, width
from compiler.pictures.ranks import Columns, columns_of
from compiler.pictures.settling import LINE_HEIGHT, settled

SIZE = 12.0
"""Of letters."""
NOTE_SIZE = 9.5
"""Of those of a note below a label."""
COLUMN_GAP = 26.0
STEEPNESS = 0.14
"""Columns stand so much further apart for every pixel that a line between them climbs."""
WIDEST_GAP = 70.0
PORT = 6.0
"""From one line to the next where several enter a value."""


Step = tuple[int, int]
"""From a place to one in the next column."""


@dataclass(frozen=True)
class Rectangle:
    """`x`, `y` is the upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True)
class Stroke:
    """A piece of a line from column to column.

    It runs level from `start` to x `leaves`, in a curve to `arrives`, and level to `end`.
    `operations` are the boxes it serves, none where it joins values alone.
    """

    start: tuple[float, float]
    leaves: float
    arrives: float
    end: tuple[float, float]
    operations: tuple[int, ...]
    has_head: bool


@dataclass(frozen=True)
class Layout:
    width: float
    height: float
    boxes: tuple[Rectangle, ...]
    strokes: tuple[Stroke, ...]


def placed(cell: Cell) -> Layout:
    """The layout of a cell without cycles, its upper left corner at 0, 0."""
    if not cell.is_acyclic:
        raise ValueError(f"`{cell.name}` has a cycle")
    columns = columns_of(cell)
    sizes = [_size(cell, number) for number in range(len(cell.boxes))]
    sizes += [(0.0, LINE_HEIGHT)] * (len(columns.rank) - len(sizes))
    middles = settled(columns, [height for _, height in sizes])
    top = min((y - h / 2 for y, (_, h) in zip(middles, sizes, strict=True)), default=0.0)
    middles = [y - top for y in middles]
    spans = _spans(columns, sizes, middles)
    bottom = max((y + h / 2 for y, (_, h) in zip(middles, sizes, strict=True)), default=0.0)
    boxes = tuple(
        _centred(spans[columns.rank[number]], middles[number], *sizes[number])
        for number in range(len(cell.boxes))
    )
    strokes = _strokes(cell, columns, boxes, spans, middles)
    return Layout(spans[-1][1] if spans else 0.0, bottom, boxes, strokes)


def _centred(span: tuple[float, float], middle: float, wide: float, high: float) -> Rectangle:
    left, right = span
    return Rectangle((left + right - wide) / 2, middle - high / 2, wide, high)


# ---- sizes ---------------------------------------------------------------------------------------


def _text_width(box: Box) -> float:
    return max(width(shown(box.label), SIZE), width(shown(box.note), NOTE_SIZE))


def _size(cell: Cell, number: int) -> tuple[float, float]:
    box = cell.boxes[number]
    text = _text_width(box)
    if box.is_operation:
        return text + 12, SIZE + 9
    entering = len(cell.tails[number])
    high = max(SIZE + 14 + (NOTE_SIZE + 3 if box.note else 0), PORT * (entering + 1))
    return max(text + 14, 28.0), high


# ---- across --------------------------------------------------------------------------------------


def _spans(
    columns: Columns, sizes: Sequence[tuple[float, float]], middles: Sequence[float]
) -> list[tuple[float, float]]:
    """From where to where each column goes; steep lines keep columns apart."""
    climbs = [0.0] * len(columns.columns)
    for start, end in columns.steps:
        rank = columns.rank[start]
        climbs[rank] = max(climbs[rank], abs(middles[end] - middles[start]))
    spans, x = [], 0.0
    for column, climb in zip(columns.columns, climbs, strict=True):
        wide = max((sizes[place][0] for place in column), default=0.0)
        spans.append((x, x + wide))
        x += wide + min(COLUMN_GAP + STEEPNESS * climb, WIDEST_GAP)
    return spans


# ---- lines ---------------------------------------------------------------------------------------


def _strokes(
    cell: Cell,
    columns: Columns,
    boxes: Sequence[Rectangle],
    spans: Sequence[tuple[float, float]],
    middles: Sequence[float],
) -> tuple[Stroke, ...]:
    entries = _entries(cell, columns, boxes, middles)
    exits = _exits(cell, columns, middles)
    strokes = []
    for (start, end), heads in columns.steps.items():
        leaves, arrives = spans[columns.rank[start]][1], spans[columns.rank[end]][0]
        from_box, to_box = start < len(boxes), end < len(boxes)
        x = boxes[start].x + boxes[start].width if from_box else leaves
        # A line goes on to the far side of a column that it only crosses.
        to = boxes[end].x if to_box else spans[columns.rank[end]][1]
        from_operation = from_box and cell.boxes[start].is_operation
        own = [start] if from_operation else [h for h in heads if cell.boxes[h].is_operation]
        strokes.append(
            Stroke(
                (x, exits[start, end]),
                leaves,
                arrives,
                (to, entries[start, end]),
                tuple(own),
                to_box and not cell.boxes[end].is_operation,
            )
        )
    return tuple(strokes)


def _entries(
    cell: Cell, columns: Columns, boxes: Sequence[Rectangle], middles: Sequence[float]
) -> dict[Step, float]:
    """At which y each step ends: those into a value below each other, without crossing."""
    found: dict[Step, float] = {}
    for end, starts in columns.before.items():
        ordered = sorted(starts, key=lambda start: middles[start])
        spread = end < len(boxes) and not cell.boxes[end].is_operation
        for i, start in enumerate(ordered):
            shift = (i - (len(ordered) - 1) / 2) * PORT if spread else 0.0
            found[start, end] = middles[end] + shift
    return found


def _exits(cell: Cell, columns: Columns, middles: Sequence[float]) -> dict[Step, float]:
    """At which y each step begins: those to operations and those to values apart."""
    found: dict[Step, float] = {}
    for start, ends in columns.after.items():
        bundles: dict[bool, list[int]] = {}
        for end in ends:
            to_value = not cell.boxes[columns.steps[start, end][0]].is_operation
            bundles.setdefault(to_value, []).append(end)
        ordered = sorted(
            bundles.values(), key=lambda bundle: sum(middles[e] for e in bundle) / len(bundle)
        )
        for i, bundle in enumerate(ordered):
            shift = (i - (len(ordered) - 1) / 2) * PORT
            found |= {(start, end): middles[start] + shift for end in bundle}
    return found
