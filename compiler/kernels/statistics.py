"""Batch statistics of channels, and the gradient of a normalisation by them."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor

from compiler.kernels.compiled import pointwise
from compiler.kernels.precision import wide
from compiler.kernels.rows import VECTOR, as_rows, as_values, group_size, pixels_of
from compiler.kernels.where import in_triton

_normalise = torch.ops.aten.native_batch_norm.default
_normalise_elements = torch.ops.aten.batch_norm_elemt.default  # CUDA's alone; keeps the layout
_norm_backward = torch.ops.aten.native_batch_norm_backward.default
_update_stats = torch.ops.aten.batch_norm_update_stats.default


def moments(values: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The means and biased variances [K, C] of every channel of K values [N, C] or [N, C, H, W].

    On a CPU each of a row's pixels gets statistics of its own, in two passes. They are combined by
    the formula of Chan, Golub and LeVeque (1983) for parts of equal size. On CUDA many values take
    one kernel in Triton. Statistics of half precision values are in float32.
    """
    channels = values[0].shape[1]
    if not values[0].is_cpu:
        kernels = in_triton(values) if len(values) > 1 else None
        if kernels is not None:
            return kernels.moments(values)
        pairs = [_update_stats(value, None, None, 0.0) for value in values]
        if len(pairs) == 1:
            return pairs[0][0][None], pairs[0][1][None]
        means, variances = (torch.stack(side) for side in zip(*pairs, strict=True))
        return means, variances
    values = [value.to(wide(value.dtype)) for value in values]
    group = group_size(gcd(*map(pixels_of, values)), channels)
    parts = [_update_stats(as_rows(value, group), None, None, 0.0) for value in values]
    means, variances = (
        torch.stack([part[i] for part in parts]).view(-1, group, channels) for i in range(2)
    )
    mean = means.mean(1)
    between = (means - mean[:, None]).square_().mean(1)
    return mean, variances.mean(1).add_(between)


def normalised(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    rstd: Tensor,
    epsilon: float,
    weight: Tensor | None,
    bias: Tensor | None,
) -> Tensor:
    """x [N, C] or [N, C, H, W] normed by statistics [C], in the precision and the layout of x.

    `rstd` is 1 / sqrt(variance + epsilon).
    """
    if x.is_cpu:
        given = x.to(mean.dtype)
        out = _normalise(given, weight, bias, mean, variance, False, 0.0, epsilon)[0]
        return out.to(x.dtype)
    return _normalise_elements(x, weight, bias, mean, rstd, epsilon)


def norm_gradient(
    g: Tensor,
    z: Tensor,
    mean: Tensor,
    rstd: Tensor,
    scale: Tensor | None,
    sums_only: bool = False,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """The gradient by z of `xhat * scale`, where xhat is `(z - mean) * rstd`, and two sums.

    `mean` and `rstd` [C] are the batch statistics of z, [N, C] or [N, C, H, W], and depend on it.
    `scale` [C] is one if None. The sums [C], of `g * xhat` and of `g`, are the gradients by a
    scale and a shift. With `sums_only` the first of the three is None.

    If g and z are in half precision, the other arguments and the sums are in float32.
    """
    if z.is_cpu and z.dtype != mean.dtype:
        wide_g, wide_z = g.to(mean.dtype), z.to(mean.dtype)
        dz, products, sums = norm_gradient(wide_g, wide_z, mean, rstd, scale, sums_only)
        return None if dz is None else dz.to(z.dtype), products, sums
    if not z.is_cpu:
        g = g.to(z.dtype)
        # Without a scale, and so without a place for its gradient, CUDA gives no sums at all.
        scale = torch.ones_like(mean) if scale is None else scale
    channels = z.shape[1]
    if z.is_cpu and (channels % VECTOR or (sums_only and channels == VECTOR)):
        products, sums = _sums(g, z, mean, rstd)
        dz = None if sums_only else _gradient(g, z, mean, rstd, scale, products, sums)
        return dz, products, sums
    wanted = [not sums_only, True, True]
    dz, products, sums = _norm_backward(g, z, scale, None, None, mean, rstd, True, 0.0, wanted)
    return (None if sums_only else dz), products, sums


def _sums(g: Tensor, z: Tensor, mean: Tensor, rstd: Tensor) -> tuple[Tensor, Tensor]:
    """The sums [C] of `g * xhat` and of `g`, row by row."""
    channels = z.shape[1]
    group = group_size(pixels_of(z), channels)
    means, rstds = torch.stack([mean, rstd]).repeat(1, group)
    rows = (as_rows(g, group), as_rows(z, group))
    _, products, sums = _norm_backward(
        *rows, None, None, None, means, rstds, True, 0.0, [False, True, True]
    )
    return products.view(group, channels).sum(0), sums.view(group, channels).sum(0)


def _gradient(
    g: Tensor,
    z: Tensor,
    mean: Tensor,
    rstd: Tensor,
    scale: Tensor | None,
    products: Tensor,
    sums: Tensor,
) -> Tensor:
    """`scale * rstd * (g - mean(g) - xhat * mean(g * xhat))`, row by row."""
    pixels = pixels_of(z)
    group = group_size(pixels, z.shape[1])
    by_g = rstd if scale is None else rstd * scale
    by_z = by_g * rstd * products / -pixels
    constant = by_g * sums / -pixels
    # z is centred before it is scaled: with a large mean the difference would lose its digits
    means, *factors = torch.stack([mean, by_g, by_z, constant]).repeat(1, group)
    dz = pointwise(_elements, as_rows(g, group), as_rows(z, group), means, factors)
    return as_values(dz, z)


def _elements(g: Tensor, z: Tensor, means: Tensor, factors: Sequence[Tensor]) -> Tensor:
    """`g * factors[0] + (z - means) * factors[1] + factors[2]`, in rows."""
    dz = z - means
    return torch.addcmul(factors[2], dz, factors[1], out=dz).addcmul_(g, factors[0])
