"""Norms by the statistics of one sample: of its channels, or of groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.engine.mixing import EPSILON, affine_paths
from compiler.engine.operation import LayerOperation, Reads, Wanted
from compiler.engine.run import Run
from compiler.flat.nodes import SharedLayer, sizes
from compiler.kernels.precision import wide
from compiler.layers import channels

_layer_norm = torch.ops.aten.native_layer_norm.default
_layer_norm_backward = torch.ops.aten.native_layer_norm_backward.default
_group_norm = torch.ops.aten.native_group_norm.default
_group_norm_backward = torch.ops.aten.native_group_norm_backward.default


class SampleNorm(LayerOperation):
    """A norm that notes the means and the inverse deviations it has found."""

    price = 3

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.channels = channels(sizes(node))
        self.parameters = affine_paths(self.path) if self.given.get("affine", True) else ()

    def reads(self, wanted: Wanted) -> Reads:
        return Reads(frozenset([0]))

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return self.backward(run, g, operands[0], [True, False, False])[0]

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        _, *found = self.backward(run, g, operands[0], [False, True, True])
        for path, gradient in zip(self.parameters, found, strict=True):
            run.add_weight_gradient(path, gradient)

    def backward(self, run: Run, g: Tensor, x: Tensor, wants: list[bool]) -> list[Any]:
        """The gradients by x, by the weight and by the bias, None where they are not wanted."""
        raise NotImplementedError


class LayerNorm(SampleNorm):
    """Over the channels of a vector, a step or a pixel, of which the first `active` take part."""

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.active = self.given.get("active", self.channels)

    def noted(self, size: int) -> int:
        return 2 * size // self.channels

    def forward(self, run: Run, *operands: Any) -> Any:
        rows = self.rows(operands[0])
        normed, *run.notes[self.number] = _layer_norm(
            rows, [self.active], *self.affine(run), EPSILON
        )
        return self.value(normed, operands[0])

    def backward(self, run: Run, g: Tensor, x: Tensor, wants: list[bool]) -> list[Any]:
        mean, rstd = run.notes[self.number]
        dx, *by_weights = _layer_norm_backward(
            self.rows(g), self.rows(x), [self.active], mean, rstd, *self.affine(run), wants
        )
        return [
            self.value(dx, x) if wants[0] else None,
            *(self.padded(found) if wants[1] else None for found in by_weights),
        ]

    def affine(self, run: Run) -> list[Tensor | None]:
        """The weight and the bias of what takes part."""
        if not self.parameters:
            return [None, None]
        return [run.weights[path][: self.active] for path in self.parameters]

    def rows(self, x: Tensor) -> Tensor:
        """The active channels of x, as the last axis of a tensor in the precision of the sums."""
        last = x.movedim(1, -1) if x.dim() == 4 else x
        return last[..., : self.active].to(wide(x.dtype)).contiguous()

    def value(self, rows: Tensor, like: Tensor) -> Tensor:
        """Rows in the shape, the layout and the precision of `like`, zeros in the rest of it."""
        whole = self.padded(rows.to(like.dtype))
        return whole.movedim(-1, 1) if like.dim() == 4 else whole

    def padded(self, active: Tensor) -> Tensor:
        """The last axis with zeros for what takes no part."""
        rest = self.channels - self.active
        return F.pad(active, (0, rest)) if rest else active


class GroupNorm(SampleNorm):
    """Over the pixels and the channels of each group."""

    def noted(self, size: int) -> int:
        pixels = max(1, size // self.channels)
        return 2 * self.given["groups"] * size // (self.channels * pixels)

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        weight, bias = (run.weights[path] for path in self.parameters)
        normed, *run.notes[self.number] = _group_norm(
            _plain(x), weight, bias, *self.counts(x), EPSILON
        )
        return _stored(normed, x)

    def backward(self, run: Run, g: Tensor, x: Tensor, wants: list[bool]) -> list[Any]:
        mean, rstd = run.notes[self.number]
        weight = run.weights[self.parameters[0]]
        dx, *by_weights = _group_norm_backward(
            _plain(g), _plain(x), mean, rstd, weight, *self.counts(x), wants
        )
        return [_stored(dx, x) if wants[0] else None, *by_weights]

    def counts(self, x: Tensor) -> tuple[int, int, int, int]:
        """Samples, channels, pixels and groups."""
        return len(x), self.channels, x[0, 0].numel(), self.given["groups"]


def _plain(x: Tensor) -> Tensor:
    """In the layout that the library's kernels read, and in the precision of the sums."""
    layout = torch.channels_last if x.is_cpu and x.dim() == 4 else torch.contiguous_format
    return x.to(wide(x.dtype)).contiguous(memory_format=layout)


def _stored(x: Tensor, like: Tensor) -> Tensor:
    layout = torch.channels_last if x.dim() == 4 else torch.contiguous_format
    return x.to(like.dtype).contiguous(memory_format=layout)
