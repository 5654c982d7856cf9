"""Tensors in channels_last as rows of pixels, long enough for vector instructions."""

from __future__ import annotations

from math import gcd

from torch import Tensor

# The float32 numbers of one vector. The library is slow where channels are no multiple of it.
VECTOR = 16

# The numbers of one row: a loop over the channels alone is short where these are few.
ROW = 512


def group_size(pixels: int, channels: int) -> int:
    """How many neighbouring pixels make a row: a power of two that divides their number."""
    return gcd(pixels, 1 << max(0, (ROW // channels).bit_length() - 1))


def pixels_of(x: Tensor) -> int:
    """The number of pixels of x, [N, C] or [N, C, H, W], in all samples."""
    return x.numel() // x.shape[1]


def as_rows(x: Tensor, group: int) -> Tensor:
    """x, [N, C] or [N, C, H, W], as [pixels / group, group * C]: a view if in channels_last."""
    if x.dim() == 4:
        x = x.permute(0, 2, 3, 1)
    return x.reshape(-1, group * x.shape[-1])


def as_values(rows: Tensor, like: Tensor) -> Tensor:
    """Rows in the shape of `like`, [N, C] or [N, C, H, W], in channels_last."""
    if like.dim() == 2:
        return rows.view(like.shape)
    n, channels, height, width = like.shape
    return rows.view(n, height, width, channels).permute(0, 3, 1, 2)
