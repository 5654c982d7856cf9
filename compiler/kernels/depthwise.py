"""Depthwise convolutions over square windows, and their gradients.

In what follows k is the size of a window; a tap of it at `t` reads the input at
`stride * o + dilation * t - padding` for the output at `o`, in rows and in columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor

_convolution_backward = torch.ops.aten.convolution_backward.default

# The widest window for which the library has a fast gradient by the weight on a CPU.
FAST_WIDTH = 3


def depthwise(x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> Tensor:
    """x [N, C, H, W] and weight [C, 1, k, k] to [N, C, H', W']."""
    return F.conv2d(x, weight, None, stride, padding, dilation, x.shape[1])


def input_gradient(
    g: Tensor, weight: Tensor, shape: Sequence[int], stride: int, padding: int, dilation: int
) -> Tensor:
    """The gradient [N, C, H, W] by an input of `shape`, from g [N, C, H', W'] by the output.

    With stride 1 it is a convolution with the window turned round. If stride and dilation have a
    common divisor, only the input's pixels on a coarser grid were read, and on that grid the
    convolution has the quotients for its stride and its dilation.
    """
    n, channels, height, width = shape
    reach = dilation * (weight.shape[2] - 1)
    if not g.is_cpu or padding > reach:
        return _library_input_gradient(g, weight, shape, stride, padding, dilation)
    step = gcd(stride, dilation)
    if step > 1:
        offset = -padding % step
        dx = g.new_zeros(n, height, width, channels).permute(0, 3, 1, 2)
        grid = dx[:, :, offset::step, offset::step]
        if grid.numel():
            sizes = (stride // step, (padding + offset) // step, dilation // step)
            grid.copy_(input_gradient(g, weight, grid.shape, *sizes))
        return dx
    # pixels beyond what the last windows reach; fewer than a stride unless on a coarser grid
    rest = [
        size - (stride * (count - 1) + reach + 1 - 2 * padding)
        for size, count in zip(shape[2:], g.shape[2:], strict=True)
    ]
    below, right = (max(0, pixels // stride) for pixels in rest)
    if below or right:
        g = F.pad(g, (0, right, 0, below))
    if stride == 1:
        dx = F.conv2d(g, weight.flip(2, 3), None, 1, reach - padding, dilation, channels)
    else:
        more = [max(0, pixels) % stride for pixels in rest]
        dx = F.conv_transpose2d(g, weight, None, stride, padding, more, channels, dilation)
    return dx[:, :, :height, :width]


def weight_gradient(
    g: Tensor, x: Tensor, k: int, stride: int, padding: int, dilation: int
) -> Tensor:
    """The gradient [C, 1, k, k] by the weight, from g [N, C, H', W'] by the output.

    A dilated convolution of stride 1 is one without dilation on each of the image's phases, the
    pixels whose rows and columns leave equal remainders. Rows of phases go to the batch, columns
    to the channels. If stride and dilation have a common divisor, the one phase that was read
    suffices. Wide windows are cut into strips.
    """
    step = gcd(stride, dilation)
    is_fast = dilation == 1 and k <= FAST_WIDTH
    if not x.is_cpu or is_fast or (stride > step and dilation > step):
        return _library_weight_gradient(g, x, (k, k), stride, (padding, padding), dilation)
    stride, dilation = stride // step, dilation // step
    if step > 1:
        offset = -padding % step
        x, padding = x[:, :, offset::step, offset::step], (padding + offset) // step
        if not x.numel():
            return g.new_zeros(g.shape[1], 1, k, k)
    if not _fits(g, x, k, stride, padding, dilation):
        g, x = _padded(g, x, k, stride, padding, dilation)
        padding = 0
    channels = g.shape[1] * dilation
    g, rows = _images(_row_phases(g, dilation), channels), _row_phases(x, dilation)
    padding //= dilation
    if k > FAST_WIDTH or (k == FAST_WIDTH and rows.shape[2] < k):
        weight = _in_strips(g, rows, k, stride, padding)
    else:
        x = _images(rows, channels)
        weight = _library_weight_gradient(g, x, (k, k), stride, (padding, padding), 1)
    return weight if dilation == 1 else weight.view(dilation, -1, 1, k, k).sum(0)


def _fits(g: Tensor, x: Tensor, k: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether x gives images of the size of g, and both have whole phases with whole padding."""
    reach = dilation * (k - 1)
    return padding % dilation == 0 and all(
        (size + 2 * padding - reach - 1) // stride + 1 == count
        and size % dilation == count % dilation == 0
        for size, count in zip(x.shape[2:], g.shape[2:], strict=True)
    )


