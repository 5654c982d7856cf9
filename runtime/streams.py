"""Text as streams side by side, the windows of it that steps read, and the loss on a whole one."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dsl.settings import Settings
from runtime.errors import UserError
from runtime.seeds import generator

SHORTEST_DRAWN = 5  # words of a window whose length is drawn, as in the code of Liu et al. 2019
LONGEST_MORE = 20  # words more than `bptt` that such a window may have, to bound the memory


def columns(tokens: Tensor, streams: int) -> Tensor:
    """A text [tokens] as contiguous pieces side by side, int64 [length, streams].

    What is left over at the end of the text is cut off.

    Raises:
        UserError: when a stream would have fewer than two words, one to read and one to predict.
    """
    length = len(tokens) // streams
    if length < 2:
        raise UserError(
            f"a text of {len(tokens)} words is too short for {streams} streams of two words or "
            f"more: lower `batch` or `evaluation_batch`, or use a longer text"
        )
    return tokens[: length * streams].view(streams, length).t().contiguous()


class Window(NamedTuple):
    """Some rows of streams, int64 [t, streams], and as targets the words one further."""

    words: Tensor
    targets: Tensor


def window(stream: Tensor, start: int, length: int) -> Window:
    """The window of `length` rows from row `start`, cut short where the stream ends."""
    end = min(start + length, len(stream) - 1)
    return Window(stream[start:end], stream[start + 1 : end + 1])


class Stretch(NamedTuple):
    """Where a step's window starts and what length was drawn for it; the text may end sooner."""

    start: int
    length: int


def stretches(total: int, settings: Settings, seed: int, epoch: int) -> list[Stretch]:
    """The windows of one epoch over streams of `total` rows, a function of (seed, epoch).

    They follow each other without a gap, as in the code of Liu et al. 2019: a target in the last
    row may go unused. Each has `bptt` words, or half as many with probability `bptt_halved`; with
    a `bptt_deviation` that is the mean of a normal distribution, rounded and kept in bounds.
    """
    draw = generator(seed, "stretches", epoch)
    found: list[Stretch] = []
    start = 0
    while start < total - 2:
        length = _length(settings, draw)
        found.append(Stretch(start, length))
        start += length
    return found


def _length(settings: Settings, draw: torch.Generator) -> int:
    chance = torch.rand((), generator=draw, dtype=torch.float64).item()
    mean = settings.bptt / 2 if chance < settings.bptt_halved else settings.bptt
    if settings.bptt_deviation == 0:
        return max(1, int(mean))
    offset = torch.randn((), generator=draw, dtype=torch.float64).item()
    length = round(mean + settings.bptt_deviation * offset)
    return min(max(SHORTEST_DRAWN, length), settings.bptt + LONGEST_MORE)


@torch.no_grad()
def word_loss(net: nn.Module, stream: Tensor, bptt: int) -> float:
    """Mean cross-entropy of the words of `stream` [length, streams] but its first row.

    Its exponential is the perplexity. The network, called as `net(words, state)`, is in evaluation
    mode; the mode is put back. The state is carried through the whole stream, so `bptt` decides
    the memory and not the result.
    """
    was_training = net.training
    net.eval()
    state: Any = None
    total = torch.zeros((), dtype=torch.float64, device=stream.device)
    for start in range(0, len(stream) - 1, bptt):
        words, targets = window(stream, start, bptt)
        logits, state = net(words, state)
        losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        total += losses.double().sum()
    net.train(was_training)
    return total.item() / stream[1:].numel()
