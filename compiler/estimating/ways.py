"""What would make a search fit into the memory there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from compiler.engine.recompute import Budget, budget_of
from compiler.estimating import memory
from compiler.estimating.workload import Workload
from compiler.flat.nodes import sizes as sizes_of
from compiler.ir import Region
from dsl.diagnostics import DartsError

Build = Callable[[Mapping[str, Any]], Workload]
"""The workload with other values for some of the network's parameters."""
SMALLEST_BATCH = 2
"""Norms of vectors need two samples."""


def ways(
    work: Workload,
    build: Build,
    widths: Mapping[str, int],
    device: torch.device,
    most: int,
) -> list[str]:
    """What each by itself would let a search fit, by the same sums; empty where nothing does.

    `widths` are those parameters of the network that might set how wide it is, with their values,
    `most` the bytes there are.
    """
    model = memory.model(work, device)
    found = [_batch(work, model, most), _budget(work, model, most)]
    return [way for way in (*found, _width(work, build, widths, device, most)) if way]


def _batch(work: Workload, model: memory.Model, most: int) -> str:
    """The largest batch that fits."""

    def fits(batch: int) -> bool:
        return model.of(memory.tensors(work, work.sizes(batch))).search <= most

    low, high = SMALLEST_BATCH, work.settings.batch - 1
    if low > high or not fits(low):
        return ""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return f"`--set batch={low}`"


def _budget(work: Workload, model: memory.Model, most: int) -> str:
    """The lean plan where that fits, else the largest budget."""
    engine, before = work.engine, work.engine.budget
    try:
        for budget, called in _budgets(before, model, most):
            engine.budget = budget
            engine.plans.clear()
            if model.of(memory.tensors(work, work.sizes())).search <= most:
                return f"`--memory {called}`"
        return ""
    finally:
        engine.budget = before
        engine.plans.clear()


def _budgets(now: Budget, model: memory.Model, most: int) -> Iterator[tuple[Budget, str]]:
    if now == Budget():
        yield budget_of("lean"), "lean"
    left = model.left(most) // memory.MB
    if left > 0:
        yield Budget(bytes=left * memory.MB), f'"{left} MB"'


def _width(
    work: Workload, build: Build, widths: Mapping[str, int], device: torch.device, most: int
) -> str:
    """A parameter that sets how wide the network is, halved until that fits."""
    for name, value in widths.items():
        for smaller in _halves(value):
            try:
                other = build({name: smaller})
            except DartsError:  # not every network can be that narrow
                break
            if not is_narrower(other.region, work.region):
                break
            tensors = memory.tensors(other, other.sizes())
            if memory.model(other, device).of(tensors).search <= most:
                return f"`--set {name}={smaller}`"
    return ""


def is_narrower(region: Region, other: Region) -> bool:
    """Whether a flat region computes what the other does from the same inputs, most of it in
    smaller sizes."""
    pairs = [
        (mine, its) for (_, mine), (_, its) in zip(region.nodes(), other.nodes(), strict=False)
    ]
    if len(region.values) != len(other.values) or any(type(a) is not type(b) for a, b in pairs):
        return False
    same_input = sizes_of(region.inputs[0][1]) == sizes_of(other.inputs[0][1])
    return same_input and 2 * sum(sizes_of(a) < sizes_of(b) for a, b in pairs) > len(pairs)


def _halves(value: int) -> Iterator[int]:
    while value > 1:
        value //= 2
        yield value
