"""Diagnostics as a person reads them in a terminal: the line, what is wrong, and where."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from dsl.diagnostics import Diagnostic
from dsl.source import Span

TAB = 4
WIDTH = 120
"""The most columns of a source line that are shown."""
LONGEST = 400
"""The most characters of a message that are shown."""

_RED, _YELLOW, _BLUE = "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m"
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


def render(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """All diagnostics, a blank line between them, with ANSI colours when asked."""
    return "\n".join(_Picture(diagnostic, color).text() for diagnostic in diagnostics)


def escape(text: str) -> str:
    """A message on one line, with nothing in it that a terminal would obey."""
    line = "".join(map(_shown, re.sub(r"\s+", " ", text)))
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"


@dataclass(frozen=True)
class _Mark:
    """A place to underline; of several lines, the first."""

    span: Span
    text: str
    primary: bool

    @property
    def file(self) -> str:
        return self.span.source.name

    @property
    def line(self) -> int:
        return self.span.source.position(self.span.start)[0]

    @property
    def column(self) -> int:
        return self.span.source.position(self.span.start)[1]

    @property
    def last_column(self) -> int:
        """The column after the span, or after the line where the span goes on below."""
        line = self.span.source.line(self.line)
        return max(self.column, min(self.column + self.span.end - self.span.start, len(line) + 1))


class _Picture:
    """The lines that show one diagnostic."""

    def __init__(self, diagnostic: Diagnostic, color: bool) -> None:
        self.diagnostic = diagnostic
        self.color = color
        self.accent = _RED if diagnostic.severity == "error" else _YELLOW
        self.marks = [_Mark(label.span, label.text, False) for label in diagnostic.labels]
        if diagnostic.span is not None:
            self.marks.insert(0, _Mark(diagnostic.span, "", True))
        self.gutter = max((len(str(mark.line)) for mark in self.marks), default=1)

    def text(self) -> str:
        kind = f"{self.diagnostic.severity}[{self.diagnostic.code}]"
        code = self.paint(kind, self.accent)
        lines = [code + self.paint(f": {escape(self.diagnostic.message)}", _BOLD)]
        files = list(dict.fromkeys(mark.file for mark in self.marks))
        for file in files:
            marks = [mark for mark in self.marks if mark.file == file]
            arrow = self.paint(" " * self.gutter + ("-->" if file == files[0] else ":::"), _BLUE)
            lines.append(f"{arrow} {escape(file)}:{marks[0].line}:{marks[0].column}")
            lines += self.snippet(marks)
        if self.diagnostic.help is not None:
            sign = self.paint(" " * self.gutter + " =", _BLUE)
            lines.append(f"{sign} {self.paint('help', _BOLD)}: {escape(self.diagnostic.help)}")
        return "\n".join(lines) + "\n"

    def snippet(self, marks: list[_Mark]) -> list[str]:
        """The marked lines in the order of the file, each with its underlines below."""
        lines = [self.margin()]
        above = 0
        for number in sorted({mark.line for mark in marks}):
            if above and number > above + 1:
                lines.append(self.paint("...", _BLUE))
            above = number
            here = sorted((m for m in marks if m.line == number), key=lambda m: m.column)
            # The window of a very long line is laid around what the diagnostic is about.
            window = _Window.around(min(here, key=lambda m: not m.primary))
            lines.append(f"{self.margin(str(number))} {window.text}".rstrip())
            lines += [self.underline(mark, window) for mark in here]
        return lines

    def underline(self, mark: _Mark, window: _Window) -> str:
        start, end = window.columns(mark)
        sign, code = ("^", self.accent) if mark.primary else ("-", _BLUE)
        said = f"{sign * max(1, end - start)} {escape(mark.text)}".rstrip()
        return f"{self.margin()} {' ' * start}{self.paint(said, code)}"

    def margin(self, number: str = "") -> str:
        return self.paint(f"{number:>{self.gutter}} |", _BLUE)

    def paint(self, text: str, code: str) -> str:
        return f"{code}{text}{_PLAIN}" if self.color else text


@dataclass(frozen=True)
class _Window:
    """The part of a line that is shown: cut off to the left of `base` and the right of `limit`."""

    text: str
    offsets: list[int]
    base: int
    limit: int

    @staticmethod
    def around(mark: _Mark) -> _Window:
        cells, offsets = _cells(mark.span.source.line(mark.line))
        if offsets[-1] <= WIDTH:
            return _Window("".join(cells), offsets, 0, offsets[-1])
        left = min(max(0, offsets[mark.column - 1] - WIDTH // 3), offsets[-1] - WIDTH)
        first = bisect_left(offsets, left)
        last = bisect_right(offsets, left + WIDTH) - 1
        before, after = "…" * (first > 0), "…" * (last < len(cells))
        base = offsets[first] - len(before)
        return _Window(before + "".join(cells[first:last]) + after, offsets, base, offsets[last])

    def columns(self, mark: _Mark) -> tuple[int, int]:
        """Where a mark starts and ends on the screen."""
        return self.place(mark.column), self.place(mark.last_column)

    def place(self, column: int) -> int:
        offset = self.offsets[min(column, len(self.offsets)) - 1]
        return max(min(offset, self.limit) - self.base, 0)


@lru_cache(maxsize=4)
def _cells(line: str) -> tuple[list[str], list[int]]:
    """What the terminal is given for each character, tabs as spaces, and where each starts.

    One long line may hold many faults, so the last few are kept.
    """
    cells: list[str] = []
    offsets = [0]
    for char in line:
        cells.append(" " * (TAB - offsets[-1] % TAB) if char == "\t" else _shown(char))
        offsets.append(offsets[-1] + _width(cells[-1]))
    return cells, offsets


def _shown(char: str) -> str:
    # Formatting characters go too: they turn text around, or hide it.
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return char.encode("unicode_escape").decode()
    return char


def _width(cell: str) -> int:
    return sum(map(_char_width, cell))


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
