"""What an exported model takes and gives: its inputs, their names and which of their sizes vary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from compiler.compile import specialised
from compiler.expr import evaluate
from runtime.errors import UserError
from runtime.final_model import FinalModel
from runtime.seeds import generator

TRACED_BATCH = 2  # torch.export takes a size of 0 or 1 for one that never changes

Arguments = tuple[Any, ...]
"""What a network is called with: what it reads, and its state where it has one."""


@dataclass(frozen=True)
class Inputs:
    """What a network reads: numbers, or words where `below` says how many there are.

    `shape` is without the batch, which comes first, or second (`batch_axis` 1) where the network
    runs over time. `name` is what the input is called in a file.
    """

    name: str
    shape: tuple[int, ...]
    batch_axis: int = 0
    below: int | None = None

    @classmethod
    def images(cls, shape: tuple[int, ...]) -> Inputs:
        """Images [batch, channels, height, width] of a `shape` [channels, height, width]."""
        return cls("image", shape)

    @classmethod
    def texts(cls, length: int, words: int) -> Inputs:
        """Words int64 [length, batch], each below `words`."""
        return cls("words", (length,), 1, words)

    def draw(self, batch: int, draws: torch.Generator) -> Tensor:
        """Standard normal float32 numbers, or words int64 that are all equally likely."""
        axis = self.batch_axis
        sizes = (*self.shape[:axis], batch, *self.shape[axis:])
        if self.below is None:
            return torch.randn(sizes, generator=draws)
        return torch.randint(self.below, sizes, generator=draws)


def inputs_of(model: FinalModel) -> Inputs:
    """What a final model reads; one that runs over time is unrolled over `bptt` steps.

    Raises:
        DartsError: when the space, the genotype or a value is at fault.
        UserError: when the network reads several things.
    """
    _, program, _ = specialised(model.space, model.profile, model.genotype, model.values)
    if len(program.network.inputs) > 1:
        raise UserError("--export takes networks with one input, and this one has several")
    ((_, node),) = program.network.inputs
    known = {**dict.fromkeys(program.open_sizes, model.settings.bptt), **program.values}
    shape = tuple(int(evaluate(size, known)) for size in node.shape)
    if node.below is not None:
        return Inputs.texts(shape[0], int(evaluate(node.below, known)))
    return Inputs("series", shape, 1) if program.open_sizes else Inputs.images(shape)


def names_of(model: nn.Module, inputs: Inputs) -> list[str]:
    """Those of the inputs in a file: what is read, then `state`, or `state_0`, `state_1` …"""
    count = len(flat(arguments_of(model, inputs, TRACED_BATCH))) - 1
    states = ["state"] if count == 1 else [f"state_{number}" for number in range(count)]
    return [inputs.name, *states]


def arguments_of(model: nn.Module, inputs: Inputs, batch: int) -> Arguments:
    """The same ones every time for a batch; states are uniform between -1 and 1."""
    draws = generator(0, "export", batch)
    first = inputs.draw(batch, draws)
    if not hasattr(model, "init_hidden"):
        return (first,)

    def drawn(state: Tensor) -> Tensor:
        return 2 * torch.rand(state.shape, generator=draws) - 1

    start = cast(Any, model).init_hidden(batch)
    return first, drawn(start) if isinstance(start, Tensor) else tuple(drawn(s) for s in start)


def dynamic_shapes(arguments: Arguments, inputs: Inputs) -> tuple[Any, ...]:
    """The axis of the batch in each argument, for torch.export; in a state it is the first."""
    batch = torch.export.Dim("batch")
    of_states = [
        {0: batch} if isinstance(state, Tensor) else tuple({0: batch} for _ in state)
        for state in arguments[1:]
    ]
    return ({inputs.batch_axis: batch}, *of_states)


def flat(values: Any) -> list[Tensor]:
    """The tensors of nested tuples, in order."""
    if isinstance(values, Tensor):
        return [values]
    return [tensor for part in values for tensor in flat(part)]
