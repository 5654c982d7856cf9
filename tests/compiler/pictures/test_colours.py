"""Colours that colour-blind readers and grey printers tell apart."""

from __future__ import annotations

from itertools import combinations

import pytest

from compiler.pictures.colours import COLOURS, NOTE, TEXT, mixed
from compiler.pictures.operations import OperationKind

Triple = tuple[float, float, float]

# Machado, Oliveira and Fernandes (2009), full severity, on linear light
DEFICIENCIES = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(colour: str) -> Triple:
    """Linear light of `#rrggbb`, by the sRGB curve."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return r, g, b


def lab(light: Triple) -> Triple:
    """CIE L*a*b* under D65."""
    r, g, b = light
    xyz = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    )
    x, y, z = (max(v, 0.0) ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(colour: str, deficiency: str) -> Triple:
    light = linear(colour)
    rows = DEFICIENCIES[deficiency]
    r, g, b = (sum(m * c for m, c in zip(row, light, strict=True)) for row in rows)
    return lab((r, g, b))


def contrast(one: str, other: str) -> float:
    """The ratio of the web's guidelines for accessible contents."""
    lights = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(linear, (one, other))]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_every_kind_has_a_colour() -> None:
    assert set(COLOURS) == set(OperationKind)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_differ_to_everyone(deficiency: str) -> None:
    """At a distance of 10 in L*a*b* two colours look different at a glance; or dashes tell them."""
    for (one, a), (other, b) in combinations(COLOURS.items(), 2):
        pairs = zip(seen(a.line, deficiency), seen(b.line, deficiency), strict=True)
        distance = sum((p - q) ** 2 for p, q in pairs) ** 0.5
        assert distance > 10 or a.dashes != b.dashes, (one, other, distance)


def test_kinds_differ_in_grey() -> None:
    """By lightness where both lines are whole, else by their dashes."""
    for (one, a), (other, b) in combinations(COLOURS.items(), 2):
        apart = abs(lab(linear(a.line))[0] - lab(linear(b.line))[0])
        assert a.dashes != b.dashes or apart > 8, (one, other, apart)


def test_text_is_read_on_every_tint() -> None:
    for kind, colour in COLOURS.items():
        assert contrast(TEXT, colour.tint) > 7, kind
    assert contrast(NOTE, "#ececec") > 4.5


def test_mixing() -> None:
    assert mixed("#000000", 1) == "#000000"
    assert mixed("#123456", 0) == "#ffffff"
    assert mixed("#ff0000", 0.5) == "#ff8080"
