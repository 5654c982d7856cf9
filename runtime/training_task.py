"""What training a final model does for one kind of data; the loop around it is the same for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dsl.settings import Settings
from runtime.image_training import ImageTraining
from runtime.objective import Outcome
from runtime.task import Data
from runtime.text import Text
from runtime.text_training import TextTraining


class TrainingTask(Protocol):
    """The data of a training, on the device, and the steps through them."""

    @property
    def optimiser(self) -> torch.optim.Optimizer: ...

    @property
    def about(self) -> dict[str, str]:
        """What one must know to use the weights: it is written beside them."""

    def steps(self, epoch: int) -> int:
        """How many steps an epoch, counted from 1, has."""

    def epoch(self, epoch: int, lr: float) -> Iterator[Outcome]:
        """The steps of an epoch, counted from 1, each taken when it is asked for."""

    def in_use(self) -> AbstractContextManager[None]:
        """Within, the network has the weights that count, which may be a mean."""

    def measure(self) -> dict[str, float]:
        """What the network does after an epoch, for the epoch's line of metrics."""

    def loss(self, line: Mapping[str, Any]) -> float:
        """Of a line of metrics, what the best epoch has least of."""

    def finished(self, history: list[dict[str, Any]]) -> None:
        """An epoch is over; `history` has its line of metrics and all before."""

    def result(
        self, history: list[dict[str, Any]], best: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Any]:
        """What the training came to, on data that were not trained on. `best` reads the weights
        after the best epoch."""

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds beside the network and its optimiser; not copied."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave."""


def make_training(
    net: nn.Module, data: Data, settings: Settings, seed: int, device: torch.device
) -> TrainingTask:
    """The training that goes with a kind of data.

    Raises:
        UserError: when there are too few data, or a setting does not go with them.
    """
    if isinstance(data, Text):
        return TextTraining(net, data, settings, seed, device)
    return ImageTraining(net, data, settings, seed, device)
