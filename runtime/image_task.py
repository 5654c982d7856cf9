"""The search on images: one half of the training images for the weights, one for the alphas."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import nn

from dsl.settings import Settings
from runtime.batches import split
from runtime.bilevel import BilevelStep, StepLosses, classification
from runtime.data import ImageSet
from runtime.measure import evaluate
from runtime.waiting import Waiting


class ImageTask:
    """Classification. Raises a UserError when there are too few images for a batch."""

    loss = staticmethod(classification)

    def __init__(
        self, images: ImageSet, settings: Settings, seed: int, device: torch.device
    ) -> None:
        self.parts = split(images, settings, seed, device)
        self.steps = self.parts.train.batches
        self.waiting = Waiting()

    def epoch(self, number: int, lr: float, step: BilevelStep) -> Iterator[StepLosses]:
        """One pass of the training half; the validation half has its own pace, across epochs."""
        train, valid = self.parts.train, self.parts.valid
        step.set_lr(lr)
        first = (number - 1) * train.batches
        batches = zip(train.from_step(first), valid.from_step(first), strict=True)
        for pair in islice(self.waiting.on(batches), train.batches):
            yield step(*pair)

    def measure(self, net: nn.Module) -> dict[str, float]:
        """Loss and accuracies (0 to 1) on the images to test on, in evaluation mode."""
        return {f"test_{name}": n for name, n in evaluate(net, self.parts.test).items()}
