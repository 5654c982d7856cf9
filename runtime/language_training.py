"""Training a recurrent language model on a text, as in the code of Liu, Simonyan & Yang (2019)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from dsl.settings import Settings
from runtime.averaging import Average
from runtime.cross_entropy import cross_entropy
from runtime.errors import UserError
from runtime.language_model import HiddenState, Penalties, detached
from runtime.objective import Outcome
from runtime.streams import Stretch, Window, stretches, window


class LanguageTraining:
    """The steps that train a recurrent network on a text.

    A step's gradient is that of the mean cross-entropy plus penalties, clipped; its learning rate
    is in proportion to the words that were drawn for its window. To save memory it may be summed
    up over `accumulate` pieces of the streams, each with its own hidden state.

    Args:
        net: `net(words, state)` with words int64 [length, streams] gives logits [length, streams,
            vocabulary] and the new state; where there are penalties, `recurrence` and `readout`
            name its parts.
        stream: the text to train on, int64 [length, `settings.batch`].
        settings: see `dsl.settings`.
        seed: decides the windows of every epoch.

    Raises:
        UserError: when the pieces would be unequal, the text is too short to take a step, or a
            penalty is asked for that this network cannot have.
    """

    def __init__(self, net: nn.Module, stream: Tensor, settings: Settings, seed: int) -> None:
        _check_pieces(settings)
        if len(stream) < 3:
            raise UserError(
                f"the training text has {len(stream)} words in each of {settings.batch} streams, "
                f"and a step takes 3: lower `batch`, or use a longer text"
            )
        self.net, self.stream, self.settings, self.seed = net, stream, settings, seed
        self.optimiser = torch.optim.SGD(
            net.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.decay,
        )
        self.average: Average | None = None  # takes in every step, once there is one
        self._penalties = Penalties(net, settings.slowness, settings.activation)

    def steps(self, epoch: int) -> int:
        """How many steps an epoch, counted from 1, has."""
        return len(self._stretches(epoch))

    def epoch(self, epoch: int, lr: float) -> Iterator[Outcome]:
        """Takes the steps of an epoch, counted from 1, one whenever the next is asked for; gives
        what each measured, without penalties, before it moved the weights.

        The hidden state is zero at first and is carried from step to step. `lr` is the learning
        rate of a step of `bptt` words.
        """
        self.net.train()
        states: list[HiddenState | None] = [None] * self.settings.accumulate
        for start, length in self._stretches(epoch):
            self.optimiser.param_groups[0]["lr"] = lr * length / self.settings.bptt
            yield self._step(window(self.stream, start, length), states)

    def _stretches(self, epoch: int) -> list[Stretch]:
        return stretches(len(self.stream), self.settings, self.seed, epoch)

    def _step(self, read: Window, states: list[HiddenState | None]) -> Outcome:
        """One step; puts the new hidden states in the place of the old ones."""
        pieces = len(states)
        losses: list[Tensor] = []
        self.optimiser.zero_grad()
        pairs = zip(read.words.chunk(pieces, 1), read.targets.chunk(pieces, 1), strict=True)
        for piece, (words, targets) in enumerate(pairs):
            logits, states[piece] = self.net(words, detached(states[piece]))
            loss = cross_entropy(logits, targets)
            ((loss + self._penalties.read()) / pieces).backward()
            losses.append(loss.detach())
        if self.settings.clip > 0:
            clip_grad_norm_(self.net.parameters(), self.settings.clip)
        self.optimiser.step()
        if self.average is not None:
            self.average.update()
        return Outcome(torch.stack(losses).mean(), read.targets.numel())


def _check_pieces(settings: Settings) -> None:
    batch, pieces = settings.batch, settings.accumulate
    if batch % pieces == 0:
        return
    divisors = [d for d in range(1, batch + 1) if batch % d == 0]
    near = [max(d for d in divisors if d < pieces), *[d for d in divisors if d > pieces][:1]]
    raise UserError(
        f"`accumulate` ({pieces}) does not divide `batch` ({batch}): "
        f"use {' or '.join(map(str, near))}"
    )
