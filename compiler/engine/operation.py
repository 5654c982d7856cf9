"""What the engine asks of the operations that it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compiler.engine.run import Run
from compiler.flat.nodes import SharedLayer, numbers
from compiler.ir import Node


@dataclass(frozen=True)
class Wanted:
    """What gradients of an operation are asked for: by these operands, and by its weights."""

    operands: frozenset[int]
    weights: bool = False


@dataclass(frozen=True)
class Reads:
    """What the gradients are computed from, besides the gradient by the output and the notes."""

    operands: frozenset[int] = frozenset()
    output: bool = False


NOTHING = Reads()


class Operation:
    """A node of a flat region as something to compute, forwards and backwards.

    Values are tensors with their batch; in a sequence the batch is second. Everything here runs
    without torch's autograd: `gradient` is the vector-Jacobian product of reverse mode.
    """

    price: int | None = None
    """How dear it is to compute its value again for the backward pass, by the bytes that it saves:
    0 is next to nothing, None is out of the question. See `compiler.engine.recompute`."""
    hands_on = False
    """Whether gradients may be the output's own, or views of it, and so must not be written to."""
    body: Mapping[int, Operation] | None = None
    """In a loop, the operations of a step."""
    whole = False
    """Whether `weight_gradients` comes first in any case, as it finds all gradients at once."""
    is_constant = False
    """Whether its value does not change with what it reads."""
    joint = False
    """Whether the gradient by an operand is found together with those by that operand's weights,
    which are weights of the region or operands from `joint_from` on."""
    joint_from = 0
    parameters: tuple[str, ...] = ()
    """The paths of the weights it reads."""
    factors: tuple[str, ...] = ()
    """Those of them that it multiplies in the precision of the pass (`Run.factor`)."""

    def __init__(self, number: int, node: Node) -> None:
        self.number, self.node = number, node
        self.operands = node.operands

    def forward(self, run: Run, *operands: Any) -> Any:
        """The value; what the gradients need besides values goes into `run.notes[number]`."""
        raise NotImplementedError

    def again(self, run: Run, *operands: Any) -> Any:
        """The value once more, for the backward pass, from what `forward` noted."""
        return self.forward(run, *operands)

    def noted(self, size: int) -> int:
        """The bytes of its notes, where its value has `size` bytes."""
        return 0

    def workspace(self, size: int) -> int:
        """The bytes it needs besides what it reads and gives; `size` is the larger of these."""
        return 0

    def reads(self, wanted: Wanted) -> Reads:
        """What must be there when its gradients are computed."""
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
        """The gradient by operand `index`; added to `into` and that given back, where the
        operation can do so."""
        raise NotImplementedError

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        """Adds the gradients by its weights to the run's."""


class Function(Operation):
    """A layer without weights; its gradient is found by torch, from its operand."""

    def __init__(self, number: int, node: Node, compute: Callable[..., Tensor]) -> None:
        super().__init__(number, node)
        self.compute = compute

    def forward(self, run: Run, *operands: Any) -> Any:
        return self.compute(*operands)

    def reads(self, wanted: Wanted) -> Reads:
        return Reads(frozenset(range(len(self.operands))))

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        with torch.enable_grad():
            inputs = [operand.detach() for operand in operands]
            by = inputs[index].requires_grad_()
            found = self.compute(*inputs)
            return torch.autograd.grad(found, by, g.to(found.dtype))[0]


class LayerOperation(Operation):
    """A layer with its numbers."""

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.given = numbers(node)
        self.path = node.name
