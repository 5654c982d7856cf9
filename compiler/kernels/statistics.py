"""Batch statistics of channels, and the gradient of a normalisation by them."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor

from compiler.kernels.rows import VECTOR, as_rows, as_values, group_size, pixels_of

_norm_backward = torch.ops.aten.native_batch_norm_backward.default
_update_stats = torch.ops.aten.batch_norm_update_stats.default


def moments(values: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The means and biased variances [K, C] of every channel of K values [N, C] or [N, C, H, W].

    On a CPU each of a row's pixels gets statistics of its own, in two passes. They are combined by
    the formula of Chan, Golub and LeVeque (1983) for parts of equal size.
    """
    channels = values[0].shape[1]
    if not values[0].is_cpu:
        axes = [0, *range(2, values[0].dim())]
        pairs = [torch.var_mean(value, axes, correction=0) for value in values]
        return torch.stack([mean for _, mean in pairs]), torch.stack([var for var, _ in pairs])
    group = group_size(gcd(*map(pixels_of, values)), channels)
    parts = [_update_stats(as_rows(value, group), None, None, 0.0) for value in values]
    means, variances = (
        torch.stack([part[i] for part in parts]).view(-1, group, channels) for i in range(2)
    )
    mean = means.mean(1)
    between = (means - mean[:, None]).square_().mean(1)
    return mean, variances.mean(1).add_(between)


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
    """
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
    dz = as_rows(z, group) - means
    torch.addcmul(factors[2], dz, factors[1], out=dz).addcmul_(as_rows(g, group), factors[0])
    return as_values(dz, z)