def _padded(
    g: Tensor, x: Tensor, k: int, stride: int, padding: int, dilation: int
) -> tuple[Tensor, Tensor]:
    """g with zeros up to whole phases, and as much of x and its padding as its windows read."""
    margins = []
    for size, count in zip(x.shape[2:], g.shape[2:], strict=True):
        more = -count % dilation
        needed = stride * (count + more - 1) + dilation * (k - 1) + 1
        margins.append((more, needed - size - padding))
    (below, x_below), (right, x_right) = margins
    return F.pad(g, (0, right, 0, below)), F.pad(x, (padding, x_right, padding, x_below))


def _row_phases(x: Tensor, dilation: int) -> Tensor:
    """x [N, C, H, W] as a view [N, dilation, H / dilation, W * C] of its phases of rows."""
    n, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, height // dilation, dilation, width * channels)
    return rows.transpose(1, 2)


def _images(rows: Tensor, channels: int) -> Tensor:
    """Phases of rows [N, phases, H, W * C] as images [N * phases, C, H, W], in channels_last."""
    n, phases, height, length = rows.shape
    return rows.reshape(n * phases, height, length // channels, channels).permute(0, 3, 1, 2)


def _in_strips(g: Tensor, rows: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """The weight's gradient from strips of three columns each, for which the library is fast.

    The input's rows [N, phases, H, W * C] are copied once, with zeros between them. A view of that
    memory that begins `t` columns later is the input shifted by `t` columns, without a copy.
    """
    (n, phases, height, length), channels = rows.shape, g.shape[1]
    width = length // channels
    # Where a shift reads beyond the zeros into the next row, the gradient gets columns of zeros.
    more = max(0, -((padding + FAST_WIDTH - k) // stride))
    if more:
        g = F.pad(g, (0, more))
    pitch = width + 2 * padding - k + FAST_WIDTH + stride * more
    # An image lower than the window has padded rows as well: the library is slow without them.
    margin = padding if height < k else 0
    tall = height + 2 * margin
    total = n * phases * tall * pitch * channels

    memory = g.new_empty(total + (padding + k) * channels)
    memory[: padding * channels] = 0
    memory[total:] = 0
    padded = memory[padding * channels :][:total].view(n, phases, tall, pitch * channels)
    padded[..., length:] = 0
    padded[:, :, :margin] = 0
    padded[:, :, margin + height :] = 0
    padded[:, :, margin : margin + height, :length] = rows

    strips = []
    for column in range(0, k, FAST_WIDTH):
        start = min(column, k - FAST_WIDTH)
        shifted = memory[start * channels :][:total].view(n, phases, tall, pitch * channels)
        x, window = _images(shifted, channels), (k, FAST_WIDTH)
        strip = _library_weight_gradient(g, x, window, stride, (padding - margin, 0), 1)
        strips.append(strip[..., column - start :])
    return torch.cat(strips, 3)


def _library_weight_gradient(
    g: Tensor,
    x: Tensor,
    window: tuple[int, int],
    stride: int,
    padding: tuple[int, int],
    dilation: int,
) -> Tensor:
    channels = g.shape[1]
    weight = g.new_empty(channels, 1, *window)
    sizes = ([stride, stride], list(padding), [dilation, dilation])
    return _convolution_backward(
        g, x, weight, None, *sizes, False, [0, 0], channels, [False, True, False]
    )[1]


def _library_input_gradient(
    g: Tensor, weight: Tensor, shape: Sequence[int], stride: int, padding: int, dilation: int
) -> Tensor:
    x = torch.empty(tuple(shape), dtype=g.dtype, device=g.device, memory_format=torch.channels_last)
    sizes = ([size, size] for size in (stride, padding, dilation))
    return _convolution_backward(
        g, x, weight, None, *sizes, False, [0, 0], g.shape[1], [True, False, False]
    )[0]
