"""What an exported model takes and gives: inputs, outputs, their names, and which sizes vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from compiler.compile import specialised
from compiler.expr import evaluate
from compiler.ir import Input
from dsl.ast import NetworkDecl
from runtime.final_model import FinalModel
from runtime.seeds import generator

TRACED_BATCH = 2  # torch.export takes a size of 0 or 1 for one that never changes

Arguments = tuple[Any, ...]
"""What a network is called with: what it reads, and its state where it has one."""


@dataclass(frozen=True)
class Inputs:
    """One thing that a network reads: numbers, or words where `below` says how many there are.

    `shape` is without the batch, which comes first, or second (`batch_axis` 1) where the network
    runs over time. `name` is what the input is called in a file.
    """

    name: str
    shape: tuple[int, ...]
    batch_axis: int = 0
    below: int | None = None

    def draw(self, batch: int, draws: torch.Generator) -> Tensor:
        """Standard normal float32 numbers, or words int64 that are all equally likely."""
        axis = self.batch_axis
        sizes = (*self.shape[:axis], batch, *self.shape[axis:])
        if self.below is None:
            return torch.randn(sizes, generator=draws)
        return torch.randint(self.below, sizes, generator=draws)


@dataclass(frozen=True)
class Interface:
    """What a network reads, and what its outputs are called in a file."""

    inputs: tuple[Inputs, ...]
    outputs: tuple[str, ...] = ("logits",)


def interface_of(model: FinalModel) -> Interface:
    """What a final model reads and gives; one that runs over time is unrolled over `bptt` steps.

    Several inputs, and several outputs, are called as in the space.

    Raises:
        DartsError: when the space, the genotype or a value is at fault.
    """
    _, program, _ = specialised(model.space, model.profile, model.genotype, model.values)
    known = {**dict.fromkeys(program.open_sizes, model.settings.bptt), **program.values}
    nodes = [node for _, node in program.network.inputs]
    inputs = tuple(_read(node, known) for node in nodes)
    if len(nodes) == 1:
        (only,) = inputs
        inputs = (replace(only, name="words" if only.below else _kind(only)),)
    declared = cast(NetworkDecl, model.space.network).outputs
    names = tuple(output.name.name for output in declared)
    return Interface(inputs, names) if len(names) > 1 else Interface(inputs)


def _read(node: Input, known: Mapping[str, Any]) -> Inputs:
    shape = tuple(int(evaluate(size, known)) for size in node.shape)
    below = None if node.below is None else int(evaluate(node.below, known))
    return Inputs(node.name, shape, node.batch_axis, below)


def _kind(inputs: Inputs) -> str:
    return "series" if inputs.batch_axis else "image"


def names_of(model: nn.Module, interface: Interface) -> tuple[list[str], list[str]]:
    """Those of the inputs in a file, and of the outputs; each name stands once.

    What is read comes first, then `state`, or `state_0`, `state_1` …; a state given back is
    called as the one before it, with `_after`.
    """
    read = [each.name for each in interface.inputs]
    count = len(flat(arguments_of(model, interface, TRACED_BATCH))) - len(read)
    states = ["state"] if count == 1 else [f"state_{number}" for number in range(count)]
    given = [*interface.outputs, *(f"{name}_after" for name in states)]
    unique: list[str] = []
    for name in (*read, *states, *given):
        while name in unique:
            name += "_"
        unique.append(name)
    return unique[: len(read) + count], unique[len(read) + count :]


def arguments_of(model: nn.Module, interface: Interface, batch: int) -> Arguments:
    """The same ones every time for a batch; states are uniform between -1 and 1."""
    draws = generator(0, "export", batch)
    read = tuple(each.draw(batch, draws) for each in interface.inputs)
    if not hasattr(model, "init_hidden"):
        return read

    def drawn(state: Tensor) -> Tensor:
        return 2 * torch.rand(state.shape, generator=draws) - 1

    start = cast(Any, model).init_hidden(batch)
    return *read, drawn(start) if isinstance(start, Tensor) else tuple(drawn(s) for s in start)


def dynamic_shapes(arguments: Arguments, interface: Interface) -> tuple[Any, ...]:
    """The axis of the batch in each argument, for torch.export; in a state it is the first."""
    batch = torch.export.Dim("batch")
    of_states = [
        {0: batch} if isinstance(state, Tensor) else tuple({0: batch} for _ in state)
        for state in arguments[len(interface.inputs) :]
    ]
    return (*({each.batch_axis: batch} for each in interface.inputs), *of_states)


def flat(values: Any) -> list[Tensor]:
    """The tensors of nested tuples, in order."""
    if isinstance(values, Tensor):
        return [values]
    return [tensor for part in values for tensor in flat(part)]
