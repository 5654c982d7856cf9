"""Text to tree: the grammar, the places of nodes, and numbers."""

from __future__ import annotations

import logging

import lark
import pytest

from dsl import DartsError, ast
from dsl.grammar import GRAMMAR
from dsl.parse import parse
from dsl.source import Source
from dsl.vocabulary import RESERVED


def file(text: str) -> ast.File:
    return parse(Source("test", "language 1\n" + text))


def expr(text: str) -> ast.Expr:
    declaration = file(f"op f from x = {text}").declarations[0]
    assert isinstance(declaration, ast.OpDecl)
    return declaration.body.result


def test_grammar_has_no_conflicts() -> None:
    # Lark settles shift/reduce conflicts without a word, except in its debug log.
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    level = lark.logger.level
    lark.logger.addHandler(handler)
    lark.logger.setLevel(logging.DEBUG)
    try:
        grammar = GRAMMAR.read_text(encoding="utf-8")
        lark.Lark(grammar, parser="lalr", lexer="contextual", debug=True)
    finally:
        lark.logger.removeHandler(handler)
        lark.logger.setLevel(level)
    assert [m for m in messages if "conflict" in m.lower() or "collision" in m.lower()] == []


def test_keywords_that_may_follow_an_expression_are_reserved() -> None:
    parser = lark.Lark(GRAMMAR.read_text(encoding="utf-8"), parser="lalr", lexer="contextual")
    words = {t.pattern.value for t in parser.terminals if t.pattern.value.isalpha()}
    # What stands only inside `keep` or after a number is an ordinary name elsewhere.
    assert words - RESERVED == {"all", "per", "stage", "without"}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("x -> relu + x -> bn", "(x -> relu) + (x -> bn)"),
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("2 * 2 ^ 3", "2 * (2 ^ 3)"),
        ("-2 ^ 2", "-(2 ^ 2)"),
        ("x -> f(1)[2]", "x -> ((f(1))[2])"),
        ("a when p or q and not r else b", "a when (p or (q and (not r))) else b"),
        ("a when p else b when q else c", "a when p else (b when q else c)"),
        ("x -> choose s(k: 1) -> relu", "x -> (choose (s(k: 1))) -> relu"),
        ("x -> f(1) over T -> g", "x -> ((f(1)) over T) -> g"),
        ("-x -> relu", "-(x -> relu)"),
        ("a - b * (x -> f) / 2", "a - ((b * (x -> f)) / 2)"),
        ("(a, b) -> choose {f, g} -> h", "((a, b)) -> (choose {f, g}) -> h"),
        ("sum(x, x,)", "sum(x, x)"),
        ("{a, sink b,}", "{a, sink b}"),
    ],
)
def test_precedence(text: str, same: str) -> None:
    assert expr(text) == expr(same)


def test_equality_ignores_places() -> None:
    assert expr("x -> relu") == expr("x  ->\n  relu")
    assert expr("x -> relu") != expr("x -> bn")


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("0.5", 0.5), ("3e-4", 3e-4), ("1e2", 100.0)]
)
def test_numbers(text: str, value: float) -> None:
    number = expr(text)
    assert isinstance(number, ast.Number)
    assert number.value == value
    assert type(number.value) is type(value)


def test_names_know_their_places() -> None:
    text = (
        "cell f(width = 3) from x {\n"
        "  node n[2] = sum(x, each earlier n -> "
        "choose {conv(k, out: width) for k in (1, 3) as c})\n"
        "  keep 2 edges per node by weight without sinks\n"
        "  return n[1]\n"
        "}\n"
        "profile p { lr = (1, -2) }\n"
    )
    spans = {}
    for node in file(text).walk():
        match node:
            case ast.Parameter() | ast.Earlier() | ast.For():
                spans[type(node).__name__] = node.name_span.text
            case ast.Argument(name="out"):
                spans["Argument"] = node.name_span.text
            case ast.Item():
                spans["Item"] = node.label_span.text
            case ast.Keep():
                spans["Keep"] = node.strength_span.text
            case ast.Setting():
                spans["Setting"] = node.value_span.text
    assert spans == {
        "Parameter": "width",
        "Earlier": "n",
        "For": "k",
        "Argument": "out",
        "Item": "c",
        "Keep": "weight without sinks",
        "Setting": "(1, -2)",
    }


def test_shared_statements() -> None:
    declaration = file(
        "cell f from x {\n node n[2] {\n  shared W = linear(3)\n  return x -> W\n }\n"
        " shared g = relu -> bn\n return sum(n) -> g\n}"
    ).declarations[0]
    assert isinstance(declaration, ast.CellDecl)
    shared = [node for node in declaration.walk() if isinstance(node, ast.Shared)]
    assert [node.name.span.text for node in shared] == ["W", "g"]
    assert [node.value.span.text for node in shared] == ["linear(3)", "relu -> bn"]


def test_what_runs_over_a_dimension() -> None:
    flow = expr("x -> f(3) over T -> choose s")
    assert isinstance(flow, ast.Flow)
    over = flow.steps[1]
    assert isinstance(over, ast.Over)
    assert over.operation == expr("f(3)")
    assert (over.span.text, over.dimension.span.text) == ("f(3) over T", "T")


def test_inputs_of_words_and_inputs_that_are_not_read() -> None:
    network, op = file(
        "network(V) from word[T] below 2 * V to y[T, V] = word -> embedding(2 * V, V)\n"
        "op f from a, _, _[c, _] = a"
    ).declarations
    assert isinstance(network, ast.NetworkDecl)
    assert isinstance(op, ast.OpDecl)
    (word,) = network.inputs
    assert word.below == expr("2 * V")
    assert word.span.text == "word[T] below 2 * V"
    assert [(i.name.name, i.below) for i in op.inputs or ()] == [
        ("a", None), ("_", None), ("_", None)
    ]  # fmt: skip
    assert [len(i.shape or ()) for i in op.inputs or ()] == [0, 0, 2]


def test_walk_is_in_the_order_of_the_text() -> None:
    starts = [node.span.start for node in expr("sum(x -> conv(3), {a, b as c}[1], y)").walk()]
    assert starts == sorted(starts)


def test_comments_belong_to_what_stands_below() -> None:
    text = "# the file\nlanguage 1\n\n# one\n# two\nop f = relu\n\n# apart\n\nop g = bn\n"
    parsed = parse(Source("test", text))
    comments = [d.comment for d in parsed.declarations if isinstance(d, ast.OpDecl)]
    assert parsed.comment == "the file"
    assert comments == ["one two", None]


def test_settings_are_plain_values() -> None:
    profile = file("profile p { a = 1 b = -0.5 c = yes d = word e = (1, two, no) }").declarations[0]
    assert isinstance(profile, ast.ProfileDecl)
    assert [s.value for s in profile.settings] == [1, -0.5, True, "word", (1, "two", False)]


def test_every_fault_of_the_tokens_is_reported() -> None:
    with pytest.raises(DartsError) as raised:
        file("op of = conv(99999999999)\ncell c from x {\n keep 0 edges per node by w\n return x }")
    assert [d.code for d in raised.value.diagnostics] == ["E0204", "E0103", "E0607"]


def test_strange_line_ends_keep_places_right() -> None:
    text = "language 1\r\n# form\x0cfeed \x85 \u2028\r\nop f = relu\r\n"
    declaration = parse(Source("test", text)).declarations[0]
    assert isinstance(declaration, ast.OpDecl)
    assert declaration.span.source.position(declaration.span.start) == (3, 1)
    assert declaration.comment == "form\x0cfeed"
