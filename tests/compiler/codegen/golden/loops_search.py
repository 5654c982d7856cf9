"""The supernet of loops.darts; written by dartsc, passes: none.

The mixing weights come from outside, a row for each decision:

    u [1, 3]: return
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = dict[str, Tensor]


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


class U(nn.Module):
    """cell u from last"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.return_ = MixedOp(
            {
                "skip": nn.Identity(),
                "sep_conv_3": sep_conv(channels, 3),
                "relu": nn.ReLU(),
            }
        )
        self.out_channels = channels

    def forward(self, last: Tensor, weights: Weights) -> Tensor:
        w = weights["u"]
        return self.return_(last, w[0])


class Supernet(nn.Module):
    """network(C = 4) from image[3, 8, 8] to class[2]

    `forward` takes the mixing weights of every kind, a row for each decision.
    """

    def __init__(self, C: int = 4) -> None:
        super().__init__()
        self.x = nn.Conv2d(3, C, 3, padding=1, bias=False)
        self.y = nn.ModuleList()
        x = C
        for _ in range(2):
            layer = nn.Conv2d(x, x, 3, padding=1, bias=False)
            out = x
            self.y.append(layer)
            x = out
        y_shape = x
        self.z = nn.ModuleList()
        last = y_shape
        for step in range(2):
            cell = U(last)
            self.z.append(cell)
            last = cell.out_channels
            if step == 0:
                tapped = last
        z_shape = last
        self.convs_0 = nn.ModuleList()
        x = C
        for step in range(2):
            layer = nn.Conv2d(x, step + 7, 5, padding=2, bias=False)
            out = step + 7
            self.convs_0.append(layer)
            x = out
        convs_0_shape = x
        self.convs_1 = nn.ModuleList()
        x = C
        for _ in range(3):
            layer = nn.Conv2d(x, 3, 1, bias=False)
            out = 3
            self.convs_1.append(layer)
            x = out
        self.bn = nn.BatchNorm2d(convs_0_shape + x)
        self.linear = nn.Linear(convs_0_shape + x + C + 2 * y_shape + z_shape + tapped, 2)

    def forward(self, image: Tensor, weights: Weights) -> Tensor:
        x = self.x(image)
        x1 = x
        for layer in self.y:
            x1 = layer(x1)
        y = x1
        layer1 = F.relu(y)
        last = y
        for step, cell in enumerate(self.z):
            last = cell(last, weights)
            if step == 0:
                tapped = last
        z = last
        tapped1 = F.relu(z)
        logits = F.relu(tapped)
        x2 = x
        for layer in self.convs_0:
            x2 = layer(x2)
        x3 = x
        for layer in self.convs_1:
            x3 = layer(x3)
        both = torch.cat([x2, x3], dim=1)
        x4 = torch.cat([self.bn(both), x, y, layer1, tapped1, logits], dim=1).mean((2, 3))
        return self.linear(x4)
