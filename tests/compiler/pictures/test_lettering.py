"""Widths that no usual font exceeds, and labels that can be printed."""

from __future__ import annotations

import pytest

from compiler.pictures.lettering import LONGEST, clean, shown, width

# Advance widths of Helvetica in thousandths of the size, from its published metrics
HELVETICA = {
    " ": 278, "(": 333, ")": 333, ",": 278, "-": 333, ".": 278, "0": 556, "7": 556, "A": 667,
    "C": 722, "E": 667, "J": 500, "M": 833, "P": 667, "Q": 778, "S": 667, "W": 944, "Y": 667,
    "[": 278, "_": 556, "a": 556, "c": 500, "i": 222, "k": 500, "m": 833, "t": 278, "w": 722,
    "x": 500,
}  # fmt: skip


@pytest.mark.parametrize("character", HELVETICA)
def test_at_least_as_wide_as_helvetica(character: str) -> None:
    assert width(character, 1000) >= HELVETICA[character]


def test_widths_add_up() -> None:
    assert width("sep_conv_3x3", 12) == pytest.approx(sum(width(c, 12) for c in "sep_conv_3x3"))
    assert width("", 12) == 0
    assert width("層", 10) > width("M", 10)
    assert width("e\u0301", 10) == width("e", 10)


def test_labels() -> None:
    assert shown("sep_conv_3x3") == "sep_conv_3x3"
    assert shown(" a\n\tb ") == "a b"
    assert clean("a\x00b\u202ec\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert shown("x" * LONGEST) == "x" * LONGEST
    assert shown("x" * 100) == "x" * (LONGEST - 1) + "…"
    assert clean("x" * 100) == "x" * 100
