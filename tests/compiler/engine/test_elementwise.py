"""Joins, arithmetic, activations and masks, each in a small space against the plain module."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import space

import compiler
from compiler import layers
from compiler.engine.elementwise import (
    Arithmetic,
    Concat,
    Crop,
    Dropout,
    Gaussian,
    GlobalMean,
    Mask,
    Relu,
    Sigmoid,
    Slice,
    Sum,
    Tanh,
    Zero,
)
from compiler.engine.joins import Maximum, Product
from compiler.engine.operation import Function, Operation

ACTIVATIONS: dict[str, type[Operation]] = {
    **dict.fromkeys(sorted(layers.ACTIVATIONS - {"identity"}), Function),
    "relu": Relu, "tanh": Tanh, "sigmoid": Sigmoid,
}  # fmt: skip
GIVEN = "op given(f) from x = x -> f\n"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, on_images: Any, on_vectors: Any, runs: Any) -> None:
    on_images(name, ACTIVATIONS[name])
    on_vectors(name, ACTIVATIONS[name])
    network = f"network from x[5] to class[3] = x -> linear(3) -> given({name})"
    runs(GIVEN + network, ACTIVATIONS[name])


@pytest.mark.parametrize(("layer", "operation"), [
    ("zero", Zero), ("zero(stride: 2)", Zero), ("crop(1)", Crop), ("crop(5)", Crop),
    ("global_pool(mean) -> linear(2) -> gelu", GlobalMean),
    ("global_pool(max) -> linear(2) -> gelu", Function),
])  # fmt: skip
def test_layers_of_images(layer: str, operation: type[Operation], runs: Any) -> None:
    flat = "" if "global" in layer else " -> flatten"
    both = [f"(y -> {layer}{flat} -> linear(3))", "(y -> gelu -> flatten -> linear(3))"]
    for order in (both, both[::-1]):
        runs(f"""network from image[2, 6, 6] to class[3] {{
            y = image -> conv(1, out: 4)
            return {" + ".join(order)}
        }}""", operation)  # fmt: skip


def test_crops_of_one_value_add_up_in_it(runs: Any) -> None:
    crops = ", ".join(f"y -> crop({n}) -> flatten" for n in (2, 1, 2))
    runs(f"""network from image[2, 5, 5] to class[3] {{
        y = image -> conv(1, out: 4)
        return concat({crops}) -> linear(3)
    }}""", Crop)  # fmt: skip


def test_noise(on_images: Any, on_vectors: Any) -> None:
    """Equal seeds give equal numbers, and nothing flows back through them."""
    on_images("gaussian", Gaussian)
    on_images("(gaussian when search) -> conv(3) -> gelu", Gaussian)
    on_vectors("gaussian", Gaussian)


def test_noise_is_not_drawn_again_for_the_backward_pass(pair: Any, check: Any) -> None:
    """Where nearly nothing may be kept, it is kept all the same."""
    text = space("""network from image[2, 6, 6] to class[3] {
        y = image -> conv(3, out: 4) -> gelu
        z = (y * (y -> gaussian)) -> tanh
        return (z * (z -> gaussian)) -> conv(3) -> flatten -> linear(3)
    }""")
    two = pair(text, 3)
    two.fast = compiler.build(text, passes="fast", memory=1000)
    check(two)


@pytest.mark.parametrize(
    ("how", "operation"), [("sum", Sum), ("mean", Sum), ("max", Maximum), ("product", Product)]
)
@pytest.mark.parametrize("values", ["y, y", "y, z, y -> tanh", "z, y, z, y, w"])
def test_joins(how: str, operation: type[Operation], values: str, runs: Any) -> None:
    """Of values that occur several times, and that others read after them."""
    for body in (f"{how}({values}) -> gelu", f"{how}({values}) + y", f"y * {how}({values})"):
        runs(f"""network from x[5] to class[4] {{
            y = x -> linear(4)
            z = y -> tanh
            w = z -> linear(4)
            return {body}
        }}""", operation)  # fmt: skip


@pytest.mark.parametrize("values", ["y, z", "y, z, w", "y, w, y"])
@pytest.mark.parametrize(("how", "operation"), [("max", Maximum), ("product", Product)])
def test_joins_of_equal_numbers(
    how: str, operation: type[Operation], values: str, runs: Any
) -> None:
    """After a relu many are zero: they share the gradient."""
    runs(f"""network from image[2, 6, 6] to class[3] {{
        y = image -> conv(1, out: 4) -> relu
        z = image -> conv(3, out: 4) -> relu
        w = y -> conv(3) -> relu
        return {how}({values}) -> conv(3) -> flatten -> linear(3)
    }}""", operation)  # fmt: skip


def test_concatenations(runs: Any) -> None:
    runs("""network from image[2, 4, 4] to class[3] {
        y = image -> conv(3, out: 3)
        z = concat(y, y -> relu -> conv(1, out: 2), y)
        return concat(z, y) -> depthwise(3) -> flatten -> linear(3)
    }""", Concat)  # fmt: skip
    for source in ("x[5] to class[9]", "x[T, 5] to y[T, 9]"):
        runs(f"""network from {source} {{
            y = x -> linear(3)
            return concat(y, y -> linear(2) -> tanh, y, y -> linear(1))
        }}""", Concat)  # fmt: skip


def test_splits(runs: Any) -> None:
    """Into parts that are all read, one of them twice, or not read at all."""
    for body in ("a * b + c", "a * a - (b -> tanh)", "c"):
        runs(f"""network from image[2, 4, 4] to class[2] {{
            y = image -> conv(3, out: 6)
            a, b, c = split(y, 3)
            return concat({body}, y -> conv(1, out: 1)) -> flatten -> linear(2)
        }}""", Slice)  # fmt: skip
    runs("""network from x[T, 5] to y[T, 2] {
        a, b = split(x -> linear(4), 2)
        return a * (b -> sigmoid)
    }""", Slice)  # fmt: skip


@pytest.mark.parametrize("expression", [
    "y + z", "y - z", "y * z", "y / (z * z + 2)", "y * y", "y - y * y / 3", "y / (y * y + 1)",
    "y + 2", "2 - y", "y - 2", "3 * y", "y / 4", "1 / (3 + z)", "-y", "2 / (y * y + 1) - y / 3",
])  # fmt: skip
def test_arithmetic(expression: str, runs: Any) -> None:
    for source in ("x[5] to class[4]", "x[T, 5] to y[T, 4]"):
        runs(f"""network from {source} {{
            y = x -> linear(4)
            z = y -> tanh
            return ({expression}) -> linear(4)
        }}""", Arithmetic)  # fmt: skip


@pytest.mark.parametrize("expression", [
    "y * w", "w * y", "y + w", "w - y", "y / (w + 1)", "w / (y * y + 1)", "y * w - w * w * y",
])  # fmt: skip
def test_arithmetic_of_images_with_a_number_for_each_channel(expression: str, runs: Any) -> None:
    runs(f"""network from image[2, 4, 4] to class[3] {{
        y = image -> conv(3, out: 4)
        w = y -> global_pool(mean) -> linear(4) -> sigmoid
        return ({expression}) -> flatten -> linear(3)
    }}""", Arithmetic)  # fmt: skip


def test_dropout_of_vectors(on_vectors: Any) -> None:
    on_vectors("dropout(0.4)", Dropout)


def test_dropout_of_images() -> None:
    """Numbers are drawn in the order of memory, which is not that of the plain module."""
    net = compiler.build(
        space("network from image[3, 20, 20] to class[1200] = image -> dropout(0.3) -> flatten"
              " -> linear(1200)"),
        passes="fast",
    )  # fmt: skip
    with torch.no_grad():
        net.model.linear.weight.copy_(torch.eye(1200))
        net.model.linear.bias.zero_()
    x = torch.rand(4, 3, 20, 20) + 1
    x.requires_grad_()
    output = net(x)
    mask = (output / x.flatten(1)).detach()
    assert set(mask.mul(0.7).round(decimals=9).unique().tolist()) == {0.0, 1.0}
    assert abs(float(mask.mean()) - 1) < 0.05
    weights = torch.randn(4, 1200)
    (found,) = torch.autograd.grad((output * weights).sum(), x)
    torch.testing.assert_close(found.flatten(1), weights * mask)


def test_masks(runs: Any) -> None:
    """One for all steps of a sequence, and, in a recurrence, one that serves all of them."""
    runs("""network from x[T, 5] to y[T, 4] =
        x -> linear(4) -> dropout(0.4, per: sequence) -> tanh -> linear(4)
    """, Mask)  # fmt: skip
    runs("""
        cell r(H) from x, h[H] {
            shared m = dropout(0.4, per: sequence)
            return (concat(x, h -> m) -> linear(H) -> m -> dropout(0.1)) + (x -> m)
        }
        network(H = 5) from x[T, 5] to y[T, 4] = x -> r(H) over T -> linear(4)
    """, Mask)  # fmt: skip
