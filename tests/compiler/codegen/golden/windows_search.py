"""The supernet of windows.darts, profile `search`; written by dartsc, passes: none.

The mixing weights come from outside, a row for each decision:

    block [6, 3], [1, 4]: m[0] from a, … m[1] from m[0]
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int]  # channels, height
Weights = dict[str, tuple[Tensor, ...]]


class GlobalMaxPool(nn.Module):
    """The maximum of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


class Zero(nn.Module):
    """Zeros of the shape that a layer of this stride would give."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            x = x[:, :, :: self.stride, :: self.stride]
        return torch.zeros_like(x)


class MixedOp(nn.ModuleDict):
    """The sum of what its candidates make of one value, each times its weight."""

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return sum(w * op(x) for w, op in zip(weights, self.values(), strict=True))


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
        nn.BatchNorm2d(out, affine=False),
    )


class FactorisedReduce(nn.Module):
    """Halves the resolution: two convolutions of stride 2, the second one pixel down and right."""

    def __init__(self, in_channels: int, out: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(in_channels, out // 2, 1, stride=2, bias=False)
        self.conv_1 = nn.Conv2d(in_channels, out // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(x)
        x1 = torch.cat([self.conv_0(y), self.conv_1(y[:, :, 1:, 1:])], dim=1)
        return self.norm(x1)


def project(in_channels: int, out: int, stride: int = 1) -> nn.Module:
    """To `out` channels, and to half the resolution where stride is 2."""
    if stride == 1:
        return relu_conv_bn(in_channels, 1, out=out)
    return FactorisedReduce(in_channels, out)


def sep_conv(channels: int, k: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        depthwise(channels, k, stride=stride),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=False),
        nn.ReLU(),
        depthwise(channels, k),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=False),
    )


def max_pool(channels: int, k: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.MaxPool2d(k, stride=stride, padding=k // 2),
        nn.BatchNorm2d(channels, affine=False),
    )


class Block(nn.Module):
    """cell block(C) from p[_, h, _], q, r[_, s, _]"""

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
        self.m0_from_a = MixedOp(
            {
                "skip": nn.Identity(),
                "sep_conv_3": sep_conv(C, 3),
                "max_pool_3": max_pool(C, 3),
            }
        )
        self.m0_from_b = MixedOp(
            {
                "skip": nn.Identity(),
                "sep_conv_3": sep_conv(C, 3),
                "max_pool_3": max_pool(C, 3),
            }
        )
        self.m0_from_c = MixedOp(
            {
                "skip": nn.Identity(),
                "sep_conv_3": sep_conv(C, 3),
                "max_pool_3": max_pool(C, 3),
            }
        )
        self.m1_from_a = MixedOp(
            {
                "skip": nn.Identity(),
                "sep_conv_3": sep_conv(C, 3),
                "max_pool_3": max_pool(C, 3),
            }
        )
        self.m1_from_b = MixedOp(
            {
                "skip": nn.Identity(),
                "sep_conv_3": sep_conv(C, 3),
                "max_pool_3": max_pool(C, 3),
            }
        )
        self.m1_from_c = MixedOp(
            {
                "skip": nn.Identity(),
                "sep_conv_3": sep_conv(C, 3),
                "max_pool_3": max_pool(C, 3),
            }
        )
        self.m1_from_m0 = MixedOp(
            {
                "none": Zero(1),
                "identity": nn.Identity(),
                "conv_3": nn.Conv2d(C, C, 3, padding=1, bias=False),
                "sep_conv_3": sep_conv(C, 3),
            }
        )
        self.out_shape = (2 * C, q_h)

    def forward(self, p: Tensor, q: Tensor, r: Tensor, weights: Weights) -> Tensor:
        w = weights["block"]
        a = self.a(p)
        b = self.b(q)
        c = self.c(r)
        m0 = self.m0_from_a(a, w[0][0]) + self.m0_from_b(b, w[0][1]) + self.m0_from_c(c, w[0][2])
        m1 = (
            self.m1_from_a(a, w[0][3])
            + self.m1_from_b(b, w[0][4])
            + self.m1_from_c(c, w[0][5])
            + self.m1_from_m0(m0, w[1][0])
        )
        return torch.cat([m0, m1], dim=1)


def head(in_channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        GlobalMaxPool(),
        nn.Linear(in_channels, classes),
    )


class Supernet(nn.Module):
    """network(C, N, classes = 3) from image[1, 12, 12] to class[classes]

    `forward` takes the mixing weights of every kind, a row for each decision.
    """

    def __init__(self, C: int = 4, N: int = 2, classes: int = 3) -> None:
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

    def forward(self, image: Tensor, weights: Weights) -> Tensor:
        p = q = r = self.stem(image)
        for cell in self.x:
            p, q, r = q, r, cell(p, q, r, weights)
        x = r
        p = q = r = self.y(x)
        for cell in self.blocks:
            p, q, r = q, r, cell(p, q, r, weights)
        return self.head(r)
