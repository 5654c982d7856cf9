"""Pictures of diagnostics: what is underlined stands above its underline."""

from __future__ import annotations

import re
import unicodedata

import pytest

from dsl import render
from dsl.diagnostics import Diagnostic, Label
from dsl.render import LONGEST, WIDTH
from dsl.source import Source, Span


def picture(text: str, start: int, end: int, *labels: Label, color: bool = False) -> str:
    span = Span(Source("file.darts", text), start, end)
    return render([Diagnostic("E0201", "message", span, "do this", labels)], color)


def columns(text: str) -> list[str]:
    """The terminal's cells: wide characters fill two, combining ones none."""
    cells: list[str] = []
    for char in text:
        if unicodedata.category(char) not in ("Mn", "Me"):
            cells += [char] * (2 if unicodedata.east_asian_width(char) in "WF" else 1)
    return cells


def underlined(shown: str) -> str:
    """What stands above the `^`s."""
    _, _, _, line, marks, *_ = shown.split("\n")
    return "".join(
        cell for cell, mark in zip(columns(line), columns(marks), strict=False) if mark == "^"
    )


def test_plain() -> None:
    assert picture("one two three\n", 4, 7).split("\n") == [
        "error[E0201]: message",
        " --> file.darts:1:5",
        "  |",
        "1 | one two three",
        "  |     ^^^",
        "  = help: do this",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "word", "shown"),
    [
        ("\tword", "word", "word"),
        ("a\tword", "word", "word"),
        ("日本 word", "word", "word"),
        ("e\u0301e\u0301 word", "word", "word"),
        ("日本", "本", "本本"),
        ("a\x1b[31m word", "word", "word"),
        ("a\u202eb word", "word", "word"),
        ("x" * 500 + " word " + "y" * 500, "word", "word"),
        ("日" * 200 + "word", "word", "word"),
        ("word" + "日" * 200, "word", "word"),
        ("\t" * 100 + "word", "word", "word"),
    ],
)
def test_underline_is_below_its_text(text: str, word: str, shown: str) -> None:
    start = text.index(word)
    assert underlined(picture(text, start, start + len(word))) == shown


def test_long_lines_are_cut() -> None:
    shown = picture("x" * 500 + " word " + "y" * 500, 501, 505)
    line = shown.split("\n")[3].removeprefix("1 | ")
    assert line[0] == line[-1] == "…"
    assert len(line) == WIDTH + 2


def test_nothing_a_terminal_would_obey_is_printed() -> None:
    name = "a\x1b[2J\x07\u202e\u200b\x85\u2028"
    span = Span(Source(f"{name}.darts", f"op {name} = relu"), 3, 5)
    label = Label(span, f"label {name}")
    shown = render([Diagnostic("E0201", f"message {name}", span, f"help {name}", (label,))])
    assert all(char == "\n" or char.isprintable() for char in shown)


def test_span_over_lines_shows_the_first() -> None:
    text = "op f = sum(\n    x,\n)\n"
    assert picture(text, 7, len(text) - 1).split("\n")[3:5] == [
        "1 | op f = sum(",
        "  |        ^^^^",
    ]


def test_end_of_the_file_has_a_place() -> None:
    assert picture("ab", 2, 2).split("\n")[4] == "  |   ^"
    assert picture("", 0, 0).split("\n")[3:5] == ["1 |", "  | ^"]
    assert picture("ab\n", 3, 3).split("\n")[3:5] == ["2 |", "  | ^"]


def test_labels_stand_in_the_order_of_the_lines() -> None:
    source = Source("file.darts", "".join(f"line {i}\n" for i in range(1, 13)))
    first, far = Span(source, 0, 4), Span(source, source.text.index("line 12"), len(source.text))
    shown = render([Diagnostic("E0202", "twice", far, None, (Label(first, "first"),))])
    assert shown.split("\n") == [
        "error[E0202]: twice",
        "  --> file.darts:12:1",
        "   |",
        " 1 | line 1",
        "   | ---- first",
        "...",
        "12 | line 12",
        "   | ^^^^^^^",
        "",
    ]


def test_labels_in_other_files_are_shown_there() -> None:
    other = Span(Source("other.darts", "op norm = bn\n"), 3, 7)
    shown = picture("import other\n", 7, 12, Label(other, "declared here"))
    assert " ::: other.darts:1:4\n  |\n1 | op norm = bn\n  |    ---- declared here\n" in shown


def test_diagnostic_without_a_place() -> None:
    assert render([Diagnostic("E0101", "there is no file `a`", None)]) == (
        "error[E0101]: there is no file `a`\n"
    )


def test_colours_change_nothing_else() -> None:
    span = Span(Source("file.darts", "one two"), 4, 7)
    plain = picture("one two", 4, 7, Label(span, "here"))
    colored = picture("one two", 4, 7, Label(span, "here"), color=True)
    assert colored != plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


def test_endless_messages_are_cut() -> None:
    shown = render([Diagnostic("E0201", "x" * 10_000, None)])
    assert len(shown) < LONGEST + 50


def test_message_of_several_lines_is_one() -> None:
    assert render([Diagnostic("E0201", "a\n   b", None)]) == "error[E0201]: a b\n"
