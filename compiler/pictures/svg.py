"""Pictures of cells as SVG, in presentation attributes alone, so that they stand anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from compiler.pictures.colours import (
    COLOURS,
    JOIN,
    NOTE,
    TEXT,
    UNDECIDED,
    VALUE_FILL,
    VALUE_LINE,
    Colour,
)
from compiler.pictures.graph import Box, Cell
from compiler.pictures.layout import NOTE_SIZE, SIZE, Layout, Rectangle, Stroke, placed
from compiler.pictures.legend import ROW_HEIGHT, SWATCH, Row, entries_of, rows_of
from compiler.pictures.lettering import BOLD, FAMILY, shown, width

MARGIN = 14.0
TITLE_SIZE = 14.0
TITLE_ROOM = 26.0
BETWEEN = 22.0
"""Between a cell and the next, or the legend."""
NARROWEST = 380.0
"""A legend may be as wide as this, though the cell be narrower."""
HEAD = (6.5, 3.2)
"""Length and half the width of an arrow's head."""


def svg_of(cells: Sequence[Cell]) -> str:
    """Cells below each other as one file; a legend that all have in common stands at the end."""
    layouts = [placed(cell) for cell in cells]
    wide = max((layout.width for layout in layouts), default=0.0)
    wide = max([wide, *(BOLD * width(shown(cell.name), TITLE_SIZE) for cell in cells)])
    room = max(wide, NARROWEST)
    legends = [entries_of([cell]) for cell in cells]
    if len({cell.sets for cell in cells}) == 1:
        legends = [()] * (len(cells) - 1) + [entries_of(cells)]
    parts: list[str] = []
    y = MARGIN
    for cell, layout, legend in zip(cells, layouts, legends, strict=True):
        parts.append(_text(cell.name, MARGIN, y + TITLE_SIZE, TITLE_SIZE, TEXT, bold=True))
        y += TITLE_ROOM
        parts += _drawing(cell, layout, MARGIN, y)
        y += layout.height + BETWEEN
        for row in rows_of(legend, room):
            parts += _row(row, y)
            y += ROW_HEIGHT
            wide = max(wide, row.width)
        y += BETWEEN if legend else 0
    return _document(wide + 2 * MARGIN, y - BETWEEN + MARGIN, parts)


def _document(wide: float, high: float, parts: Sequence[str]) -> str:
    size = f'width="{_n(wide)}" height="{_n(high)}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            f'viewBox="0 0 {_n(wide)} {_n(high)}" font-family="{FAMILY}">',
            f'<rect {size} fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


# ---- a cell --------------------------------------------------------------------------------------


def _drawing(cell: Cell, layout: Layout, x: float, y: float) -> list[str]:
    parts = [f'<g transform="translate({_n(x)} {_n(y)})">']
    # Pale lines first: where lines cross, those of operations stand in front.
    strokes = sorted(layout.strokes, key=lambda stroke: bool(stroke.operations))
    parts += [line for stroke in strokes for line in _line(cell, stroke)]
    for box, frame in zip(cell.boxes, layout.boxes, strict=True):
        parts += _operation(cell, box, frame) if box.is_operation else _value(box, frame)
    return [*parts, "</g>"]


def _line(cell: Cell, stroke: Stroke) -> list[str]:
    looks = list(dict.fromkeys(_colour(cell.boxes[number]) for number in stroke.operations))
    # A line to operations of several kinds is of no kind until it parts.
    colour = looks[0] if len(looks) == 1 else UNDECIDED if looks else JOIN
    thickness = 1.5 if looks else 1.1
    (x, y), (end_x, end_y) = stroke.start, stroke.end
    tip = end_x
    if stroke.has_head:
        end_x -= HEAD[0] - 1
    arrives = min(stroke.arrives, end_x)
    bend = (stroke.leaves + arrives) / 2
    path = f"M{_n(x)} {_n(y)}"
    if stroke.leaves > x:
        path += f"H{_n(stroke.leaves)}"
    path += f"C{_n(bend)} {_n(y)} {_n(bend)} {_n(end_y)} {_n(arrives)} {_n(end_y)}"
    if end_x > arrives:
        path += f"H{_n(end_x)}"
    look = f'stroke="{colour.line}" stroke-width="{thickness}"{_dashed(colour)}'
    drawn = [f'<path d="{path}" fill="none" {look}/>']
    if stroke.has_head:
        back, half = _n(tip - HEAD[0]), HEAD[1]
        corners = f"M{_n(tip)} {_n(end_y)}L{back} {_n(end_y - half)}V{_n(end_y + half)}Z"
        drawn.append(f'<path d="{corners}" fill="{colour.line}"/>')
    return drawn


