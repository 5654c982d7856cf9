"""Mixtures' kernels in Triton, for CUDA: every term is read once, whatever their number.

Terms are [N, C], or [N, C, H, W] in channels_last: either way their memory is rows of C numbers.
Each number of terms compiles to a kernel of its own, when it is first met. The numbers are added up
in the precision of the scales or statistics, float32 for terms in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]
from torch import Tensor

from compiler.kernels.precision import common, wide
from compiler.kernels.rows import pixels_of

MOST = 64  # terms of one kernel, each an argument of it
ELEMENTS = 1024  # of the sum, for one program
SPAN = 128  # rows whose products one program adds up
COLUMNS = 64  # channels of one program, at most
TILE = 1024  # elements that are added up at once


def fits(terms: Sequence[Tensor]) -> bool:
    """Whether the kernels know what terms, or a gradient and terms, look like in memory."""
    first = terms[0]
    layout = torch.channels_last if first.dim() == 4 else torch.contiguous_format
    return (
        len(terms) <= MOST
        and first.dim() in (2, 4)
        and first.numel() < 2**31
        and all(
            term.is_cuda and term.shape == first.shape and term.is_contiguous(memory_format=layout)
            for term in terms
        )
    )


def weighted_sum(terms: Sequence[Tensor], scales: Tensor, shift: Tensor | None) -> Tensor:
    """The sum of K terms, each times its row of scales [K, C], plus shift [C]."""
    first = terms[0]
    layout = torch.channels_last if first.dim() == 4 else torch.contiguous_format
    out = torch.empty_like(first, dtype=common(terms), memory_format=layout)
    scales = scales.contiguous()
    _weighted_sum[(triton.cdiv(out.numel(), ELEMENTS),)](
        tuple(terms), scales, scales if shift is None else shift.contiguous(), out,
        out.numel(), first.shape[1], NUMBER=len(terms), SHIFTED=shift is not None, BLOCK=ELEMENTS,
    )  # fmt: skip
    return out


def norm_sums(
    g: Tensor, terms: Sequence[Tensor], means: Tensor, rstds: Tensor
) -> tuple[Tensor, Tensor]:
    """The sums [K, C] of `g * xhat` for K terms normed by statistics [K, C], and those [C] of g.

    The programs' sums are added up by a second kernel, so that their order is always the same.
    """
    rows, channels, number = pixels_of(g), g.shape[1], len(terms)
    columns = min(triton.next_power_of_2(channels), COLUMNS)
    grid = triton.cdiv(rows, SPAN), triton.cdiv(channels, columns)
    parts = means.new_empty(grid[0], number + 1, channels)
    _norm_sums[grid](
        g, tuple(terms), means.contiguous(), rstds.contiguous(), parts, rows, channels,
        NUMBER=number, LENGTH=SPAN, ROWS=min(TILE // columns, SPAN), COLUMNS=columns,
    )  # fmt: skip
    total = parts.sum(0)
    return total[:number], total[number]


def moments(terms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The means and biased variances [K, C] of every channel of K terms.

    Programs find those of some rows, in two passes. They are combined by the formula of Chan, Golub
    and LeVeque (1983).
    """
    first, number = terms[0], len(terms)
    rows, channels = pixels_of(first), first.shape[1]
    columns = min(triton.next_power_of_2(channels), COLUMNS)
    grid = triton.cdiv(rows, SPAN), triton.cdiv(channels, columns)
    parts = first.new_empty(2, grid[0], number, channels, dtype=wide(common(terms)))
    _moments[grid](
        tuple(terms), parts, rows, channels, grid[0],
        NUMBER=number, LENGTH=SPAN, ROWS=min(TILE // columns, SPAN), COLUMNS=columns,
    )  # fmt: skip
    counts = parts.new_full((grid[0], 1, 1), SPAN)
    counts[-1].fill_(rows - SPAN * (grid[0] - 1))
    means, squares = parts
    mean = (means * counts).sum(0) / rows
    between = (means - mean).square_().mul_(counts)
    return mean, between.add_(squares).sum(0) / rows


@triton.jit  # type: ignore[misc, unused-ignore]
def _weighted_sum(  # type: ignore[no-untyped-def]
    terms, scales, shift, out, count, channels,
    NUMBER: tl.constexpr, SHIFTED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    channel = place % channels
    wide = scales.dtype.element_ty
    total = tl.zeros([BLOCK], wide)
    if SHIFTED:
        total += tl.load(shift + channel, mask=inside, other=0)
    for k in tl.static_range(NUMBER):
        scale = tl.load(scales + k * channels + channel, mask=inside, other=0)
        total += tl.load(terms[k] + place, mask=inside, other=0).to(wide) * scale
    tl.store(out + place, total.to(out.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[misc, unused-ignore]
def _norm_sums(  # type: ignore[no-untyped-def]
    g, terms, means, rstds, parts, rows, channels,
    NUMBER: tl.constexpr, LENGTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A program has LENGTH rows of some channels, which the cache holds while all terms use g."""
    block = tl.program_id(0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    known = column < channels
    wide = means.dtype.element_ty
    own = parts + block * (NUMBER + 1) * channels + column
    sums = tl.zeros([COLUMNS], wide)
    for start in range(0, LENGTH, ROWS):
        row = block * LENGTH + start + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & known[None, :]
        place = row[:, None] * channels + column[None, :]
        sums += tl.sum(tl.load(g + place, mask=inside, other=0).to(wide), 0)
    tl.store(own + NUMBER * channels, sums, mask=known)
    for k in tl.static_range(NUMBER):
        mean = tl.load(means + k * channels + column, mask=known, other=0)[None, :]
        rstd = tl.load(rstds + k * channels + column, mask=known, other=0)[None, :]
        products = tl.zeros([COLUMNS], wide)
        for start in range(0, LENGTH, ROWS):
            row = block * LENGTH + start + tl.arange(0, ROWS)
            inside = (row < rows)[:, None] & known[None, :]
            place = row[:, None] * channels + column[None, :]
            gradient = tl.load(g + place, mask=inside, other=0).to(wide)
            value = tl.load(terms[k] + place, mask=inside, other=0).to(wide)
            products += tl.sum(gradient * ((value - mean) * rstd), 0)
        tl.store(own + k * channels, products, mask=known)


@triton.jit  # type: ignore[misc, unused-ignore]
def _moments(  # type: ignore[no-untyped-def]
    terms, parts, rows, channels, blocks,
    NUMBER: tl.constexpr, LENGTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Means of LENGTH rows, and sums of squares about them, which the cache still holds."""
    block = tl.program_id(0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    known = column < channels
    wide = parts.dtype.element_ty
    count = tl.minimum(LENGTH, rows - block * LENGTH).to(wide)
    for k in tl.static_range(NUMBER):
        sums = tl.zeros([COLUMNS], wide)
        for start in range(0, LENGTH, ROWS):
            row = block * LENGTH + start + tl.arange(0, ROWS)
            inside = (row < rows)[:, None] & known[None, :]
            place = row[:, None] * channels + column[None, :]
            sums += tl.sum(tl.load(terms[k] + place, mask=inside, other=0).to(wide), 0)
        mean = sums / count
        squares = tl.zeros([COLUMNS], wide)
        for start in range(0, LENGTH, ROWS):
            row = block * LENGTH + start + tl.arange(0, ROWS)
            inside = (row < rows)[:, None] & known[None, :]
            place = row[:, None] * channels + column[None, :]
            value = tl.load(terms[k] + place, mask=inside, other=0).to(wide)
            offset = tl.where(inside, value - mean[None, :], 0)
            squares += tl.sum(offset * offset, 0)
        own = parts + (block * NUMBER + k) * channels + column
        tl.store(own, mean, mask=known)
        tl.store(own + blocks * NUMBER * channels, squares, mask=known)
