"""What the grammar cannot say: how deep text may nest, which numbers and names are allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark import Token, Tree

from dsl.diagnostics import Collector, DartsError, fault
from dsl.source import Source, Span
from dsl.vocabulary import RESERVED

MAX_BYTES = 200_000
MAX_WORDS = 20_000
"""In a file, and in a program with all that it imports; a file of so many takes half a second."""
MAX_FILES = 64
MAX_IMPORTS = 32
"""How long a chain of imports may be."""
MAX_PROFILES = 100
MAX_LENGTH = 255
"""The most characters of a name or a number."""
MAX_DEPTH = 100
MAX_NUMBER = 10**9
MAX_OPTIONS = 1000

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_WORD = re.compile(r"#[^\n]*|[\w.]+|->|//|[=!<>]=|\S")
_DEEPENING = frozenset(
    {"when", "binary", "unary", "flow", "each", "choose", "repeat"}
    | {"call", "index", "list_", "set_literal"}
)
"""The rules whose nodes a pass over the tree recurses into; others come once a bracket."""


def count_words(source: Source) -> int:
    """How many words and signs there are in a text, comments left out."""
    return sum(1 for _ in _words(source))


def _words(source: Source) -> Iterator[re.Match[str]]:
    """Words and signs as the parser will find them, or nearly."""
    return (match for match in _WORD.finditer(source.text) if match[0][0] != "#")


def check_text(source: Source) -> None:
    """Refuses a text that would take long, or nests so deep that a recursive pass could fail.

    Raises:
        DartsError: for the text, or at the first word or bracket that is too much.
    """
    if len(source.text) > MAX_BYTES:
        raise too_long(source.name)
    if no_text := _NO_TEXT.search(source.text):
        what = "a zero byte" if no_text[0] == "\0" else "half a character"
        raise fault("E0102", f"`{source.name}` is not text: it holds {what}", None)
    depth = 0
    for count, match in enumerate(_words(source)):
        depth = max(0, depth + (match[0] in "([{") - (match[0] in ")]}"))
        if depth > MAX_DEPTH or count >= MAX_WORDS:
            span = Span(source, match.start(), match.end())
            message = f"brackets nest deeper than {MAX_DEPTH} levels"
            if depth <= MAX_DEPTH:
                message = f"a file has at most {MAX_WORDS} words"
            raise fault("E0103", message, span)


def too_long(name: str) -> DartsError:
    return fault("E0103", f"`{name}` is longer than {MAX_BYTES} bytes", None)


def check_tree(tree: Tree[Token], source: Source) -> None:
    """Checks what the parser lets through.

    The contextual lexer hands a reserved word over as a name wherever its keyword is not
    acceptable, so every name is looked at here, once.

    Raises:
        DartsError: one diagnostic for every bad number or name.
    """
    found = Collector()
    reserved: dict[str, Token] = {}
    _check_profiles(tree, source)
    waiting: list[tuple[Tree[Token], int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        depth += node.data in _DEEPENING
        if depth > MAX_DEPTH:
            start = node.meta.start_pos
            message = f"this expression nests deeper than {MAX_DEPTH} levels"
            raise fault("E0103", message, Span(source, start, start + 1))
        for child in node.children:
            if isinstance(child, Tree):
                waiting.append((child, depth))
            elif isinstance(child, Token):
                if len(child) > MAX_LENGTH:
                    message = f"names and numbers have at most {MAX_LENGTH} characters"
                    found.add("E0103", message, _span(child, source))
                elif child.type == "NAME" and child in RESERVED and node.data != "strength":
                    first = reserved.setdefault(str(child), child)
                    reserved[child] = min(first, child, key=lambda token: token.start_pos or 0)
                elif child.type == "NUMBER":
                    _check_number(child, str(node.data), found, source)
    for word, token in reserved.items():
        message = f"`{word}` is a word of the language"
        found.add("E0204", message, _span(token, source), "choose another name")
    found.raise_if_any()


def _check_profiles(tree: Tree[Token], source: Source) -> None:
    profiles = [c for c in tree.children if isinstance(c, Tree) and c.data == "profile"]
    for profile in profiles[MAX_PROFILES : MAX_PROFILES + 1]:
        span = Span(source, profile.meta.start_pos, profile.meta.start_pos + len("profile"))
        raise fault("E0103", f"a file has at most {MAX_PROFILES} profiles", span)


def _check_number(token: Token, rule: str, found: Collector, source: Source) -> None:
    span = _span(token, source)
    if rule == "language" and token != "1":
        message = f"this compiler reads language 1, the file is in language {token}"
        found.add("E0104", message, span)
    elif float(token) > MAX_NUMBER:
        found.add("E0103", f"numbers stay below {MAX_NUMBER}", span)
    elif rule == "keep" and not (token.isdecimal() and int(token) >= 1):
        found.add("E0607", f"what is kept is a whole number of at least 1, not {token}", span)


def _span(token: Token, source: Source) -> Span:
    return Span(source, token.start_pos or 0, token.end_pos or 0)
