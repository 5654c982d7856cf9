"""Weighted sums of many terms, and the sums that their gradients by norms and weights take.

On CUDA both are few kernels of their own (`mixtures_triton`), where Triton is there: it comes with
torch's wheels for Linux. They read every term once, where the plain forms below go through the sum
once more for each term.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from compiler.kernels.compiled import pointwise
from compiler.kernels.precision import common
from compiler.kernels.rows import VECTOR, as_rows, as_values, group_size, pixels_of
from compiler.kernels.statistics import norm_gradient
from compiler.kernels.where import in_triton


def weighted_sum(terms: Sequence[Tensor], scales: Tensor, shift: Tensor | None) -> Tensor:
    """The sum of K terms, each times its row of scales [K, C], plus shift [C].

    Terms are [N, C] or [N, C, H, W], and the sum has the layout of the first. On a CPU, few
    channels, or a number of them that leaves vectors unfilled, are summed in rows of pixels.

    Terms in half precision have scales and a shift in float32 and are added up in it.
    """
    dtype = common(terms)
    if dtype != scales.dtype and terms[0].is_cpu:
        return weighted_sum([term.to(scales.dtype) for term in terms], scales, shift).to(dtype)
    kernels = in_triton(terms)
    if kernels is not None:
        return kernels.weighted_sum(terms, scales, shift)
    first, (number, channels) = terms[0], scales.shape
    if not first.is_cpu or (channels > VECTOR and channels % VECTOR == 0):
        axes = [1] * (first.dim() - 2)
        total = pointwise(
            _sum,
            terms,
            scales.reshape(number, channels, *axes),
            None if shift is None else shift.view(channels, *axes),
        )
        return total.to(dtype)
    group = group_size(pixels_of(first), channels)
    rows = [as_rows(term, group) for term in terms]
    shifts = None if shift is None else shift.repeat(group)
    return as_values(pointwise(_sum, rows, scales.repeat(1, group), shifts), first)


def norm_sums(
    g: Tensor, terms: Sequence[Tensor], means: Tensor, rstds: Tensor
) -> tuple[Tensor, Tensor]:
    """The sums [K, C] of `g * xhat` for K terms normed by statistics [K, C], and those [C] of g."""
    kernels = in_triton([g, *terms])
    if kernels is not None:
        return kernels.norm_sums(g, terms, means, rstds)
    found = [
        norm_gradient(g, term, mean, rstd, None, sums_only=True)
        for term, mean, rstd in zip(terms, means, rstds, strict=True)
    ]
    return torch.stack([products for _, products, _ in found]), found[0][2]


def _sum(terms: Sequence[Tensor], factors: Tensor, shift: Tensor | None) -> Tensor:
    """What each term gives times its factor, plus the shift, where all of these fit together."""
    first, *others = factors
    total = terms[0] * first if shift is None else torch.addcmul(shift, terms[0], first)
    for term, factor in zip(terms[1:], others, strict=True):
        total.addcmul_(term, factor)
    return total
