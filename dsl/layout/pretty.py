"""Lays a row of words out on lines: what fits on a line stays on one, the rest breaks where it may.

The row is flat: groups begin with an `Open` and end with `CLOSE`, and a group that fits breaks
none of its lines. As sums of widths say at once what fits, the time is linear in the row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate

WIDTH = 100
INDENT = 4


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a sign of the language."""

    text: str


class Break(Enum):
    """When a line of a group that does not fit breaks."""

    WITH_GROUP = auto()
    WHERE_NEEDED = auto()
    ALWAYS = auto()


@dataclass(frozen=True, slots=True)
class Line:
    """A place where a line may end; `flat` is what stands there otherwise.

    The next line is indented by `indent` against the line where the innermost `Open` with `block`
    stands.
    """

    flat: str = " "
    indent: int = INDENT
    when: Break = Break.WHERE_NEEDED


@dataclass(frozen=True, slots=True)
class Open:
    """The beginning of a group."""

    block: bool = False


class Mark(Enum):
    CLOSE = auto()
    SPACE = auto()
    COMMA = auto()


CLOSE = Mark.CLOSE
"""The end of a group."""
SPACE = Mark.SPACE
"""A space where no line may end."""
COMMA = Mark.COMMA
"""A comma if the group around it is broken."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its `#`: on lines of its own, or at the end of the line of the word before."""

    text: str
    own_line: bool


Item = Word | Line | Open | Mark | Comment


@dataclass(slots=True)
class Row:
    """A line of the result; a comment may follow `code`."""

    indent: int
    code: str = ""
    comment: str = ""

    def text(self, column: int = 0) -> str:
        """The row, its comment not before `column`, counted from 0."""
        code = " " * self.indent + self.code
        return f"{code:<{column}}  {self.comment}" if self.comment else code


def rows(items: Sequence[Item]) -> list[Row]:
    """The lines of what `items` say; groups must be closed."""
    return _Layout(items).rows()


def aligned(run: Sequence[Row]) -> list[str]:
    """The texts of rows; comments of neighbours begin in one column where the width allows it."""
    texts: list[str] = []
    start = 0
    while start < len(run):
        end = start + 1
        while run[start].comment and end < len(run) and run[end].comment:
            end += 1
        part = run[start:end]
        column = max(row.indent + len(row.code) for row in part)
        fits = column + 2 + max(len(row.comment) for row in part) <= WIDTH
        texts += [row.text(column if fits else 0) for row in part]
        start = end
    return texts


