"""How long a pass takes, forwards and back, without ever going through one in its full size.

A pass over words is a line in their number, and two short ones give the line. One over images is
the sum of its instructions; what they take longer amid all the others, and what surrounds them, is
seen in a pass over very few images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import torch
from torch import Tensor

from compiler.engine.memory import Sizes
from compiler.engine.plan import Plan
from compiler.estimating.calibration import Calibration
from compiler.estimating.workload import ARCHITECTURE, WEIGHTS, Workload, shape_of
from compiler.expr import Const

SHORT, LONG = 1, 12
"""The words of each stream that are gone through: enough for the line, too few for much memory."""
FEW = 2
"""Images, as many as a norm needs."""
REPEATS, ENOUGH = 6, 0.5
"""Passes that are gone through, fewer where they take so many seconds in all; two at least, as the
library makes its kernels in the first."""

Timer = Callable[[str, Plan], float]
"""The seconds of the pass that gives the gradients of that, by that plan."""


def timer(work: Workload, sizes: Sizes, device: torch.device) -> Timer:
    """What tells how long passes of these sizes take."""
    if work.reads_words:
        return lambda of, plan: _over_words(work, of, sizes, device)
    all_images, few_images = (Calibration(work, each, device) for each in (sizes, work.sizes(FEW)))

    def over_images(of: str, plan: Plan) -> float:
        few = work.plan(of, work.sizes(FEW))
        more = run(work, of, work.sizes(FEW), device) - few_images.seconds(few)
        return all_images.seconds(plan) + max(0.0, more)

    return over_images


def _over_words(work: Workload, of: str, sizes: Sizes, device: torch.device) -> float:
    if sizes.length <= LONG:
        return run(work, of, sizes, device)
    short, long = (run(work, of, Sizes(sizes.batch, n), device) for n in (SHORT, LONG))
    each = max(0.0, long - short) / (LONG - SHORT)
    return long + each * (sizes.length - LONG)


def run(work: Workload, of: str, sizes: Sizes, device: torch.device) -> float:
    """The least seconds of some passes that are gone through as they are."""
    x = _inputs(work, sizes, device)
    times: list[float] = []
    with _wanted(work, of) as parameters:
        while len(times) < REPEATS and (len(times) < 2 or sum(times) < ENOUGH):
            times.append(_once(work, x, parameters, device))
    return min(times)


def _inputs(work: Workload, sizes: Sizes, device: torch.device) -> Tensor:
    shape, below = shape_of(work.first_input, sizes), work.first_input.below
    if isinstance(below, Const):
        return torch.randint(int(below.value), shape, device=device)
    return torch.randn(shape, device=device)


@contextmanager
def _wanted(work: Workload, of: str) -> Iterator[list[Tensor]]:
    """The parameters that gradients are asked of; the others are constants meanwhile."""
    alphas, weights = list(work.net.arch_parameters()), list(work.net.weight_parameters())
    found = [*(alphas if of != WEIGHTS else []), *(weights if of != ARCHITECTURE else [])]
    for parameter in (*alphas, *weights):
        parameter.requires_grad_(False)
    for parameter in found:
        parameter.requires_grad_(True)
    try:
        yield list(found)
    finally:
        for parameter in (*alphas, *weights):
            parameter.requires_grad_(True)


def _once(work: Workload, x: Tensor, by: Sequence[Tensor], device: torch.device) -> float:
    begun = perf_counter()
    output = work.net(x)
    logits = output[0] if isinstance(output, tuple) else output
    # as dear as a cross-entropy: the exponentials of all logits, forwards and back
    torch.autograd.grad(logits.logsumexp(-1).sum(), by, allow_unused=True)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - begun
