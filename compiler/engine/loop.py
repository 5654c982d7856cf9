"""Loops: a flat region run step after step, and back through time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from compiler.engine import execute
from compiler.engine.operation import Operation, Wanted
from compiler.engine.run import Mixing, Run, gathered
from compiler.flat.nodes import Loop as LoopNode


class Members(dict[int, Tensor]):
    """The gradients by members of a tuple, of those that have one."""

    def add_(self, other: Members) -> Members:
        for index, gradient in other.items():
            self[index] = self[index] + gradient if index in self else gradient
        return self


class Loop(Operation):
    """Runs its body at every step; its value is the outputs, then the states after the last."""

    whole = True
    node: LoopNode

    def __init__(
        self, number: int, node: LoopNode, operations: Callable[[Any], dict[int, Operation]]
    ) -> None:
        super().__init__(number, node)
        self.body = body = operations(node.region)
        self.inputs = [n for n, _ in node.region.inputs]
        self.first_state = node.sequences
        self.first_constant = node.sequences + node.states
        self.parameters = tuple(
            dict.fromkeys(p for operation in body.values() for p in operation.parameters)
        )
        self.factors = tuple(
            dict.fromkeys(p for operation in body.values() for p in operation.factors)
        )

    def forward(self, run: Run, *operands: Any) -> Any:
        plan = run.plan.inner[self.number]
        sequences = operands[: self.first_state]
        states = list(operands[self.first_state : self.first_constant])
        constants = operands[self.first_constant :]
        runs, outputs = [], []
        for now in zip(*(s.unbind(0) for s in sequences), strict=True):
            inner = Run(plan, run.weights, run)
            given = execute.forward(plan, inner, [*now, *states, *constants])
            outputs.append(given[0])
            states = given if states else []
            runs.append(inner)
        run.notes[self.number] = runs, constants
        return (torch.stack(outputs), *states)

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        """Goes back through all steps; the gradients by operands are noted for `gradient`."""
        plan = run.plan.inner[self.number]
        runs, constants = run.notes[self.number]
        states = [g.get(1 + i) for i in range(self.node.states)]
        steps: dict[int, list[Tensor | None]] = {i: [] for i in range(self.first_state)}
        totals: dict[int, Tensor] = {}
        outputs = g.get(0)
        products: dict[str, list[tuple[Tensor, Tensor]]] = {}
        mixing: Mixing = {}
        for t in reversed(range(len(runs))):
            inner, runs[t] = runs[t], None
            inner.products, inner.mixing = products, mixing
            now = None if outputs is None else outputs[t]
            given = list(states) if states else [None]
            given[0] = now if given[0] is None else given[0] if now is None else given[0] + now
            execute.backward(plan, inner, given)
            found = [inner.gradients[n] for n in self.inputs]
            states = found[self.first_state : self.first_constant]
            for i in wanted.operands:
                if i < self.first_state:
                    steps[i].append(found[i])
                elif i >= self.first_constant and found[i] is not None:
                    totals[i] = totals[i].add_(found[i]) if i in totals else found[i].clone()
        run.products = products
        run.multiply_products()
        notes: dict[int, Tensor | None] = dict(totals)
        notes.update({self.first_state + i: state for i, state in enumerate(states)})
        for i in wanted.operands:
            if i < self.first_state:
                notes[i] = _stacked(list(reversed(steps[i])))
            if self.inputs[i] in plan.mixing:
                like = constants[i - self.first_constant]
                own, known = gathered(mixing, self.inputs[i], like), totals.get(i)
                notes[i] = own if known is None else known if own is None else known.add_(own)
        run.notes[self.number] = notes

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return run.notes[self.number].get(index)


def _stacked(steps: list[Tensor | None]) -> Tensor | None:
    """Gradients of all steps; None where no step has one."""
    like = next((step for step in steps if step is not None), None)
    if like is None:
        return None
    return torch.stack([torch.zeros_like(like) if step is None else step for step in steps])
