"""The search on text: the training text for the weights, the validation text for the alphas.

As in the code of Liu, Simonyan & Yang (ICLR 2019): both texts are read in streams side by side,
and two hidden states, one for each text, are carried from step to step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dsl.settings import Settings
from runtime.bilevel import BilevelStep, StepLosses
from runtime.cross_entropy import cross_entropy
from runtime.errors import UserError
from runtime.language_model import HiddenState, detached, perplexity
from runtime.objective import Forward, Outcome
from runtime.streams import Window, columns, stretches, window, word_loss
from runtime.text import Text
from runtime.waiting import Waiting


class Passage(NamedTuple):
    """Words and targets, int64 [length, streams], and the state to start from; None is zeros."""

    words: Tensor
    targets: Tensor
    state: HiddenState | None


def language_modelling(forward: Forward, passage: Passage) -> Outcome:
    """Mean cross-entropy of the words that follow, without penalties, and the state after them."""
    logits, state = forward(passage.words, passage.state)
    loss = cross_entropy(logits, passage.targets)
    return Outcome(loss, passage.targets.numel(), state=detached(state))


class TextTask:
    """Language modelling. Raises a UserError when the text is too short for the streams."""

    loss = staticmethod(language_modelling)

    def __init__(self, text: Text, settings: Settings, seed: int, device: torch.device) -> None:
        self.settings, self.seed = settings, seed
        self.waiting = Waiting()
        training = text.training(settings.subset)
        self.train = columns(training, settings.batch).to(device)
        self.valid = columns(text.valid, settings.batch).to(device)
        self.evaluation = columns(text.valid, settings.evaluation_batch).to(device)
        self.steps = len(stretches(len(self.train), settings, seed, 1))
        if self.steps == 0:
            raise UserError(
                f"the training text of {len(training)} words is too short for one step in "
                f"{settings.batch} streams: use a smaller `batch` or a longer text"
            )

    def epoch(self, number: int, lr: float, step: BilevelStep) -> Iterator[StepLosses]:
        """One pass of the training text, from states of zeros.

        The learning rate of a step is in proportion to its length. Its window of the validation
        text starts at the same row, counted round, and has `bptt` words.
        """
        train_state = valid_state = None
        for length, train, valid in self.waiting.on(self._windows(number)):
            step.set_lr(lr * length / self.settings.bptt)
            losses = step(Passage(*train, train_state), Passage(*valid, valid_state))
            train_state, valid_state = losses.training.state, losses.validation.state
            yield losses

    def _windows(self, number: int) -> Iterator[tuple[int, Window, Window]]:
        """For each step of epoch `number` the length that was drawn, and what both texts give."""
        for start, length in stretches(len(self.train), self.settings, self.seed, number):
            train = window(self.train, start, length)
            valid = window(self.valid, start % (len(self.valid) - 1), self.settings.bptt)
            yield length, train, valid

    def measure(self, net: nn.Module) -> dict[str, float]:
        """Loss and perplexity of the whole validation text in `evaluation_batch` streams, with the
        weights as they are and in evaluation mode."""
        loss = word_loss(net, self.evaluation, self.settings.bptt)
        return {"evaluation_loss": loss, "evaluation_perplexity": perplexity(loss)}
