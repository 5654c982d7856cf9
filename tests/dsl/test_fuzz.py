"""Whatever the text, loading it gives a program or diagnostics that can be drawn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import DartsError, load_text, render
from dsl.codes import CODES
from dsl.files import SHIPPED

TEXTS = [path.read_text(encoding="utf-8") for path in sorted(SHIPPED.glob("*.darts"))]
WORDS = """
    op cell set node n [ ] ( ) { } = -> , : x f relu conv 3 0.5 choose each earlier repeat at when
    else if for in as sink keep 2 edges per node by weight return network from to profile search - *
    / // ^ < == and not yes no import std language auxiliary sum of shared # _
"""
PIECES = [*WORDS.split(), "\n"]


def check(text: str) -> None:
    try:
        load_text(text)
    except DartsError as error:
        assert error.diagnostics
        assert all(diagnostic.code in CODES for diagnostic in error.diagnostics)
        assert render(error.diagnostics, color=True)


@given(st.text())
def test_any_text(text: str) -> None:
    check(text)
    check("language 1\n" + text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_words(words: list[str]) -> None:
    check("language 1\n" + " ".join(words))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutations(data: st.DataObject) -> None:
    """A piece of a shipped space is left out, repeated elsewhere or replaced by a word."""
    text = data.draw(st.sampled_from(TEXTS))
    place = st.integers(0, len(text))
    start, end, other = data.draw(place), data.draw(place), data.draw(place)
    start, end = min(start, end), min(max(start, end), min(start, end) + 40)
    piece = data.draw(st.sampled_from(["", *PIECES]))
    kind = data.draw(st.sampled_from(["replace", "repeat", "move"]))
    if kind == "replace":
        check(f"{text[:start]} {piece} {text[end:]}")
    else:
        rest = text if kind == "repeat" else text[:start] + text[end:]
        check(rest[:other] + text[start:end] + rest[other:])


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_many_words(words: list[str]) -> None:
    check("language 1\n" + " ".join(words))
