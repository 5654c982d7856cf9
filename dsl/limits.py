"""What the grammar cannot say: how deep text may nest, which numbers and names are allowed."""

from __future__ import annotations

import re

from lark import Token, Tree

from dsl.diagnostics import Collector, fault
from dsl.source import Source, Span
from dsl.vocabulary import RESERVED

MAX_BYTES = 1_000_000
MAX_DEPTH = 100
MAX_NUMBER = 10**9
MAX_OPTIONS = 1000

_BRACKETS = re.compile(r"#[^\n]*|[(\[{]|[)\]}]")
_DEEPENING = frozenset(
    {"when", "binary", "unary", "flow", "each", "choose", "repeat"}
    | {"call", "index", "list_", "set_literal"}
)
"""The rules whose nodes a pass over the tree recurses into; others come once a bracket."""


def check_text(source: Source) -> None:
    """Refuses brackets nested so deep that a recursive pass over the tree could fail.

    Raises:
        DartsError: at the first bracket that is too deep.
    """
    depth = 0
    for match in _BRACKETS.finditer(source.text):
        if match.group() in "([{":
            depth += 1
            if depth > MAX_DEPTH:
                span = Span(source, match.start(), match.end())
                raise fault("E0103", f"brackets nest deeper than {MAX_DEPTH} levels", span)
        elif match.group() in ")]}":
            depth = max(0, depth - 1)


def check_tree(tree: Tree[Token], source: Source) -> None:
    """Checks what the parser lets through.

    The contextual lexer hands a reserved word over as a name wherever its keyword is not
    acceptable, so every name is looked at here, once.

    Raises:
        DartsError: one diagnostic for every bad number or name.
    """
    found = Collector()
    reserved: dict[str, Token] = {}
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
                if child.type == "NAME" and child in RESERVED and node.data != "strength":
                    first = reserved.setdefault(str(child), child)
                    reserved[child] = min(first, child, key=lambda token: token.start_pos or 0)
                elif child.type == "NUMBER":
                    _check_number(child, str(node.data), found, source)
    for word, token in reserved.items():
        message = f"`{word}` is a word of the language"
        found.add("E0204", message, _span(token, source), "choose another name")
    found.raise_if_any()


def _check_number(token: Token, rule: str, found: Collector, source: Source) -> None:
    span = _span(token, source)
    if rule == "language" and token != "1":
        message = f"this compiler reads language 1, the file is in language {token}"
        found.add("E0104", message, span)
    elif float(token) > MAX_NUMBER:
        found.add("E0103", f"numbers stay below {MAX_NUMBER}", span)
    elif rule == "keep" and (float(token) != int(float(token)) or float(token) < 1):
        found.add("E0607", f"what is kept is a whole number of at least 1, not {token}", span)


def _span(token: Token, source: Source) -> Span:
    return Span(source, token.start_pos or 0, token.end_pos or 0)
