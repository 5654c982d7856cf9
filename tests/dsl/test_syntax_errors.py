"""What is expected, in words; each special case has its picture in `faults`."""

from __future__ import annotations

import pytest

from dsl import DartsError, load_text
from dsl.diagnostics import Diagnostic


def refused(text: str) -> Diagnostic:
    with pytest.raises(DartsError) as raised:
        load_text("language 1\n" + text)
    (diagnostic,) = raised.value.diagnostics
    return diagnostic


def message(text: str) -> str:
    return refused(text).message


def marked(found: Diagnostic) -> str:
    assert found.span is not None
    return found.span.text


def body(statements: str) -> str:
    return f"cell c(C) from x {{\n{statements}\n}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("op", "expected a name, but the file ends here"),
        ("op f", "expected `(`, `=`, `from` or `{`, but the file ends here"),
        ("op f =", "nothing stands behind this `=`"),
        ("op 3 = relu", "expected a name, found `3`"),
        ("op f = conv(3", "`(` is never closed"),
        ("op f = conv(,)", "expected an expression, found `,`"),
        ("op f = x[", "`[` is never closed"),
        ("op f = relu ->", "`->` leads nowhere"),
        ("op f = each x", "`each` does not say what its values flow into"),
        ("network(C) = relu", "expected `from`, found `=`"),
        ("network from x[1] = x", "expected `to`, found `=`"),
        ("profile p { lr }", "`lr` has no value"),
        ("profile p { lr", "`lr` has no value"),
        ("profile p { lr = }", "`lr` has no value"),
        (
            "cell f from x { keep (2) edges per node by weight return x }",
            "expected `edges`, a name or a number, found `(`",
        ),
        ("import", "nothing stands behind this `import`"),
        ("op f { relu }", "this body gives nothing back"),
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


@pytest.mark.parametrize(
    ("text", "wrong", "right"),
    [
        ("imports std\nop f = relu", "imports", "import"),
        ("sett s = { relu }", "sett", "set"),
        ("network(C) fro x[C] to y[C] = x", "fro", "from"),
        ("set s = { snik zero, relu }", "snik", "sink"),
        (body("kep 2 edges per node by weight\nreturn x"), "kep", "keep"),
        (body("keep 2 edgs per node by weight\nreturn x"), "edgs", "edges"),
        (body("nodes n[3] = x\nreturn n"), "nodes", "node"),
        (body("y = x -> relu\nretrun sum(x, y)"), "retrun", "return"),
        (body("y = x -> repat 3 { relu }\nreturn y"), "repat", "repeat"),
        (body("y = sum(each earler n -> relu)\nreturn y"), "earler", "earlier"),
        (body("y = x -> chose s\nreturn y"), "chose", "choose"),
        (body("y = x -> (relu when C > 1 esle tanh)\nreturn y"), "esle", "else"),
    ],
)
def test_misspelt_keywords(text: str, wrong: str, right: str) -> None:
    found = refused(text)
    assert (marked(found), found.help) == (wrong, f"did you mean `{right}`?")


@pytest.mark.parametrize(
    "text",
    [body("y = x nor relu tanh\nreturn y"), body("kep 2 3\nreturn x")],
)
def test_a_near_word_that_would_not_fit_is_not_suggested(text: str) -> None:
    assert "did you mean" not in (refused(text).help or "")


def test_a_misspelt_keyword_in_a_long_file_is_found() -> None:
    text = "op f = relu -> relu\n" * 2000 + "celll c from x = x\n"
    assert refused(text).help == "did you mean `cell`?"


@pytest.mark.parametrize(
    ("text", "wrong", "help"),
    [
        ("op f(C) = linear(C**2)", "**", "`^`"),
        (body("x += x\nreturn x"), "+=", "`=`, and a name of its own for what is new"),
        (body("y := x\nreturn y"), ":=", "`=`"),
        (body("y = x -> (relu when C > 1 && C < 9)\nreturn y"), "&&", "`and`"),
        (body("y = x -> (relu when C > 9 || C < 3)\nreturn y"), "||", "`or`"),
        (body("y = x -> (relu when !final)\nreturn y"), "!", "`not`"),
        (body("y = x -> (relu when C <> 3)\nreturn y"), "<>", "`!=`"),
        ("op f = relu |> tanh", "|>", "`->`"),
        ("op f = relu | tanh", "|", "`->` joins operations, `or` conditions"),
        ("op f = relu => tanh", "=>", "`->`"),
        ("op f = relu → tanh", "→", "`->`"),
        ("op f = relu –> tanh", "–>", "`->`"),
        ("op f = relu;", ";", "leave it out"),
        ("/* a note */ op f = relu", "/*", "a comment begins with `#`"),
        ("op f = conv（3）", "（", "`(`"),
        ("op f =\u00a0relu", "\u00a0", "a plain space"),
        ("op f = conv(0x10)", "0x10", "`16`"),
        ("op f = conv(1_000)", "1_000", "`1000`"),
        ("op f = dropout(.5)", ".5", "`0.5`"),
        ("op f = conv(3x3)", "3x3", None),
        ("def f(x): relu", "def", "`op f`"),
        ("class c(C) from x = x", "class", "`cell c` or `op c`"),
        (body("let y = x\nreturn y"), "let", "`y = …`"),
        ("op f = lambda x: x", "lambda", "declare an op: `op f from x = …`"),
        (body("y = x -> (relu when C is 3)\nreturn y"), "is", "`==`"),
        ("from std import *", "from", "`import std`"),
        ("import std as s", "as", "`import std`"),
        ("import std.darts", "std.darts", "`import std`"),
        ("import std\nop f = std.skip", ".", "`skip`: what is imported stands by itself"),
        ("set s = [relu, tanh]", "[", "`{ relu, tanh }`"),
        (body("y = sum([x, x])\nreturn y"), "[", "`(x, x)`"),
        ("set s = (sink zero, relu)", "(", "`{ sink …, … }`"),
        (body("return concat(n[0:2])"), ":", "a list of members: `(n[0], n[1])`"),
        (body("y = x -> (relu when 0 < C < 9)\nreturn y"), "<", "`0 < C and C < 9`"),
        ("set s = { conv(k for k in (3, 5)) }", "for", "`f(k) for k in (3, 5)`"),
        (body("y = x\nfor i in (1, 2): y\nreturn y"), "for", "`node n[3] = …`"),
        ("op f from x[?, *] = x", "?", "`_` is any size"),
        ("op f = “relu”", "“relu”", "`relu`"),
    ],
)
def test_habits_of_other_languages(text: str, wrong: str, help: str | None) -> None:
    found = refused(text)
    assert (marked(found), found.help) == (wrong, help)


