"""What is expected, in words; each special case has its picture in `faults`."""

from __future__ import annotations

import pytest

from dsl import DartsError, load_text


def message(text: str) -> str:
    with pytest.raises(DartsError) as raised:
        load_text("language 1\n" + text)
    (diagnostic,) = raised.value.diagnostics
    return diagnostic.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("op", "expected a name, but the file ends here"),
        ("op f", "expected `(`, `=`, `from` or `{`, but the file ends here"),
        ("op f =", "expected an expression, but the file ends here"),
        ("op 3 = relu", "expected a name, found `3`"),
        ("op f = conv(3", "`(` is never closed"),
        ("op f = conv(,)", "expected an expression, found `,`"),
        ("op f = x[", "`[` is never closed"),
        ("op f = relu ->", "expected an expression, but the file ends here"),
        ("op f = each x", "expected `(`, `->` or `[`, but the file ends here"),
        ("network(C) = relu", "expected `from`, found `=`"),
        ("network from x[1] = x", "expected `to`, found `=`"),
        ("profile p { lr }", "expected `=`, found `}`"),
        ("profile p { lr = }", "expected a value, found `}`"),
        (
            "cell f from x { keep two edges per node by weight return x }",
            "expected a number, found `two`",
        ),
        ("import", "expected a name, but the file ends here"),
        ("op f { relu }", "expected `,` or `=`, found `}`"),
        ("op f = {}", "expected an expression or `sink`, found `}`"),
        ("op f = relu\x1b", "`\\x1b` means nothing here"),
        ("op f = é", "`é` means nothing here"),
    ],
)
def test_messages(text: str, expected: str) -> None:
    assert message(text) == expected


@pytest.mark.parametrize("text", ["op f = conv(3) relu", "op f from x = (x, x) sum(x)"])
def test_missing_arrow_after_brackets(text: str) -> None:
    assert message(text).startswith("nothing joins `)` and")


def test_names_on_lines_of_their_own_are_no_flow() -> None:
    assert (
        message("op f from x {\n y = x\n z\n return y\n}") == "expected `,` or `=`, found `return`"
    )


def test_empty_parentheses() -> None:
    with pytest.raises(DartsError) as raised:
        load_text("language 1\nop f(k) = conv(k)\nop g = relu -> f()\n")
    (found,) = raised.value.diagnostics
    assert found.message == "these parentheses hold nothing"
    assert found.help == "`f` by itself, or with arguments"
