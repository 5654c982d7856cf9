"""Layers with windows and matrices, each in a small space against the plain module and autograd."""

from __future__ import annotations

from typing import Any

import pytest

from compiler.engine.layers import (
    Convolution,
    Depthwise,
    Embedding,
    Linear,
    MaxPool,
    MeanPool,
    StackedLinear,
    TransposedConvolution,
)

STEP = "cell r(H) from x, h[H] {{ {} }}\n"
NETWORK = "network(H = 3) from x[T, 2] to y[T, 4] = x -> r(H) over T -> linear(4)"


@pytest.mark.parametrize("arguments", [
    "1", "3", "2", "5, out: 3", "3, stride: 2", "4, stride: 3, padding: 2", "3, dilation: 2",
    "3, groups: 2, out: 6", "3, groups: 4, stride: 2", "1, stride: 2, bias: yes", "1, across: 5",
    "3, across: 1, stride: 2, bias: yes", "3, across: 2, dilation: 2", "2, across: 1, padding: 1",
    "3, bias: yes, padding: 0", "6, padding: 0",
])  # fmt: skip
def test_convolutions(arguments: str, on_images: Any) -> None:
    on_images(f"conv({arguments})", Convolution)


@pytest.mark.parametrize("arguments", [
    "1", "2", "3", "5", "3, stride: 2", "5, stride: 2", "4, stride: 3, padding: 2",
    "3, dilation: 2", "5, dilation: 2", "3, stride: 2, dilation: 2", "5, stride: 2, dilation: 2",
    "3, bias: yes", "3, padding: 0", "6, padding: 0",
])  # fmt: skip
def test_depthwise_convolutions_with_square_windows(arguments: str, on_images: Any) -> None:
    on_images(f"depthwise({arguments})", Depthwise)


@pytest.mark.parametrize("arguments", [
    "1", "2", "3", "4, bias: yes", "5, stride: 3, out: 6, groups: 2", "3, stride: 1",
    "2, stride: 4, bias: yes", "3, padding: 0", "3, padding: 2, stride: 1", "4, padding: 1",
])  # fmt: skip
def test_transposed_convolutions(arguments: str, on_images: Any) -> None:
    on_images(f"conv_transpose({arguments})", TransposedConvolution)


@pytest.mark.parametrize("arguments", [
    "1, across: 5", "3, across: 1, stride: 2, bias: yes", "3, across: 2, dilation: 2",
])  # fmt: skip
def test_depthwise_convolutions_with_other_windows(arguments: str, on_images: Any) -> None:
    on_images(f"depthwise({arguments})", Convolution)


@pytest.mark.parametrize("arguments", [
    "1, across: 5", "3, across: 1, stride: 2", "2, across: 3",
    "2", "3", "5", "3, stride: 2", "2, stride: 2", "5, stride: 3, padding: 0", "6, padding: 0",
])  # fmt: skip
@pytest.mark.parametrize(("of", "operation"), [("mean", MeanPool), ("max", MaxPool)])
def test_pools(of: str, operation: Any, arguments: str, on_images: Any) -> None:
    on_images(f"pool({of}, {arguments})", operation)


def test_maxima_of_equal_numbers(on_images: Any) -> None:
    """After a relu many are zero; the gradient goes to the one that the library takes."""
    on_images("relu -> pool(max, 3)", MaxPool)


@pytest.mark.parametrize("arguments", ["4", "2", "6, bias: no"])
def test_linear_maps(arguments: str, on_vectors: Any) -> None:
    on_vectors(f"linear({arguments})", Linear)


def test_linear_maps_of_one_value_that_add_up_in_it(runs: Any) -> None:
    """The second gradient is multiplied right into the first."""
    both = "(y -> linear(3)) + (y -> linear(3, bias: no)) + (y -> linear(3))"
    for source in ("x[5] to class[3]", "x[T, 5] to y[T, 3]"):
        runs(f"network from {source} {{ y = x -> linear(4) -> tanh \n return {both} }}", Linear)


def test_a_matrix_that_several_share(runs: Any) -> None:
    body = "shared w = linear(4) \n return x -> w -> tanh -> w -> gelu -> w"
    runs(f"network from x[4] to class[4] {{ {body} }}", Linear)
    body = "shared w = linear(H, bias: no) \n return (concat(x, h) -> linear(H) -> w) * (h -> w)"
    runs(STEP.format(body) + NETWORK, Linear)


def test_linear_maps_side_by_side(runs: Any) -> None:
    body = """
        a = h -> linear(H) -> tanh
        b = h -> linear(H) -> tanh
        return (x -> linear(H)) * a - a * b
    """
    runs(STEP.format(body) + NETWORK, StackedLinear)


@pytest.mark.parametrize("arguments", ["V, 4", "V, 4, drop: 0.5"])
def test_embeddings(arguments: str, runs: Any) -> None:
    """A word's rows are dropped in all places; a word that does not occur gets a gradient of 0."""
    given = "network(V = 6) from word[T] below V to word[T, V]"
    runs(f"{given} = word -> embedding({arguments}) -> linear(V)", Embedding)
    body = "return word -> table -> linear(V, tied: table)"
    runs(f"{given} {{ shared table = embedding({arguments}) \n {body} }}", Embedding)