@pytest.mark.parametrize("text", ["op f = relu // a note", "// a note", "-- a note"])
def test_comments_of_other_languages(text: str) -> None:
    assert message(text + "\nop g = relu") == "a comment begins with `#`"


@pytest.mark.parametrize(
    ("settings", "wrong", "expected"),
    [
        ("epochs 4", "epochs", "`epochs` has no `=`"),
        ("data = digits  epochs  lr = 1", "epochs", "`epochs` has no value"),
        ("epochs =\n  lr = 1", "epochs", "`epochs` has no value"),
        ("C = 4 * 2", "*", "a profile does not reckon"),
        ("lr = 1e", "1e", "`1e` is neither a number nor a name"),
        ("data = images:foo", "images:", "a folder is named on the command line"),
        ("data: digits", ":", "a setting is written with `=`"),
        ("set = 3", "set", "`set` is a word of the language"),
        ("lr = [1, 2]", "[", "a list stands in parentheses"),
    ],
)
def test_profiles(settings: str, wrong: str, expected: str) -> None:
    found = refused(f"profile search {{ {settings} }}")
    assert (marked(found), found.message) == (wrong, expected)


def test_a_folder_is_copied_to_the_command_line() -> None:
    found = refused("profile search { data = images:/a/b-c lr = 1 }")
    assert found.help == "`--data images:/a/b-c`"


@pytest.mark.parametrize(
    ("statements", "wrong", "help"),
    [
        ("sum(x, x)", "sum", "`return sum(x, x)`"),
        ("y = x\ny -> relu", "y", "`return y -> relu`"),
        ("each (x, x) -> relu", "each", "`return each (x, x) -> relu`"),
        ("sum(\nx, x)", "sum", "begin it with `return`"),
        ("n[3] = sum(x)\nreturn n", "n", "`node n[3] = …`"),
        ("y = x ->\nz = x\nreturn z", "->", None),
        ("y = x ->\nreturn y", "->", None),
        ("y =\nz = x\nreturn z", "y", "`y = …`"),
        ("y = x -> relu over\nreturn y", "over", "`over T`"),
        ("node = x\nreturn x", "node", "choose another name"),
        ("keep = 3\nreturn x", "keep", "choose another name"),
        ("y = x\nop f = relu\nreturn y", "op", "move it out of the body"),
        ("op f = relu\nreturn x", "op", "move it out of the body"),
        ("node n[2] = {\nreturn x\n}\nreturn n", "=", "leave it out"),
        ("y = x -> repeat { relu }\nreturn y", "repeat", "`repeat N { … }`"),
        ("y = x -> repeat { relu at 1: tanh }\nreturn y", "repeat", "`repeat N { … }`"),
        ("y = x -> repeat 3 { at 1: f }\nreturn y", "at", "`repeat N { f at 2: g }`"),
        ("y = x -> over T: f(C)\nreturn y", "over T", "`f(C) over T`"),
        ("return sum(each x, y -> relu)", ",", "`each (x, y) -> …`"),
        ("a, b = x, x\nreturn a", ",", "`a, b = (…, …)`"),
        ("return x, x", ",", "`return (…, …)`"),
        (
            "keep 1 edge per node by weight, without sinks\nreturn x",
            ",",
            "`by weight without sinks`",
        ),
    ],
)
def test_bodies(statements: str, wrong: str, help: str | None) -> None:
    found = refused(body(statements))
    assert (marked(found), found.help) == (wrong, help)


@pytest.mark.parametrize("next", ["keep 1 edge per node by weight", "z = x", "node n[2] = x"])
@pytest.mark.parametrize("comma", ["", ","])
def test_a_parenthesis_that_is_open_where_a_statement_begins(next: str, comma: str) -> None:
    found = refused(body(f"y = sum(x{comma}\n{next}\nreturn x"))
    assert (found.code, marked(found)) == ("E0106", next.split()[0])
    assert [label.span.text for label in found.labels] == ["("]


def test_a_named_argument_on_a_line_of_its_own_is_no_statement() -> None:
    assert refused(body("y = conv(3,\nout = C)\nreturn y")).code == "E0307"


@pytest.mark.parametrize("text", ["op f = {\nreturn relu\n}", "profile p = { lr = 1 }"])
def test_no_equals_before_braces(text: str) -> None:
    found = refused(text)
    assert (marked(found), found.help) == ("=", "leave it out")


def test_an_import_at_the_end_of_a_line() -> None:
    found = refused("import\nop f = relu")
    assert (found.code, marked(found)) == ("E0108", "import")


def test_many_possibilities_are_examples() -> None:
    assert message("op f from x: relu").startswith("expected something such as `,`, ")
