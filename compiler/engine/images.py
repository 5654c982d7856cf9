"""Layers of images that have no weights and no windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.engine.operation import LayerOperation
from compiler.engine.run import Run


class Pad(LayerOperation):
    hands_on = True

    def forward(self, run: Run, *operands: Any) -> Any:
        n = self.given["n"]
        return F.pad(operands[0], (n, n, n, n))

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        n, (rows, columns) = self.given["n"], g.shape[2:]
        inner = g[:, :, n : rows - n, n : columns - n]
        return inner if into is not None else inner.contiguous(memory_format=torch.channels_last)


class Upsample(LayerOperation):
    """Every pixel n times along both axes; its gradient is the sum of theirs."""

    def forward(self, run: Run, *operands: Any) -> Any:
        return F.interpolate(operands[0], scale_factor=self.given["n"])

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return F.avg_pool2d(g, self.given["n"], divisor_override=1)


class Shuffle(LayerOperation):
    """x [batch, groups * each, ...] with its channels in the order of [each, groups]."""

    def forward(self, run: Run, *operands: Any) -> Any:
        return F.channel_shuffle(operands[0], self.given["groups"])

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return F.channel_shuffle(g, g.shape[1] // self.given["groups"])
