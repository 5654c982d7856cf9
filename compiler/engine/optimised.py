"""A generated module's function, computed from its flat program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compiler.engine.network import Engine
from compiler.engine.recompute import Budget
from compiler.facts import OpenSize
from compiler.flat.nodes import State
from compiler.interpret import sizes_of
from compiler.ir import Region

Weights = Mapping[str, Tensor | tuple[Tensor, ...]]


class Optimised:
    """Computes in training mode what a generated module computes, with that module's weights.

    It stands in for the module as long as this one is as it was generated: all of it in training
    mode, without hooks but those on its recurrence and its readout, which are called.
    """

    def __init__(self, region: Region, module: nn.Module, budget: Budget | None = None) -> None:
        self.engine = Engine(region, module, budget)
        names = (getattr(module, name, "") for name in ("recurrence", "readout"))
        self.observed = [module.get_submodule(name) if name else None for name in names]
        self.modules = list(module.modules())
        self.states = [node for _, node in region.inputs if isinstance(node, State)]
        self.sizes = [size.value for size in region.inputs[0][1].shape]

    def stands_for(self, x: Tensor) -> bool:
        """Whether the module is in a condition in which this gives what it would for `x`.

        What has another shape than it reads is left to it: it says best what is wrong.
        """
        if torch.compiler.is_compiling() or not self.fits(x):
            return False
        return all(
            inner.training and not (inner._forward_hooks or inner._forward_pre_hooks)
            for inner in self.modules
            if not any(inner is other for other in self.observed)
        )

    def fits(self, x: Tensor) -> bool:
        """Whether `x` is a batch of what the network reads; a length may be any."""
        shape = sizes_of(x, len(self.sizes))
        return (
            len(shape) == len(self.sizes)
            and x.dim() == 1 + len(shape)
            and all(
                isinstance(size, OpenSize) or size == given
                for size, given in zip(self.sizes, shape, strict=True)
            )
        )

    def __call__(self, x: Tensor, weights: Sequence[Weights], state: Any = None) -> Any:
        """What the module gives for `x`, mixing weights and a state, zeros if None."""
        given = [x]
        for by_kind in weights:
            for tensors in by_kind.values():
                given += tensors if isinstance(tensors, tuple) else [tensors]
        if self.states:
            given += self.start(x) if state is None else self.several(state)
        output, *rest = self.engine(*given)
        after, seen = rest[: len(self.states)], rest[len(self.states) :]
        self.show(seen)
        if not self.states:
            return output
        return output, after[0] if len(after) == 1 else tuple(after)

    def start(self, x: Tensor) -> list[Tensor]:
        """States of zeros."""
        holder, name = next(iter(self.engine.weights.values()))
        shapes = [[size.value for size in node.shape] for node in self.states]  # type: ignore[attr-defined]
        return [holder[name].new_zeros(x.shape[1], *shape) for shape in shapes]

    @staticmethod
    def several(state: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
        return list(state) if isinstance(state, tuple) else [state]

    def show(self, seen: Sequence[Tensor]) -> None:
        """Calls the hooks of the recurrence with its outputs, of the readout with its input."""
        for module, value, is_input in zip(self.observed, seen, (False, True), strict=False):
            if module is not None:
                for hook in module._forward_hooks.values():
                    hook(module, (value,) if is_input else (), None if is_input else value)
