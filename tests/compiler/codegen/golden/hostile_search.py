"""The supernet of hostile.darts, profile `search`; written by dartsc, passes: none.

The mixing weights come from outside, a row for each decision:

    tensor [3, 8]: super_[0] from eval, … super_[1] from super_[0]
    supernet [1, 8]: return
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


class MixedOp_(nn.Module):
    def __init__(self, channels: int, k: int) -> None:
        super().__init__()
        self.torch = nn.Conv2d(channels, channels, k, padding=k // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        self_ = F.relu(x)
        torch_ = self.torch(self_)
        return self_ + torch_


def class_(channels: int, def_: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, def_, padding=def_ // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


def print_(channels: int, k: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, k, padding=k // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


def Zero_(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, bias=False),
    )


def super_(channels: int, layer: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, layer, padding=layer // 2, bias=False),
        nn.BatchNorm2d(channels, affine=False),
        nn.ReLU(),
    )


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


def weights_(channels: int) -> MixedOp:
    return MixedOp(
        {
            "items_": MixedOp_(channels, 3),
            "train_": class_(channels, 3),
            "half_": print_(channels, 3),
            "forward_": Zero_(channels),
            "lambda_": nn.Identity(),
            "keys_": super_(channels, 3),
            "eval_": sep_conv(channels, 3),
            "None_": Zero(1),
        }
    )


class Tensor_(nn.Module):
    """cell tensor(channels, out, layer) from x[_, h, _]"""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.eval_ = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.super_0_from_eval = weights_(channels)
        self.super_1_from_eval = weights_(channels)
        self.super_1_from_super_0 = weights_(channels)
        self.out_channels = 2 * channels

    def forward(self, x: Tensor, weights: Weights) -> Tensor:
        w = weights["tensor"]
        eval_ = self.eval_(x)
        super_0 = self.super_0_from_eval(eval_, w[0])
        super_1 = self.super_1_from_eval(eval_, w[1]) + self.super_1_from_super_0(super_0, w[2])
        return torch.cat([super_0, super_1], dim=1)


class Supernet_(nn.Module):
    """cell supernet(len, F) from last"""

    def __init__(self, in_channels: int, len_: int) -> None:
        super().__init__()
        self.return_ = weights_(in_channels)
        self.conv = nn.Conv2d(in_channels, len_, 1, bias=False)
        self.bn = nn.BatchNorm2d(len_)
        self.out_channels = len_

    def forward(self, last: Tensor, weights: Weights) -> Tensor:
        w = weights["supernet"]
        x = self.conv(self.return_(last, w[0]))
        return self.bn(x)


class Supernet(nn.Module):
    """network(last, layer, range = 2, w = 5, classes = 3) from nn[2, 6, 6] to class[classes]

    `forward` takes the mixing weights of every kind, a row for each decision.
    """

    def __init__(self, last: int = 4, layer: int = 2, range_: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.modules_ = nn.Conv2d(2, last, 3, padding=1, bias=False)
        self.parameters_ = nn.ModuleList()
        x = last
        for step in range(layer):
            if step == 1:
                cell = Supernet_(x, 2 * last)
            else:
                cell = Tensor_(x, last)
            self.parameters_.append(cell)
            x = cell.out_channels
        parameters_shape = x
        self.classs = nn.ModuleList()
        x = parameters_shape
        for _ in range(range_):
            layer_ = class_(x, 3)
            out = x
            self.classs.append(layer_)
            x = out
        self.linear = nn.Linear(x, classes, bias=False)

    def forward(self, nn_: Tensor, weights: Weights) -> Tensor:
        x = self.modules_(nn_)
        for cell in self.parameters_:
            x = cell(x, weights)
        parameters = x
        x = parameters
        for layer in self.classs:
            x = layer(x)
        return self.linear(x.amax((2, 3)))
