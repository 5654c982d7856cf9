"""Training a final model on images, by the recipe of Liu, Simonyan & Yang (2019), section 3.3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from dsl.settings import Settings
from runtime.batches import Batch, whole
from runtime.data import ImageSet
from runtime.errors import UserError
from runtime.measure import evaluate
from runtime.objective import Outcome
from runtime.schedule import drop_path
from runtime.waiting import Waiting


class ImageTraining:
    """SGD on the cross-entropy, with that of an auxiliary head added, on all training images.

    The images to test on are measured after every epoch and what counts in the end is the last one,
    as in the paper; the best epoch is chosen by them too, and so is flattered.

    Args:
        net: images [batch, channels, height, width] to logits [batch, classes], or to a pair of
            them while training with an auxiliary head.
        images: what to train and to test on.
        settings: see `dsl.settings`.
        seed: decides the batches and how they are augmented.
        device: where the network is.

    Raises:
        UserError: when there are too few images, or a setting does not go with images.
    """

    def __init__(
        self, net: nn.Module, images: ImageSet, settings: Settings, seed: int, device: torch.device
    ) -> None:
        _check(settings)
        self.settings, self.device = settings, device
        # Convolutions on CUDA are quicker with the channels last, and as exact.
        self.layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
        self.net = net.to(memory_format=self.layout)
        self.parts = whole(images, settings, seed, device)
        self.waiting = Waiting()
        normalise = self.parts.test.normalise
        self.about = {
            "classes": json.dumps(images.classes, ensure_ascii=False),
            "shape": json.dumps(images.shape),
            "mean": json.dumps(normalise.mean.tolist()),
            "deviation": json.dumps(normalise.deviation.tolist()),
        }
        self.optimiser = torch.optim.SGD(
            net.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.decay,
        )

    def steps(self, epoch: int) -> int:
        return self.parts.train.batches

    def epoch(self, epoch: int, lr: float) -> Iterator[Outcome]:
        """The steps of an epoch, counted from 1, each taken when it is asked for; gives the loss
        of the main output alone and how many images it got right, while training."""
        self.net.train()
        self.optimiser.param_groups[0]["lr"] = lr
        if hasattr(self.net, "set_drop_path"):
            self.net.set_drop_path(drop_path(self.settings, epoch - 1))  # type: ignore[operator]
        steps = self.parts.train.batches
        batches = self.parts.train.from_step((epoch - 1) * steps)
        for batch in islice(self.waiting.on(batches), steps):
            yield self._step(batch)

    def _step(self, batch: Batch) -> Outcome:
        images, labels = batch
        pieces = max(1, min(self.settings.accumulate, len(labels) // 2))  # norms take two
        self.optimiser.zero_grad()
        pairs = zip(images.tensor_split(pieces), labels.tensor_split(pieces), strict=True)
        outcomes = [self._piece(piece, targets, len(labels)) for piece, targets in pairs]
        if self.settings.clip > 0:
            clip_grad_norm_(self.net.parameters(), self.settings.clip)
        self.optimiser.step()
        losses, correct = (torch.stack(found).sum() for found in zip(*outcomes, strict=True))
        return Outcome(losses / len(labels), len(labels), correct)

    def _piece(self, images: Tensor, labels: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Adds the gradient of a piece of a batch; its summed loss and how many it got right."""
        s = self.settings
        share = len(labels) / batch
        with self._precision():
            output = self.net(images.contiguous(memory_format=self.layout))
            logits, *heads = output if isinstance(output, tuple) else (output,)
            loss = F.cross_entropy(logits, labels, label_smoothing=s.label_smoothing)
            total = loss
            for head in heads:
                of_head = F.cross_entropy(head, labels, label_smoothing=s.label_smoothing)
                total = total + s.auxiliary_weight * of_head
        (total * share).backward()
        return loss.detach() * len(labels), (logits.detach().argmax(1) == labels).sum()

    def _precision(self) -> AbstractContextManager[Any]:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def in_use(self) -> AbstractContextManager[None]:
        return nullcontext()

    def measure(self) -> dict[str, float]:
        return {f"test_{name}": n for name, n in evaluate(self.net, self.parts.test).items()}

    def loss(self, line: Mapping[str, Any]) -> float:
        return -float(line["test_accuracy"])

    def finished(self, history: list[dict[str, Any]]) -> None:
        pass

    def result(
        self, history: list[dict[str, Any]], best: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Any]:
        """What the last epoch came to, and the accuracy of the best."""
        last = history[-1]
        return {
            "test_loss": last["test_loss"],
            "test_accuracy": last["test_accuracy"],
            "test_top5": last["test_top5"],
            "best_test_accuracy": min(history, key=self.loss)["test_accuracy"],
        }

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        pass


def _check(settings: Settings) -> None:
    if settings.optimiser != "sgd":
        raise UserError(
            f"images are trained on by `sgd`, not by `{settings.optimiser}`: set `optimiser` to "
            f"`sgd`"
        )
    if settings.batch < 2 * settings.accumulate:
        raise UserError(
            f"`accumulate` ({settings.accumulate}) cuts a `batch` of {settings.batch} into pieces "
            f"of less than two images, and norms take two: use a larger `batch`"
        )
