"""A generated module's function, computed from its flat program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compiler.engine.network import Engine
from compiler.engine.recompute import Budget
from compiler.facts import OpenSize
from compiler.flat.nodes import MixingWeights, State, sizes
from compiler.interpret import given_back, sizes_of
from compiler.ir import Input, Region

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
        self.module = module
        self.modules = list(module.modules())
        self.outputs = len(region.promises)
        self.states = [node for _, node in region.inputs if isinstance(node, State)]
        self.reads = [
            node for _, node in region.inputs if not isinstance(node, State | MixingWeights)
        ]

    def stands_for(self, *inputs: Tensor) -> bool:
        """Whether the module is in a condition in which this gives what it would for `inputs`.

        What has another shape than it reads is left to it: it says best what is wrong.
        """
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or not self.fits(inputs):
            return False
        now = list(self.module.modules())
        return len(now) == len(self.modules) and all(
            inner is then and inner.training and self.is_plain(inner)
            for inner, then in zip(now, self.modules, strict=True)
        )

    def is_plain(self, inner: nn.Module) -> bool:
        """Whether nothing has been hooked on to a module, or put in the place of its weights."""
        hooks = (inner._forward_pre_hooks, inner._backward_hooks, inner._backward_pre_hooks)
        if any(hooks) or "parametrizations" in inner._modules:
            return False
        if any(inner is other for other in self.observed):
            return not inner._forward_hooks_with_kwargs
        return not inner._forward_hooks

    def fits(self, inputs: Sequence[Tensor]) -> bool:
        """Whether `inputs` are a batch of what the network reads; a length may be any."""
        return (
            len(inputs) == len(self.reads)
            and all(fits(x, node) for x, node in zip(inputs, self.reads, strict=True))
            and len({x.shape[n.batch_axis] for x, n in zip(inputs, self.reads, strict=True)}) == 1
        )

    def __call__(
        self, inputs: Sequence[Tensor], weights: Sequence[Weights], state: Any = None
    ) -> Any:
        """What the module gives for `inputs`, mixing weights and a state, zeros if None."""
        given = list(inputs)
        for by_kind in weights:
            for tensors in by_kind.values():
                given += tensors if isinstance(tensors, tuple) else [tensors]
        if self.states:
            given += self.start(inputs) if state is None else self.several(state)
        found = self.engine(*given)
        outputs, rest = found[: self.outputs], found[self.outputs :]
        after, seen = rest[: len(self.states)], rest[len(self.states) :]
        self.show(seen, outputs[0])
        return given_back(outputs, after)

    def start(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """States of zeros."""
        holder, name = next(iter(self.engine.weights.values()))
        batch = inputs[0].shape[self.reads[0].batch_axis]
        return [holder[name].new_zeros(batch, *sizes(node)) for node in self.states]

    @staticmethod
    def several(state: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
        return list(state) if isinstance(state, tuple) else [state]

    def show(self, seen: Sequence[Tensor], output: Tensor) -> None:
        """Calls the hooks of the recurrence with its outputs, of the readout with its input too.

        Raises:
            RuntimeError: when one of them would change what is computed.
        """
        if not seen:
            return
        outputs, read = seen
        given = (((), outputs), ((read,), output))
        for module, (inputs, result) in zip(self.observed, given, strict=True):
            for hook in () if module is None else module._forward_hooks.values():
                if hook(module, inputs, result) is not None:
                    raise RuntimeError(
                        "a hook changes what a part of an optimised supernet gives: build it with "
                        "`passes='simple'`"
                    )


def fits(x: Tensor, node: Input) -> bool:
    """Whether `x` is a batch of what an input is."""
    own, shape = sizes(node), sizes_of(x, len(node.shape))
    return (
        len(shape) == len(own)
        and x.dim() == 1 + len(shape)
        and x.numel() > 0
        and all(
            isinstance(size, OpenSize) or size == given
            for size, given in zip(own, shape, strict=True)
        )
    )
