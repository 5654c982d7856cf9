"""The final network of nas_bench_201.darts, profile `final`.

Written by dartsc from the genotype in the docstring of the cell; needs torch and nothing else.
Layers that nothing reads, or that make only zeros, are left out.
"""

import torch.nn.functional as F
from torch import Tensor, nn


def relu_conv_bn(in_channels: int, k: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out, k, stride=stride, padding=k // 2, bias=False),
        nn.BatchNorm2d(out),
    )


class Unit(nn.Module):
    """cell unit from x

    n[0] = x -> nor_conv_3x3
    n[1] = sum(x -> none, n[0] -> nor_conv_3x3)
    n[2] = sum(x -> skip_connect, n[0] -> nor_conv_1x1, n[1] -> none)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.n0_from_x = relu_conv_bn(channels, 3, out=channels)
        self.n2_from_n0 = relu_conv_bn(channels, 1, out=channels)
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        n0 = self.n0_from_x(x)
        return x + self.n2_from_n0(n0)


class Residual(nn.Module):
    """Between the stages: half the resolution; its norms are affine in the search network too."""

    def __init__(self, in_channels: int, out: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(in_channels, out, 3, stride=2, padding=1, bias=False)
        self.bn_0 = nn.BatchNorm2d(out)
        self.conv_1 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn_1 = nn.BatchNorm2d(out)
        self.conv_2 = nn.Conv2d(in_channels, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.conv_0(F.relu(x))
        x2 = F.relu(self.bn_0(x1))
        return self.bn_1(self.conv_1(x2)) + self.conv_2(F.avg_pool2d(x, 2))


class Network(nn.Module):
    """network(C = 16, N = 5, channels = 3, size = 32, classes = 10) from image[channels, size,
    size] to class[classes]
    """

    def __init__(self, C: int = 16, N: int = 5, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, C, 3, padding=1, bias=False),
            nn.BatchNorm2d(C),
        )
        self.large = nn.ModuleList()
        x = C
        for _ in range(N):
            cell = Unit(x)
            self.large.append(cell)
            x = cell.out_channels
        large_shape = x
        self.residual_0 = Residual(large_shape, 2 * C)
        self.units_0 = nn.ModuleList()
        x = 2 * C
        for _ in range(N):
            cell = Unit(x)
            self.units_0.append(cell)
            x = cell.out_channels
        middle_shape = x
        self.residual_1 = Residual(middle_shape, 4 * C)
        self.units_1 = nn.ModuleList()
        x = 4 * C
        for _ in range(N):
            cell = Unit(x)
            self.units_1.append(cell)
            x = cell.out_channels
        self.bn = nn.BatchNorm2d(x)
        self.linear = nn.Linear(x, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        for cell in self.large:
            x = cell(x)
        large = x
        x = self.residual_0(large)
        for cell in self.units_0:
            x = cell(x)
        middle = x
        x = self.residual_1(middle)
        for cell in self.units_1:
            x = cell(x)
        x1 = F.relu(self.bn(x))
        return self.linear(x1.mean((2, 3)))
