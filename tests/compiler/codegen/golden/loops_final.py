"""The final network of loops.darts, profile `final`.

Written by dartsc from the genotype in the docstring of the cell; needs torch and nothing else.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class U(nn.Module):
    """cell u from last

    return = skip
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels

    def forward(self, last: Tensor) -> Tensor:
        return last


class Network(nn.Module):
    """network(C = 4) from image[3, 8, 8] to class[2]

    Args:
        auxiliary: builds the auxiliary head. While training, `forward` then returns a pair,
            the logits and those of the head.
    """

    def __init__(self, C: int = 4, *, auxiliary: bool = False) -> None:
        super().__init__()
        self.x = nn.Conv2d(3, C, 3, padding=1, bias=False)
        self.y = nn.ModuleList()
        x = (C, 8, 8)
        for _ in range(2):
            layer = nn.Conv2d(x[0], x[0], 3, padding=1, bias=False)
            out = (x[0], x[1], x[2])
            self.y.append(layer)
            x = out
        y_shape = x
        self.z = nn.ModuleList()
        last = (y_shape[0], y_shape[1], y_shape[2])
        for step in range(2):
            cell = U(last[0])
            out = (last[0], last[1], last[2])
            self.z.append(cell)
            last = out
            if step == 0:
                tapped = last
            if step == 1:
                tapped_1 = last
        z_shape = last
        self.convs_0 = nn.ModuleList()
        x = (C, 8, 8)
        for step in range(2):
            layer = nn.Conv2d(x[0], step + 7, 5, padding=2, bias=False)
            out = (step + 7, x[1], x[2])
            self.convs_0.append(layer)
            x = out
        convs_0_shape = x
        self.convs_1 = nn.ModuleList()
        x = (C, 8, 8)
        for _ in range(3):
            layer = nn.Conv2d(x[0], 3, 1, bias=False)
            out = (3, x[1], x[2])
            self.convs_1.append(layer)
            x = out
        self.bn = nn.BatchNorm2d(convs_0_shape[0] + x[0])
        self.linear = nn.Linear(
            convs_0_shape[0] + x[0] + C + 2 * y_shape[0] + z_shape[0] + tapped[0], 2
        )
        self.auxiliary = None
        if auxiliary:
            self.auxiliary = nn.Linear(tapped_1[0] * tapped_1[1] * tapped_1[2], 2)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.x(image)
        x1 = x
        for layer in self.y:
            x1 = layer(x1)
        y = x1
        layer1 = F.relu(y)
        last = y
        for step, cell in enumerate(self.z):
            last = cell(last)
            if step == 0:
                tapped = last
            if step == 1:
                tapped_1 = last
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
        logits1 = self.linear(x4)
        if self.training and self.auxiliary is not None:
            auxiliary = F.relu(tapped_1).flatten(1)
            return logits1, self.auxiliary(auxiliary)
        return logits1
