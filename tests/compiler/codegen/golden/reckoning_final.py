"""The final network of reckoning.darts, profile `final`.

Written by dartsc from the genotype in the docstring of the cell; needs torch and nothing else.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Function(nn.Module):
    """A function as a module, with what it takes after the values."""

    def __init__(self, function: Callable[..., Tensor], *arguments: object) -> None:
        super().__init__()
        self.function = function
        self.arguments = arguments

    def forward(self, *values: Tensor) -> Tensor:
        return self.function(*values, *self.arguments)


def scaled(x: Tensor, d: int) -> Tensor:
    return x * d


def add(a: Tensor, b: Tensor) -> Tensor:
    return a + b


def mirrored(x: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=1)
    return torch.cat([b, -a], dim=1)


class Block(nn.Module):
    """cell block(C) from x

    c = add
    n[0] = sum(a -> m, c -> m)
    n[1] = sum(a -> m, n[0] -> identity)
    """

    def __init__(self, in_channels: int, C: int) -> None:
        super().__init__()
        self.C = C
        self.conv_0 = nn.Conv2d(in_channels, C, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(C)
        self.one = nn.Conv2d(C, C, 3, padding=1, bias=False)
        self.conv_1 = nn.Conv2d(C, C, 3, padding=1, bias=False)
        self.n0_from_a = nn.Sequential(
            Function(mirrored),
            nn.Conv2d(C, C, 3, padding=1, bias=False),
        )
        self.n0_from_c = nn.Sequential(
            Function(mirrored),
            nn.Conv2d(C, C, 3, padding=1, bias=False),
        )
        self.train_ = nn.Conv2d(C, C, 1, bias=False)
        self.train__ = nn.BatchNorm2d(C)
        self.tidy_0_ = nn.Conv2d(C, C, 1, bias=False)
        self.tidy_1 = nn.BatchNorm2d(C)
        self.tidy_0 = nn.Conv2d(C, C, 1, bias=False)
        self.n1_from_a = nn.Sequential(
            Function(mirrored),
            nn.Conv2d(C, C, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        a = self.norm2(self.conv_0(x))
        a = F.relu(a)
        x1 = self.norm2(self.one(a))
        x2 = F.relu(x1)
        x3 = scaled(x2, self.C) * 2 - -F.relu(x2) / -2
        b = self.conv_1(x3) * 5 - -F.relu(x3) / 1
        c = add(a, b)
        n0 = self.n0_from_a(a) + self.n0_from_c(c)
        n0 = self.train__(self.train_(n0))
        n0 = self.tidy_1(self.tidy_0_(n0))
        n0 = self.tidy_0(n0)
        n1 = self.n1_from_a(a) + n0
        n1 = self.train__(self.train_(n1))
        n1 = self.tidy_1(self.tidy_0_(n1))
        n1 = self.tidy_0(n1)
        return torch.cat([n0, n1, self.one(n1)], dim=1)


def blocks_step(in_channels: int, C: int) -> nn.Sequential:
    return nn.Sequential(
        Block(in_channels, C),
        Function(mirrored),
    )


class Network(nn.Module):
    """network(C, classes = 3) from image[2, 8, 8] to class[classes]"""

    def __init__(self, C: int = 6, classes: int = 3) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        x = 2
        for _ in range(2):
            layer = blocks_step(x, C)
            out = 3 * C
            self.blocks.append(layer)
            x = out
        self.linear = nn.Linear(x, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for layer in self.blocks:
            x = layer(x)
        return self.linear((-(x * x)).amax((2, 3)))
