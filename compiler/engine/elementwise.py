"""Joins, arithmetic, activations and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.engine.loop import Members
from compiler.engine.operation import NOTHING, LayerOperation, Operation, Reads, Wanted
from compiler.engine.run import Run
from compiler.expr import Const
from compiler.flat.nodes import Item as ItemNode
from compiler.flat.nodes import Lane as LaneNode
from compiler.flat.nodes import Mask as MaskNode
from compiler.ir import Elementwise, Join, Node, Part

_relu_backward = torch.ops.aten.threshold_backward.default
_tanh_backward = torch.ops.aten.tanh_backward.default
_sigmoid_backward = torch.ops.aten.sigmoid_backward.default
_softmax_backward = torch.ops.aten._softmax_backward_data.default


class Relu(Operation):
    price = 0

    def forward(self, run: Run, *operands: Any) -> Any:
        return torch.relu(operands[0])

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
        return _relu_backward(g, operands[0], 0)


class Tanh(Operation):
    def forward(self, run: Run, *operands: Any) -> Any:
        return torch.tanh(operands[0])

    def reads(self, wanted: Wanted) -> Reads:
        return Reads(output=True)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return _tanh_backward(g, output)


class Sigmoid(Tanh):
    def forward(self, run: Run, *operands: Any) -> Any:
        return torch.sigmoid(operands[0])

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return _sigmoid_backward(g, output)


class Softmax(Tanh):
    def forward(self, run: Run, *operands: Any) -> Any:
        return torch.softmax(operands[0], _channel_axis(operands[0]))

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return _softmax_backward(g.to(output.dtype), output, _channel_axis(output), output.dtype)


def _channel_axis(x: Tensor) -> int:
    return 1 if x.dim() == 4 else -1


class GlobalMean(Operation):
    """Over the pixels of an image, or over the steps of a sequence."""

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        run.notes[self.number] = x.shape
        return x.mean((2, 3) if x.dim() == 4 else 0)

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
        if len(shape) == 3:
            return (g / shape[0]).expand(shape).contiguous()
        spread = (g / (shape[2] * shape[3]))[:, :, None, None].expand(shape)
        return spread.contiguous(memory_format=torch.channels_last)


class Zero(LayerOperation):
    is_constant = True

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        stride = self.given["stride"]
        return torch.zeros_like(x[:, :, ::stride, ::stride] if x.dim() == 4 else x)


class Crop(LayerOperation):
    hands_on = True

    def forward(self, run: Run, *operands: Any) -> Any:
        n = self.given["n"]
        return operands[0][:, :, n:, n:]

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        n = self.given["n"]
        if into is None:
            return F.pad(g, (n, 0, n, 0))
        into[:, :, n:, n:].add_(g)
        return into


class Gaussian(Operation):
    """Numbers drawn anew at every pass, in the order of the axes; nothing flows back."""

    is_constant = True

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        drawn = torch.randn_like(x, memory_format=torch.contiguous_format)
        return drawn.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else drawn


class Narrow(LayerOperation):
    """Zeros instead of all but the first channels, which is its own gradient."""

    price = 0

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        narrowed = torch.zeros_like(x)
        axis, n = 1 if x.dim() == 4 else -1, self.given["n"]
        narrowed.narrow(axis, 0, n).copy_(x.narrow(axis, 0, n))
        return narrowed

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return self.forward(run, g)


class Flatten(Operation):
    hands_on = True

    def forward(self, run: Run, *operands: Any) -> Any:
        run.notes[self.number] = operands[0].shape
        return operands[0].flatten(1)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return g.reshape(run.notes[self.number])


class Dropout(Operation):
    def __init__(self, number: int, node: Node, p: float) -> None:
        super().__init__(number, node)
        self.p = p

    def forward(self, run: Run, *operands: Any) -> Any:
        mask = F.dropout(torch.ones_like(operands[0]), self.p, True)
        run.notes[self.number] = mask
        return operands[0] * mask

    def again(self, run: Run, *operands: Any) -> Any:
        return operands[0] * run.notes[self.number]

    def noted(self, size: int) -> int:
        return size

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return g * run.notes[self.number]


class Mask(Operation):
    """Zeros and 1 / (1 - p); nothing flows back through it."""

    is_constant = True
    node: MaskNode

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        if not self.node.sequence:
            return F.dropout(torch.ones_like(x), self.node.p, True)
        sizes = [size.value for size in self.node.shape if isinstance(size, Const)]
        batch = x.shape[1 if len(sizes) < x.dim() - 1 or len(sizes) == 1 == x.dim() - 2 else 0]
        return F.dropout(x.new_ones(batch, *sizes), self.node.p, True)


class Sum(Operation):
    hands_on = True
    node: Join

    def forward(self, run: Run, *operands: Any) -> Any:
        if len(operands) == 1:
            return operands[0]
        total = operands[0] + operands[1]
        for other in operands[2:]:
            total.add_(other)
        return total.div_(len(operands)) if self.node.how == "mean" else total

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        if self.node.how == "sum":
            return g
        return g / len(self.operands)


class Concat(Operation):
    hands_on = True

    def forward(self, run: Run, *operands: Any) -> Any:
        axis = 1 if operands[0].dim() == 4 else -1
        run.notes[self.number] = axis, [o.shape[axis] for o in operands]
        return torch.cat(operands, axis)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        axis, widths = run.notes[self.number]
        part = g.narrow(axis, sum(widths[:index]), widths[index])
        if into is None and g.dim() == 4:  # kernels want whole pixels
            return part.contiguous(memory_format=torch.channels_last)
        return part


class Slice(Operation):
    """Part of the channels."""

    price = 0
    hands_on = True
    node: Part

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        run.notes[self.number] = x.shape
        return x.chunk(self.node.count, 1 if x.dim() == 4 else -1)[self.node.index]

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        whole = g.new_zeros(run.notes[self.number]) if into is None else into
        whole.chunk(self.node.count, 1 if g.dim() == 4 else -1)[self.node.index].add_(g)
        return whole


class Item(Operation):
    """A member of a tuple."""

    price = 0
    hands_on = True
    node: ItemNode

    def forward(self, run: Run, *operands: Any) -> Any:
        return operands[0][self.node.index]

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return Members({self.node.index: g})


class Lane(Operation):
    """A lane of a value that has several."""

    price = 0
    hands_on = True
    node: LaneNode

    def forward(self, run: Run, *operands: Any) -> Any:
        run.notes[self.number] = operands[0].shape
        return operands[0][self.node.index]

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        whole = g.new_zeros(run.notes[self.number]) if into is None else into
        whole[self.node.index].add_(g)
        return whole


class Arithmetic(Operation):
    """`+ - * /` of two values, or of a value and a number."""

    hands_on = True
    node: Elementwise

    def __init__(self, number: int, node: Elementwise) -> None:
        super().__init__(number, node)
        self.operator = node.operator
        self.constant = node.number.value if isinstance(node.number, Const) else None

    def forward(self, run: Run, *operands: Any) -> Any:
        run.notes[self.number] = [o.shape for o in operands]
        left, right = self.sides(operands)
        match self.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
        return left / right

    def sides(self, operands: Sequence[Any]) -> tuple[Any, Any]:
        rank = len(self.node.shape)
        values: list[Any] = [
            o[:, :, None, None] if rank == 3 and o is not None and o.dim() == 2 else o
            for o in operands
        ]
        if self.constant is not None:
            values.insert(0 if self.node.swapped else 1, self.constant)
        return values[0], values[1]

    def reads(self, wanted: Wanted) -> Reads:
        both = frozenset(range(len(self.operands)))
        if self.operator == "*" and self.constant is None:
            return Reads(frozenset(1 - i for i in wanted.operands))
        if self.operator == "/" and (self.constant is None or self.node.swapped):
            return Reads(both)
        return NOTHING

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        left, right = self.sides(operands)
        is_left = index == 0 and not (self.constant is not None and self.node.swapped)
        match self.operator:
            case "+":
                found = g
            case "-":
                found = g if is_left else -g
            case "*":
                found = g * (right if is_left else left)
            case _:
                found = g / right if is_left else -g * left / (right * right)
        shape = run.notes[self.number][index]
        if found.dim() == 4 and len(shape) == 2:
            return found.sum((2, 3))
        return found if found.shape == shape else found.sum_to_size(shape)
