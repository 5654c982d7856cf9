"""The final network of rnn_cell.darts, profile `final`.

Written by dartsc from the genotype in the docstring of the cell; needs torch and nothing else.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def identity(x: Tensor) -> Tensor:
    return x


def sequence_mask(x: Tensor, p: float, training: bool) -> Tensor:
    """A dropout mask for a whole sequence, of the shape of one of its steps x [batch, width]."""
    return F.dropout(torch.ones_like(x), p, training)


def word_mask(table: nn.Embedding, p: float, training: bool) -> Tensor:
    """A dropout mask [words, 1]: a word that is dropped is gone wherever it stands."""
    return F.dropout(table.weight.new_ones(table.num_embeddings, 1), p, training)


def gate(s: Tensor, ch: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """The highway: s + sigmoid(c) (f(h) - s), where c and h are the halves of `ch`."""
    c, h = ch.chunk(2, dim=-1)
    g = torch.sigmoid(c)
    return s + g * (f(h) - s)


class Recurrent(nn.Module):
    """cell recurrent(H, input_drop, hidden_drop) from x, h[H]

    s[0] = start -> sigmoid
    s[1] = s[0] -> relu
    s[2] = s[0] -> relu
    s[3] = s[0] -> identity
    s[4] = s[1] -> tanh
    s[5] = s[4] -> sigmoid
    s[6] = s[2] -> tanh
    s[7] = s[4] -> relu
    """

    def __init__(self, in_features: int, H: int, input_drop: float, hidden_drop: float) -> None:
        super().__init__()
        self.input_drop = input_drop
        self.hidden_drop = hidden_drop
        self.first = nn.Linear(in_features + H, 2 * H, bias=False)
        self.s0_W = nn.Linear(H, 2 * H, bias=False)
        self.s1_W = nn.Linear(H, 2 * H, bias=False)
        self.s2_W = nn.Linear(H, 2 * H, bias=False)
        self.s3_W = nn.Linear(H, 2 * H, bias=False)
        self.s4_W = nn.Linear(H, 2 * H, bias=False)
        self.s5_W = nn.Linear(H, 2 * H, bias=False)
        self.s6_W = nn.Linear(H, 2 * H, bias=False)
        self.s7_W = nn.Linear(H, 2 * H, bias=False)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        x_mask = sequence_mask(x[0], self.input_drop, self.training)
        mask = sequence_mask(h, self.hidden_drop, self.training)
        outputs = []
        for x_t in x:
            h = self.step(x_t, h, x_mask, mask)
            outputs.append(h)
        return torch.stack(outputs), h

    def step(self, x: Tensor, h: Tensor, x_mask: Tensor, mask: Tensor) -> Tensor:
        first = self.first(torch.cat([x * x_mask, h * mask], dim=-1))
        start = gate(h, first, torch.tanh)
        s0 = gate(start, self.s0_W(start * mask), torch.sigmoid)
        s1 = gate(s0, self.s1_W(s0 * mask), F.relu)
        s2 = gate(s0, self.s2_W(s0 * mask), F.relu)
        s3 = gate(s0, self.s3_W(s0 * mask), identity)
        s4 = gate(s1, self.s4_W(s1 * mask), torch.tanh)
        s5 = gate(s4, self.s5_W(s4 * mask), torch.sigmoid)
        s6 = gate(s2, self.s6_W(s2 * mask), torch.tanh)
        s7 = gate(s4, self.s7_W(s4 * mask), F.relu)
        return (s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7) / 8


class Network(nn.Module):
    """network(V, H, embedded_drop, input_drop, hidden_drop, output_drop, word_drop = 0) from
    word[T] below V to word[T, V]

    `forward` reads words [time, batch] and gives values [time, batch, width]. It also
    takes the state, zeros if left out, and gives it back behind. Nothing is detached.
    """

    def __init__(
        self,
        V: int = 10000,
        H: int = 850,
        embedded_drop: float = 0.2,
        input_drop: float = 0.75,
        hidden_drop: float = 0.25,
        output_drop: float = 0.75,
        word_drop: float = 0.1,
    ) -> None:
        super().__init__()
        self.word_drop = word_drop
        self.embedded_drop = embedded_drop
        self.output_drop = output_drop
        self.H = H
        self.table = nn.Embedding(V, H)
        self.recurrent = Recurrent(H, H, input_drop, hidden_drop)
        self.linear = nn.Linear(H, V)
        self.linear.weight = self.table.weight

    def forward(self, word: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if state is None:
            state = self.init_hidden(word.shape[1])
        x = self.table(word) * word_mask(self.table, self.word_drop, self.training)[word]
        x = x * sequence_mask(x[0], self.embedded_drop, self.training)
        h, state = self.recurrent(x, state)
        return self.linear(h * sequence_mask(h[0], self.output_drop, self.training)), state

    def init_hidden(self, batch: int) -> Tensor:
        """The state at the start of a stream, all zeros."""
        weight = next(self.parameters())
        return weight.new_zeros(batch, self.H)
