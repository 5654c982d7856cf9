"""Depthwise convolutions and their gradients against autograd through the library's convolution."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from compiler.kernels.depthwise import depthwise, input_gradient, weight_gradient

FORMATS = (torch.channels_last, torch.contiguous_format)


@dataclass(frozen=True)
class Case:
    """A convolution: its input's shape, and the window's size, stride, padding and dilation."""

    shape: tuple[int, int, int, int]
    k: int
    stride: int
    padding: int
    dilation: int

    def has_output(self) -> bool:
        reach = self.dilation * (self.k - 1)
        return min(self.shape[2:]) + 2 * self.padding > reach


def check(case: Case, memory_format: torch.memory_format) -> None:
    channels = case.shape[1]
    sizes = (case.stride, case.padding, case.dilation)
    x = torch.randn(case.shape).contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn(channels, 1, case.k, case.k, requires_grad=True)
    expected = F.conv2d(x, weight, None, *sizes, channels)
    g = torch.randn(expected.shape).contiguous(memory_format=memory_format)
    by_x, by_weight = torch.autograd.grad(expected, (x, weight), g)
    with torch.no_grad():
        close(depthwise(x, weight, *sizes), expected)
        close(input_gradient(g, weight, case.shape, *sizes), by_x)
        close(weight_gradient(g, x, case.k, *sizes), by_weight)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def same(size: int, k: int, stride: int, dilation: int) -> Case:
    return Case((2, 3, size, size), k, stride, dilation * (k // 2), dilation)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("size", [4, 7, 8, 9])
def test_the_shapes_of_search_spaces(size: int, memory_format: torch.memory_format) -> None:
    for k, stride, dilation in itertools.product((3, 5, 7), (1, 2), (1, 2, 3)):
        check(same(size, k, stride, dilation), memory_format)


UNUSUAL = {
    "the window is larger than the image": Case((2, 3, 2, 3), 5, 1, 2, 1),
    "so is the dilated window": Case((2, 3, 3, 2), 5, 1, 4, 2),
    "even windows": Case((2, 3, 6, 7), 4, 1, 1, 1),
    "even windows with stride and dilation": Case((2, 3, 9, 8), 2, 2, 1, 2),
    "no padding": Case((2, 3, 12, 11), 5, 1, 0, 2),
    "columns that no window reads": Case((2, 3, 10, 11), 3, 4, 0, 1),
    "a stride that skips pixels": Case((2, 3, 9, 9), 2, 3, 0, 1),
    "padding that is no multiple of the dilation": Case((2, 3, 8, 8), 3, 1, 1, 2),
    "the coarser grid is that of the odd pixels": Case((2, 3, 8, 9), 3, 2, 1, 2),
    "no pixel on the coarser grid": Case((2, 2, 9, 1), 2, 4, 1, 2),
    "windows wholly in the padding": Case((2, 3, 4, 4), 2, 1, 3, 1),
    "stride and dilation without a common divisor": Case((2, 3, 11, 9), 3, 2, 3, 3),
    "stride and dilation with one, and more": Case((2, 3, 15, 16), 3, 6, 4, 4),
    "wide windows with a stride": Case((2, 3, 11, 12), 6, 2, 2, 1),
    "very wide windows": Case((1, 2, 13, 12), 11, 1, 5, 1),
}


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("case", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_shapes(case: Case, memory_format: torch.memory_format) -> None:
    check(case, memory_format)


@settings(max_examples=150)
@given(
    st.tuples(*(st.integers(1, top) for top in (2, 3, 13, 13))),
    st.integers(1, 7),
    st.integers(1, 4),
    st.integers(0, 8),
    st.integers(1, 4),
    st.sampled_from(FORMATS),
)
def test_any_shape(
    shape: tuple[int, int, int, int],
    k: int,
    stride: int,
    padding: int,
    dilation: int,
    memory_format: torch.memory_format,
) -> None:
    case = Case(shape, k, stride, padding, dilation)
    assume(case.has_output())
    check(case, memory_format)


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_channels_last_and_finite_in_float32(k: int, stride: int, dilation: int) -> None:
    """Memory that was not written would show as a NaN here, or as numbers far off."""
    case = same(8, k, stride, dilation)
    sizes = (stride, case.padding, dilation)
    for _ in range(3):
        dirt = [torch.full((size,), torch.nan, dtype=torch.float32) for size in range(500, 2000, 7)]
        x = torch.randn(case.shape, dtype=torch.float32).contiguous(memory_format=FORMATS[0])
        weight = torch.randn(3, 1, k, k, dtype=torch.float32)
        out = depthwise(x, weight, *sizes)
        del dirt
        found = (
            input_gradient(out, weight, case.shape, *sizes),
            weight_gradient(out, x, k, *sizes),
        )
        g = out.double()
        wide = (
            input_gradient(g, weight.double(), case.shape, *sizes),
            weight_gradient(g, x.double(), k, *sizes),
        )
        assert out.is_contiguous(memory_format=torch.channels_last)
        assert found[0].is_contiguous(memory_format=torch.channels_last)
        for narrow, expected in zip(found, wide, strict=True):
            torch.testing.assert_close(narrow.double(), expected, rtol=1e-4, atol=1e-4)
