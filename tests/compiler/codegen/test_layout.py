"""Layout: flat where it fits, else as the formatter would spread it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.codegen.layout import (
    WIDTH,
    Call,
    DictOf,
    Doc,
    Either,
    Infix,
    ListOf,
    Negative,
    Sum,
    Text,
    lines,
)

RUFF = Path(sys.executable).with_name("ruff")
LONG = [f"argument_{i}" for i in range(12)]


def test_flat_where_it_fits() -> None:
    assert lines(Call("f", "a", Call("g", "b")), 4, "x = ") == ["    x = f(a, g(b))"]


def test_an_argument_a_line() -> None:
    assert lines(Call("f", *LONG), 0, "x = ") == ["x = f(", *(f"    {a}," for a in LONG), ")"]


def test_arguments_on_a_line_of_their_own() -> None:
    found = lines(Call("f" * 40, *LONG[:6]), 0, "x = ")
    assert found == [f"x = {'f' * 40}(", "    " + ", ".join(LONG[:6]), ")"]


def test_always_spread() -> None:
    assert lines(Call("f", "a", always=True), 0) == ["f(", "    a,", ")"]
    assert lines(Call("g", Call("f", "a", always=True)), 0)[0] == "g("


def test_sums_break_before_plus() -> None:
    found = lines(Sum(tuple(Call(name, *LONG[:5]) for name in "fgh")), 0, "x = ")
    assert found[0] == "x = ("
    assert [line[:8] for line in found[2:4]] == ["    + g(", "    + h("]


def test_a_sum_of_two_may_break_in_its_last_call() -> None:
    found = lines(Sum((Call("f", *LONG[:5]), Call("g", *LONG[:5]))), 0, "x = ")
    assert found[0].startswith("x = f(") and found[0].endswith(" + g(")
    assert found[-1] == ")"


def test_conditions() -> None:
    short = Either(Text("a"), "b > 1", Text("c"))
    assert lines(short, 0, "x = ") == ["x = a if b > 1 else c"]
    call = "a" * (WIDTH - 4 - len(" if b > 1 else c"))
    found = lines(Either(Text(call), "b > 1", Text("c")), 0, "value = ")
    assert found == ["value = (", f"    {call} if b > 1 else c", ")"]
    found = lines(Either(Text(call), "b > 1", Text(f"c{call}")), 0, "x = ")
    assert found == ["x = (", f"    {call}", "    if b > 1", f"    else c{call}", ")"]


NAMES = st.text("abc", min_size=1, max_size=30)
DOCS: st.SearchStrategy[Doc] = st.recursive(
    NAMES.map(Text),
    lambda inner: st.one_of(
        st.builds(lambda h, a: Call(h, *a), NAMES, st.lists(inner, min_size=1, max_size=5)),
        st.builds(lambda a: Call("cat", ListOf(*a), "dim=1"), st.lists(inner, min_size=2)),
    ),
    max_leaves=12,
)


@given(DOCS, st.sampled_from([4, 8, 12]))
def test_what_is_laid_out_means_the_same(doc: Doc, indent: int) -> None:
    text = "\n".join(lines(doc, 0, "x = "))
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(f"x = {doc.flat()}"))
    flat = f"{' ' * indent}x = {doc.flat()}"
    assert (len(lines(doc, indent, "x = ")) == 1) == (len(flat) <= WIDTH)


@pytest.mark.skipif(not RUFF.exists(), reason="ruff is not installed")
@settings(max_examples=20, deadline=None)
@given(st.lists(DOCS, min_size=10, max_size=20))
def test_the_formatter_would_not_change_it(docs: list[Doc]) -> None:
    text = "\n".join(line for doc in docs for line in lines(doc, 0, "x = ")) + "\n"
    result = subprocess.run(
        [str(RUFF), "format", "--isolated", "--line-length=100", "-"],
        input=text, capture_output=True, text=True,
    )  # fmt: skip
    assert result.stdout == text


def test_dictionaries() -> None:
    doc = Call("MixedOp", DictOf({"a": Text("f()"), "b": Call("g", *LONG)}))
    found = lines(doc, 4, "return ")
    assert found[:3] == ["    return MixedOp(", "        {", '            "a": f(),']
    assert found[-2:] == ["        }", "    )"]


def test_arithmetic_keeps_its_order_and_breaks_at_the_loosest_operators() -> None:
    a, b, c = (Call(f"self.{letter * 30}", "x") for letter in "abc")
    inner = Infix(b, "-", Infix(c, "*", Infix(a, "+", b)))
    assert lines(Infix(Infix(a, "/", b), "+", inner), 4, "y = ") == [
        "    y = (",
        f"        {a.flat()} / {b.flat()}",
        f"        + ({b.flat()} - {c.flat()} * ({a.flat()} + {b.flat()}))",
        "    )",
    ]
    assert Negative(Negative(Text("x"))).then(".amax(1)").flat() == "(-(-x)).amax(1)"
    assert Infix(Text("x"), "-", Infix(Text("y"), "-", Text("z"))).flat() == "x - (y - z)"
