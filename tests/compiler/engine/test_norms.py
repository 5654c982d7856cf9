"""Norms by the statistics of one sample, each in a small space against the plain module."""

from __future__ import annotations

from typing import Any

import pytest

from compiler.engine.norms import GroupNorm, LayerNorm


@pytest.mark.parametrize("arguments", ["", "(affine: no)"])
def test_layer_norms(arguments: str, on_images: Any, on_vectors: Any) -> None:
    on_images(f"layer_norm{arguments}", LayerNorm)
    on_vectors(f"layer_norm{arguments}", LayerNorm)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_norms(groups: int, on_images: Any) -> None:
    on_images(f"group_norm({groups})", GroupNorm)


def test_group_norms_of_vectors(runs: Any) -> None:
    runs("""network from x[5] to class[3] {
        y = x -> linear(6)
        return ((y -> group_norm(2)) * (y -> gelu)) -> group_norm(1) -> linear(3)
    }""", GroupNorm)  # fmt: skip


@pytest.mark.parametrize("norm", ["layer_norm", "layer_norm(affine: no)", "group_norm(2)"])
def test_norms_in_a_recurrence(norm: str, runs: Any) -> None:
    """Gradients by one norm's weights come from all steps."""
    operation = GroupNorm if norm.startswith("group") else LayerNorm
    runs(f"""
        cell r(H) from x, h[H] {{
            shared n = {norm}
            return (concat(x, h -> n) -> linear(H) -> n) * (h -> tanh)
        }}
        network(H = 4) from x[T, 3] to y[T, 2] = x -> r(H) over T -> linear(2)
    """, operation)  # fmt: skip


def test_norms_among_convolutions_that_halve(runs: Any) -> None:
    """Their operands and gradients come from crops and parts, in any layout."""
    runs("""network from image[2, 6, 6] to class[2] {
        y = image -> conv(3, out: 6)
        a, b = split(y, 2)
        c = (a -> layer_norm -> conv(1)) * (b -> group_norm(3)) + (b -> crop(0) -> group_norm(1))
        return concat(c, a -> layer_norm -> softmax) -> pool(max, 2, stride: 2) -> layer_norm
            -> global_pool(mean) -> linear(2)
    }""", LayerNorm)  # fmt: skip
