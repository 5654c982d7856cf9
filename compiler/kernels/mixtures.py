"""Weighted sums of many terms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from compiler.kernels.rows import VECTOR, as_rows, as_values, group_size, pixels_of


def weighted_sum(terms: Sequence[Tensor], scales: Tensor, shift: Tensor | None) -> Tensor:
    """The sum of K terms, each times its row of scales [K, C], plus shift [C].

    Terms are [N, C] or [N, C, H, W], and the sum has the layout of the first. On a CPU, few
    channels, or a number of them that leaves vectors unfilled, are summed in rows of pixels.
    """
    first, (number, channels) = terms[0], scales.shape
    if not first.is_cpu or (channels > VECTOR and channels % VECTOR == 0):
        axes = [1] * (first.dim() - 2)
        return _sum(
            terms,
            scales.view(number, channels, *axes),
            None if shift is None else shift.view(channels, *axes),
        )
    group = group_size(pixels_of(first), channels)
    rows = [as_rows(term, group) for term in terms]
    shifts = None if shift is None else shift.repeat(group)
    return as_values(_sum(rows, scales.repeat(1, group), shifts), first)


def _sum(terms: Sequence[Tensor], factors: Tensor, shift: Tensor | None) -> Tensor:
    """What each term gives times its factor, plus the shift, where all of these fit together."""
    first, *others = factors
    total = terms[0] * first if shift is None else torch.addcmul(shift, terms[0], first)
    for term, factor in zip(terms[1:], others, strict=True):
        total.addcmul_(term, factor)
    return total
