"""Whatever the text, checking it gives a space or diagnostics that can be drawn.

`tests/fuzz.py` does the same to many more texts; hypothesis looks for small ones here.
"""

from __future__ import annotations

import pytest
from fuzz import judged, texts
from fuzz_grammar import derived
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.parse import parse
from dsl.source import Source

WORDS = """
    op cell set node n [ ] ( ) { } = -> , : x f relu conv 3 0.5 choose each earlier repeat at when
    else if for in as sink keep 2 edges per node by weight return network from to profile search - *
    / // ^ < == and not yes no import std language auxiliary sum of shared # _
"""
PIECES = [*WORDS.split(), "\n"]


@given(st.text())
def test_any_text(text: str) -> None:
    judged(text)
    judged("language 1\n" + text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_words(words: list[str]) -> None:
    judged("language 1\n" + " ".join(words))


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_is_derived_from_the_grammar_parses(draw) -> None:
    text = derived(draw)
    parse(Source("<text>", text))
    judged(text)


def test_texts_of_a_seed_are_the_same_every_time() -> None:
    assert list(texts(20, 3)) == list(texts(20, 3))
    assert list(texts(20, 3))[7:9] == list(texts(2, 3, first=7))


@pytest.mark.slow
def test_many_texts() -> None:
    for _, text in texts(3000, seed=1):
        judged(text)
