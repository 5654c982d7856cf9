"""The final network of imagenet_cell.darts, profile `final`.

Written by dartsc from the genotype in the docstrings of the cells; needs torch and nothing else.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int]  # channels, height


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


def dil_conv(channels: int, k: int, stride: int = 1, dilation: int = 2) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        depthwise(channels, k, stride=stride, dilation=dilation),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )


class Normal(nn.Module):
    """cell normal(C, stride = 1) from before[_, h, _], last[_, s, _]

    n[0] = sum(a -> sep_conv_3x3, b -> sep_conv_3x3)
    n[1] = sum(a -> sep_conv_3x3, b -> sep_conv_3x3)
    n[2] = sum(a -> skip_connect, b -> sep_conv_3x3)
    n[3] = sum(a -> skip_connect, n[0] -> dil_conv_3x3)
    """

    def __init__(self, before: Shape, last: Shape, C: int) -> None:
        super().__init__()
        before_c, h = before
        last_c, s = last
        self.a = project(before_c, C, stride=h // s)
        self.b = relu_conv_bn(last_c, 1, out=C)
        self.n0_from_a = sep_conv(C, 3)
        self.n0_from_b = sep_conv(C, 3)
        self.n1_from_a = sep_conv(C, 3)
        self.n1_from_b = sep_conv(C, 3)
        self.n2_from_b = sep_conv(C, 3)
        self.n3_from_n0 = dil_conv(C, 3)
        self.out_shape = (4 * C, s)
        self.drop_path = DropPath()

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        a = self.a(before)
        b = self.b(last)
        n0 = self.drop_path(self.n0_from_a(a)) + self.drop_path(self.n0_from_b(b))
        n1 = self.drop_path(self.n1_from_a(a)) + self.drop_path(self.n1_from_b(b))
        n2 = a + self.drop_path(self.n2_from_b(b))
        n3 = a + self.drop_path(self.n3_from_n0(n0))
        return torch.cat([n0, n1, n2, n3], dim=1)


class Reduce(nn.Module):
    """cell reduce(C) = normal(C, stride: 2)

    n[0] = sum(a -> max_pool_3x3, b -> max_pool_3x3)
    n[1] = sum(b -> max_pool_3x3, n[0] -> skip_connect)
    n[2] = sum(a -> max_pool_3x3, n[0] -> skip_connect)
    n[3] = sum(b -> max_pool_3x3, n[0] -> skip_connect)
    """

    def __init__(self, before: Shape, last: Shape, C: int) -> None:
        super().__init__()
        before_c, h = before
        last_c, s = last
        self.a = project(before_c, C, stride=h // s)
        self.b = relu_conv_bn(last_c, 1, out=C)
        self.n0_from_a = nn.MaxPool2d(3, stride=2, padding=1)
        self.n0_from_b = nn.MaxPool2d(3, stride=2, padding=1)
        self.n1_from_b = nn.MaxPool2d(3, stride=2, padding=1)
        self.n2_from_a = nn.MaxPool2d(3, stride=2, padding=1)
        self.n3_from_b = nn.MaxPool2d(3, stride=2, padding=1)
        self.out_shape = (4 * C, s // 2)
        self.drop_path = DropPath()

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        a = self.a(before)
        b = self.b(last)
        n0 = self.drop_path(self.n0_from_a(a)) + self.drop_path(self.n0_from_b(b))
        n1 = self.drop_path(self.n1_from_b(b)) + n0
        n2 = self.drop_path(self.n2_from_a(a)) + n0
        n3 = self.drop_path(self.n3_from_b(b)) + n0
        return torch.cat([n0, n1, n2, n3], dim=1)


def imagenet_head(in_channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride=2),
        nn.Conv2d(in_channels, 128, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Conv2d(128, 768, 2, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(768, classes),
    )


class Network(nn.Module):
    """network(C, N, channels = 3, size = 224, classes = 1000) from image[channels, size, size]
    to class[classes]

    Args:
        drop_path: the probability of dropping an edge while training.
        auxiliary: builds the auxiliary head. While training, `forward` then returns a pair,
            the logits and those of the head.
    """

    def __init__(
        self,
        C: int = 48,
        N: int = 14,
        classes: int = 1000,
        *,
        drop_path: float = 0.0,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        self.stem0 = nn.Sequential(
            nn.Conv2d(3, C // 2, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(C // 2),
            nn.ReLU(),
            nn.Conv2d(C // 2, C, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(C),
        )
        self.stem1 = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(C, C, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(C),
        )
        self.cells = nn.ModuleList()
        before, last = (C, 56), (C, 28)
        stage = 0
        for step in range(N):
            if step in (N // 3, 2 * N // 3):
                stage += 1
                cell = Reduce(before, last, C * 2**stage)
            else:
                cell = Normal(before, last, C * 2**stage)
            self.cells.append(cell)
            before, last = last, cell.out_shape
            if step == 2 * N // 3:
                tapped = last
        self.tapped_step = 2 * N // 3
        self.linear = nn.Linear(last[0], classes)
        self.auxiliary = None
        if auxiliary:
            self.auxiliary = imagenet_head(tapped[0], classes)
        self.set_drop_path(drop_path)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        stem0 = self.stem0(image)
        before, last = stem0, self.stem1(stem0)
        for step, cell in enumerate(self.cells):
            before, last = last, cell(before, last)
            if step == self.tapped_step:
                tapped = last
        logits = self.linear(last.mean((2, 3)))
        if self.training and self.auxiliary is not None:
            return logits, self.auxiliary(tapped)
        return logits

    def set_drop_path(self, p: float) -> None:
        """Sets the probability of dropping an edge (the paper raises it over the epochs)."""
        for module in self.modules():
            if isinstance(module, DropPath):
                module.p = p
