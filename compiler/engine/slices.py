"""Mixtures of slices: of the first channels of a value, and of the squares in a window's middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.engine.layers import Convolution
from compiler.engine.mixing import Coefficients
from compiler.engine.operation import Operation, Reads, Wanted
from compiler.engine.run import Run
from compiler.flat.nodes import Slices as SlicesNode
from compiler.flat.nodes import Windows as WindowsNode
from compiler.flat.nodes import sizes
from compiler.kernels.precision import wide


class Shares:
    """How much of everything there is, as a linear function of the mixing weights.

    `ends` is [terms, …], 1 where something belongs to a term's slice and 0 elsewhere.
    """

    def __init__(self, node: SlicesNode | WindowsNode, ends: Tensor) -> None:
        self.coefficients = Coefficients(node)
        self.ends = ends
        self.known: dict[Any, Tensor] = {}

    def __call__(self, tensors: Sequence[Tensor], like: Tensor) -> tuple[Tensor, Tensor]:
        """The shares […], and the sum of all coefficients, both in a wide precision."""
        found = self.coefficients(tensors, like)
        return torch.tensordot(found, self.on(found), 1), found.sum()

    def on(self, like: Tensor) -> Tensor:
        key = like.device, like.dtype
        if key not in self.known:
            self.known[key] = self.ends.to(*key)
        return self.known[key]

    def gradient(
        self, tensor: int, by_shares: Tensor, by_sum: Tensor | None, like: Tensor
    ) -> Tensor:
        """The gradient by an input of mixing weights, in the shape and precision of `like`."""
        found = torch.tensordot(self.on(by_shares), by_shares, by_shares.dim())
        if by_sum is not None:
            found = found + by_sum
        return dict(self.coefficients.gradients(found))[tensor].view_as(like).to(like.dtype)


class Slices(Operation):
    """A value times how much there is of each of its channels."""

    price = 0
    node: SlicesNode

    def __init__(self, number: int, node: SlicesNode) -> None:
        super().__init__(number, node)
        shape = sizes(node)
        self.axis = 1 if len(shape) == 3 else -1
        channels = torch.arange(shape[0] if len(shape) == 3 else shape[-1])
        ends = channels < torch.tensor(node.ends)[:, None]
        self.shares = Shares(node, ends)

    def forward(self, run: Run, *operands: Any) -> Any:
        x, *tensors = operands
        shares, _ = self.shares(tensors, x)
        run.notes[self.number] = self.placed(shares, x)
        return x * run.notes[self.number]

    def placed(self, shares: Tensor, like: Tensor) -> Tensor:
        return (shares[:, None, None] if like.dim() == 4 else shares).to(like.dtype)

    def reads(self, wanted: Wanted) -> Reads:
        mixing = frozenset(i for i in wanted.operands if i)
        return Reads(mixing | {0} if mixing else mixing)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        if index == 0:
            shares = run.notes[self.number]
            return g * shares if into is None else into.addcmul_(g, shares)
        products = g.to(wide(g.dtype)) * operands[0]
        over = [axis for axis in range(g.dim()) if axis != self.axis % g.dim()]
        return self.shares.gradient(self.operands[index], products.sum(over), None, operands[index])


class Windows(Convolution):
    """One convolution, whose window counts as much as the slices that reach each pixel of it."""

    def __init__(self, number: int, node: WindowsNode) -> None:
        super().__init__(number, node.layer)
        self.node, self.operands = node, node.operands
        k = self.given["k"]
        reach = (torch.arange(k) - k // 2).abs()
        reach = torch.maximum(reach[:, None], reach)
        ends = torch.stack([reach <= end // 2 for end in node.ends])
        self.shares = Shares(node, ends)

    def forward(self, run: Run, *operands: Any) -> Any:
        x, *tensors = operands
        run.notes[self.number] = x.shape, *self.shares(tensors, run.weights[self.weight])
        weight, bias = self.factor(run), self.biased(run)
        return F.conv2d(run.multiplied(x), weight, bias, *self.window, self.groups)

    def factor(self, run: Run) -> Tensor:
        weight, shares = run.factor(self.weight), run.notes[self.number][1]
        return weight * shares.to(weight.dtype)

    def biased(self, run: Run) -> Tensor | None:
        if not self.bias:
            return None
        bias = run.factor(self.bias)
        return bias * run.notes[self.number][2].to(bias.dtype)

    def reads(self, wanted: Wanted) -> Reads:
        mixing = frozenset(i for i in wanted.operands if i)
        return Reads(mixing | {0} if mixing or wanted.weights else frozenset())

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        if index == 0:
            return self.by_input(run, g, run.notes[self.number][0])
        by_weight, by_bias = self.by_weights(run, g, operands[0])
        weight = run.weights[self.weight]
        by_shares = (by_weight.to(wide(g.dtype)) * weight).sum((0, 1))
        by_sum = None
        if self.bias:
            by_sum = (by_bias.to(wide(g.dtype)) * run.weights[self.bias]).sum()
        return self.shares.gradient(self.operands[index], by_shares, by_sum, operands[index])

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        by_weight, by_bias = self.by_weights(run, g, operands[0])
        _, shares, total = run.notes[self.number]
        run.add_weight_gradient(self.weight, by_weight * shares.to(by_weight.dtype))
        if self.bias:
            run.add_weight_gradient(self.bias, by_bias * total.to(by_bias.dtype))