def _colour(box: Box) -> Colour:
    return UNDECIDED if box.kind is None else COLOURS[box.kind]


def _value(box: Box, frame: Rectangle) -> list[str]:
    fill = VALUE_FILL[box.role.value]
    return [
        f'<rect {_frame(frame)} rx="9" fill="{fill}" stroke="{VALUE_LINE}" stroke-width="1.1"/>',
        *_label(box, frame),
    ]


def _operation(cell: Cell, box: Box, frame: Rectangle) -> list[str]:
    colour = _colour(box)
    fill = colour.tint if box.kind is not None else "#ffffff"
    parts = [
        f'<rect {_frame(frame)} rx="3" fill="{fill}" stroke="{colour.line}"{_dashed(colour)}/>',
        *_label(box, frame),
    ]
    if box.options is not None:
        parts += _stripes(cell, box.options, frame)
    return parts


def _stripes(cell: Cell, number: int, frame: Rectangle) -> list[str]:
    """A stripe for every candidate of an edge, at the foot of its box."""
    options = cell.sets[number].options
    each = (frame.width - 2) / len(options)
    return [
        f'<rect x="{_n(frame.x + 1 + i * each)}" y="{_n(frame.y + frame.height - 4.5)}" '
        f'width="{_n(each)}" height="4" fill="{COLOURS[kind].line}"/>'
        for i, (_, kind) in enumerate(options)
    ]


def _label(box: Box, frame: Rectangle) -> list[str]:
    x = frame.x + frame.width / 2
    lift = (NOTE_SIZE + 2) / 2 if box.note else 0.0
    if box.options is not None:
        lift = 2.0
    base = frame.middle - lift + SIZE * 0.35
    parts = [_text(box.label, x, base, SIZE, TEXT, centred=True)]
    if box.note:
        parts.append(_text(box.note, x, base + NOTE_SIZE + 2, NOTE_SIZE, NOTE, centred=True))
    return parts


# ---- the legend ----------------------------------------------------------------------------------


def _row(row: Row, y: float) -> list[str]:
    parts = []
    base = y + SIZE
    if row.title:
        parts.append(_text(row.title, MARGIN, base, SIZE, NOTE))
    for x, label, kind in row.items:
        colour = COLOURS[kind]
        left = MARGIN + x
        parts.append(
            f'<rect x="{_n(left)}" y="{_n(base - 9)}" width="20" height="10" rx="2" '
            f'fill="{colour.tint}" stroke="{colour.line}" stroke-width="1.5"{_dashed(colour)}/>'
        )
        parts.append(_text(label, left + SWATCH, base, SIZE, TEXT))
    return parts


# ---- pieces --------------------------------------------------------------------------------------


def _text(
    text: str,
    x: float,
    y: float,
    size: float,
    fill: str,
    *,
    centred: bool = False,
    bold: bool = False,
) -> str:
    anchor = ' text-anchor="middle"' if centred else ""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{fill}"{anchor}{weight}>'
        f"{escape(shown(text))}</text>"
    )


def _dashed(colour: Colour) -> str:
    return f' stroke-dasharray="{colour.dashes}"' if colour.dashes else ""


def _frame(frame: Rectangle) -> str:
    return (
        f'x="{_n(frame.x)}" y="{_n(frame.y)}" width="{_n(frame.width)}" height="{_n(frame.height)}"'
    )


def _n(number: float) -> str:
    """A number in a picture, to a hundredth of a pixel."""
    written = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written
