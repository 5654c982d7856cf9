"""The supernet of rnn_cell.darts, profile `search`; written by dartsc, passes: none.

The mixing weights come from outside, a row for each decision:

    recurrent [36, 5]: s[0] from start, … s[7] from s[6]
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = dict[str, Tensor]


def identity(x: Tensor) -> Tensor:
    return x


def sequence_mask(x: Tensor, p: float, training: bool) -> Tensor:
    """A dropout mask for a whole sequence, of the shape of one of its steps x [batch, width]."""
    return F.dropout(torch.ones_like(x), p, training)


def word_mask(table: nn.Embedding, p: float, training: bool) -> Tensor:
    """A dropout mask [words, 1]: a word that is dropped is gone wherever it stands."""
    return F.dropout(table.weight.new_ones(table.num_embeddings, 1), p, training)


def mixture(weights: Tensor, terms: list[Tensor]) -> Tensor:
    """The sum of what the candidates give, each times its weight."""
    return sum(w * term for w, term in zip(weights, terms, strict=True))


def gate(s: Tensor, ch: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """The highway: s + sigmoid(c) (f(h) - s), where c and h are the halves of `ch`."""
    c, h = ch.chunk(2, dim=-1)
    g = torch.sigmoid(c)
    return s + g * (f(h) - s)


def silence(s: Tensor, _: Tensor) -> Tensor:
    """No edge at all: its share of the mixture is lost."""
    return torch.zeros_like(s)


def candidates(s: Tensor, ch: Tensor, weights: Tensor) -> Tensor:
    return mixture(
        weights,
        [
            silence(s, ch),
            gate(s, ch, torch.tanh),
            gate(s, ch, F.relu),
            gate(s, ch, torch.sigmoid),
            gate(s, ch, identity),
        ],
    )


class Recurrent(nn.Module):
    """cell recurrent(H, input_drop, hidden_drop) from x, h[H]"""

    def __init__(self, in_features: int, H: int, input_drop: float, hidden_drop: float) -> None:
        super().__init__()
        self.input_drop = input_drop
        self.hidden_drop = hidden_drop
        self.first = nn.Linear(in_features + H, 2 * H, bias=False)
        self.whiten = nn.BatchNorm1d(H, affine=False)
        self.s0_W = nn.Linear(H, 2 * H, bias=False)
        self.s1_W = nn.Linear(H, 2 * H, bias=False)
        self.s2_W = nn.Linear(H, 2 * H, bias=False)
        self.s3_W = nn.Linear(H, 2 * H, bias=False)
        self.s4_W = nn.Linear(H, 2 * H, bias=False)
        self.s5_W = nn.Linear(H, 2 * H, bias=False)
        self.s6_W = nn.Linear(H, 2 * H, bias=False)
        self.s7_W = nn.Linear(H, 2 * H, bias=False)

    def forward(self, x: Tensor, h: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        w = weights["recurrent"]
        x_mask = sequence_mask(x[0], self.input_drop, self.training)
        mask = sequence_mask(h, self.hidden_drop, self.training)
        outputs = []
        for x_t in x:
            h = self.step(x_t, h, x_mask, mask, w)
            outputs.append(h)
        return torch.stack(outputs), h

    def step(self, x: Tensor, h: Tensor, x_mask: Tensor, mask: Tensor, w: Tensor) -> Tensor:
        first = self.first(torch.cat([x * x_mask, h * mask], dim=-1))
        start = self.whiten(gate(h, first, torch.tanh))
        s0 = candidates(start, self.s0_W(start * mask), w[0])
        s0 = self.whiten(s0)
        s1 = candidates(start, self.s1_W(start * mask), w[1]) + candidates(
            s0, self.s1_W(s0 * mask), w[2]
        )
        s1 = self.whiten(s1)
        s2 = (
            candidates(start, self.s2_W(start * mask), w[3])
            + candidates(s0, self.s2_W(s0 * mask), w[4])
            + candidates(s1, self.s2_W(s1 * mask), w[5])
        )
        s2 = self.whiten(s2)
        s3 = (
            candidates(start, self.s3_W(start * mask), w[6])
            + candidates(s0, self.s3_W(s0 * mask), w[7])
            + candidates(s1, self.s3_W(s1 * mask), w[8])
            + candidates(s2, self.s3_W(s2 * mask), w[9])
        )
        s3 = self.whiten(s3)
        s4 = (
            candidates(start, self.s4_W(start * mask), w[10])
            + candidates(s0, self.s4_W(s0 * mask), w[11])
            + candidates(s1, self.s4_W(s1 * mask), w[12])
            + candidates(s2, self.s4_W(s2 * mask), w[13])
            + candidates(s3, self.s4_W(s3 * mask), w[14])
        )
        s4 = self.whiten(s4)
        s5 = (
            candidates(start, self.s5_W(start * mask), w[15])
            + candidates(s0, self.s5_W(s0 * mask), w[16])
            + candidates(s1, self.s5_W(s1 * mask), w[17])
            + candidates(s2, self.s5_W(s2 * mask), w[18])
            + candidates(s3, self.s5_W(s3 * mask), w[19])
            + candidates(s4, self.s5_W(s4 * mask), w[20])
        )
        s5 = self.whiten(s5)
        s6 = (
            candidates(start, self.s6_W(start * mask), w[21])
            + candidates(s0, self.s6_W(s0 * mask), w[22])
            + candidates(s1, self.s6_W(s1 * mask), w[23])
            + candidates(s2, self.s6_W(s2 * mask), w[24])
            + candidates(s3, self.s6_W(s3 * mask), w[25])
            + candidates(s4, self.s6_W(s4 * mask), w[26])
            + candidates(s5, self.s6_W(s5 * mask), w[27])
        )
        s6 = self.whiten(s6)
        s7 = (
            candidates(start, self.s7_W(start * mask), w[28])
            + candidates(s0, self.s7_W(s0 * mask), w[29])
            + candidates(s1, self.s7_W(s1 * mask), w[30])
            + candidates(s2, self.s7_W(s2 * mask), w[31])
            + candidates(s3, self.s7_W(s3 * mask), w[32])
            + candidates(s4, self.s7_W(s4 * mask), w[33])
            + candidates(s5, self.s7_W(s5 * mask), w[34])
            + candidates(s6, self.s7_W(s6 * mask), w[35])
        )
        s7 = self.whiten(s7)
        return (s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7) / 8


class Supernet(nn.Module):
    """network(V, H, embedded_drop, input_drop, hidden_drop, output_drop, word_drop = 0) from
    word[T] below V to word[T, V]

    `forward` reads words [time, batch] and gives values [time, batch, width]. It also
    takes the state, zeros if left out, and gives it back behind. Nothing is detached.
    `forward` takes the mixing weights of every kind, a row for each decision.
    """

    def __init__(
        self,
        V: int = 10000,
        H: int = 300,
        embedded_drop: float = 0.2,
        input_drop: float = 0.75,
        hidden_drop: float = 0.25,
        output_drop: float = 0.75,
        word_drop: float = 0.0,
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

    def forward(
        self, word: Tensor, weights: Weights, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        if state is None:
            state = self.init_hidden(word.shape[1])
        x = self.table(word) * word_mask(self.table, self.word_drop, self.training)[word]
        x = x * sequence_mask(x[0], self.embedded_drop, self.training)
        h, state = self.recurrent(x, state, weights)
        return self.linear(h * sequence_mask(h[0], self.output_drop, self.training)), state

    def init_hidden(self, batch: int) -> Tensor:
        """The state at the start of a stream, all zeros."""
        weight = next(self.parameters())
        return weight.new_zeros(batch, self.H)
