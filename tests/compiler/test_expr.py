"""Expressions: simplifying never changes a value, and what is printed computes the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.expr import (
    Binary,
    Const,
    Expr,
    IfElse,
    InexactDivision,
    Symbol,
    binary,
    ceil_div,
    evaluate,
    if_else,
    negation,
    show,
    size_of,
    substitute,
    symbols,
)

C, N = Symbol("C"), Symbol("N")
ENVIRONMENTS = st.fixed_dictionaries(dict.fromkeys("abc", st.integers(1, 40)))


def grown(children: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    compare = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    condition = st.builds(binary, compare, children, children)
    return st.one_of(
        st.builds(lambda a, b: a + b, children, children),
        st.builds(lambda a, b: a - b, children, children),
        st.builds(lambda a, b: a * b, children, children),
        st.builds(lambda a: -a, children),
        st.builds(lambda a, n: binary("//", a, Const(n)), children, st.integers(1, 5)),
        st.builds(lambda a, n: binary("%", a, Const(n)), children, st.integers(1, 5)),
        st.builds(lambda a, n: binary("^", a, Const(n)), children, st.integers(0, 2)),
        st.builds(lambda a, n: ceil_div(a, n), children, st.integers(1, 5)),
        st.builds(if_else, condition, children, children),
        st.builds(lambda c, a, b: if_else(negation(c), a, b), condition, children, children),
    )


LEAVES = st.one_of(st.integers(0, 9).map(Const), st.sampled_from("abc").map(Symbol))
EXPRESSIONS = st.recursive(LEAVES, grown, max_leaves=8)


@given(EXPRESSIONS, ENVIRONMENTS)
def test_substituting_then_evaluating_is_evaluating(expr: Expr, env: dict[str, int]) -> None:
    values = {name: Const(value) for name, value in env.items()}
    assert substitute(expr, values) == Const(evaluate(expr, env))


@given(EXPRESSIONS, EXPRESSIONS, ENVIRONMENTS)
def test_substituting_an_expression_is_evaluating_it_first(
    expr: Expr, inner: Expr, env: dict[str, int]
) -> None:
    replaced = substitute(expr, {"a": inner})
    assert evaluate(replaced, env) == evaluate(expr, {**env, "a": evaluate(inner, env)})


@given(EXPRESSIONS, ENVIRONMENTS)
def test_what_is_printed_computes_the_value(expr: Expr, env: dict[str, int]) -> None:
    inexact: set[Expr] = set()
    value = evaluate(expr, env, inexact)
    assert eval(show(expr, inexact=inexact), {}, dict(env)) == value


@given(EXPRESSIONS)
def test_symbols_are_those_that_matter(expr: Expr) -> None:
    assert evaluate(expr, dict.fromkeys(symbols(expr), 7)) is not None
    assert set(symbols(expr)) <= set("abc")
    assert size_of(expr) >= len(symbols(expr))


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (C + C + C + C, "4 * C"),
        (2 * C + 3 * C - C, "4 * C"),
        (C - C, "0"),
        (C + N + C, "2 * C + N"),
        (1 + C + 2, "C + 3"),
        (C * 1, "C"),
        (C * 2, "2 * C"),
        (2 * (2 * C), "4 * C"),
        (3 * C * 2, "6 * C"),
        (2 * binary("/", C, Const(2)), "C"),
        (4 * binary("/", C, Const(2)), "2 * C"),
        (2 * binary("//", C, Const(2)), "2 * (C // 2)"),
        (binary("^", Const(2), N) * C, "2**N * C"),
        (C - (N - 1), "C - N + 1"),
        ((C + 1) * 2, "2 * (C + 1)"),
        (binary("and", Const(True), binary(">", C, N)), "C > N"),
        (if_else(Const(False), C, N), "N"),
        (IfElse(binary(">", C, Const(1)), C, N) + 1, "(C if C > 1 else N) + 1"),
    ],
)
def test_like_terms_are_collected(expr: Expr, text: str) -> None:
    assert show(expr) == text


def test_a_division_that_leaves_a_remainder_is_refused() -> None:
    half = binary("/", C, Const(2))
    assert evaluate(half, {"C": 8}) == 4
    with pytest.raises(InexactDivision, match="5 / 2 leaves a remainder"):
        evaluate(half, {"C": 5})
    with pytest.raises(InexactDivision):
        binary("/", Const(5), Const(2))
    assert evaluate(binary("//", C, Const(2)), {"C": 5}) == 2


def test_rounding_up_is_printed_where_it_happens() -> None:
    half = ceil_div(C, 2)
    assert evaluate(half, {"C": 5}) == 3
    inexact: set[Expr] = set()
    evaluate(half, {"C": 6}, inexact)
    assert (inexact, show(half, inexact=inexact)) == (set(), "C // 2")
    evaluate(half, {"C": 5}, inexact)
    assert (inexact, show(half, inexact=inexact)) == ({half}, "-(-C // 2)")


def test_a_flag_is_not_a_number() -> None:
    assert Const(True) != Const(1)
    assert Const(2.0) == Const(2)
    assert show(Const(2.0)) == "2"


def test_powers_do_not_take_forever() -> None:
    with pytest.raises(OverflowError):
        binary("^", Const(9), binary("^", Const(9), Const(9)))
    tower = binary("^", Const(9), binary("^", C, Const(9)))
    with pytest.raises(OverflowError):
        evaluate(tower, {"C": 9})


def test_substituting_leaves_what_does_not_come_out() -> None:
    for op, error in (("/", InexactDivision), ("%", ZeroDivisionError)):
        expr = binary(op, Const(5), C)
        left = substitute(expr, {"C": Const(2 if op == "/" else 0)})
        assert isinstance(left, Binary)
        with pytest.raises(error):
            evaluate(left, {})


def test_words_are_compared_and_nothing_else() -> None:
    assert evaluate(binary("==", C, Const("same")), {"C": "same"}) is True
    with pytest.raises(TypeError):
        evaluate(binary("*", C, Const("same")), {"C": 2})
