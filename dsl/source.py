"""Source text and places in it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True, eq=False)
class Source:
    """One file's text. `name` is what diagnostics call it: the path as the user gave it.

    `extended_by` is the file for which this one was read, where that extends it.
    """

    name: str
    text: str = field(repr=False)
    path: Path | None = None
    extended_by: Source | None = None

    @property
    def main(self) -> Source:
        """The file that this one is a part of: what extends what extends it; mostly itself."""
        source = self
        while source.extended_by is not None:
            source = source.extended_by
        return source

    @property
    def distance(self) -> int:
        """How many files lie between this one and `main`: 0 for that itself."""
        return 0 if self.extended_by is None else 1 + self.extended_by.distance

    @cached_property
    def line_starts(self) -> list[int]:
        return [0] + [i + 1 for i, char in enumerate(self.text) if char == "\n"]

    @cached_property
    def lines(self) -> list[str]:
        """The text line by line, without line ends."""
        return [line.rstrip("\r") for line in self.text.split("\n")]

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column, both from 1, of a character offset."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its line end."""
        return self.lines[number - 1]


@dataclass(frozen=True)
class Span:
    """A half-open range of characters in a source."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of the other."""
        return Span(self.source, self.start, max(self.end, other.end))

    def head(self, length: int) -> Span:
        """The first characters of this span."""
        return Span(self.source, self.start, self.start + length)

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"
