"""A flat program as a differentiable function of its inputs and of a module's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from compiler.engine import execute
from compiler.engine.memory import Sizes
from compiler.engine.operations import operations
from compiler.engine.plan import Plan, Policy, plan
from compiler.engine.recompute import Budget, within
from compiler.engine.run import Factors, Run, Statistics, gathered
from compiler.flat.nodes import MixingWeights
from compiler.ir import Region
from compiler.kernels.compiled import Compiled, compiling

MOMENTUM = 0.1
"""How far a batch moves the running statistics, as in torch's batch norms."""


class Engine:
    """Runs a flat region with the weights and buffers of a generated module, in training mode.

    Gradients can be taken once: a second derivative is refused.
    """

    def __init__(self, region: Region, module: nn.Module, budget: Budget | None = None) -> None:
        self.region, self.budget = region, budget or Budget()
        self.operations = operations(region)
        self.factors = dict.fromkeys(p for o in self.operations.values() for p in o.factors)
        self.weights = _places(module, "_parameters")
        self.buffers = _places(module, "_buffers")
        self.plans: dict[Any, Plan] = {}
        self.moves_statistics = True
        self.compiled: Compiled | None = None
        """Where pointwise kernels are compiled, by what."""

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
        budget = self.budget
        if budget.bytes is not None:  # the gradients by weights take their part of it
            held = (self.weights[path] for path in weights)
            taken = sum(holder[name].numel() * holder[name].element_size() for holder, name in held)
            budget = replace(budget, bytes=max(budget.bytes - taken, 1))
        is_fixed = budget.bytes is None and budget.share is None
        key = inputs, weights, budget, None if is_fixed else sizes
        if key not in self.plans:

            def planned(policy: Policy) -> Plan:
                return plan(self.region, self.operations, inputs, weights, policy)

            self.plans[key] = within(budget, planned, self.region, self.operations, sizes)
        return self.plans[key]

    def lowered(self, weights: Mapping[str, Tensor], dtype: torch.dtype | None) -> Factors | None:
        """The weights that are multiplied in half precision, copied to it in one call."""
        if dtype is None:
            return None
        own = {path: weights[path].detach() for path in self.factors}
        copies = [torch.empty_like(weight, dtype=dtype) for weight in own.values()]
        torch._foreach_copy_(copies, list(own.values()))
        return Factors(dtype, dict(zip(own, copies, strict=True)))

    @torch.no_grad()
    def move_statistics(self, found: Sequence[Statistics]) -> None:
        """Moves running means and variances towards those of the batch, in order."""
        for batch in rounds(found):
            buffers: dict[str, list[Tensor]] = {"running_mean": [], "running_var": []}
            targets: dict[str, list[Tensor]] = {"running_mean": [], "running_var": []}
            counts = []
            # One call for all: a network has hundreds of these small tensors.
            unbiased = torch._foreach_mul(
                [each.variance for _, each in batch],
                [each.count / max(each.count - 1, 1) for _, each in batch],
            )
            for (path, each), variance in zip(batch, unbiased, strict=True):
                for name, value in (("running_mean", each.mean), ("running_var", variance)):
                    holder, key = self.buffers[f"{path}.{name}"]
                    buffers[name].append(holder[key])
                    targets[name].append(value.to(holder[key].dtype))
                holder, key = self.buffers[f"{path}.num_batches_tracked"]
                counts.append(holder[key])
            for name, known in buffers.items():
                torch._foreach_lerp_(known, targets[name], MOMENTUM)
            torch._foreach_add_(counts, 1)


def precision(device: torch.device, weights: Sequence[Tensor]) -> torch.dtype | None:
    """What convolutions and linear maps multiply in under autocast; None without it.

    A pass does the casts itself, as its kernels are none that autocast knows, and backwards there
    would be none at all. As ever float64 is left alone.
    """
    if not torch.is_autocast_enabled(device.type) or any(w.dtype == torch.float64 for w in weights):
        return None
    return torch.get_autocast_dtype(device.type)


def without_autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, enabled=False)


def sizes_of(
    region: Region,
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor],
    dtype: torch.dtype | None = None,
) -> Sizes:
    """The sizes of a pass over `inputs`, of values in `dtype` if that is half precision.

    What stays open is as long as the first sequence.
    """
    first = inputs[0]
    width = weights[0].element_size() if weights else first.element_size()
    if dtype is not None:
        width = dtype.itemsize
    pairs = zip(inputs, (node for _, node in region.inputs), strict=False)
    for x, node in pairs:
        is_sequence = not isinstance(node, MixingWeights) and node.batch_axis == 1
        if is_sequence and x.dim() > 1:
            return Sizes(x.shape[1], x.shape[0], width)
    return Sizes(first.shape[0], width=width)


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
        dtype = precision(inputs[0].device, unique)
        plan = engine.plan(by_inputs, by_weights, sizes_of(engine.region, inputs, unique, dtype))
        run = Run(plan, weights, factors=engine.lowered(weights, dtype))
        formatted = [
            x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs
        ]
        with without_autocast(inputs[0].device), compiling(engine.compiled):
            outputs = execute.forward(plan, run, formatted)
        if engine.moves_statistics:
            engine.move_statistics(run.statistics)
        run.statistics.clear()
        ctx.set_materialize_grads(False)
        ctx.compiled = engine.compiled
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
        with without_autocast(given[0].device), compiling(ctx.compiled):
            execute.backward(ctx.plan, run, gradients)
        for number in ctx.plan.mixing:
            like = given[ctx.numbers.index(number)]
            own = gathered(run.mixing, number, like)
            if own is not None:
                run.add_gradient(number, own, True)
        found: list[Tensor | None] = [run.gradients[n] for n in ctx.numbers]
        run.widen()
        by_identity: dict[int, Tensor] = {}
        for path, gradient in run.weight_gradients.items():
            key = id(run.weights[path])
            known = by_identity.get(key)
            by_identity[key] = gradient if known is None else known + gradient
        found += [by_identity.get(key) for key in ctx.unique]
        wanted = ctx.needs_input_grad[3:]
        results = [g if want else None for g, want in zip(found, wanted, strict=True)]
        return (None, None, None, *results)
