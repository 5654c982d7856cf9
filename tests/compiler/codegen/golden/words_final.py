"""The final network of words.darts, profile `final`.

Written by dartsc from the genotype in the docstring of the cell; needs torch and nothing else.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sequence_mask(x: Tensor, p: float, training: bool) -> Tensor:
    """A dropout mask for a whole sequence, of the shape of one of its steps x [batch, width]."""
    return F.dropout(torch.ones_like(x), p, training)


def word_mask(table: nn.Embedding, p: float, training: bool) -> Tensor:
    """A dropout mask [words, 1]: a word that is dropped is gone wherever it stands."""
    return F.dropout(table.weight.new_ones(table.num_embeddings, 1), p, training)


def gate(s: Tensor, ch: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    c, h = ch.chunk(2, dim=-1)
    return s + torch.sigmoid(c) * (f(h) - s)


class Recurrent(nn.Module):
    """cell recurrent(H, drop) from x, h[H]

    s[0] = s0 -> highway_tanh
    s[1] = s0 -> highway_tanh
    s[2] = s0 -> highway_tanh
    """

    def __init__(self, in_features: int, H: int, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.start = nn.Linear(in_features + H, 2 * H, bias=False)
        self.s0_W = nn.Linear(H, 2 * H, bias=False)
        self.s1_W = nn.Linear(H, 2 * H, bias=False)
        self.s2_W = nn.Linear(H, 2 * H, bias=False)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        x_mask = sequence_mask(x[0], self.drop, self.training)
        mask = sequence_mask(h, self.drop, self.training)
        outputs = []
        for x_t in x:
            h = self.step(x_t, h, x_mask, mask)
            outputs.append(h)
        return torch.stack(outputs), h

    def step(self, x: Tensor, h: Tensor, x_mask: Tensor, mask: Tensor) -> Tensor:
        start = self.start(torch.cat([x * x_mask, h * mask], dim=-1))
        s0 = gate(h, start, torch.tanh)
        s_0 = gate(s0, self.s0_W(s0 * mask), torch.tanh)
        s_1 = gate(s0, self.s1_W(s0 * mask), torch.tanh)
        s_2 = gate(s0, self.s2_W(s0 * mask), torch.tanh)
        return (s_0 + s_1 + s_2) / 3


class Network(nn.Module):
    """network(V, H, drop = 0.3) from word[T] below V to word[T, V]

    `forward` reads words [time, batch] and gives values [time, batch, width]. It also
    takes the state, zeros if left out, and gives it back behind. Nothing is detached.
    """

    def __init__(self, V: int = 11, H: int = 6, drop: float = 0.3) -> None:
        super().__init__()
        self.drop = drop
        self.H = H
        self.table = nn.Embedding(V, H)
        self.recurrent = Recurrent(H, H, drop)
        self.linear_0 = nn.Linear(H, H)
        self.linear_1 = nn.Linear(H, V)
        self.linear_1.weight = self.table.weight

    def forward(self, word: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if state is None:
            state = self.init_hidden(word.shape[1])
        h = self.table(word) * word_mask(self.table, self.drop, self.training)[word]
        h, state = self.recurrent(h, state)
        x = torch.tanh(self.linear_0(h))
        return self.linear_1(x), state

    def init_hidden(self, batch: int) -> Tensor:
        """The state at the start of a stream, all zeros."""
        weight = next(self.parameters())
        return weight.new_zeros(batch, self.H)
