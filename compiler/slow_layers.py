"""What norms, attention and tokens compute, slow and obvious: for `compiler.interpret`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5
"""What torch's norms add to a variance."""


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, active: int | None) -> Tensor:
    """The first `active` channels normed, or all; the others zero."""
    axis = channel_axis(x)
    active = x.shape[axis] if active is None else active
    first, rest = x.split([active, x.shape[axis] - active], axis)
    weight, bias = (None if p is None else p[:active] for p in (weight, bias))
    normed = _scaled(_standardised(first, axis), weight, bias)
    return torch.cat([normed, torch.zeros_like(rest)], axis)


def group_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, groups: int) -> Tensor:
    over = tuple(range(1, x.dim()))
    normed = [_standardised(group, over) for group in x.chunk(groups, 1)]
    return _scaled(torch.cat(normed, 1), weight, bias)


def softmax(x: Tensor) -> Tensor:
    return x.exp() / x.exp().sum(channel_axis(x), keepdim=True)


def attention(
    x: Tensor, state: Mapping[str, Tensor], at: str, heads: int, active: int | None
) -> Tensor:
    """Head by head and sample by sample, of x [time, batch, width]."""
    given = [F.linear(x, w, b).chunk(heads, -1) for w, b in _thirds(state, f"{at}.qkv")]
    made = []
    for number, (query, key, value) in enumerate(zip(*given, strict=True)):
        samples = zip(query.unbind(1), key.unbind(1), value.unbind(1), strict=True)
        part = torch.stack([_attended(*sample) for sample in samples], 1)
        takes_part = active is None or number < active
        made.append(part if takes_part else torch.zeros_like(part))
    return F.linear(torch.cat(made, -1), state[f"{at}.out.weight"], state.get(f"{at}.out.bias"))


def tokens(image: Tensor) -> Tensor:
    """[batch, channels, height, width] to [height * width, batch, channels]."""
    rows, columns = image.shape[2:]
    return torch.stack([image[:, :, i, j] for i in range(rows) for j in range(columns)])


def pixels(steps: Tensor, rows: int) -> Tensor:
    """[time, batch, width] to [batch, width, rows, time / rows]."""
    return torch.stack([torch.stack(list(row), -1) for row in steps.chunk(rows)], -2)


def channel_axis(x: Tensor) -> int:
    return 1 if x.dim() == 4 else -1


def _attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """What every step takes of the values [time, width], by how its query is like their keys."""
    likeness = (query @ key.T / query.shape[-1] ** 0.5).exp()
    return likeness / likeness.sum(1, keepdim=True) @ value


def _thirds(state: Mapping[str, Tensor], at: str) -> list[tuple[Tensor, Tensor | None]]:
    """The three matrices that lie in one, with their biases."""
    bias = state.get(f"{at}.bias")
    biases = [None] * 3 if bias is None else bias.chunk(3)
    return list(zip(state[f"{at}.weight"].chunk(3), biases, strict=True))


def _standardised(x: Tensor, over: int | tuple[int, ...]) -> Tensor:
    centred = x - x.mean(over, keepdim=True)
    return centred / (centred.square().mean(over, keepdim=True) + EPSILON).sqrt()


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is None or bias is None:
        return x
    if x.dim() == 4:
        weight, bias = weight[:, None, None], bias[:, None, None]
    return x * weight + bias
