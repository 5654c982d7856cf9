"""The final network of vision.darts, profile `final`.

Written by dartsc from the genotype in the docstring of the cell; needs torch and nothing else.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TimeMaxPool(nn.Module):
    """The maximum of every channel over the steps of a sequence [time, batch, width]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(0)


class PixelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of every pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Attention(nn.Module):
    """Self-attention of a sequence [time, batch, width] in several heads."""

    def __init__(self, width: int, heads: int, head_width: int, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * heads * head_width, bias=bias)
        self.out = nn.Linear(heads * head_width, width, bias=bias)

    def mixed(self, x: Tensor) -> Tensor:
        """What every head makes of the sequence, [time, batch, heads, head_width]."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 1, 3, 0, 4).unbind()
        return F.scaled_dot_product_attention(q, k, v).permute(2, 0, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.mixed(x).flatten(2))


class Position(nn.Module):
    """Adds a learned table to a sequence [time, batch, width]."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, width))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight[:, None]


class Tokens(nn.Module):
    """The pixels of an image as the steps of a sequence [time, batch, channels]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).permute(2, 0, 1)


class Pixels(nn.Module):
    """The steps of a sequence as the pixels of an image of so many rows."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(1, 2, 0).unflatten(2, (self.rows, -1))


def attended(channels: int, heads: int) -> nn.Sequential:
    return nn.Sequential(
        PixelNorm(channels),
        Tokens(),
        Position(24, channels),
        Attention(channels, heads, channels // heads, bias=False),
        Pixels(4),
    )


class Unit(nn.Module):
    """cell unit(C) from x[_, _, _]

    n[0] = a -> attended_2
    n[1] = sum(a -> attended_2, n[0] -> attended_2)
    """

    def __init__(self, in_channels: int, C: int) -> None:
        super().__init__()
        self.a = nn.Sequential(
            nn.Conv2d(in_channels, C, 1, bias=False),
            nn.GroupNorm(2, C),
        )
        self.n0_from_a = attended(C, 2)
        self.n1_from_a = attended(C, 2)
        self.n1_from_n0 = attended(C, 2)
        self.out_channels = 2 * C

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        n0 = self.n0_from_a(a)
        n1 = self.n1_from_a(a) + self.n1_from_n0(n0)
        return torch.cat([n0, n1], dim=1)


class Mixer(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.layer_norm_0 = nn.LayerNorm(16)
        self.attention = Attention(16, heads, 16 // heads)
        self.layer_norm_1 = nn.LayerNorm(16, elementwise_affine=False)
        self.linear_0 = nn.Linear(16, 32, bias=False)
        self.linear_1 = nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.attention(self.layer_norm_0(x))
        x1 = self.linear_0(self.layer_norm_1(y))
        return y + self.linear_1(F.gelu(x1))


class Mixer1(nn.Module):
    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.layer_norm_0 = nn.LayerNorm(16)
        self.attention = Attention(16, heads, width)
        self.layer_norm_1 = nn.LayerNorm(16, elementwise_affine=False)
        self.linear_0 = nn.Linear(16, 32, bias=False)
        self.linear_1 = nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.attention(self.layer_norm_0(x))
        x1 = self.linear_0(self.layer_norm_1(y))
        return y + self.linear_1(F.gelu(x1))


class Network(nn.Module):
    """network(C, N = 2, classes = 3) from image[2, 4, 6] to class[classes]"""

    def __init__(self, C: int = 8, N: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.cells = nn.ModuleList()
        x = (2, 4, 6)
        for _ in range(N):
            cell = Unit(x[0], C)
            out = (2 * C, x[1], x[1] * x[2] // x[1])
            self.cells.append(cell)
            x = out
        self.words = nn.Sequential(
            Tokens(),
            Position(x[1] * x[2], x[0]),
            Mixer(2),
            Mixer1(3, 5),
        )
        self.maxima = nn.Sequential(
            nn.LayerNorm(x[0]),
            TimeMaxPool(),
            nn.GroupNorm(2, x[0]),
        )
        self.layer_norm = nn.LayerNorm(x[0])
        self.linear = nn.Linear(x[0], classes)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for cell in self.cells:
            x = cell(x)
        words = self.words(x)
        maxima = self.maxima(words)
        x1 = F.softmax(words, dim=-1).mean(0)
        return self.linear(maxima + self.layer_norm(x1))
