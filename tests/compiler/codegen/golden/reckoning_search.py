"""The supernet of reckoning.darts, profile `search`; written by dartsc, passes: none.

The mixing weights come from outside, a row for each decision:

    block [1, 3], [4, 4], [1, 2]: c, … n[1] from n[0]
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = dict[str, tuple[Tensor, ...]]


class Function(nn.Module):
    """A function as a module, with what it takes after the values."""

    def __init__(self, function: Callable[..., Tensor], *arguments: object) -> None:
        super().__init__()
        self.function = function
        self.arguments = arguments

    def forward(self, *values: Tensor) -> Tensor:
        return self.function(*values, *self.arguments)


def mixture(weights: Tensor, terms: list[Tensor]) -> Tensor:
    """The sum of what the candidates give, each times its weight."""
    return sum(w * term for w, term in zip(weights, terms, strict=True))


class GlobalMeanPool(nn.Module):
    """The mean of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class JointMixedOp(nn.ModuleDict):
    """The sum of what its candidates make of several values, each times its weight."""

    def forward(self, *inputs: Tensor) -> Tensor:
        *values, weights = inputs
        return sum(w * op(*values) for w, op in zip(weights, self.values(), strict=True))


def scaled(x: Tensor, d: int) -> Tensor:
    return x * d


def add(a: Tensor, b: Tensor) -> Tensor:
    return a + b


def left(a: Tensor, _: Tensor) -> Tensor:
    return a


class Blend(nn.Module):
    def __init__(self, a_channels: int, b_channels: int, C: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(a_channels + b_channels, C, 1, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.conv(torch.cat([a, b], dim=1))


def mirrored(x: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=1)
    return torch.cat([b, -a], dim=1)


class Squeeze(nn.Module):
    """Weighs every channel by what all of them have in common."""

    def __init__(self, channels: int, C: int, r: int = 2) -> None:
        super().__init__()
        self.w = nn.Sequential(
            GlobalMeanPool(),
            nn.Linear(channels, C // r),
            nn.ReLU(),
            nn.Linear(C // r, C),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        w = self.w(x)
        return x * w[:, :, None, None]


def shifted(x: Tensor, d: int) -> Tensor:
    return 1 - x / (d + 1) - (d - 3)


class Block(nn.Module):
    """cell block(C) from x"""

    def __init__(self, in_channels: int, C: int) -> None:
        super().__init__()
        self.C = C
        self.conv_0 = nn.Conv2d(in_channels, C, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(C)
        self.one = nn.Conv2d(C, C, 3, padding=1, bias=False)
        self.conv_1 = nn.Conv2d(C, C, 3, padding=1, bias=False)
        self.c = JointMixedOp(
            {
                "add": Function(add),
                "left": Function(left),
                "blend": Blend(C, C, C),
            }
        )
        self.n0_from_a_m = nn.Conv2d(C, C, 3, padding=1, bias=False)
        self.n0_from_a_s = Squeeze(C, C)
        self.n0_from_c_m = nn.Conv2d(C, C, 3, padding=1, bias=False)
        self.n0_from_c_s = Squeeze(C, C)
        self.train_ = nn.Conv2d(C, C, 1, bias=False)
        self.train__ = nn.BatchNorm2d(C)
        self.tidy_0_ = nn.Conv2d(C, C, 1, bias=False)
        self.tidy_1 = nn.BatchNorm2d(C)
        self.tidy_0 = nn.Conv2d(C, C, 1, bias=False)
        self.n1_from_a_m = nn.Conv2d(C, C, 3, padding=1, bias=False)
        self.n1_from_a_s = Squeeze(C, C)
        self.n1_from_c_m = nn.Conv2d(C, C, 3, padding=1, bias=False)
        self.n1_from_c_s = Squeeze(C, C)

    def forward(self, x: Tensor, weights: Weights) -> Tensor:
        w = weights["block"]
        a = self.norm2(self.conv_0(x))
        a = F.relu(a)
        x1 = self.norm2(self.one(a))
        x2 = F.relu(x1)
        x3 = scaled(x2, self.C) * 2 - -F.relu(x2) / -2
        b = self.conv_1(x3) * 5 - -F.relu(x3) / 1
        c = self.c(a, b, w[0][0])
        n0_from_a = mixture(
            w[1][0],
            [self.n0_from_a_m(mirrored(a)), self.n0_from_a_s(a), shifted(a, 3), self.one(a)],
        )
        n0_from_c = mixture(
            w[1][1],
            [self.n0_from_c_m(mirrored(c)), self.n0_from_c_s(c), shifted(c, 3), self.one(c)],
        )
        n0 = self.train_(n0_from_a + n0_from_c)
        n0 = self.train__(n0)
        n0 = self.tidy_1(self.tidy_0_(n0))
        n0 = self.tidy_0(n0)
        n1_from_a = mixture(
            w[1][2],
            [self.n1_from_a_m(mirrored(a)), self.n1_from_a_s(a), shifted(a, 3), self.one(a)],
        )
        n1_from_c = mixture(
            w[1][3],
            [self.n1_from_c_m(mirrored(c)), self.n1_from_c_s(c), shifted(c, 3), self.one(c)],
        )
        n1_from_n0 = mixture(w[2][0], [n0, mirrored(n0)])
        n1 = self.train_(n1_from_a + n1_from_c + n1_from_n0)
        n1 = self.train__(n1)
        n1 = self.tidy_1(self.tidy_0_(n1))
        n1 = self.tidy_0(n1)
        return torch.cat([n0, n1, self.one(n1)], dim=1)


class BlocksStep(nn.Module):
    def __init__(self, in_channels: int, C: int) -> None:
        super().__init__()
        self.block = Block(in_channels, C)

    def forward(self, x: Tensor, weights: Weights) -> Tensor:
        return mirrored(self.block(x, weights))


class Supernet(nn.Module):
    """network(C, classes = 3) from image[2, 8, 8] to class[classes]

    `forward` takes the mixing weights of every kind, a row for each decision.
    """

    def __init__(self, C: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        x = 2
        for _ in range(2):
            layer = BlocksStep(x, C)
            out = 3 * C
            self.blocks.append(layer)
            x = out
        self.linear = nn.Linear(x, classes)

    def forward(self, image: Tensor, weights: Weights) -> Tensor:
        x = image
        for layer in self.blocks:
            x = layer(x, weights)
        return self.linear((-(x * x)).amax((2, 3)))
