"""Colours of kinds of operation.

From the palette of Okabe and Ito (2008), which colour-blind readers tell apart. In grey print those
of a like lightness differ in how their lines are dashed.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.pictures.operations import OperationKind


@dataclass(frozen=True)
class Colour:
    """A colour as `#rrggbb`, and the dashes of its lines in pixels (empty: none)."""

    line: str
    dashes: str = ""

    @property
    def tint(self) -> str:
        """A light shade of it, for what stands behind dark text."""
        return mixed(self.line, 0.14)


COLOURS = {
    OperationKind.SKIP: Colour("#333333"),
    OperationKind.POOLING: Colour("#009e73", "2 2"),
    OperationKind.SEPARABLE: Colour("#0072b2"),
    OperationKind.DILATED: Colour("#d55e00", "7 3"),
    OperationKind.CONVOLUTION: Colour("#cc79a7"),
    OperationKind.ACTIVATION: Colour("#e69f00"),
    OperationKind.ZEROS: Colour("#8c8c8c", "1 3"),
    OperationKind.OTHER: Colour("#56b4e9", "7 2 2 2"),
}

UNDECIDED = Colour("#707070")
JOIN = Colour("#b4b4b4")
TEXT = "#1a1a1a"
NOTE = "#666666"
VALUE_FILL = {"input": "#ececec", "node": "#ffffff", "output": "#ececec"}
VALUE_LINE = "#4d4d4d"


def mixed(colour: str, share: float) -> str:
    """So much of a colour, the rest white."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - part)):02x}" for part in parts)
