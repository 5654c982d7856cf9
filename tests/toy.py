"""A recurrent language model small enough to follow by hand, a text for it, and how one trains."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dsl.settings import Settings
from runtime.streams import stretches
from runtime.text import Text

WORDS, WIDTH = 7, 3


class Recurrence(nn.Module):
    """h_t = tanh(W [x_t, h_{t−1}]), from x [length, batch, width] to (all h_t, the last one)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        outputs = []
        for row in x:
            h = torch.tanh(self.linear(torch.cat([row, h], dim=1)))
            outputs.append(h)
        return torch.stack(outputs), h


class Toy(nn.Module):
    """What the trainer asks of a network: its call, its tied weight and the names of its parts."""

    recurrence, readout = "recurrent", "linear"

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, WIDTH)
        self.recurrent = Recurrence()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(WIDTH, WORDS)
        self.linear.weight = self.table.weight

    def forward(self, words: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if state is None:
            state = self.init_hidden(words.shape[1])
        outputs, state = self.recurrent(self.table(words), state)
        return self.linear(self.dropout(outputs)), state

    def init_hidden(self, batch: int) -> Tensor:
        return self.table.weight.new_zeros(batch, WIDTH)


def toy(dropout: float = 0.0) -> Toy:
    """In float64, with weights of seed 0 that are large enough to matter."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Toy(dropout).double()
        for parameter in net.parameters():
            nn.init.uniform_(parameter, -0.5, 0.5)
    return net


def text(seed: int = 0, train: int = 122) -> Text:
    """Words drawn at random: what is learnt of one part does not hold for another."""
    draw = torch.Generator().manual_seed(seed)
    parts = [torch.randint(WORDS, (size,), generator=draw) for size in (train, 62, 41)]
    return Text("mine", *parts, tuple("abcdefg"))


def plain_epoch(net: Toy, stream: Tensor, settings: Settings, seed: int, epoch: int) -> list[float]:
    """One epoch by the definitions; gives the losses and moves the weights of `net`."""
    state = net.init_hidden(stream.shape[1])
    losses: list[float] = []
    buffers: dict[Tensor, Tensor | int] = {}
    for start, length in stretches(len(stream), settings, seed, epoch):
        stop = min(start + length, len(stream) - 1)
        words, targets = stream[start:stop], stream[start + 1 : stop + 1]
        outputs, state = net.recurrent(net.table(words), state.detach())
        logits = net.linear(outputs)
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[2]), targets.reshape(-1))
        penalty = settings.activation * (outputs**2).mean()
        if len(outputs) > 1:
            penalty = penalty + settings.slowness * ((outputs[1:] - outputs[:-1]) ** 2).mean()
        weights = list(net.parameters())
        gradients = torch.autograd.grad(loss + penalty, weights)
        norm = sum((g**2).sum() for g in gradients).sqrt()
        scale = min(1.0, settings.clip / (norm + 1e-6)) if settings.clip > 0 else 1.0
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                move = scale * gradient + settings.decay * weight
                buffers[weight] = settings.momentum * buffers.get(weight, 0) + move
                weight -= settings.lr * length / settings.bptt * buffers[weight]
        losses.append(loss.item())
    return losses