class _Measures:
    """What is known of a row of items before any line is broken, by index.

    `width` and `forced` count what stands before an item: columns on a single line, and places
    where a line ends for sure. `reach` is the width from an item to the next place where a line may
    end. `end` is where the group of an `Open` closes, and where what follows a `Line` ends: at the
    next line of its group or at the group's end. `piece` is the same over all groups that are not
    blocks.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self.width = [0, *accumulate(map(_width, items))]
        self.forced = [0, *accumulate(map(_is_forced, items))]
        self.reach = [0] * (len(items) + 1)
        self.end = [len(items)] * len(items)
        self.piece = [len(items)] * len(items)
        closes: list[int] = []
        groups: list[int] = [len(items)]
        pieces: list[int] = [len(items)]
        for i in range(len(items) - 1, -1, -1):
            item = items[i]
            if not isinstance(item, Line | Comment):
                self.reach[i] = (item is COMMA) + _width(item) + self.reach[i + 1]
            if item is CLOSE:
                closes.append(i)
                groups.append(i)
                pieces.append(i)
            elif isinstance(item, Open):
                self.end[i] = closes.pop()
                groups.pop()
                nearest = pieces.pop()
                if not item.block and nearest != self.end[i]:
                    pieces[-1] = nearest
            elif isinstance(item, Line):
                self.end[i], groups[-1] = groups[-1], i
                self.piece[i], pieces[-1] = pieces[-1], i

    def between(self, start: int, end: int) -> int:
        """The width of all from `start` to `end` on one line, and of what clings to it."""
        return self.width[end] - self.width[start] + self.reach[end]

    def fits(self, start: int, end: int, column: int, limit: int = WIDTH) -> bool:
        """Whether that may stand on one line, from `column` on."""
        forced = self.forced[start] != self.forced[end]
        return not forced and column + self.between(start, end) <= limit


def _width(item: Item) -> int:
    match item:
        case Word(text=text) | Line(flat=text):
            return len(text)
    return int(item is SPACE)


def _is_forced(item: Item) -> bool:
    return isinstance(item, Comment) or (isinstance(item, Line) and item.when is Break.ALWAYS)


@dataclass(slots=True)
class _Group:
    """A group being written: its lines are indented against `base`.

    `limit` is the width for the lines that break where needed, up to the next one of another kind.
    """

    broken: bool
    base: int
    limit: int | None = None


class _Layout:
    """Goes through the items once and writes the rows."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.measures = _Measures(items)
        self.groups = [_Group(True, 0)]
        self.done: list[Row] = []
        self.row = Row(0)
        self.parts: list[str] = []
        self.column = 0
        self.due = False
        """Whether the row ends before the next word: a comment stands there."""
        self.next_indent = 0

    def rows(self) -> list[Row]:
        for index, item in enumerate(self.items):
            match item:
                case Word(text=text):
                    self.write(text)
                case Line():
                    self.line(index, item)
                case Open():
                    self.open(index, item)
                case Comment():
                    self.comment(item)
                case Mark.CLOSE:
                    self.groups.pop()
                case Mark.SPACE:
                    self.space(" ")
                case Mark.COMMA if self.groups[-1].broken:
                    self.write(",")
        self.end_row(0)
        return self.done

    def write(self, text: str) -> None:
        if self.due and text != ",":
            self.end_row(self.next_indent)
        self.parts.append(text)
        self.column += len(text)

    def space(self, text: str) -> None:
        if not self.due:
            self.parts.append(text)
            self.column += len(text)

    def open(self, index: int, item: Open) -> None:
        outer = self.groups[-1]
        indent, column = self.place()
        end = self.measures.end[index]
        broken = outer.broken and not self.measures.fits(index, end, column)
        self.groups.append(_Group(broken, indent if item.block else outer.base))

    def line(self, index: int, item: Line) -> None:
        group = self.groups[-1]
        if self.due or (group.broken and self.breaks(index, item, group.base + item.indent)):
            self.end_row(group.base + item.indent)
        else:
            self.space(item.flat)

    def breaks(self, index: int, item: Line, indent: int) -> bool:
        """Whether a line of a broken group breaks.

        What does not fit on a line of its own either stays, and is broken further inside.
        """
        measures, group = self.measures, self.groups[-1]
        if item.when is not Break.WHERE_NEEDED:
            group.limit = None
            return True
        if isinstance(self.items[index + 1], Comment):
            return True
        if group.limit is None:
            group.limit = self.limit(index, indent)
        if measures.fits(index, measures.end[index], self.column, group.limit):
            return False
        if measures.fits(index + 1, measures.piece[index], indent):
            return True
        return self.column + len(item.flat) + measures.reach[index + 1] > WIDTH

    def limit(self, index: int, indent: int) -> int:
        """The least width at which a run of lines breaks no more often than at the full one.

        So its rows are of much the same length. Where something does not fit on a row, the width
        is the full one.
        """
        steps: list[tuple[int, int]] = []
        while index < len(self.items):
            item, end = self.items[index], self.measures.end[index]
            if not isinstance(item, Line) or item.when is not Break.WHERE_NEEDED:
                break
            if not self.measures.fits(index + 1, end, indent):
                return WIDTH
            steps.append((len(item.flat), self.measures.between(index + 1, end)))
            index = end

        def breaks(limit: int) -> int:
            count, column = 0, self.column
            for flat, width in steps:
                count += column + flat + width > limit
                column = indent + width if column + flat + width > limit else column + flat + width
            return count

        least = max((indent + width for _, width in steps), default=WIDTH)
        fewest = breaks(WIDTH)
        return bisect_left(range(WIDTH), True, least, key=lambda w: breaks(w) <= fewest)

    def comment(self, item: Comment) -> None:
        inside = self.groups[-1].base + INDENT
        if not item.own_line:
            self.row.comment, self.next_indent = item.text, inside
        else:
            if self.due or self.parts:
                self.end_row(self.next_indent if self.due else inside)
            self.parts.append(item.text)
            self.next_indent = self.row.indent
        self.due = True

    def place(self) -> tuple[int, int]:
        """The indentation and the column of the next word."""
        if self.due:
            return self.next_indent, self.next_indent
        return self.row.indent, self.column

    def end_row(self, indent: int) -> None:
        self.row.code = "".join(self.parts).rstrip(" ")
        self.done.append(self.row)
        self.row, self.parts, self.column, self.due = Row(indent), [], indent, False
