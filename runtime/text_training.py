"""Training a final recurrent model on a text, and which weights count."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from dsl.settings import Settings
from runtime.averaging import Average, stopped_improving
from runtime.language_model import perplexity
from runtime.language_training import LanguageTraining
from runtime.objective import Outcome
from runtime.state import under
from runtime.streams import columns, word_loss
from runtime.text import Text


class TextTraining:
    """SGD, averaged once the validation loss has stopped improving if the settings say so.

    The best epoch is the one of least validation loss, and its weights are what is tested.
    """

    def __init__(
        self, net: nn.Module, text: Text, settings: Settings, seed: int, device: torch.device
    ) -> None:
        self.net, self.settings = net, settings
        train = columns(text.training(settings.subset), settings.batch).to(device)
        self.valid = columns(text.valid, settings.evaluation_batch).to(device)
        self.test = columns(text.test, 1).to(device)
        self.about = {"words": json.dumps(text.words, ensure_ascii=False)}
        self.training = LanguageTraining(net, train, settings, seed)
        self.optimiser = self.training.optimiser

    def steps(self, epoch: int) -> int:
        return self.training.steps(epoch)

    def epoch(self, epoch: int, lr: float) -> Iterator[Outcome]:
        return self.training.epoch(epoch, lr)

    def in_use(self) -> AbstractContextManager[None]:
        average = self.training.average
        return nullcontext() if average is None else average.in_use()

    def measure(self) -> dict[str, float]:
        loss = word_loss(self.net, self.valid, self.settings.bptt)
        return {
            "averaging": self.training.average is not None,
            "valid_loss": loss,
            "valid_perplexity": perplexity(loss),
        }

    def loss(self, line: Mapping[str, Any]) -> float:
        return float(line["valid_loss"])

    def finished(self, history: list[dict[str, Any]]) -> None:
        s = self.settings
        if self.training.average is None and s.optimiser == "averaged_sgd":
            losses = [line["valid_loss"] for line in history]
            if stopped_improving(losses, s.patience):
                self.training.average = Average(self.net)

    def result(
        self, history: list[dict[str, Any]], best: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Any]:
        """The best weights on the test text, read in one stream."""
        self.net.load_state_dict(best())
        loss = word_loss(self.net, self.test, self.settings.bptt)
        line = min(history, key=self.loss)
        return {
            "valid_perplexity": line["valid_perplexity"],
            "test_loss": loss,
            "test_perplexity": perplexity(loss),
        }

    def tensors(self) -> dict[str, Tensor]:
        """The mean of the weights, where there is one. The losses so far, on which the averaging
        hangs, are in the metrics."""
        average = self.training.average
        found = {} if average is None else average.tensors()
        return {f"average.{name}": tensor for name, tensor in found.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        average = under("average.", tensors)
        if average:
            self.training.average = Average(self.net)
            self.training.average.restore(average)
