"""The supernet of cifar_cell.darts, profile `search`; written by dartsc, passes: none.

The mixing weights come from outside, a row for each decision:

    normal [14, 8]: n[0] from a, … n[3] from n[2]
    reduce [14, 8]: n[0] from a, … n[3] from n[2]
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int]  # channels, height
Weights = dict[str, Tensor]


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


def max_pool(channels: int, k: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.MaxPool2d(k, stride=stride, padding=k // 2),
        nn.BatchNorm2d(channels, affine=False),
    )


def avg_pool(channels: int, k: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.AvgPool2d(k, stride=stride, padding=k // 2, count_include_pad=False),
        nn.BatchNorm2d(channels, affine=False),
    )


def skip(channels: int, stride: int = 1) -> nn.Module:
    if stride > 1:
        return FactorisedReduce(channels, channels)
    return nn.Identity()


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


def dil_conv(channels: int, k: int, stride: int = 1, dilation: int = 2) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        depthwise(channels, k, stride=stride, dilation=dilation),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=False),
    )


def candidates(channels: int, stride: int = 1) -> MixedOp:
    return MixedOp(
        {
            "none": Zero(stride),
            "max_pool_3x3": max_pool(channels, 3, stride=stride),
            "avg_pool_3x3": avg_pool(channels, 3, stride=stride),
            "skip_connect": skip(channels, stride=stride),
            "sep_conv_3x3": sep_conv(channels, 3, stride=stride),
            "sep_conv_5x5": sep_conv(channels, 5, stride=stride),
            "dil_conv_3x3": dil_conv(channels, 3, stride=stride),
            "dil_conv_5x5": dil_conv(channels, 5, stride=stride),
        }
    )


class Normal(nn.Module):
    """cell normal(C, stride = 1) from before[_, h, _], last[_, s, _]"""

    def __init__(self, before: Shape, last: Shape, C: int) -> None:
        super().__init__()
        before_c, h = before
        last_c, s = last
        self.a = project(before_c, C, stride=h // s)
        self.b = relu_conv_bn(last_c, 1, out=C)
        self.n0_from_a = candidates(C)
        self.n0_from_b = candidates(C)
        self.n1_from_a = candidates(C)
        self.n1_from_b = candidates(C)
        self.n1_from_n0 = candidates(C)
        self.n2_from_a = candidates(C)
        self.n2_from_b = candidates(C)
        self.n2_from_n0 = candidates(C)
        self.n2_from_n1 = candidates(C)
        self.n3_from_a = candidates(C)
        self.n3_from_b = candidates(C)
        self.n3_from_n0 = candidates(C)
        self.n3_from_n1 = candidates(C)
        self.n3_from_n2 = candidates(C)
        self.out_shape = (4 * C, s)

    def forward(self, before: Tensor, last: Tensor, weights: Weights) -> Tensor:
        w = weights["normal"]
        a = self.a(before)
        b = self.b(last)
        n0 = self.n0_from_a(a, w[0]) + self.n0_from_b(b, w[1])
        n1 = self.n1_from_a(a, w[2]) + self.n1_from_b(b, w[3]) + self.n1_from_n0(n0, w[4])
        n2 = (
            self.n2_from_a(a, w[5])
            + self.n2_from_b(b, w[6])
            + self.n2_from_n0(n0, w[7])
            + self.n2_from_n1(n1, w[8])
        )
        n3 = (
            self.n3_from_a(a, w[9])
            + self.n3_from_b(b, w[10])
            + self.n3_from_n0(n0, w[11])
            + self.n3_from_n1(n1, w[12])
            + self.n3_from_n2(n2, w[13])
        )
        return torch.cat([n0, n1, n2, n3], dim=1)


class Reduce(nn.Module):
    """cell reduce(C) = normal(C, stride: 2)"""

    def __init__(self, before: Shape, last: Shape, C: int) -> None:
        super().__init__()
        before_c, h = before
        last_c, s = last
        self.a = project(before_c, C, stride=h // s)
        self.b = relu_conv_bn(last_c, 1, out=C)
        self.n0_from_a = candidates(C, stride=2)
        self.n0_from_b = candidates(C, stride=2)
        self.n1_from_a = candidates(C, stride=2)
        self.n1_from_b = candidates(C, stride=2)
        self.n1_from_n0 = candidates(C)
        self.n2_from_a = candidates(C, stride=2)
        self.n2_from_b = candidates(C, stride=2)
        self.n2_from_n0 = candidates(C)
        self.n2_from_n1 = candidates(C)
        self.n3_from_a = candidates(C, stride=2)
        self.n3_from_b = candidates(C, stride=2)
        self.n3_from_n0 = candidates(C)
        self.n3_from_n1 = candidates(C)
        self.n3_from_n2 = candidates(C)
        self.out_shape = (4 * C, s // 2)

    def forward(self, before: Tensor, last: Tensor, weights: Weights) -> Tensor:
        w = weights["reduce"]
        a = self.a(before)
        b = self.b(last)
        n0 = self.n0_from_a(a, w[0]) + self.n0_from_b(b, w[1])
        n1 = self.n1_from_a(a, w[2]) + self.n1_from_b(b, w[3]) + self.n1_from_n0(n0, w[4])
        n2 = (
            self.n2_from_a(a, w[5])
            + self.n2_from_b(b, w[6])
            + self.n2_from_n0(n0, w[7])
            + self.n2_from_n1(n1, w[8])
        )
        n3 = (
            self.n3_from_a(a, w[9])
            + self.n3_from_b(b, w[10])
            + self.n3_from_n0(n0, w[11])
            + self.n3_from_n1(n1, w[12])
            + self.n3_from_n2(n2, w[13])
        )
        return torch.cat([n0, n1, n2, n3], dim=1)


class Supernet(nn.Module):
    """network(C, N, channels = 3, size = 32, classes = 10) from image[channels, size, size] to
    class[classes]

    `forward` takes the mixing weights of every kind, a row for each decision.
    """

    def __init__(self, C: int = 16, N: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 3 * C, 3, padding=1, bias=False),
            nn.BatchNorm2d(3 * C),
        )
        self.cells = nn.ModuleList()
        before = last = (3 * C, 32)
        stage = 0
        for step in range(N):
            if step in (N // 3, 2 * N // 3):
                stage += 1
                cell = Reduce(before, last, C * 2**stage)
            else:
                cell = Normal(before, last, C * 2**stage)
            self.cells.append(cell)
            before, last = last, cell.out_shape
        self.linear = nn.Linear(last[0], classes)

    def forward(self, image: Tensor, weights: Weights) -> Tensor:
        before = last = self.stem(image)
        for cell in self.cells:
            before, last = last, cell(before, last, weights)
        return self.linear(last.mean((2, 3)))
