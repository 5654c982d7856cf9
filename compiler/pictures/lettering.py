"""How wide a text is in a sans serif font, without having the font.

The widths are upper bounds over the usual fonts of `FAMILY`, in hundredths of the font size, so
that a text may be narrower than its box and is never wider.
"""

from __future__ import annotations

import unicodedata

FAMILY = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
BOLD = 1.15
"""So much wider bold letters are."""
LONGEST = 32
"""Longer labels are cut."""

_CLASSES = {
    29: "ijl'",
    35: " .,:;|I/\\·",
    42: "()[]ftr-!",
    56: '_*"`Jscz?L',
    64: "FTkvxy{}abdeghnopqu0123456789$",
    70: "EKPSXYZ",
    78: "ABCDHNRUV&",
    85: "+<>=~^#wOGQ",
    102: "mMW@%…",
}
_WIDTHS = {character: width for width, several in _CLASSES.items() for character in several}
_BROADEST = 102
_WIDE = 106


def width(text: str, size: float) -> float:
    """At most how wide a text is, in the unit of the font size."""
    return sum(_width(character) for character in text) * size / 100


def _width(character: str) -> int:
    if character in _WIDTHS:
        return _WIDTHS[character]
    if unicodedata.combining(character):
        return 0
    wide = unicodedata.east_asian_width(character) in ("W", "F")
    return _WIDE if wide else _BROADEST


def clean(text: str) -> str:
    """A text on one line, free of what XML cannot hold."""
    return "".join(c if _is_printed(c) else "\ufffd" for c in " ".join(text.split()))


def shown(text: str) -> str:
    """A text as a label, cut where it is very long."""
    text = clean(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _is_printed(character: str) -> bool:
    """Whether a character stands for something on paper: no control, no surrogate, no direction."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Cn", "Co")
