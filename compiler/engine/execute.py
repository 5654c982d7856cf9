"""Executing a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from compiler.engine.plan import Compute, Contribute, Plan
from compiler.engine.run import Run


def forward(plan: Plan, run: Run, inputs: Sequence[Any]) -> list[Any]:
    """The outputs; what the backward pass needs is kept in the run."""
    values = run.values
    for number, value in zip(plan.inputs, inputs, strict=True):
        values[number] = value
    for step in plan.forward:
        operation = step.instruction.operation
        operands = [values[o] for o in operation.operands]
        values[operation.number] = operation.forward(run, *operands)
        del operands
        for number in step.values:
            values[number] = None
    outputs = [values[o] for o in plan.outputs]
    for number in {*plan.outputs} - plan.kept - {*plan.inputs}:
        values[number] = None
    return outputs


def backward(plan: Plan, run: Run, gradients: Sequence[Tensor | None]) -> None:
    """Leaves the gradients by inputs in `run.gradients`, by weights in `run.weight_gradients`."""
    for number, gradient in zip(plan.outputs, gradients, strict=True):
        if gradient is not None:
            run.add_gradient(number, gradient, False)
    values, found, notes = run.values, run.gradients, run.notes
    for step in plan.backward:
        instruction = step.instruction
        operation = instruction.operation
        if isinstance(instruction, Compute):
            operands = [values[o] for o in operation.operands]
            values[operation.number] = operation.again(run, *operands)
        else:
            g = found[operation.number]
            operands = [None if o is None else values[o] for o in instruction.operands]
            output = values[operation.number]
            if g is None:
                pass
            elif isinstance(instruction, Contribute):
                target = instruction.target
                into = found[target] if run.owned[target] else None
                made = operation.gradient(run, instruction.index, g, operands, output, into)
                if made is not into and made is not None:
                    owned = not operation.hands_on or _apart(made, g)
                    run.add_gradient(target, made, owned)
                del made, into
            else:
                operation.weight_gradients(run, g, operands, output, instruction.wanted)
            del g, output
        del operands
        for number in step.values:
            values[number] = None
        for number in step.gradients:
            found[number] = notes[number] = None
            run.owned[number] = False


def _apart(made: Any, g: Any) -> bool:
    """Whether a gradient has memory of its own."""
    if not isinstance(made, Tensor):
        return True
    own: int = made.untyped_storage().data_ptr()
    return own != int(g.untyped_storage().data_ptr())
