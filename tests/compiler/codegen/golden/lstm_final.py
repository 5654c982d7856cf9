"""The final network of lstm.darts, profile `final`.

Written by dartsc from the genotype in the docstrings of the cells; needs torch and nothing else.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sequence_mask(x: Tensor, p: float, training: bool) -> Tensor:
    """A dropout mask for a whole sequence, of the shape of one of its steps x [batch, width]."""
    return F.dropout(torch.ones_like(x), p, training)


class DropPath(nn.Module):
    """While training, zeroes its input with probability `p`, for each sample on its own."""

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        batch = 1 if x.dim() == 3 else 0  # in a sequence the time comes first
        sizes = [n if axis == batch else 1 for axis, n in enumerate(x.shape)]
        keep = x.new_empty(sizes).bernoulli_(1 - self.p)
        return x * keep / (1 - self.p)


def joined(z: Tensor, c: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    return f(z) * c


class Lstm(nn.Module):
    """cell lstm(H, p, scale = 2) from x, h[H], c[H]

    s[0] = sum(new -> wide, o -> wide)
    s[1] = sum(new -> wide, s[0] -> W)
    t = t
    """

    def __init__(self, in_features: int, H: int, p: float) -> None:
        super().__init__()
        self.p = p
        self.H = H
        self.linear = nn.Linear(in_features + H, 4 * H)
        self.s0_W = nn.Linear(H, H, bias=False)
        self.s1_W = nn.Linear(H, H, bias=False)
        self.tidy = nn.Linear(H, H)
        self.drop_path = DropPath()

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x_mask = sequence_mask(x[0], self.p, self.training)
        held = sequence_mask(h, self.p, self.training)
        value_mask = sequence_mask(x.new_ones(x.shape[1], self.H), self.p, self.training)
        outputs = []
        for x_t in x:
            h, c = self.step(x_t, h, c, x_mask, held, value_mask)
            outputs.append(h)
        return torch.stack(outputs), h, c

    def step(
        self, x: Tensor, h: Tensor, c: Tensor, x_mask: Tensor, held: Tensor, value_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        x1 = self.linear(torch.cat([x * x_mask, h * held], dim=-1))
        i, f, o, z = x1.chunk(4, dim=-1)
        new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(z)
        x2 = torch.tanh(self.s0_W(new * held))
        x3 = torch.tanh(self.s0_W(o * held))
        s0 = self.drop_path(x2) + self.drop_path(x3)
        x4 = torch.tanh(self.s1_W(new * held))
        s1 = self.drop_path(x4) + self.s1_W(s0 * held) * value_mask
        t = joined(s1, o, torch.tanh)
        return self.tidy((s0 + t) / 2), new / 2 - 1


class Learnt(nn.Module):
    def __init__(self, z_features: int, c_features: int, H: int) -> None:
        super().__init__()
        self.linear = nn.Linear(z_features + c_features, H)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.linear(torch.cat([z, c], dim=-1))


class Pair(nn.Module):
    """cell pair(H) from x, h[H]

    y = learnt_number
    """

    def __init__(self, in_features: int, H: int) -> None:
        super().__init__()
        self.y = Learnt(in_features, H, H)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        outputs = []
        for x_t in x:
            h = self.step(x_t, h)
            outputs.append(h)
        return torch.stack(outputs), h

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        y = self.y(x, h)
        return y - 0.5 * h


class Unstated(nn.Module):
    def __init__(self, in_features: int, H: int) -> None:
        super().__init__()
        self.linear_0 = nn.Linear(in_features, H)
        self.linear_1 = nn.Linear(H + in_features, H)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.step(x_t) for x_t in x])

    def step(self, x: Tensor) -> Tensor:
        return self.linear_1(torch.cat([self.linear_0(x), 1 / (2 + F.relu(x))], dim=-1))


class Network(nn.Module):
    """network(D, H, p = 0.3) from x[T, D] to y[T, 3]

    `forward` reads values [time, batch, width] and gives values [time, batch, width]. It also
    takes the state, zeros if left out, and gives it back behind. Nothing is detached.
    Args:
        drop_path: the probability of dropping an edge while training.
    """

    def __init__(self, H: int = 6, p: float = 0.3, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.p = p
        self.H = H
        self.linear_0 = nn.Linear(5, H)
        self.lstm = Lstm(H, H, p)
        self.pair = Pair(H, H)
        self.unstated = Unstated(H, H)
        self.linear_1 = nn.Linear(2 * H, 3)
        self.set_drop_path(drop_path)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        if state is None:
            state = self.init_hidden(x.shape[1])
        lstm_h, lstm_c, pair_h = state
        first_layer, lstm_h, lstm_c = self.lstm(self.linear_0(x), lstm_h, lstm_c)
        second, pair_h = self.pair(
            first_layer * sequence_mask(first_layer[0], self.p, self.training), pair_h
        )
        third = self.unstated(second)
        return self.linear_1(torch.cat([third, -second], dim=-1)), (lstm_h, lstm_c, pair_h)

    def init_hidden(self, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """The state at the start of a stream, all zeros."""
        weight = next(self.parameters())
        return (
            weight.new_zeros(batch, self.H),
            weight.new_zeros(batch, self.H),
            weight.new_zeros(batch, self.H),
        )

    def set_drop_path(self, p: float) -> None:
        """Sets the probability of dropping an edge (the paper raises it over the epochs)."""
        for module in self.modules():
            if isinstance(module, DropPath):
                module.p = p
