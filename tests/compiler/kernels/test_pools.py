"""Pooling and its gradients against autograd through the library's pooling."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from compiler.kernels.pools import Pair, max_pool, max_pool_gradient, mean_pool, mean_pool_gradient

FORMATS = (torch.channels_last, torch.contiguous_format)

windows = st.tuples(st.integers(1, 6), st.integers(1, 6))
paddings = st.tuples(st.integers(0, 3), st.integers(0, 3))
shapes = st.tuples(*(st.integers(1, top) for top in (2, 3, 11, 11)))


def has_output(shape: tuple[int, ...], k: Pair, padding: Pair) -> bool:
    """The library pads by half a window at most."""
    axes = zip(shape[2:], k, padding, strict=True)
    return all(pad <= size // 2 and length + 2 * pad >= size for length, size, pad in axes)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def check_mean(x: Tensor, k: Pair, stride: int, padding: Pair) -> None:
    x.requires_grad_()
    expected = F.avg_pool2d(x, k, stride, padding, count_include_pad=False)
    g = torch.randn_like(expected)
    (by_x,) = torch.autograd.grad(expected, x, g)
    with torch.no_grad():
        close(mean_pool(x, k, stride, padding), expected)
        close(mean_pool_gradient(g, x.shape, k, stride, padding), by_x)


def check_max(x: Tensor, k: Pair, stride: int, padding: Pair) -> None:
    x.requires_grad_()
    expected = F.max_pool2d(x, k, stride, padding)
    g = torch.randn_like(expected)
    (by_x,) = torch.autograd.grad(expected, x, g)
    with torch.no_grad():
        found, indices = max_pool(x, k, stride, padding)
        close(found, expected)
        close(max_pool_gradient(g, x, indices, k, stride, padding), by_x)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("k", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_usual_shapes(k: int, stride: int, memory_format: torch.memory_format) -> None:
    for shape in ((2, 3, 8, 8), (2, 3, 7, 9), (1, 17, 10, 7)):
        for padding in {0, 1, k // 2}:
            x = torch.randn(shape).contiguous(memory_format=memory_format)
            check_mean(x, (k, k), stride, (padding, padding))
            check_max(x.detach(), (k, k), stride, (padding, padding))


@settings(max_examples=100)
@given(shapes, windows, st.integers(1, 4), paddings, st.sampled_from(FORMATS))
def test_any_shape(
    shape: tuple[int, ...],
    k: Pair,
    stride: int,
    padding: Pair,
    memory_format: torch.memory_format,
) -> None:
    assume(has_output(shape, k, padding))
    x = torch.randn(shape).contiguous(memory_format=memory_format)
    check_mean(x, k, stride, padding)
    check_max(x.detach(), k, stride, padding)


def test_equal_maxima() -> None:
    """After a ReLU most maxima are shared: the gradient goes where the library sends it."""
    check_max(
        torch.randn(4, 3, 9, 9).relu_().contiguous(memory_format=FORMATS[0]), (3, 3), 1, (1, 1)
    )
    check_max(torch.zeros(4, 3, 9, 9), (3, 3), 2, (1, 1))


def test_channels_last_stays() -> None:
    x = torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    window = (3, 3), 2, (1, 1)
    out, indices = max_pool(x, *window)
    mean = mean_pool(x, *window)
    by_x = mean_pool_gradient(mean, x.shape, *window)
    for value in (out, mean, by_x, max_pool_gradient(out, x, indices, *window)):
        assert value.is_contiguous(memory_format=torch.channels_last)
