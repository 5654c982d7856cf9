"""Averaged SGD, as Merity, Keskar & Socher (ICLR 2018) train language models by it.

Plain SGD until the validation loss stops improving; from then on the mean of the weights that its
steps went through is what counts, while the steps themselves go on from the last weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def stopped_improving(losses: Sequence[float], patience: int) -> bool:
    """Whether the last loss exceeds the least of those before it, the latest `patience` left out.

    Never before there are such losses: the non-monotone criterion of algorithm 1.
    """
    *earlier, last = losses
    return len(earlier) > patience and last > min(earlier[:-patience])


class Average:
    """The running mean of the weights of `net`, over all calls of `update`.

    A weight that has several names in the network, such as a tied one, is averaged once. Buffers
    are not averaged: in use the mean has those of the network as they are.
    """

    def __init__(self, net: nn.Module) -> None:
        self._weights = {name: weight.detach() for name, weight in net.named_parameters()}
        self._means = {name: weight.clone() for name, weight in self._weights.items()}
        self.count = 0

    def update(self) -> None:
        """Takes in the weights as they are now."""
        self.count += 1
        means, weights = list(self._means.values()), list(self._weights.values())
        torch._foreach_lerp_(means, weights, 1 / self.count)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The network has the mean as its weights within, and its own, bit for bit, afterwards."""
        weights = list(self._weights.values())
        own = [weight.clone() for weight in weights]
        torch._foreach_copy_(weights, list(self._means.values()))
        try:
            yield
        finally:
            torch._foreach_copy_(weights, own)

    def tensors(self) -> dict[str, Tensor]:
        """`mean.<parameter>` and `count`, for a checkpoint; not copied."""
        means = {f"mean.{name}": mean for name, mean in self._means.items()}
        return {**means, "count": torch.tensor(self.count)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave.

        Raises:
            KeyError, RuntimeError: when it is another network's.
        """
        for name, mean in self._means.items():
            mean.copy_(tensors[f"mean.{name}"])
        self.count = int(tensors["count"])
