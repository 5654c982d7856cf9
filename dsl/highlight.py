"""Colours for Pygments, and so for everything that shows code with it: Sphinx, LaTeX, rich."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, default, include, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    Text,
    Whitespace,
)

from dsl.vocabulary import (
    COUNTERS,
    JOINS,
    LAYERS,
    PHASES,
    RESERVED,
    SPLIT,
    STRENGTHS,
    WORDS,
)

FLAGS = frozenset({"yes", "no"})
OPERATORS = frozenset({"and", "or", "not"})
_STRENGTH = frozenset(strength.split()[0] for strength in STRENGTHS)

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_NEW_NAME = rf"(?!(?:{'|'.join(sorted(RESERVED))})\b){_NAME}"


def _all(names: Any) -> words:
    """Any of these words; sorted, since sets have no order of their own."""
    return words(sorted(names), prefix=r"\b", suffix=r"\b")


class DartsLexer(RegexLexer):
    """Splits a `.darts` file, sound or not, in coloured pieces that together are its text."""

    name = "darts"
    aliases: ClassVar[list[str]] = ["darts"]
    filenames: ClassVar[list[str]] = ["*.darts"]

    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            include("declarations"),
            (r"\{", Punctuation, "braces"),
            (r"\(", Punctuation, "arguments"),
            include("words"),
            (r"[)\]}]", Punctuation),
        ],
        "braces": [
            (r"\}", Punctuation, "#pop"),
            # A declaration cannot stand in braces: they were never closed.
            (r"(?=\b(?:op|cell|set|network|profile)\b)", Text, "#pop"),
            include("root"),
        ],
        "arguments": [
            (r"\)", Punctuation, "#pop"),
            (r"(?=[{}]|\b(?:op|cell|set|network|profile)\b)", Text, "#pop"),
            (rf"({_NEW_NAME})(\s*)(:)", bygroups(Name.Attribute, Whitespace, Punctuation)),
            (r"\(", Punctuation, "#push"),
            include("words"),
            (r"[\]]", Punctuation),
        ],
        "declarations": [
            (
                r"(import|extend)(\s+)([A-Za-z0-9_/]+)",
                bygroups(Keyword.Namespace, Whitespace, Name.Namespace),
            ),
            (rf"(op)(\s+)({_NEW_NAME})", bygroups(Keyword.Declaration, Whitespace, Name.Function)),
            (rf"(cell)(\s+)({_NEW_NAME})", bygroups(Keyword.Declaration, Whitespace, Name.Class)),
            (rf"(set)(\s+)({_NEW_NAME})", bygroups(Keyword.Declaration, Whitespace, Name.Constant)),
            (
                rf"(node|shared)(\s+)({_NEW_NAME})",
                bygroups(Keyword.Declaration, Whitespace, Name.Variable),
            ),
            (r"\bprofile\b", Keyword.Declaration, "profile"),
            (r"\bkeep\b", Keyword, "keep"),
            (r"\b(per)(\s+)(stage)(?=\s*[={])", bygroups(Keyword, Whitespace, Keyword)),
            (_all({"network", "op", "cell", "set"}), Keyword.Declaration),
        ],
        "profile": [
            include("spaces"),
            (r"\{", Punctuation, ("#pop", "settings")),
            (_all(PHASES), Name.Label),
            (r"=", Operator),
            (_NEW_NAME, Name.Label),
            default("#pop"),
        ],
        "settings": [
            (r"\}", Punctuation, "#pop"),
            (r"(?=\b(?:op|cell|set|network|profile)\b)", Text, "#pop"),
            (rf"({_NEW_NAME})(\s*)(=)", bygroups(Name.Attribute, Whitespace, Operator)),
            include("words"),
            (r"[(){\]]", Punctuation),
        ],
        "keep": [
            include("spaces"),
            (r"[0-9]+", Number.Integer),
            (r"\b(?:edges|edge|candidates|candidate|per|node|in|all)\b", Keyword),
            (r"\bby\b", Keyword, ("#pop", "strength")),
            (_NAME, Name),
            default("#pop"),
        ],
        "strength": [
            include("spaces"),
            (_all(_STRENGTH | {"sinks"}), Name.Constant),
            (r"\bwithout\b", Keyword),
            default("#pop"),
        ],
        "spaces": [
            (r"[ \t\f\r\n]+", Whitespace),
            (r"#[^\n]*", Comment.Single),
        ],
        "words": [
            include("spaces"),
            (r"[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)", Number.Float),
            (r"[0-9]+", Number.Integer),
            (rf"\b(?:{'|'.join([*JOINS, SPLIT])})(?=\s*\()", Name.Builtin),
            (_all(FLAGS), Keyword.Constant),
            (_all(OPERATORS), Operator.Word),
            (_all(RESERVED), Keyword),
            (_all(LAYERS), Name.Builtin),
            (_all({*WORDS}), Name.Constant),
            (_all({*PHASES, *COUNTERS}), Name.Builtin.Pseudo),
            (_NAME, Name),
            (r"->|//|\.\.|[=!<>]=|[=<>+\-*/%^]", Operator),
            (r"[\[,:]", Punctuation),
        ],
    }
