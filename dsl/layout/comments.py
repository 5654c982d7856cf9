"""Where the comments of a file stand among its words, and how they come into another layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dsl.grammar import parser
from dsl.layout.pretty import CLOSE, Comment, Item, Line, Open, Word
from dsl.source import Source

_COMMENT = re.compile(r"#[^\n]*")
_LOOSE = frozenset({"(", ")", "{", "}", ",", "=", "return", "-", "per", "node", "in", "all"})
"""Words of which a text and the layout of its tree need not have the same; `-0` is 0, and the
layout of a `keep` has `per node` where it counts, and nowhere else."""
_UNITS = (frozenset({"edge", "edges"}), frozenset({"candidate", "candidates"}))


@dataclass(frozen=True, slots=True)
class Above:
    """A comment on a line of its own; `apart` where a blank line stands between it and the rest."""

    text: str
    apart: bool


@dataclass(slots=True)
class Part:
    """What is laid out by itself: a header line or a declaration, with the comments above it.

    The last part of a file has no items where the file ends in comments.
    """

    items: list[Item]
    above: list[Above] = field(default_factory=list)


def with_comments(parts: Sequence[Part], source: Source) -> list[Part]:
    """The parts that lay out the tree of `source`, with its comments, and its numbers as spelt.

    A comment stays between the words where it was. What stands above a declaration is its `above`.
    """
    words = [
        _Place(number, index, item.text)
        for number, part in enumerate(parts)
        for index, item in enumerate(part.items)
        if isinstance(item, Word)
    ]
    left = _attach(words, source)
    placed: list[list[_Place]] = [[] for _ in parts]
    for word in words:
        placed[word.part].append(word)
    made = [_woven(part.items, inside) for part, inside in zip(parts, placed, strict=True)]
    return [*made, Part([], left)] if left else made


@dataclass(slots=True)
class _Place:
    """A word of the layout, and the comments on the lines before it and at the end of its own."""

    part: int
    index: int
    text: str
    before: list[Above] = field(default_factory=list)
    after: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    text: str
    own_line: bool
    apart: bool


def _attach(words: list[_Place], source: Source) -> list[Above]:
    """Gives the words of the layout the comments of the text; what is left stands after them all.

    The words of the layout are those of the text, in order, without some that mean nothing.
    """
    waiting: list[Above] = []
    met = 0
    for (token, comments), (following, _) in pairwise([*_tokens(source), ("", [])]):
        last_comma = token == "," and following in (")", "}")
        found = None if last_comma else _find(words, met, token)
        # Brackets that only the layout has stand close to what they hold.
        while found is not None and met < found and words[met].text == ")":
            met += 1
        for comment in comments:
            # A comma comes before the comment of what it follows.
            comma = met < len(words) and words[met].text == ","
            holder = words[met if comma else met - 1]
            if not comment.own_line and holder.after is None and not waiting:
                holder.after = comment.text
            else:
                apart = comment.apart or not comment.own_line or (bool(token) and found is None)
                waiting.append(Above(comment.text, apart))
        if found is not None:
            if words[met].text != ",":
                words[met].before, waiting = waiting, []
            if token[0].isdigit():
                words[found].text = token
            met = found + 1
    return waiting


def _find(words: list[_Place], start: int, token: str) -> int | None:
    """Which word of the layout, from `start` on, a word of the text is; None if it is left out."""
    for index in range(start, len(words)):
        if _same(words[index].text, token):
            return index
        if words[index].text not in _LOOSE:
            break
    if token and token not in _LOOSE:
        raise AssertionError(f"the layout lacks `{token}`")
    return None


def _same(word: str, token: str) -> bool:
    """Whether a word of the layout stands for a word of the text."""
    alike = any({word, token} <= unit for unit in _UNITS)
    if word == token or alike or (word, token) == ("=", "{"):
        return True
    return word[0].isdigit() and token[:1].isdigit()


def _tokens(source: Source) -> Iterator[tuple[str, list[_Found]]]:
    """The words of a text that parses, each with the comments before it; at last an empty word."""
    end = 0
    for token in parser().parse_interactive(source.text).iter_parse():
        start = token.start_pos or 0
        yield str(token), _comments(source.text[end:start], end == 0)
        end = token.end_pos or 0
    yield "", _comments(source.text[end:], False)


def _comments(gap: str, at_start: bool) -> list[_Found]:
    """The comments of what stands between two words."""
    if "#" not in gap:
        return []
    found = list(_COMMENT.finditer(gap))
    ends = [*(match.start() for match in found[1:]), len(gap)]
    return [
        _Found(
            match.group().rstrip(),
            at_start or "\n" in gap[: match.start()],
            gap.count("\n", match.end(), end) > 1,
        )
        for match, end in zip(found, ends, strict=True)
    ]


def _woven(items: list[Item], words: list[_Place]) -> Part:
    """A part with the comments of its words; those of the first stand above it."""
    extra: dict[int, list[Item]] = {}
    texts: dict[int, str] = {}
    for word in words:
        texts[word.index] = word.text
        if word.before and word is not words[0]:
            at = word.index
            while isinstance(items[at - 1], Open):
                at -= 1
            # What stands last in brackets is indented like the rest of what they hold.
            if word.text in ")]}" and isinstance(items[at - 1], Line):
                at -= 1
            extra.setdefault(at, []).extend(Comment(c.text, True) for c in word.before)
        if word.after is not None:
            at = word.index + 1
            while at < len(items) and items[at] is CLOSE:
                at += 1
            extra.setdefault(at, []).append(Comment(word.after, False))
    made: list[Item] = []
    for index, item in enumerate(items):
        made += extra.get(index, [])
        made.append(Word(texts[index]) if isinstance(item, Word) else item)
    made += extra.get(len(items), [])
    return Part(made, words[0].before)
