"""The final network of one_kind.darts, profile `final`.

Written by dartsc from the genotype in the docstring of the cell; needs torch and nothing else.
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


def dropped(drop_path: DropPath, edge: nn.Module, x: Tensor) -> Tensor:
    """What an edge makes of `x`, with drop-path around it unless it is the identity."""
    return x if isinstance(edge, nn.Identity) else drop_path(edge(x))


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


def skip(channels: int, stride: int = 1) -> nn.Module:
    if stride > 1:
        return FactorisedReduce(channels, channels)
    return nn.Identity()


class Unit(nn.Module):
    """cell unit(C, stride = 1) from before[_, h, _], last[_, s, _]

    n[0] = sum(a -> skip, b -> skip)
    n[1] = sum(a -> skip, b -> skip)
    n[2] = sum(a -> skip, b -> skip)
    """

    def __init__(self, before: Shape, last: Shape, C: int, stride: int = 1) -> None:
        super().__init__()
        before_c, h = before
        last_c, s = last
        self.a = project(before_c, C, stride=h // s)
        self.b = relu_conv_bn(last_c, 1, out=C)
        self.n0_from_a = skip(C, stride=stride)
        self.n0_from_b = skip(C, stride=stride)
        self.n1_from_a = skip(C, stride=stride)
        self.n1_from_b = skip(C, stride=stride)
        self.n2_from_a = skip(C, stride=stride)
        self.n2_from_b = skip(C, stride=stride)
        self.out_shape = (3 * C, s // 2 if stride > 1 else s)
        self.drop_path = DropPath()

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        a = self.a(before)
        b = self.b(last)
        n0 = dropped(self.drop_path, self.n0_from_a, a) + dropped(self.drop_path, self.n0_from_b, b)
        n1 = dropped(self.drop_path, self.n1_from_a, a) + dropped(self.drop_path, self.n1_from_b, b)
        n2 = dropped(self.drop_path, self.n2_from_a, a) + dropped(self.drop_path, self.n2_from_b, b)
        return torch.cat([n0, n1, n2], dim=1)


class Network(nn.Module):
    """network(C, N, classes = 10) from image[3, 16, 16] to class[classes]

    Args:
        drop_path: the probability of dropping an edge while training.
        auxiliary: builds the auxiliary head. While training, `forward` then returns a pair,
            the logits and those of the head.
    """

    def __init__(
        self,
        C: int = 4,
        N: int = 4,
        classes: int = 10,
        *,
        drop_path: float = 0.0,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 3 * C, 3, padding=1, bias=False),
            nn.BatchNorm2d(3 * C),
        )
        self.cells = nn.ModuleList()
        before = last = (3 * C, 16)
        stage = 0
        for step in range(N):
            if step == N // 2:
                stage += 1
                cell = Unit(before, last, C * 2**stage, stride=2)
            else:
                cell = Unit(before, last, C * 2**stage)
            self.cells.append(cell)
            before, last = last, cell.out_shape
            if step == 1:
                tapped = last
        self.select = (
            nn.Sequential(nn.Linear(last[0], 2 * classes), nn.ReLU()) if N > 2 else nn.Identity()
        )
        self.linear = nn.Linear(2 * classes if N > 2 else last[0], classes)
        self.auxiliary = None
        if auxiliary:
            self.auxiliary = nn.Linear(tapped[0], classes)
        self.set_drop_path(drop_path)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        before = last = self.stem(image)
        for step, cell in enumerate(self.cells):
            before, last = last, cell(before, last)
            if step == 1:
                tapped = last
        x = self.select(last.mean((2, 3)))
        logits = self.linear(x)
        if self.training and self.auxiliary is not None:
            auxiliary = F.relu(tapped).mean((2, 3))
            return logits, self.auxiliary(auxiliary)
        return logits

    def set_drop_path(self, p: float) -> None:
        """Sets the probability of dropping an edge (the paper raises it over the epochs)."""
        for module in self.modules():
            if isinstance(module, DropPath):
                module.p = p
