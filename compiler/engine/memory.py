"""How much memory a plan takes: every tensor of a pass, from the program alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from compiler.engine.loop import Loop
from compiler.engine.operation import Operation
from compiler.engine.plan import Compute, Contribute, Plan
from compiler.facts import OpenSize
from compiler.flat.nodes import Item, MixingWeights
from compiler.ir import Input, Node, Region


@dataclass(frozen=True)
class Sizes:
    """How large the values of a pass are.

    `batch` samples at once; `length` in place of a size that stays open; `width` bytes in a number.
    """

    batch: int
    length: int = 1
    width: int = 4

    def of(self, node: Node) -> int:
        """The bytes of a value."""
        sizes = [self.number(size.value) for size in node.shape]  # type: ignore[attr-defined]
        if isinstance(node, MixingWeights):
            return prod(sizes) * self.width
        words = isinstance(node, Input) and node.below is not None
        return prod(sizes) * self.batch * (8 if words else self.width)

    def number(self, size: Any) -> int:
        return self.length if isinstance(size, OpenSize) else int(size)


@dataclass
class _Memory:
    """What is held at a moment, and the most that has been."""

    now: int = 0
    peak: int = 0
    held: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, kind: str, number: int, size: int) -> None:
        if (kind, number) not in self.held:
            self.held[kind, number] = size
            self.now += size
            self.peak = max(self.peak, self.now)

    def give(self, kind: str, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.now -= self.held.pop((kind, number), 0)

    def briefly(self, size: int) -> None:
        self.peak = max(self.peak, self.now + size)


def peak(plan: Plan, region: Region, sizes: Sizes) -> int:
    """The bytes that the tensors of a forward and a backward pass take at most.

    Neither weights nor their gradients are counted.
    """
    return _passes(plan, region, sizes).peak


def _passes(plan: Plan, region: Region, sizes: Sizes) -> _Memory:
    memory = _Memory()
    _forward(memory, plan, region, sizes)
    _backward(memory, plan, region, sizes)
    return memory


def _forward(memory: _Memory, plan: Plan, region: Region, sizes: Sizes) -> None:
    for step in plan.forward:
        _compute(memory, plan, region, step.instruction.operation, sizes)
        memory.give("value", step.values)
    left = {*plan.outputs} - plan.kept - {*plan.inputs}
    if any(isinstance(region.node(number), Item) for number in left):
        return
    memory.give("value", left)


def _compute(
    memory: _Memory, plan: Plan, region: Region, operation: Operation, sizes: Sizes
) -> None:
    number = operation.number
    if isinstance(operation, Loop):
        inner, body = plan.inner[number], operation.node.region
        step = _Memory()
        _forward(step, inner, body, sizes)
        memory.take("note", number, step.now * sizes.number(region.node(number).shape[0].value))
        memory.briefly(step.peak)
    size = 0 if isinstance(region.node(number), Item) else sizes.of(region.node(number))
    memory.briefly(size + operation.workspace(size))
    memory.take("value", number, size)
    memory.take("note", number, operation.noted(size))


def _backward(memory: _Memory, plan: Plan, region: Region, sizes: Sizes) -> None:
    for step in plan.backward:
        instruction = step.instruction
        operation = instruction.operation
        number = operation.number
        size = sizes.of(region.node(number))
        if isinstance(instruction, Compute):
            _compute(memory, plan, region, operation, sizes)
        elif isinstance(instruction, Contribute):
            gradient = sizes.of(region.node(instruction.target))
            memory.briefly(gradient + operation.workspace(max(size, gradient)))
            memory.take("gradient", instruction.target, gradient)
        else:
            if isinstance(operation, Loop):
                inner = _passes(plan.inner[number], operation.node.region, sizes)
                memory.briefly(inner.peak)
            memory.briefly(2 * operation.workspace(size))
        memory.give("value", step.values)
        memory.give("gradient", step.gradients)
        memory.give("note", step.gradients)
