"""The place where parsing stopped: the words around it, its brackets, what could stand there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import lark

from dsl.grammar import parser
from dsl.source import Source, Span
from dsl.vocabulary import RESERVED

DECLARATIONS = frozenset({"set", "op", "cell", "network", "profile", "import", "extend"})
STATEMENTS = frozenset({"node", "shared", "keep", "auxiliary", "return"})
CLOSES = {"(": ")", "[": "]", "{": "}"}
_WORD = re.compile(
    r"#[^\n]*|[A-Za-z_][A-Za-z0-9_]*|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|->|//|\.\.|[=!<>]="
    r"|[^ \t\f\r\n]"
)
_MOST = 1000
"""The most words of a declaration that is read again with a part replaced."""


@dataclass(frozen=True)
class Word:
    text: str
    span: Span

    @property
    def is_name(self) -> bool:
        return self.text.isidentifier() and self.text not in RESERVED

    @property
    def ends_expression(self) -> bool:
        return self.is_name or self.text in (")", "]", "}", "yes", "no") or self.text[:1].isdigit()


@dataclass(frozen=True)
class Place:
    """Where parsing stopped. `found` is the unexpected word, empty at the end of the file.

    `before` and `after` are the words around it, `opened` the brackets open there, and `expected`
    the terminals of the grammar that could have followed.
    """

    source: Source
    found: Word
    before: tuple[Word, ...]
    after: tuple[Word, ...]
    opened: tuple[Word, ...]
    expected: frozenset[str]

    def back(self, steps: int) -> Word:
        """The word that many before `found`; an empty one before the start."""
        return self.before[-steps] if steps <= len(self.before) else self._none

    def ahead_of(self, word: Word) -> Word:
        """The word right before one of `before`."""
        index = self.before.index(word)
        return self.before[index - 1] if index else self._none

    @property
    def _none(self) -> Word:
        return Word(" ", Span(self.source, 0, 0))

    @property
    def ends_expression(self) -> bool:
        """Whether a whole expression stands before; the parser may have left it behind already."""
        left = {"__ANON_0", "PROFILE", "RETURN"} & self.expected
        header = self.back(2).text in ("import", "extend", "language")
        return bool(left) and self.back(1).ends_expression and not header

    @property
    def following(self) -> str:
        return self.after[0].text if self.after else ""

    @property
    def inside(self) -> str:
        return self.opened[-1].text if self.opened else ""

    @cached_property
    def declaration(self) -> Word | None:
        """The word that begins the declaration around `found`, or the last one before it."""
        depth, last = 0, None
        for word in self.before:
            depth += (word.text in CLOSES) - (word.text in CLOSES.values())
            if depth <= 0 and word.text in DECLARATIONS:
                last = word
        return last

    @property
    def in_profile(self) -> bool:
        of_profile = self.declaration is not None and self.declaration.text == "profile"
        return of_profile and bool(self.opened) and self.opened[0].text == "{"

    @cached_property
    def balanced(self) -> bool:
        """Whether every bracket of the file is closed by its own."""
        opened: list[str] = []
        for word in (*self.before, self.found, *self.after):
            if word.text in CLOSES:
                opened.append(CLOSES[word.text])
            elif word.text in CLOSES.values() and (not opened or opened.pop() != word.text):
                return False
        return not opened

    def apart(self, left: Word, right: Word) -> bool:
        """Whether a line ends between two words."""
        return "\n" in self.source.text[left.span.end : right.span.start]

    def begins_line(self, word: Word) -> bool:
        start = word.span.start
        return not self.source.text[self.source.text.rfind("\n", 0, start) + 1 : start].strip()

    def between(self, first: Word, last: Word) -> Span:
        return Span(self.source, first.span.start, last.span.end)

    def fits(self, replaced: Span, text: str, through: int) -> bool:
        """Whether all can be read up to that many words after `found`, once a part is replaced."""
        begun = self.declaration
        start = begun.span.start if begun is not None else 0
        if replaced.start < start:
            return False
        if sum(word.span.start >= start for word in self.before) > _MOST:
            return False
        last = (self.found, *self.after[:through])[-1]
        whole = self.source.text
        trial = whole[start : replaced.start] + text + whole[replaced.end : last.span.end]
        try:
            parser().parse(f"language 1\n{trial}" if begun is not None else trial)
        except lark.UnexpectedToken as error:
            return error.token.type == "$END"
        except lark.UnexpectedInput:
            return False
        return True


def stopped(error: lark.UnexpectedInput, source: Source) -> Place:
    """Where the parser stopped with an error."""
    expected: set[str] = set()
    start = error.pos_in_stream if isinstance(error.pos_in_stream, int) else len(source.text)
    if isinstance(error, lark.UnexpectedToken):
        expected = error.accepts or error.expected
        if error.token.type == "$END":
            start = len(source.text)
    elif isinstance(error, lark.UnexpectedCharacters):
        expected = set(error.allowed or ())
    words = [
        Word(match.group(), Span(source, match.start(), match.end()))
        for match in _WORD.finditer(source.text)
        if not match.group().startswith("#")
    ]
    before = tuple(word for word in words if word.span.end <= start)
    rest = tuple(word for word in words if word.span.end > start)
    end = before[-1].span.end if before else 0
    found = rest[0] if rest else Word("", Span(source, end, end))
    return Place(source, found, before, rest[1:], _opened(before), frozenset(expected))


def _opened(words: tuple[Word, ...]) -> tuple[Word, ...]:
    opened: list[Word] = []
    for word in words:
        if word.text in CLOSES:
            opened.append(word)
        elif opened and word.text in CLOSES.values():
            opened.pop()
    return tuple(opened)
