"""Layers of sequences [time, batch, width]: attention, positions, and the ways from images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.engine.operation import LayerOperation, Operation, Reads, Wanted
from compiler.engine.run import Run
from compiler.flat.nodes import SharedLayer, sizes
from compiler.kernels.precision import wide
from compiler.layers import head_width


class Attention(LayerOperation):
    """Self-attention in heads, of which the first `active` take part.

    What the heads do between the two matrices is left to the library and its derivative to
    torch's autograd: the graph of it is noted.
    """

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.heads = self.given["heads"]
        self.active = self.given.get("active", self.heads)
        self.width = sizes(node)[1]
        self.inner = self.heads * head_width(sizes(node), self.given)
        kinds = ("weight", "bias") if self.given["bias"] else ("weight",)
        self.qkv, self.out = (
            tuple(f"{self.path}.{name}.{kind}" for kind in kinds) for name in ("qkv", "out")
        )
        self.parameters = (*self.qkv, *self.out)
        self.factors = self.parameters

    def noted(self, size: int) -> int:
        return 4 * size * self.inner // self.width  # of every head q, k, v and what it gives

    def workspace(self, size: int) -> int:
        return self.noted(size)

    def forward(self, run: Run, *operands: Any) -> Any:
        qkv = F.linear(run.multiplied(operands[0]), *map(run.factor, self.qkv))
        with torch.enable_grad():
            leaf = qkv.detach().requires_grad_()
            mixed = self.mixed(leaf)
        run.notes[self.number] = [leaf, mixed, None]
        return F.linear(mixed.detach(), *map(run.factor, self.out))

    def mixed(self, qkv: Tensor) -> Tensor:
        """What the heads make of queries, keys and values [time, batch, 3 * inner], side by side.

        The result is [time, batch, inner], with zeros from the heads that take no part.
        """
        parts = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 1, 3, 0, 4)
        made = F.scaled_dot_product_attention(*parts[:, :, : self.active].unbind())
        made = made.permute(2, 0, 1, 3)
        if self.active < self.heads:
            made = F.pad(made, (0, 0, 0, self.heads - self.active))
        return made.flatten(2)

    def reads(self, wanted: Wanted) -> Reads:
        return Reads(frozenset([0]) if wanted.weights else frozenset())

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        known = run.notes[self.number][2]
        by_qkv = self.by_qkv(run, run.multiplied(g)) if known is None else known
        found = by_qkv @ run.factor(self.qkv[0])
        return found if into is None else into.add_(found)

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        """Notes the gradient by queries, keys and values for the operand's."""
        g, x = run.multiplied(g), run.multiplied(operands[0])
        note = run.notes[self.number]
        note[2] = self.by_qkv(run, g)
        for paths, by, read in ((self.out, g, note[1].detach()), (self.qkv, note[2], x)):
            rows = by.flatten(0, -2)
            run.add_product(paths[0], rows, read.flatten(0, -2))
            for path in paths[1:]:
                run.add_weight_gradient(path, rows.sum(0))

    def by_qkv(self, run: Run, g: Tensor) -> Tensor:
        leaf, mixed, _ = run.notes[self.number]
        by_mixed = g @ run.factor(self.out[0])
        return torch.autograd.grad(mixed, leaf, by_mixed, retain_graph=True)[0]


class Position(LayerOperation):
    """Adds a table [time, width]."""

    hands_on = True

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.parameters = (f"{self.path}.weight",)

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        return x + run.weights[self.parameters[0]][:, None].to(x.dtype)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return g

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        run.add_weight_gradient(self.parameters[0], g.sum(1, dtype=wide(g.dtype)))


class Tokens(Operation):
    """The pixels of an image as steps."""

    hands_on = True

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        run.notes[self.number] = x.shape[2:]
        return _steps_of(x)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return _image_of(g, *run.notes[self.number])


class Pixels(LayerOperation):
    """Steps as the pixels of an image."""

    hands_on = True

    def forward(self, run: Run, *operands: Any) -> Any:
        return _image_of(operands[0], self.given["rows"], -1)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return _steps_of(g)


def _steps_of(image: Tensor) -> Tensor:
    return image.flatten(2).permute(2, 0, 1).contiguous()


def _image_of(steps: Tensor, height: int, width: int) -> Tensor:
    image = steps.permute(1, 2, 0).unflatten(2, (height, width))
    return image.contiguous(memory_format=torch.channels_last)
