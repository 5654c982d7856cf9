"""The cross-entropy of many words at once, without a second copy of their logits.

Where there are ten thousand words, logits are by far the largest tensors of a language model. Torch
keeps their logarithms of probabilities for the gradient, and makes two more tensors of that size on
the way to it; here the gradient is all that is made, some rows at a time.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 256
"""So many rows are gone through at a time: what is made for them stays near the processor."""


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over all words of logits [length, batch, words] and targets [length, batch]."""
    mean: Tensor = _MeanCrossEntropy.apply(logits.flatten(0, 1), targets.flatten())
    return mean


class _MeanCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        ctx.save_for_backward(logits, targets)
        chosen = [
            rows.log_softmax(1).gather(1, wanted[:, None])
            for rows, wanted in zip(logits.split(ROWS), targets.split(ROWS), strict=True)
        ]
        return -torch.cat(chosen).mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (g,) = gradients
        logits, targets = ctx.saved_tensors
        scale = g / len(logits)
        if torch.is_grad_enabled():  # for a second derivative, from what torch can differentiate
            ones = F.one_hot(targets, logits.shape[1]).to(logits.dtype)
            return (logits.softmax(1) - ones) * scale, None
        found = torch.empty_like(logits)
        for rows, into in zip(logits.split(ROWS), found.split(ROWS), strict=True):
            torch.softmax(rows, 1, out=into).mul_(scale)
        found.scatter_add_(1, targets[:, None], -scale.expand(len(targets), 1))
        return found, None
