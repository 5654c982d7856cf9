"""Offsets of characters and positions of the protocol are one to the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol.types import Position

from runtime.server.positions import Lines

TEXTS = st.text(alphabet="ab\n\r\u2028é𝛼", max_size=20)


@pytest.mark.parametrize(("encoding", "column"), [("utf-16", 4), ("utf-8", 7), ("utf-32", 3)])
def test_units(encoding: str, column: int) -> None:
    lines = Lines("ab\né𝛼b", encoding)
    assert lines.position(6) == Position(1, column)
    assert lines.offset(Position(1, column)) == 6


def test_line_ends() -> None:
    """The protocol knows three, and a line separator of Unicode is none of them."""
    lines = Lines("a\r\nb\rc\nd\u2028e")
    assert [lines.position(lines.text.index(c)).line for c in "abcde"] == [0, 1, 2, 3, 3]


def test_beyond() -> None:
    """A position behind its line is the end of that line; one behind the text its end."""
    lines = Lines("ab\r\nc")
    assert lines.offset(Position(0, 9)) == 2
    assert lines.offset(Position(7, 0)) == 5
    assert lines.position(99) == Position(1, 1)


@given(TEXTS, st.sampled_from(["utf-8", "utf-16", "utf-32"]), st.data())
def test_there_and_back(text: str, encoding: str, data: st.DataObject) -> None:
    lines = Lines(text, encoding)
    offset = data.draw(st.integers(0, len(text)))
    inside_line_end = text[offset - 1 : offset + 1] == "\r\n"
    assert lines.offset(lines.position(offset)) == offset - inside_line_end
