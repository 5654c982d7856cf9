"""Layers with windows and matrices: convolutions, pools, linear maps, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.engine.operation import LayerOperation, Operation, Reads, Wanted
from compiler.engine.run import Run
from compiler.flat.nodes import SharedLayer, sizes
from compiler.flat.nodes import StackedLinear as StackedLinearNode
from compiler.kernels.depthwise import depthwise, input_gradient, weight_gradient
from compiler.kernels.pools import max_pool, max_pool_gradient, mean_pool, mean_pool_gradient
from compiler.layers import cropping, padding, window
from dsl.vocabulary import AUTO, NOTHING

_convolution_backward = torch.ops.aten.convolution_backward.default


class Weighted(LayerOperation):
    """A layer that is linear in its operand and in its weight; a bias is added."""

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.weight, self.bias = f"{self.path}.weight", ""
        if self.given.get("bias"):
            self.bias = f"{self.path}.bias"
        self.parameters = (self.weight, self.bias) if self.bias else (self.weight,)
        self.factors = self.parameters

    def reads(self, wanted: Wanted) -> Reads:
        return Reads(frozenset([0]) if wanted.weights else frozenset())

    def factor(self, run: Run) -> Tensor:
        """What it multiplies by: its weight, or the centre of that with zeros around it."""
        weight = run.factor(self.weight)
        return self.around(self.centre(weight)) if self.margin else weight

    @property
    def margin(self) -> int:
        """How many rows and columns of the window, on every side, count as zeros."""
        centre = self.given.get("centre")
        return 0 if centre is None else (self.given["k"] - centre) // 2

    def centre(self, weight: Tensor) -> Tensor:
        rows = slice(self.margin, self.given["k"] - self.margin)
        return weight[:, :, rows, rows]

    def around(self, centre: Tensor) -> Tensor:
        return F.pad(centre, [self.margin] * 4)

    def add_gradient(self, run: Run, gradient: Tensor) -> None:
        """Adds to the gradient by the weight what is found for the factor."""
        counts = self.around(self.centre(gradient)) if self.margin else gradient
        run.add_weight_gradient(self.weight, counts)

    def biased(self, run: Run) -> Tensor | None:
        return run.factor(self.bias) if self.bias else None


class Convolution(Weighted):
    """A convolution of any groups; those of channels by themselves with windows that are no square
    are run by it too."""

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.price = 3
        self.groups = self.given["groups"] if "groups" in self.given else sizes(node)[0]

    @property
    def window(self) -> tuple[int, tuple[int, int], int]:
        """The stride, the padding of both axes, and the dilation."""
        return self.given["stride"], padding(self.given), self.given["dilation"]

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        run.notes[self.number] = x.shape
        weight = self.factor(run)
        return F.conv2d(run.multiplied(x), weight, self.biased(run), *self.window, self.groups)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return self.by_input(run, g, run.notes[self.number])

    def by_input(self, run: Run, g: Tensor, shape: Sequence[int]) -> Tensor:
        """The gradient by what it reads, of `shape`."""
        g, weight = run.multiplied(g), self.factor(run)
        x = torch.empty(shape, dtype=g.dtype, device=g.device, memory_format=torch.channels_last)
        found: Tensor = self.backward(g, x, weight, [True, False, False])[0]
        return found

    def by_weights(self, run: Run, g: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients by what it multiplies by and by what it adds, if it adds anything."""
        wants = [False, True, bool(self.bias)]
        g, x = run.multiplied(g), run.multiplied(x)
        _, weight, bias = self.backward(g, x, self.factor(run), wants)
        return weight, bias

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        weight, bias = self.by_weights(run, g, operands[0])
        self.add_gradient(run, weight)
        if self.bias:
            run.add_weight_gradient(self.bias, bias)

    def backward(self, g: Tensor, x: Tensor, weight: Tensor, wants: list[bool]) -> Any:
        stride, pad, dilation = self.window
        bias = [len(weight)] if wants[2] else None
        return _convolution_backward(
            g, x, weight, bias, [stride, stride], list(pad), [dilation, dilation],
            False, [0, 0], self.groups, wants,
        )  # fmt: skip


class TransposedConvolution(Convolution):
    """What the gradient by the input is of a convolution; its weight is [in, out, k, k]."""

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.pad, self.more = self.given["padding"], 0
        if self.pad == AUTO:
            self.pad, self.more = cropping(self.given["k"], self.given["stride"])

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        run.notes[self.number] = x.shape
        weight, bias = run.factor(self.weight), self.biased(run)
        stride, x = self.given["stride"], run.multiplied(x)
        return F.conv_transpose2d(x, weight, bias, stride, self.pad, self.more, self.groups)

    def backward(self, g: Tensor, x: Tensor, weight: Tensor, wants: list[bool]) -> Any:
        stride, bias = self.given["stride"], [g.shape[1]] if wants[2] else None
        return _convolution_backward(
            g, x, weight, bias, [stride, stride], [self.pad, self.pad], [1, 1],
            True, [self.more, self.more], self.groups, wants,
        )  # fmt: skip


