"""Pictures of cells as text, for programs that lay out graphs: Graphviz and Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compiler.pictures.colours import (
    COLOURS,
    JOIN,
    TEXT,
    UNDECIDED,
    VALUE_FILL,
    VALUE_LINE,
    Colour,
)
from compiler.pictures.graph import Box, Cell, OptionSet
from compiler.pictures.lettering import clean

FONT = "Helvetica"


@dataclass(frozen=True)
class _Arrow:
    """An edge of a text; `bears` is the operation whose label it bears, if any."""

    tail: int
    head: int
    bears: Box | None
    colour: Colour


def dot_of(cells: Sequence[Cell]) -> str:
    """A digraph from left to right; several cells are clusters of one."""
    if len(cells) == 1:
        (cell,) = cells
        body = _dot_body(cell, "v")
        return "\n".join([*_dot_head(cell.name, f"labelloc=t {_dot_title(cell)} "), *body, "}", ""])
    lines = _dot_head("cells", "")
    for count, cell in enumerate(cells):
        lines += [
            f"  subgraph cluster_{count} {{",
            f'    graph [{_dot_title(cell)} color="{JOIN.line}"]',
        ]
        lines += [f"  {line}" for line in _dot_body(cell, f"c{count}v")]
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def _dot_head(name: str, title: str) -> list[str]:
    return [
        f"digraph {_quoted(name)} {{",
        f"  graph [rankdir=LR {title}fontname={FONT}]",
        f'  node [shape=box fontname={FONT} fontsize=12 fontcolor="{TEXT}" height=0.3]',
        f'  edge [fontname={FONT} fontsize=11 fontcolor="{TEXT}" arrowsize=0.7]',
    ]


def _dot_title(cell: Cell) -> str:
    lines = [cell.name, *map(_told, cell.sets)]
    return 'labeljust=l label="' + "".join(f"{_escaped(line)}\\l" for line in lines) + '"'


def _dot_body(cell: Cell, name: str) -> list[str]:
    """Boxes and arrows; boxes are called by `name` and their numbers."""
    lines = []
    on_arrows = _on_arrows(cell)
    for number, box in enumerate(cell.boxes):
        if number in on_arrows:
            continue
        style = "filled" if box.is_operation else '"rounded,filled"'
        fill, line = _looks(box)
        label = _quoted(box.label, box.note)
        looks = f'style={style} fillcolor="{fill}" color="{line}"'
        lines.append(f"  {name}{number} [label={label} {looks}]")
    for arrow in _arrows(cell):
        label = f"label={_quoted(arrow.bears.label)} " if arrow.bears else ""
        dashed = " style=dashed" if arrow.colour.dashes else ""
        lines.append(
            f"  {name}{arrow.tail} -> {name}{arrow.head} "
            f'[{label}color="{arrow.colour.line}"{dashed}]'
        )
    return lines


def mermaid_of(cells: Sequence[Cell]) -> str:
    """A flowchart from left to right; several cells are subgraphs of one."""
    if len(cells) == 1:
        (cell,) = cells
        lines, styles = _mermaid_body(cell, "", 0)
        head = ["---", f'title: "{_entities(cell.name)}"', "---", "flowchart LR"]
        return "\n".join([*head, *lines, *styles, ""])
    lines, styles, links = ["flowchart TB"], [], 0
    for count, cell in enumerate(cells):
        body, looks = _mermaid_body(cell, f"c{count}", links)
        lines += [f'  subgraph c{count}["{_entities(cell.name)}"]', "    direction LR"]
        lines += [*(f"  {line}" for line in body), "  end"]
        styles += looks
        links += len(list(_arrows(cell)))
    return "\n".join([*lines, *styles, ""])


def _mermaid_body(cell: Cell, prefix: str, links: int) -> tuple[list[str], list[str]]:
    """Boxes and arrows, and how they look; `links` arrows stand before them in the chart."""
    lines, styles = [], []
    on_arrows = _on_arrows(cell)
    for number, box in enumerate(cell.boxes):
        if number in on_arrows:
            continue
        note = f"<br/>{_entities(box.note)}" if box.note else ""
        start, end = ("[", "]") if box.is_operation else ("(", ")")
        lines.append(f'  {prefix}v{number}{start}"{_entities(box.label)}{note}"{end}')
        fill, line = _looks(box)
        styles.append(f"  style {prefix}v{number} fill:{fill},stroke:{line},color:{TEXT}")
    for number, arrow in enumerate(_arrows(cell), links):
        label = f'|"{_entities(arrow.bears.label)}"|' if arrow.bears else ""
        lines.append(f"  {prefix}v{arrow.tail} -->{label} {prefix}v{arrow.head}")
        dashed = ",stroke-dasharray:5 3" if arrow.colour.dashes else ""
        styles.append(f"  linkStyle {number} stroke:{arrow.colour.line}{dashed}")
    for number, candidates in enumerate(cell.sets):
        lines.append(f'  {prefix}s{number}["{_entities(_told(candidates))}"]')
        styles.append(f"  style {prefix}s{number} fill:none,stroke:none,color:{TEXT}")
    return lines, styles


def _told(candidates: OptionSet) -> str:
    labels = ", ".join(label for label, _ in candidates.options)
    return f"{candidates.name}: {labels}"


def _looks(box: Box) -> tuple[str, str]:
    """Filling and outline of a box."""
    if not box.is_operation:
        return VALUE_FILL[box.role.value], VALUE_LINE
    colour = _colour(box)
    return colour.tint, colour.line


def _colour(box: Box) -> Colour:
    return UNDECIDED if box.kind is None else COLOURS[box.kind]


def _on_arrows(cell: Cell) -> set[int]:
    """The operations from one value to one other, which become labels of arrows."""
    return {
        number
        for number, box in enumerate(cell.boxes)
        if box.is_operation
        and len(cell.tails[number]) == len(cell.heads[number]) == 1
        and not cell.boxes[cell.tails[number][0]].is_operation
        and not cell.boxes[cell.heads[number][0]].is_operation
    }


def _arrows(cell: Cell) -> Iterator[_Arrow]:
    on_arrows = _on_arrows(cell)
    for tail, head in cell.links:
        if head in on_arrows:
            box = cell.boxes[head]
            yield _Arrow(tail, cell.heads[head][0], box, _colour(box))
        elif tail not in on_arrows:
            ends = [cell.boxes[tail], cell.boxes[head]]
            near = next((box for box in ends if box.is_operation), None)
            yield _Arrow(tail, head, None, JOIN if near is None else _colour(near))


def _quoted(*texts: str) -> str:
    """Lines of text, centred, as a quoted string of Graphviz."""
    return '"' + "\\n".join(_escaped(text) for text in texts if text) + '"'


def _escaped(text: str) -> str:
    """A text in quotes of Graphviz, which reads escapes and the entities of HTML."""
    return clean(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _entities(text: str) -> str:
    """A text in quotes of Mermaid: all but letters, digits, spaces and `_` by their numbers."""
    return "".join(c if c.isalnum() or c in " _" else f"#{ord(c)};" for c in clean(text))
