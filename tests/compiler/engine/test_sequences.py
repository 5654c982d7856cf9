"""Attention, positions and the ways between images and sequences, against the plain module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from support import images, space

import compiler
from compiler.engine.elementwise import GlobalMean, Softmax
from compiler.engine.operation import Function, Operation
from compiler.engine.sequences import Attention, Pixels, Position, Tokens

SEQUENCE = """
    network from x[6, 5] to y[6, 3] {{
        y = x -> linear(4)
        return (y -> {} -> linear(3)) + (y -> gelu -> linear(3))
    }}
"""
IMAGE = """
    network from image[2, 4, 6] to class[3] {{
        y = image -> conv(1, out: 4)
        return {}
    }}
"""


@pytest.mark.parametrize("arguments", [
    "1", "2", "4", "2, width: 3", "3, width: 1", "2, bias: no", "1, width: 7, bias: no",
])  # fmt: skip
def test_attention(arguments: str, runs: Any) -> None:
    runs(SEQUENCE.format(f"attention({arguments})"), Attention)


def test_attention_that_several_share_or_follow(runs: Any) -> None:
    """Gradients of one module come from both of its uses, and add up in what both read."""
    runs("""network from x[5, 4] to y[5, 4] {
        shared a = attention(2)
        y = x -> linear(4)
        return (y -> a) * (y -> attention(4)) + (y -> a -> a)
    }""", Attention)  # fmt: skip


def test_positions(runs: Any) -> None:
    runs(SEQUENCE.format("position"), Position)
    runs("""network from x[6, 4] to y[6, 4] {
        shared p = position
        return (x -> p -> tanh) + (x -> linear(4) -> p)
    }""", Position)  # fmt: skip


@pytest.mark.parametrize(("flow", "operation"), [
    ("tokens", Tokens), ("tokens -> attention(2)", Tokens),
    ("tokens -> as_image(4) -> tokens", Pixels),
    ("tokens -> attention(2) -> as_image(3) -> conv(3) -> tokens", Pixels),
])  # fmt: skip
def test_ways_between_images_and_sequences(
    flow: str, operation: type[Operation], runs: Any
) -> None:
    one, other = f"(y -> {flow})", "(y -> gelu -> tokens)"
    for both in (f"{one} * {other}", f"{other} + {one}"):
        runs(IMAGE.format(f"({both}) -> global_pool(mean) -> linear(3)"), operation)


@pytest.mark.parametrize(("of", "operation"), [("mean", GlobalMean), ("max", Function)])
@pytest.mark.parametrize("length", ["6", "T"])
def test_pools_over_time(of: str, operation: Any, length: str, runs: Any) -> None:
    runs(f"""network from x[{length}, 5] to class[3] {{
        y = x -> linear(4)
        return ((y -> global_pool({of})) * (y -> gelu -> global_pool({of}))) -> linear(3)
    }}""", operation)  # fmt: skip


def test_softmax(on_images: Any, on_vectors: Any) -> None:
    on_images("softmax", Softmax)
    on_vectors("softmax", Softmax)


def test_options_that_attend(runs: Any) -> None:
    """The alphas' gradients go through attention, into cells before it."""
    runs("""
        op block(heads) from x[_, h, _] =
            x + (x -> layer_norm -> tokens -> position -> attention(heads) -> as_image(h))
        cell u(C) from x = x -> conv(1, out: C) -> choose { block(1), block(2), conv(3), skip }
        network(C = 4) from image[2, 3, 4] to class[2] =
            image -> repeat 2 { u(C) } -> global_pool(mean) -> linear(2)
    """, Attention)  # fmt: skip


def test_half_precision_is_near_single_precision() -> None:
    """As autocast has it: matrices are multiplied in bfloat16, sums are taken in float32."""
    text = IMAGE.format(
        "y -> layer_norm -> group_norm(2) -> tokens -> position -> attention(2) -> softmax"
        " -> layer_norm -> global_pool(mean) -> linear(3)"
    )
    net = compiler.build(space(text), passes="fast").float()
    x = images(net.program, 8).float()
    found = [list(pass_of(net, x, enabled)) for enabled in (True, False)]
    for half, single in zip(*found, strict=True):
        assert half.dtype in (torch.float32, torch.bfloat16)
        torch.testing.assert_close(half.float(), single, rtol=0.1, atol=0.05)


def pass_of(net: Any, x: torch.Tensor, enabled: bool) -> Iterator[torch.Tensor]:
    """The output of a pass and the gradients by the weights."""
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        output = net(x)
    yield output
    yield from torch.autograd.grad(output.float().square().sum(), list(net.weight_parameters()))