class Depthwise(Weighted):
    """A convolution of every channel by itself, with a square window."""

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.price = 1 if self.given["k"] <= 3 else 2
        self.window = self.given["stride"], padding(self.given)[0], self.given["dilation"]

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        run.notes[self.number] = x.shape
        out = depthwise(run.multiplied(x), self.factor(run), *self.window)
        return out + run.factor(self.bias)[:, None, None] if self.bias else out

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        shape = run.notes[self.number]
        return input_gradient(run.multiplied(g), self.factor(run), shape, *self.window)

    def workspace(self, size: int) -> int:
        """Copies of the input and of the output's gradient, rearranged for the library."""
        fits = self.given["k"] <= 3 and self.given["dilation"] == 1
        return 0 if fits else size

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        g, x = run.multiplied(g), run.multiplied(operands[0])
        self.add_gradient(run, weight_gradient(g, x, self.given["k"], *self.window))
        if self.bias:
            run.add_weight_gradient(self.bias, g.sum((0, 2, 3)))


class Linear(Weighted):
    """x [..., width] to [..., out]."""

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        tied = self.given.get("tied", NOTHING)
        assert tied == NOTHING or self.weight  # a tied matrix is listed under this path as well

    def forward(self, run: Run, *operands: Any) -> Any:
        return F.linear(run.multiplied(operands[0]), run.factor(self.weight), self.biased(run))

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        g, weight = run.multiplied(g), run.factor(self.weight)
        if into is None:
            return g @ weight
        if into.is_contiguous() and into.dtype == g.dtype:
            into.flatten(0, -2).addmm_(g.flatten(0, -2), weight)
            return into
        return into.add_(g @ weight)

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        rows = run.multiplied(g).flatten(0, -2)
        run.add_product(self.weight, rows, run.multiplied(operands[0]).flatten(0, -2))
        if self.bias:
            run.add_weight_gradient(self.bias, rows.sum(0))


class StackedLinear(Operation):
    """Linear maps of x [batch, width] side by side, [lanes, batch, out]."""

    node: StackedLinearNode

    def __init__(self, number: int, node: StackedLinearNode) -> None:
        super().__init__(number, node)
        self.lanes = [Linear(number, layer) for layer in node.layers]
        self.parameters = tuple(p for lane in self.lanes for p in lane.parameters)
        self.factors = self.parameters

    def forward(self, run: Run, *operands: Any) -> Any:
        x = run.multiplied(operands[0])
        weights = [run.factor(lane.weight) for lane in self.lanes]
        out = x.new_empty(len(weights), len(x), len(weights[0]))
        for place, weight in zip(out, weights, strict=True):
            torch.mm(x, weight.t(), out=place)
        if self.lanes[0].bias:
            out += torch.stack([run.factor(lane.bias) for lane in self.lanes])[:, None]
        return out

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
        for lane, part in zip(self.lanes, run.multiplied(g), strict=True):
            into = lane.gradient(run, 0, part, operands, output, into)
        return into

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        for lane, part in zip(self.lanes, g, strict=True):
            lane.weight_gradients(run, part, operands, output, wanted)


class Embedding(LayerOperation):
    """Rows of a table by their numbers; a word that is dropped is gone wherever it stands."""

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.weight = f"{self.path}.weight"
        self.parameters = (self.weight,)

    def forward(self, run: Run, *operands: Any) -> Any:
        (words,) = operands
        table = run.weights[self.weight]
        rows = F.embedding(words, table)
        if not self.given["drop"]:
            return rows
        mask = F.dropout(table.new_ones(len(table), 1), self.given["drop"], True)
        run.notes[self.number] = mask
        return rows * mask[words]

    def again(self, run: Run, *operands: Any) -> Any:
        rows = F.embedding(operands[0], run.weights[self.weight])
        mask = run.notes[self.number]
        return rows if mask is None else rows * mask[operands[0]]

    def reads(self, wanted: Wanted) -> Reads:
        return Reads(frozenset([0]))

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        words, mask = operands[0], run.notes[self.number]
        rows = g if mask is None else g * mask[words]
        table = torch.zeros_like(run.weights[self.weight])
        table.index_add_(0, words.flatten(), rows.flatten(0, -2).to(table.dtype))
        run.add_weight_gradient(self.weight, table)


class Pool(LayerOperation):
    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.window = window(self.given), self.given["stride"], padding(self.given)


class MeanPool(Pool):
    price = 4

    def forward(self, run: Run, *operands: Any) -> Any:
        run.notes[self.number] = operands[0].shape
        return mean_pool(operands[0], *self.window)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return mean_pool_gradient(g, run.notes[self.number], *self.window)


class MaxPool(Pool):
    price = 4

    def noted(self, size: int) -> int:
        return 2 * size  # a whole number of 64 bits for each maximum

    def forward(self, run: Run, *operands: Any) -> Any:
        out, run.notes[self.number] = max_pool(operands[0], *self.window)
        return out

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
        return max_pool_gradient(
            g.to(operands[0].dtype), operands[0], run.notes[self.number], *self.window
        )
