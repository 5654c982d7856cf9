"""Colours: for Pygments, and in the grammar that editors read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation

from dsl.highlight import FLAGS, OPERATORS, DartsLexer
from dsl.vocabulary import COUNTERS, JOINS, LAYERS, PHASES, RESERVED, SPLIT, WORDS

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("spaces/*.darts"), *ROOT.glob("tests/compiler/programs/*.darts")])
GRAMMAR = ROOT / "docs" / "editors" / "vscode" / "syntaxes" / "darts.tmLanguage.json"
TEXT = """
import a/b
extend c
set steps = { sink none, sep_conv(k, stride: 2) for k in (3, 5) if k > 3 as five }  # options
op twice(f, depth = 1.5e-3) from x[c, _, _] = x -> f when not search else f
cell unit(C) from x {
    shared W = conv(3, out: C, padding: auto, bias: no)
    node n[2] = mean(x -> W, each earlier n -> global_pool(mean))
    keep 1 edge per node by weight without sinks
    return concat(n)
}
network(C) from x[3, 8, 8] to y[_] = x -> repeat N { unit(C * 2^stage) at N // 3: unit(C) }
profile short = search { data = digits  epochs = 3  betas = (0.5, yes)  edge = 4 }
"""
EXPECTED = [
    (Keyword.Namespace, "import"),
    (Name.Namespace, "a/b"),
    (Keyword.Namespace, "extend"),
    (Name.Namespace, "c"),
    (Name.Constant, "steps"),
    (Keyword, "sink"),
    (Name, "sep_conv"),
    (Name.Attribute, "stride"),
    (Keyword, "as"),
    (Comment.Single, "# options"),
    (Keyword.Declaration, "op"),
    (Name.Function, "twice"),
    (Number.Float, "1.5e-3"),
    (Keyword, "from"),
    (Operator, "->"),
    (Operator.Word, "not"),
    (Name.Builtin.Pseudo, "search"),
    (Name.Class, "unit"),
    (Keyword.Declaration, "shared"),
    (Name.Variable, "W"),
    (Name.Builtin, "conv"),
    (Name.Attribute, "out"),
    (Name.Constant, "auto"),
    (Keyword.Constant, "no"),
    (Name.Variable, "n"),
    (Number.Integer, "2"),
    (Name.Builtin, "mean"),
    (Name.Constant, "mean"),
    (Keyword, "edge"),
    (Keyword, "per"),
    (Name.Constant, "weight"),
    (Keyword, "without"),
    (Name.Constant, "sinks"),
    (Name.Builtin, "concat"),
    (Punctuation, "{"),
    (Name, "N"),
    (Name.Builtin.Pseudo, "stage"),
    (Keyword.Declaration, "profile"),
    (Name.Label, "short"),
    (Name.Label, "search"),
    (Name.Attribute, "epochs"),
    (Name, "digits"),
    (Keyword.Constant, "yes"),
    (Name.Attribute, "edge"),
]


def pieces(text: str) -> list[tuple[Any, str]]:
    return [(kind, piece) for _, kind, piece in DartsLexer().get_tokens_unprocessed(text)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files(path: Path) -> None:
    """Sound files have no piece that is an error, and the pieces together are the file."""
    text = path.read_text(encoding="utf-8")
    found = pieces(text)
    assert [piece for kind, piece in found if kind is Error] == []
    assert "".join(piece for _, piece in found) == text


@pytest.mark.parametrize(("kind", "piece"), EXPECTED)
def test_kinds(kind: Any, piece: str) -> None:
    assert (kind, piece) in pieces(TEXT)


def test_places_of_a_repeat_are_no_arguments() -> None:
    assert (Name.Attribute, "N") not in pieces("network = x -> repeat N { f at N: g }")


def test_what_is_not_of_the_language() -> None:
    assert (Error, "@") in pieces("op a = @")


@given(st.text(alphabet="opcel set{}()[]profile=:,->#\n1.5e_@keep by𝛼", max_size=60))
def test_nothing_is_lost(text: str) -> None:
    assert "".join(piece for _, piece in pieces(text)) == text


def test_a_declaration_ends_what_was_left_open() -> None:
    """So that one missing bracket does not change the colours of all that follows."""
    found = pieces("profile a { epochs = (1\nop b = f(3\ncell c from x = x -> g(out: 3)")
    assert {(Name.Function, "b"), (Name.Class, "c"), (Name.Attribute, "out")} <= set(found)


def test_editor_grammar(request: pytest.FixtureRequest) -> None:
    """The words in the editors' grammar are the vocabulary's; `--update-golden` writes them."""
    written = json.loads(GRAMMAR.read_text(encoding="utf-8"))
    expected = json.loads(GRAMMAR.read_text(encoding="utf-8"))
    for name, words in {
        "keywords": RESERVED - FLAGS - OPERATORS,
        "operators": OPERATORS,
        "flags": FLAGS,
        "layers": LAYERS,
        "words": WORDS,
        "joins": {*JOINS, SPLIT},
        "counters": {*COUNTERS, *PHASES},
    }.items():
        expected["repository"][name]["match"] = pattern(words, is_call=name == "joins")
    if request.config.getoption("--update-golden"):
        GRAMMAR.write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")
    else:
        assert written == expected


def pattern(words: Iterable[str], is_call: bool) -> str:
    return rf"\b(?:{'|'.join(sorted(words))})\b" + r"(?=\s*\()" * is_call
