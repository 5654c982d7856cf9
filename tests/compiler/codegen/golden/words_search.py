"""The supernet of words.darts, profile `search`; written by dartsc, passes: none.

The mixing weights come from outside, a row for each decision:

    recurrent [6, 4]: s[0] from s0, … s[2] from s[1]
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
    c, h = ch.chunk(2, dim=-1)
    return s + torch.sigmoid(c) * (f(h) - s)


class Recurrent(nn.Module):
    """cell recurrent(H, drop) from x, h[H]"""

    def __init__(self, in_features: int, H: int, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.start = nn.Linear(in_features + H, 2 * H, bias=False)
        self.whiten = nn.BatchNorm1d(H, affine=False)
        self.s0_W = nn.Linear(H, 2 * H, bias=False)
        self.s1_W = nn.Linear(H, 2 * H, bias=False)
        self.s2_W = nn.Linear(H, 2 * H, bias=False)

    def forward(self, x: Tensor, h: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        w = weights["recurrent"]
        x_mask = sequence_mask(x[0], self.drop, self.training)
        mask = sequence_mask(h, self.drop, self.training)
        outputs = []
        for x_t in x:
            h = self.step(x_t, h, x_mask, mask, w)
            outputs.append(h)
        return torch.stack(outputs), h

    def step(self, x: Tensor, h: Tensor, x_mask: Tensor, mask: Tensor, w: Tensor) -> Tensor:
        start = self.start(torch.cat([x * x_mask, h * mask], dim=-1))
        s0 = self.whiten(gate(h, start, torch.tanh))
        s0_from_s0 = mixture(
            w[0],
            [
                torch.zeros_like(s0),
                gate(s0, self.s0_W(s0 * mask), torch.tanh),
                gate(s0, self.s0_W(s0 * mask), F.relu),
                gate(s0, self.s0_W(s0 * mask), identity),
            ],
        )
        s_0 = self.whiten(s0_from_s0)
        s1_from_s0_0 = mixture(
            w[1],
            [
                torch.zeros_like(s0),
                gate(s0, self.s1_W(s0 * mask), torch.tanh),
                gate(s0, self.s1_W(s0 * mask), F.relu),
                gate(s0, self.s1_W(s0 * mask), identity),
            ],
        )
        s1_from_s0_1 = mixture(
            w[2],
            [
                torch.zeros_like(s_0),
                gate(s_0, self.s1_W(s_0 * mask), torch.tanh),
                gate(s_0, self.s1_W(s_0 * mask), F.relu),
                gate(s_0, self.s1_W(s_0 * mask), identity),
            ],
        )
        s_1 = self.whiten(s1_from_s0_0 + s1_from_s0_1)
        s2_from_s0_0 = mixture(
            w[3],
            [
                torch.zeros_like(s0),
                gate(s0, self.s2_W(s0 * mask), torch.tanh),
                gate(s0, self.s2_W(s0 * mask), F.relu),
                gate(s0, self.s2_W(s0 * mask), identity),
            ],
        )
        s2_from_s0_1 = mixture(
            w[4],
            [
                torch.zeros_like(s_0),
                gate(s_0, self.s2_W(s_0 * mask), torch.tanh),
                gate(s_0, self.s2_W(s_0 * mask), F.relu),
                gate(s_0, self.s2_W(s_0 * mask), identity),
            ],
        )
        s2_from_s1 = mixture(
            w[5],
            [
                torch.zeros_like(s_1),
                gate(s_1, self.s2_W(s_1 * mask), torch.tanh),
                gate(s_1, self.s2_W(s_1 * mask), F.relu),
                gate(s_1, self.s2_W(s_1 * mask), identity),
            ],
        )
        s_2 = self.whiten(s2_from_s0_0 + s2_from_s0_1 + s2_from_s1)
        return (s_0 + s_1 + s_2) / 3


class Supernet(nn.Module):
    """network(V, H, drop = 0.3) from word[T] below V to word[T, V]

    `forward` reads words [time, batch] and gives values [time, batch, width]. It also
    takes the state, zeros if left out, and gives it back behind. Nothing is detached.
    `forward` takes the mixing weights of every kind, a row for each decision.
    """

    def __init__(self, V: int = 11, H: int = 4, drop: float = 0.3) -> None:
        super().__init__()
        self.drop = drop
        self.H = H
        self.table = nn.Embedding(V, H)
        self.recurrent = Recurrent(H, H, drop)
        self.linear_0 = nn.Linear(H, H)
        self.linear_1 = nn.Linear(H, V)
        self.linear_1.weight = self.table.weight

    def forward(
        self, word: Tensor, weights: Weights, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        if state is None:
            state = self.init_hidden(word.shape[1])
        h = self.table(word) * word_mask(self.table, self.drop, self.training)[word]
        h, state = self.recurrent(h, state, weights)
        x = torch.tanh(self.linear_0(h))
        return self.linear_1(x), state

    def init_hidden(self, batch: int) -> Tensor:
        """The state at the start of a stream, all zeros."""
        weight = next(self.parameters())
        return weight.new_zeros(batch, self.H)
