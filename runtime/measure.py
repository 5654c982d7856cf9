"""Losses and accuracies: of the steps as they go by, and of the network on images to test on."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.batches import EvaluationImages
from runtime.bilevel import StepLosses
from runtime.language_model import perplexity
from runtime.objective import Outcome


class Means:
    """Means over the predictions of the steps so far, kept on the device until they are read.

    Beside the losses there are accuracies where the steps count right predictions, and else the
    perplexities of the mean losses.
    """

    def __init__(self, device: torch.device) -> None:
        self._parts = {part: Mean(device) for part in ("train", "valid")}

    def add(self, step: StepLosses) -> None:
        self._parts["train"].add(step.training)
        self._parts["valid"].add(step.validation)

    def read(self) -> dict[str, float]:
        """Waits for the device. Accuracies are from 0 to 1."""
        return {
            f"{part}_{name}": value
            for part, mean in self._parts.items()
            for name, value in mean.read().items()
        }


class Mean:
    """The mean loss per prediction, and how many predictions were right where that is counted."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._size, self._counted = 0, False

    def add(self, outcome: Outcome) -> None:
        self._counted = outcome.correct is not None
        correct = torch.zeros_like(outcome.loss) if outcome.correct is None else outcome.correct
        self._sums += torch.stack([outcome.loss.double() * outcome.size, correct.double()])
        self._size += outcome.size

    def read(self) -> dict[str, float]:
        loss, right = (total / self._size for total in self._sums.tolist())
        second = {"accuracy": right} if self._counted else {"perplexity": perplexity(loss)}
        return {"loss": loss, **second}


@torch.no_grad()
def evaluate(net: nn.Module, images: EvaluationImages) -> dict[str, float]:
    """Mean `loss` (cross-entropy), `accuracy` and `top5` in evaluation mode; the mode is put back.

    The last is the share of images whose class is among the five that the network rates highest.
    Both shares are from 0 to 1.
    """
    was_training = net.training
    net.eval()
    sums: Tensor | int = 0
    for batch, labels in images:
        logits = net(batch)
        loss = F.cross_entropy(logits, labels, reduction="sum")
        highest = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
        sums = sums + torch.stack([loss.double(), highest[:, 0].sum(), highest.sum()])
    net.train(was_training)
    totals = cast(Tensor, sums).tolist()
    return {
        name: total / len(images)
        for name, total in zip(("loss", "accuracy", "top5"), totals, strict=True)
    }
