"""Places in a text as the protocol counts them: lines from 0, and in a line code units."""

from __future__ import annotations

import re
from bisect import bisect_right

from lsprotocol.types import Position, Range

from dsl.source import Span

UTF16 = "utf-16"
_LINE_END = re.compile(r"\r\n|\n|\r")


class Lines:
    """Converts between character offsets of one text and positions in it.

    `encoding` is what the editor counts in: UTF-16, where it did not ask for another.
    """

    def __init__(self, text: str, encoding: str = UTF16) -> None:
        self.text = text
        self.encoding = encoding
        self.starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def position(self, offset: int) -> Position:
        """The position of a character offset; one beyond the text is its end."""
        offset = min(offset, len(self.text))
        line = bisect_right(self.starts, offset) - 1
        return Position(line, self.units(self.text[self.starts[line] : offset]))

    def range(self, start: int, end: int) -> Range:
        return Range(self.position(start), self.position(end))

    def span(self, span: Span) -> Range:
        return self.range(span.start, span.end)

    def whole(self) -> Range:
        return self.range(0, len(self.text))

    def offset(self, position: Position) -> int:
        """The character offset of a position; one beyond its line is the end of that line."""
        if position.line >= len(self.starts):
            return len(self.text)
        offset = self.starts[position.line]
        units = position.character
        while offset < len(self.text) and units > 0 and self.text[offset] not in "\r\n":
            units -= self.units(self.text[offset])
            offset += 1
        return offset

    def units(self, text: str) -> int:
        """How long a part of the text is for the editor."""
        if self.encoding == UTF16:
            return len(text) + sum(char > "\uffff" for char in text)
        return len(text.encode("utf-8", "surrogatepass")) if self.encoding == "utf-8" else len(text)
