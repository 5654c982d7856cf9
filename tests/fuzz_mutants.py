"""Shipped files and the compiler's test programs, cut down and then damaged at random."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from random import Random

from fuzz_grammar import NAMES

from dsl import DartsError, ast
from dsl.files import SHIPPED
from dsl.parse import parse
from dsl.source import Source

PROGRAMS = Path(__file__).parent / "compiler" / "programs"

_WORD = re.compile(r"#[^\n]*|\w+(?:\.\d+)?|->|//|\.\.|[=!<>]=|\s+|.")
_NAME = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LATER_PROFILES = re.compile(r"\nprofile (?!search)\w+[^{}]*\{[^{}]*\}")

ODD_NUMBERS = (
    *("0", "1", "2", "3", "7", "0.5", "1.5", "100", "1000", "65537", "1000000000", "1000000001"),
    *("1e9", "1e-9", "1e999", "3e-4", "00", "-1", "(1)", "2^30", "9^9^9^9", "1 / 3", "5 // 2 % 0"),
)
ODD_CHARACTERS = "()[]{}<>=+-*/%^:,.#\"'\\!?&|;@$~` \t\n\r\0\x1b_aZ09é\u202e\u200b\ufeff０𝒳"


def mutant(draw: Random) -> str:
    """A text with one to three faults in it, most of them small."""
    text = draw.choice(originals())
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        if _NAME.search(text):
            text = draw.choice(_WAYS)(draw, text)
    return text


@cache
def originals() -> tuple[str, ...]:
    """The files, with the profile `search` alone and small sizes, so that checking is quick."""
    paths = [*sorted(SHIPPED.glob("*.darts")), *sorted(PROGRAMS.glob("*.darts"))]
    return tuple(map(_cut_down, (path.read_text(encoding="utf-8") for path in paths)))


def _cut_down(text: str) -> str:
    text = _LATER_PROFILES.sub("", text)
    text = re.sub(r"node (\w+)\[\d+\]", r"node \1[2]", text)
    return re.sub(r"\bN = \d+", "N = 3", text)


@lru_cache(maxsize=64)
def _expressions(text: str) -> tuple[tuple[int, int], ...]:
    """Where the expressions of a text start and end; none where it does not parse."""
    try:
        nodes = parse(Source("<text>", text)).walk()
    except DartsError:
        return ()
    return tuple((n.span.start, n.span.end) for n in nodes if isinstance(n, ast.Expr))


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _swapped(draw: Random, text: str) -> str:
    words = _words(text)
    one, other = draw.randrange(len(words)), draw.randrange(len(words))
    words[one], words[other] = words[other], words[one]
    return "".join(words)


def _deleted(draw: Random, text: str) -> str:
    words = _words(text)
    start = draw.randrange(len(words))
    del words[start : start + draw.choice((1, 1, 2, 5, 20))]
    return "".join(words)


def _repeated(draw: Random, text: str) -> str:
    words = _words(text)
    start = draw.randrange(len(words))
    piece = words[start : start + draw.choice((1, 1, 2, 5, 20))]
    place = draw.choice((start, draw.randrange(len(words))))
    words[place:place] = [" ", *piece, " "]
    return "".join(words)


def _copied(draw: Random, text: str) -> str:
    """A word takes the place of another."""
    words = _words(text)
    words[draw.randrange(len(words))] = draw.choice(words)
    return "".join(words)


def _renamed(draw: Random, text: str) -> str:
    """A name takes the place of another, at one use."""
    words = _words(text)
    names = [i for i, word in enumerate(words) if _NAME.match(word)]
    other = draw.choice(NAMES) if draw.random() < 0.3 else words[draw.choice(names)]
    words[draw.choice(names)] = other
    return "".join(words)


def _grafted(draw: Random, text: str) -> str:
    """An expression takes the place of another; what is damaged further may yet parse."""
    places = _expressions(text)
    if not places:
        return text
    (start, end), (first, last) = draw.choice(places), draw.choice(places)
    return f"{text[:start]}({text[first:last]}){text[end:]}"


def _numbered(draw: Random, text: str) -> str:
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return text
    match = draw.choice(numbers)
    return text[: match.start()] + draw.choice(ODD_NUMBERS) + text[match.end() :]


def _noisy(draw: Random, text: str) -> str:
    place = draw.randrange(len(text))
    return text[:place] + draw.choice(ODD_CHARACTERS) + text[place + draw.choice((0, 0, 1)) :]


def _spliced(draw: Random, text: str) -> str:
    """The lines before a place in one file, then those after a place in another."""
    one, other = text.splitlines(), draw.choice(originals()).splitlines()
    head, tail = one[: draw.randint(0, len(one))], other[draw.randint(0, len(other)) :]
    return "\n".join([*head, *tail]) or "\n"


_WAYS = (
    *(_grafted, _grafted, _grafted, _renamed, _renamed, _numbered, _numbered),
    *(_swapped, _deleted, _repeated, _copied, _noisy, _spliced),
)
