"""Losses and accuracies: of the steps as they go by, and of the network on images to test on."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.batches import EvaluationImages
from runtime.bilevel import StepLosses


class Means:
    """Mean losses and accuracies of the steps so far, kept on the device until they are read."""

    def __init__(self, device: torch.device, batch_size: int) -> None:
        self._sums = torch.zeros(4, device=device)
        self._steps, self._batch_size = 0, batch_size

    def add(self, step: StepLosses) -> None:
        new = [step.train, step.train_correct, step.valid, step.valid_correct]
        self._sums += torch.stack([value.float() for value in new])
        self._steps += 1

    def read(self) -> dict[str, float]:
        """Waits for the device. Accuracies are from 0 to 1."""
        train, train_correct, valid, valid_correct = self._sums.tolist()
        images = self._steps * self._batch_size
        return {
            "train_loss": train / self._steps,
            "train_accuracy": train_correct / images,
            "valid_loss": valid / self._steps,
            "valid_accuracy": valid_correct / images,
        }


@torch.no_grad()
def evaluate(net: nn.Module, images: EvaluationImages) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0 to 1) in evaluation mode; the mode is put back."""
    was_training = net.training
    net.eval()
    sums: Tensor | int = 0
    for batch, labels in images:
        logits = net(batch)
        loss = F.cross_entropy(logits, labels, reduction="sum")
        sums = sums + torch.stack([loss, (logits.argmax(1) == labels).sum()])
    net.train(was_training)
    loss, correct = cast(Tensor, sums).tolist()
    return loss / len(images), correct / len(images)
