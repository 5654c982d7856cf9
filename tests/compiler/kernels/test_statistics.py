"""Batch statistics and the gradient of a normalisation, exact in float64 and sound in float32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.kernels.statistics import moments, norm_gradient

FORMATS = (torch.channels_last, torch.contiguous_format)
EPS = 1e-5

# Shapes whose pixels fall into long rows, short rows and none, with channels of all kinds.
SHAPES = (
    (4, 3, 6, 5),
    (2, 16, 8, 8),
    (3, 24, 4, 4),
    (3, 7, 5, 3),
    (2, 600, 3, 3),
    (12, 5),
    (9, 16),
)


def values(shape: tuple[int, ...], memory_format: torch.memory_format) -> Tensor:
    x = torch.randn(shape) * torch.rand(shape[1]).view(1, -1, *[1] * (len(shape) - 2)) + 3
    return x.contiguous(memory_format=memory_format) if x.dim() == 4 else x


def axes(x: Tensor) -> list[int]:
    return [0, *range(2, x.dim())]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_moments(shape: tuple[int, ...], memory_format: torch.memory_format) -> None:
    several = [values(shape, memory_format) for _ in range(3)]
    means, variances = moments(several)
    for x, mean, variance in zip(several, means, variances, strict=True):
        torch.testing.assert_close(mean, x.mean(axes(x)), rtol=1e-12, atol=1e-12)
        expected = x.var(axes(x), correction=0)
        torch.testing.assert_close(variance, expected, rtol=1e-12, atol=1e-12)


def test_moments_of_values_of_several_sizes() -> None:
    several = [values(shape, FORMATS[0]) for shape in ((4, 16, 8, 8), (4, 16, 6, 6), (3, 16, 5, 5))]
    means, variances = moments(several)
    for x, mean, variance in zip(several, means, variances, strict=True):
        torch.testing.assert_close(mean, x.mean(axes(x)))
        torch.testing.assert_close(variance, x.var(axes(x), correction=0))


@pytest.mark.parametrize("channels", [16, 24, 64])
def test_moments_with_a_large_mean(channels: int) -> None:
    """A mean of a thousand standard deviations: squares minus a square would lose all digits."""
    x = (torch.randn(16, channels, 16, 16) + 1000).float().contiguous(memory_format=FORMATS[0])
    means, variances = moments([x])
    exact = x.double()
    torch.testing.assert_close(means[0].double(), exact.mean(axes(x)), rtol=3e-7, atol=0)
    expected = exact.var(axes(x), correction=0)
    torch.testing.assert_close(variances[0].double(), expected, rtol=5e-5, atol=0)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_norm_gradient(
    shape: tuple[int, ...], memory_format: torch.memory_format, scaled: bool
) -> None:
    z = values(shape, memory_format).requires_grad_()
    scale = torch.randn(shape[1], requires_grad=True) if scaled else None
    shift = torch.randn(shape[1], requires_grad=True)
    out = F.batch_norm(z, None, None, scale, shift, True, 0.1, EPS)
    g = torch.randn(shape)
    g = g.contiguous(memory_format=memory_format) if g.dim() == 4 else g
    plain = F.batch_norm(z, None, None, None, None, True, 0.1, EPS)
    by_z, by_shift = torch.autograd.grad(out, (z, shift), g)
    with torch.no_grad():
        mean, variance = moments([z])
        rstd = (variance[0] + EPS).rsqrt()
        dz, products, sums = norm_gradient(g, z, mean[0], rstd, scale)
        nothing, *same = norm_gradient(g, z, mean[0], rstd, scale, sums_only=True)
    assert dz is not None and nothing is None
    torch.testing.assert_close(dz, by_z, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(sums, by_shift, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(products, (g * plain).sum(axes(g)), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(same, [products, sums], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ratio", [0, 10, 1000])
@pytest.mark.parametrize("channels", [16, 24])
def test_norm_gradient_is_no_less_accurate_than_the_library(channels: int, ratio: int) -> None:
    """In float32, where the gradient goes along with the normalised value and the mean is large."""
    z = (torch.randn(16, channels, 16, 16) + ratio).float().contiguous(memory_format=FORMATS[0])
    g = torch.randn_like(z) + (z - ratio)
    mean, variance = moments([z.double()])
    statistics = (mean[0], (variance[0] + EPS).rsqrt())
    exact, *_ = norm_gradient(g.double(), z.double(), *statistics, None)
    narrow = [value.float() for value in statistics]
    found, *_ = norm_gradient(g, z, *narrow, None)
    library, *_ = torch.ops.aten.native_batch_norm_backward(
        g, z, None, None, None, *narrow, True, EPS, [True, True, True]
    )
    assert exact is not None and found is not None
    errors = [(value.double() - exact).norm() / exact.norm() for value in (found, library)]
    assert errors[0] <= 1.1 * errors[1]


@pytest.mark.parametrize("shape", [(4, 24, 6, 6), (4, 16, 8, 8)])
def test_channels_last_stays(shape: tuple[int, ...]) -> None:
    z = values(shape, torch.channels_last)
    mean, variance = moments([z])
    dz, *_ = norm_gradient(torch.ones_like(z), z, mean[0], variance[0].rsqrt(), None)
    assert dz is not None and dz.is_contiguous(memory_format=torch.channels_last)
