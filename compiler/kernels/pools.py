"""Pooling over windows, and its gradients.

The sizes of a window, and its padding, are those of the two axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.kernels.depthwise import depthwise, input_gradient

_mean_pool_backward = torch.ops.aten.avg_pool2d_backward.default
_max_pool = torch.ops.aten.max_pool2d_with_indices.default
_max_pool_backward = torch.ops.aten.max_pool2d_with_indices_backward.default

Pair = tuple[int, int]

# The largest window whose mean is taken by a convolution with ones.
LARGEST = 5


def mean_pool(x: Tensor, k: Pair, stride: int, padding: Pair) -> Tensor:
    """Means over the pixels of x [N, C, H, W] in every window, padding not counted."""
    if not _by_convolution(x, k, stride, padding):
        return F.avg_pool2d(x, k, stride, padding, count_include_pad=False)
    sums = depthwise(x, x.new_ones(x.shape[1], 1, *k), 1, padding[0], 1)
    return sums.mul_(_shares(tuple(x.shape[1:]), k, padding, x.dtype))


def mean_pool_gradient(
    g: Tensor, shape: Sequence[int], k: Pair, stride: int, padding: Pair
) -> Tensor:
    """The gradient [N, C, H, W] by an input of `shape`, from g [N, C, H', W'] by the output."""
    if not _by_convolution(g, k, stride, padding):
        x = torch.empty(
            tuple(shape), dtype=g.dtype, device=g.device, memory_format=torch.channels_last
        )
        return _mean_pool_backward(
            g, x, list(k), [stride, stride], list(padding), False, False, None
        )
    shares = _shares(tuple(shape[1:]), k, padding, g.dtype)
    return input_gradient(g * shares, g.new_ones(g.shape[1], 1, *k), shape, 1, padding[0], 1)


def max_pool(x: Tensor, k: Pair, stride: int, padding: Pair) -> tuple[Tensor, Tensor]:
    """The maxima of x [N, C, H, W] in every window, and where they stand for the gradient."""
    return _max_pool(x, list(k), [stride, stride], list(padding))


def max_pool_gradient(
    g: Tensor, x: Tensor, indices: Tensor, k: Pair, stride: int, padding: Pair
) -> Tensor:
    """The gradient by x [N, C, H, W], from g [N, C, H', W'] by the maxima."""
    return _max_pool_backward(
        g, x, list(k), [stride, stride], list(padding), [1, 1], False, indices
    )


def _by_convolution(x: Tensor, k: Pair, stride: int, padding: Pair) -> bool:
    """Whether a convolution with ones is faster: on a CPU, where windows overlap the most.

    It is one with square windows, padded alike on all sides.
    """
    is_square = k[0] == k[1] and padding[0] == padding[1]
    return x.is_cpu and stride == 1 and is_square and k[0] <= LARGEST


@lru_cache(maxsize=64)
def _shares(shape: tuple[int, int, int], k: Pair, padding: Pair, dtype: torch.dtype) -> Tensor:
    """What one pixel has in the mean of each window [1, C, H', W'], in channels_last."""
    channels, *sizes = shape
    rows, columns = map(_counts, sizes, k, padding)
    shares = (rows[:, None] * columns).to(dtype).reciprocal_()
    # with a value for every channel a product runs over whole images, not over one pixel at a time
    return shares[None, :, :, None].expand(1, -1, -1, channels).contiguous().permute(0, 3, 1, 2)


def _counts(size: int, k: int, padding: int) -> Tensor:
    """How many pixels of an axis lie in each of its windows."""
    starts = torch.arange(-padding, size + padding - k + 1)
    return (starts + k).clamp(max=size) - starts.clamp(min=0)
