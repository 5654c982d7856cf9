"""The final network of windows.darts, profile `final`.

Written by dartsc from the genotype in the docstring of the cell; needs torch and nothing else.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int]  # channels, height


class GlobalMaxPool(nn.Module):
    """The maximum of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


def depthwise(channels: int, k: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        channels,
        channels,
        k,
        stride=stride,
        padding=dilation * (k // 2),
        dilation=dilation,
        groups=channels,
        bias=False,
    )


def relu_conv_bn(in_channels: int, k: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out, k, stride=stride, padding=k // 2, bias=False),
        nn.BatchNorm2d(out),
    )


class FactorisedReduce(nn.Module):
    """Halves the resolution: two convolutions of stride 2, the second one pixel down and right."""

    def __init__(self, in_channels: int, out: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(in_channels, out // 2, 1, stride=2, bias=False)
        self.conv_1 = nn.Conv2d(in_channels, out // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(x)
        x1 = torch.cat([self.conv_0(y), self.conv_1(y[:, :, 1:, 1:])], dim=1)
        return self.norm(x1)


def project(in_channels: int, out: int, stride: int = 1) -> nn.Module:
    """To `out` channels, and to half the resolution where stride is 2."""
    if stride == 1:
        return relu_conv_bn(in_channels, 1, out=out)
    return FactorisedReduce(in_channels, out)


class Block(nn.Module):
    """cell block(C) from p[_, h, _], q, r[_, s, _]

    m[0] = sum(a -> skip, b -> skip)
    m[1] = sum(a -> skip, b -> skip)
    """

    def __init__(self, p: Shape, q: Shape, r: Shape, C: int) -> None:
        super().__init__()
        p_c, h = p
        q_c, q_h = q
        r_c, s = r
        self.a = project(p_c, C, stride=h // s)
        self.b = nn.Sequential(
            nn.Conv2d(q_c, C, 1, bias=False),
            nn.BatchNorm2d(C),
        )
        self.c = nn.Conv2d(r_c, C, 1, bias=False)
        self.out_shape = (2 * C, q_h)

    def forward(self, p: Tensor, q: Tensor, r: Tensor) -> Tensor:
        a = self.a(p)
        b = self.b(q)
        m0 = a + b
        m1 = a + b
        return torch.cat([m0, m1], dim=1)


def sep_conv(channels: int, k: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        depthwise(channels, k, stride=stride),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        depthwise(channels, k),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )


def head(in_channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        GlobalMaxPool(),
        nn.Linear(in_channels, classes),
    )


class Network(nn.Module):
    """network(C, N, classes = 3) from image[1, 12, 12] to class[classes]"""

    def __init__(self, C: int = 6, N: int = 3, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, C, 3, padding=1, bias=False)
        self.x = nn.ModuleList()
        p = q = r = (C, 12)
        for _ in range(N):
            cell = Block(p, q, r, C)
            self.x.append(cell)
            p, q, r = q, r, cell.out_shape
        x_shape = r
        self.y = sep_conv(x_shape[0], 3, stride=2)
        self.blocks = nn.ModuleList()
        p = q = r = (x_shape[0], x_shape[1] // 2)
        for step in range(2):
            if step == 1:
                cell = Block(p, q, r, 2 * C)
            else:
                cell = Block(p, q, r, C + step)
            self.blocks.append(cell)
            p, q, r = q, r, cell.out_shape
        self.head = head(r[0], classes)

    def forward(self, image: Tensor) -> Tensor:
        p = q = r = self.stem(image)
        for cell in self.x:
            p, q, r = q, r, cell(p, q, r)
        x = r
        p = q = r = self.y(x)
        for cell in self.blocks:
            p, q, r = q, r, cell(p, q, r)
        return self.head(r)
