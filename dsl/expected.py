"""What could have stood where parsing stopped, in the language's words."""

from __future__ import annotations

from collections.abc import Iterable

from lark.lexer import PatternStr

from dsl.grammar import parser

_EXPRESSION = frozenset(
    {"NAME", "NUMBER", "LPAR", "LBRACE", "MINUS", "NOT", "YES", "NO"}
    | {"CHOOSE", "REPEAT", "EACH", "EARLIER", "LOOSE"}
)
_VALUE = frozenset({"NAME", "NUMBER", "LPAR", "MINUS", "YES", "NO"})
_CONTINUING = frozenset(
    {"PLUS", "MINUS", "MULTIPLICATIVE", "POWER", "COMPARE", "AND", "OR", "WHEN", "ELSE"}
    | {"__ANON_0", "LPAR", "LSQB", "OVER"}
)
_STATEMENT = frozenset({"NODE", "SHARED", "KEEP", "AUXILIARY", "RETURN", "NAME"})
_DECLARATION = frozenset({"SET", "OP", "CELL", "NETWORK", "PROFILE"})
_NAMED = {"NAME": "a name", "NUMBER": "a number", "UNIT": "`edges`", "$END": "the end of the file"}
_MOST = 4


def describe(expected: Iterable[str]) -> str:
    """At most four things, or what kind of thing: `a number or `)``, `an expression`."""
    left = set(expected)
    kinds: list[str] = []
    for kind, terminals, telling in (
        ("an expression", _EXPRESSION, {"NUMBER", "CHOOSE"}),
        ("a value", _VALUE, {"NUMBER", "NAME", "YES"}),
        ("a statement", _STATEMENT, {"NODE", "RETURN"}),
        ("a declaration", _DECLARATION, {"OP", "CELL"}),
    ):
        if telling <= left:
            kinds.append(kind)
            left -= terminals
    if kinds or ("PLUS" in left and not left <= _CONTINUING):
        # What may go on with a finished expression is seldom what was forgotten.
        left -= _CONTINUING
    if "a declaration" in kinds:
        left.discard("SLASH")  # a path that goes on is seldom what was forgotten
    things = kinds + sorted(map(_shown, left))
    if not things:
        return "something else"
    such = "something such as " if len(things) > _MOST else ""
    *first, last = things[:_MOST]
    return f"{such}{', '.join(first)} or {last}" if first else last


def keywords(expected: Iterable[str]) -> list[str]:
    """The words of the language among terminals."""
    texts = ["edges" if name == "UNIT" else _text(name) for name in expected]
    return sorted(text for text in texts if text.isalpha())


def _shown(name: str) -> str:
    return _NAMED.get(name) or f"`{_text(name)}`"


def _text(name: str) -> str:
    """What a terminal looks like; its name where that is a pattern."""
    if name == "$END":
        return ""
    pattern = parser().get_terminal(name).pattern
    return pattern.value if isinstance(pattern, PatternStr) else ""
