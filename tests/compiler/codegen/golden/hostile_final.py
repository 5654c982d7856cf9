"""The final network of hostile.darts, profile `final`.

Written by dartsc from the genotype in the docstrings of the cells; needs torch and nothing else.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MixedOp_(nn.Module):
    def __init__(self, channels: int, k: int) -> None:
        super().__init__()
        self.torch = nn.Conv2d(channels, channels, k, padding=k // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        self_ = F.relu(x)
        torch_ = self.torch(self_)
        return self_ + torch_


class Tensor_(nn.Module):
    """cell tensor(channels, out, layer) from x[_, h, _]

    super_[0] = eval -> items
    super_[1] = eval -> items
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.eval_ = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.super_0_from_eval = MixedOp_(channels, 3)
        self.super_1_from_eval = MixedOp_(channels, 3)
        self.out_channels = 2 * channels

    def forward(self, x: Tensor) -> Tensor:
        eval_ = self.eval_(x)
        super_0 = self.super_0_from_eval(eval_)
        super_1 = self.super_1_from_eval(eval_)
        return torch.cat([super_0, super_1], dim=1)


class Supernet_(nn.Module):
    """cell supernet(len, F) from last

    return = items
    """

    def __init__(self, in_channels: int, len_: int) -> None:
        super().__init__()
        self.return_ = MixedOp_(in_channels, 3)
        self.conv = nn.Conv2d(in_channels, len_, 1, bias=False)
        self.bn = nn.BatchNorm2d(len_)
        self.out_channels = len_

    def forward(self, last: Tensor) -> Tensor:
        x = self.conv(self.return_(last))
        return self.bn(x)


def class_(channels: int, def_: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, def_, padding=def_ // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


class Network(nn.Module):
    """network(last, layer, range = 2, w = 5, classes = 3) from nn[2, 6, 6] to class[classes]"""

    def __init__(self, last: int = 4, layer: int = 3, range_: int = 2, classes: int = 3) -> None:
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

    def forward(self, nn_: Tensor) -> Tensor:
        x = self.modules_(nn_)
        for cell in self.parameters_:
            x = cell(x)
        parameters = x
        x = parameters
        for layer in self.classs:
            x = layer(x)
        return self.linear(x.amax((2, 3)))
