"""Weighted sums of many terms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from compiler.kernels.rows import as_rows, as_values, group_size, pixels_of


def weighted_sum(terms: Sequence[Tensor], scales: Tensor, shift: Tensor | None) -> Tensor:
    """The sum of K terms [N, C, ...], each times its row of scales [K, C], plus shift [C]."""
    first, *rest = terms
    group = group_size(pixels_of(first), first.shape[1]) if first.is_cpu else 1
    factors, *others = scales.repeat(1, group)
    if shift is None:
        total = as_rows(first, group) * factors
    else:
        total = torch.addcmul(shift.repeat(group), as_rows(first, group), factors)
    for term, factors in zip(rest, others, strict=True):
        total.addcmul_(as_rows(term, group), factors)
    return as_values(total, first)
