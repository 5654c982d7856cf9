"""Tensors in channels_last as rows of pixels, long enough for vector instructions."""

from __future__ import annotations

from math import gcd

from torch import Tensor

# Elements in a row. Loops over the channels alone are short where these are few, and the library's
# reductions are slow unless their number is a multiple of 16.
ROW = 512


def group_size(pixels: int, channels: int) -> int:
    """How many neighbouring pixels make a row: a power of two that divides their number."""
    return gcd(pixels, 1 << max(0, (ROW // channels).bit_length() - 1))


def pixels_of(x: Tensor) -> int:
    """The number of pixels of x [N, C, ...] in all samples."""
    return x.numel() // x.shape[1]


def as_rows(x: Tensor, group: int) -> Tensor:
    """x [N, C, ...] as [pixels / group, group * C], without a copy if it is in channels_last."""
    return x.movedim(1, -1).reshape(-1, group * x.shape[1])


def as_values(rows: Tensor, like: Tensor) -> Tensor:
    """Rows in the shape of `like` [N, C, ...], in channels_last."""
    return rows.view(like.movedim(1, -1).shape).movedim(-1, 1)
