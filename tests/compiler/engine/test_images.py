"""Layers of images without windows, each in a small space against the plain module."""

from __future__ import annotations

from typing import Any

import pytest

from compiler.engine.images import Pad, Shuffle, Upsample
from compiler.engine.operation import Operation


@pytest.mark.parametrize(("layer", "operation"), [
    ("pad(1)", Pad), ("pad(3) -> gelu", Pad), ("upsample(2)", Upsample),
    ("upsample(3) -> gelu", Upsample), ("shuffle(2)", Shuffle),
    ("conv(1, out: 12) -> shuffle(3) -> conv(3, groups: 4)", Shuffle),
])  # fmt: skip
def test_layers_of_images(layer: str, operation: type[Operation], on_images: Any) -> None:
    on_images(layer, operation)


def test_paddings_of_one_value_add_up_in_it(runs: Any) -> None:
    pads = ", ".join(f"y -> pad({n}) -> flatten" for n in (2, 1, 2))
    runs(f"""network from image[2, 5, 5] to class[3] {{
        y = image -> conv(1, out: 4)
        return concat({pads}) -> linear(3)
    }}""", Pad)  # fmt: skip
