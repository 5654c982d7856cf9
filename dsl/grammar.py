"""The parser that lark makes of `grammar.lark`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lark import Lark

GRAMMAR = Path(__file__).with_name("grammar.lark")


@cache
def parser() -> Lark:
    return Lark(
        GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        lexer="contextual",
        propagate_positions=True,
        maybe_placeholders=True,
    )
