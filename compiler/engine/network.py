"""A flat program as a differentiable function of its inputs and of a module's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compiler.engine import execute
from compiler.engine.memory import Sizes
from compiler.engine.operations import operations
from compiler.engine.plan import Plan, Policy, plan
from compiler.engine.recompute import Budget, within
from compiler.engine.run import Run, Statistics, gathered
from compiler.ir import Region

MOMENTUM = 0.1
"""How far a batch moves the running statistics, as in torch's batch norms."""


class Engine:
    """Runs a flat region with the weights and buffers of a generated module, in training mode.

    Gradients can be taken once: a second derivative is refused.
    """

    def __init__(self, region: Region, module: nn.Module, budget: Budget | None = None) -> None:
        self.region, self.budget = region, budget or Budget()
        self.operations = operations(region)
        self.weights = _places(module, "_parameters")
        self.buffers = _places(module, "_buffers")
        self.plans: dict[Any, Plan] = {}
        self.moves_statistics = True

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The region's outputs of its inputs."""
        weights = {path: holder[name] for path, (holder, name) in self.weights.items()}
        unique = {id(w): w for w in weights.values()}
        outputs: tuple[Tensor, ...] = _Differentiable.apply(
            self, weights, len(inputs), *inputs, *unique.values()
        )
        return outputs

    def plan(self, inputs: frozenset[int], weights: frozenset[str], sizes: Sizes) -> Plan:
        """How gradients by these inputs and weights are found, where values have these sizes."""
        key = inputs, weights, None if self.budget.bytes is None else sizes
        if key not in self.plans:

            def planned(policy: Policy) -> Plan:
                return plan(self.region, self.operations, inputs, weights, policy)

            self.plans[key] = within(self.budget, planned, self.region, self.operations, sizes)
        return self.plans[key]

    @torch.no_grad()
    def move_statistics(self, found: Sequence[Statistics]) -> None:
        """Moves running means and variances towards those of the batch, in order."""
        for batch in rounds(found):
            buffers: dict[str, list[Tensor]] = {"running_mean": [], "running_var": []}
            targets: dict[str, list[Tensor]] = {"running_mean": [], "running_var": []}
            counts = []
            for path, each in batch:
                unbiased = each.variance * (each.count / max(each.count - 1, 1))
                for name, value in (("running_mean", each.mean), ("running_var", unbiased)):
                    holder, key = self.buffers[f"{path}.{name}"]
                    buffers[name].append(holder[key])
                    targets[name].append(value.to(holder[key].dtype))
                holder, key = self.buffers[f"{path}.num_batches_tracked"]
                counts.append(holder[key])
            for name, known in buffers.items():
                torch._foreach_lerp_(known, targets[name], MOMENTUM)
            torch._foreach_add_(counts, 1)


def sizes_of(region: Region, x: Tensor, weights: Sequence[Tensor]) -> Sizes:
    """The sizes of a pass that reads `x` first."""
    is_sequence = len(region.inputs[0][1].shape) in (1, 2)
    width = weights[0].element_size() if weights else x.element_size()
    if is_sequence and x.dim() > 1:
        return Sizes(x.shape[1], x.shape[0], width)
    return Sizes(x.shape[0], width=width)


def rounds(found: Sequence[Statistics]) -> list[list[tuple[str, Statistics]]]:
    """The statistics by path, in rounds in which no path occurs twice."""
    result: list[list[tuple[str, Statistics]]] = []
    seen: dict[str, int] = {}
    for each in found:
        for path in each.paths:
            turn = seen.get(path, 0)
            seen[path] = turn + 1
            if turn == len(result):
                result.append([])
            result[turn].append((path, each))
    return result


def _places(module: nn.Module, kind: str) -> dict[str, tuple[dict[str, Tensor], str]]:
    """Where a module's parameters or buffers are held, by their paths."""
    found = {}
    for path, inner in module.named_modules(remove_duplicate=False):
        held = getattr(inner, kind)
        for name, value in held.items():
            if value is not None:
                found[f"{path}.{name}" if path else name] = held, name
    return found


class _Differentiable(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, engine: Engine, weights: dict[str, Tensor], count: int, *given: Tensor
    ) -> Any:
        inputs, unique = given[:count], given[count:]
        wanted = ctx.needs_input_grad[3:]
        numbers = [n for n, _ in engine.region.inputs]
        by_inputs = frozenset(n for n, want in zip(numbers, wanted, strict=False) if want)
        asked = {id(w) for w, want in zip(unique, wanted[count:], strict=True) if want}
        by_weights = frozenset(path for path, w in weights.items() if id(w) in asked)
        plan = engine.plan(by_inputs, by_weights, sizes_of(engine.region, inputs[0], unique))
        run = Run(plan, weights)
        formatted = [
            x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs
        ]
        outputs = execute.forward(plan, run, formatted)
        if engine.moves_statistics:
            engine.move_statistics(run.statistics)
        run.statistics.clear()
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given)
        ctx.run, ctx.plan, ctx.numbers, ctx.unique = run, plan, numbers, [id(w) for w in unique]
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "an optimised supernet can be differentiated once: build it with `passes='simple'` "
                "for second derivatives"
            )
        if ctx.run is None:
            raise RuntimeError("this pass has gone backward already, and its values are gone")
        given = ctx.saved_tensors
        run, ctx.run = ctx.run, None
        execute.backward(ctx.plan, run, gradients)
        for number in ctx.plan.mixing:
            like = given[ctx.numbers.index(number)]
            own = gathered(run.mixing, number, like)
            if own is not None:
                run.add_gradient(number, own, True)
        found: list[Tensor | None] = [run.gradients[n] for n in ctx.numbers]
        by_identity: dict[int, Tensor] = {}
        for path, gradient in run.weight_gradients.items():
            key = id(run.weights[path])
            known = by_identity.get(key)
            by_identity[key] = gradient if known is None else known + gradient
        found += [by_identity.get(key) for key in ctx.unique]
        wanted = ctx.needs_input_grad[3:]
        results = [g if want else None for g, want in zip(found, wanted, strict=True)]
        return (None, None, None, *results)
