"""What a step takes besides its passes: optimisers, and what is done to all weights at once."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch
from torch.nn.utils import clip_grad_norm_

from compiler.estimating.workload import Workload

REPEATS = 3
LISTS = 9
"""Operations on all weights at once that the second order takes beside its passes: the virtual
step, the norms, the weights of the finite difference. See `runtime.unrolled`."""


def of_step(work: Workload, device: torch.device) -> float:
    """Seconds of both optimisers, of clipping, and of the buffers that an architecture step puts
    back."""
    s, net = work.settings, work.net
    weights, alphas = list(net.weight_parameters()), list(net.arch_parameters())
    for parameter in (*weights, *alphas):
        parameter.grad = torch.zeros_like(parameter)
    sgd = torch.optim.SGD(weights, lr=0.0, momentum=s.momentum, weight_decay=s.decay)
    adam = torch.optim.Adam(alphas, lr=0.0, weight_decay=s.alpha_decay)
    buffers = [buffer for buffer in net.buffers() if buffer.is_floating_point()]

    def step() -> None:
        kept = [buffer.clone() for buffer in buffers]
        if kept:
            torch._foreach_copy_(buffers, kept)
        adam.step()
        if s.clip > 0:
            clip_grad_norm_(weights, s.clip)
        sgd.step()
        if work.order == 2:
            plain = [weight.detach() for weight in weights]
            for _ in range(LISTS):
                torch._foreach_add(plain, plain)

    found = _least(step, device)
    for parameter in (*weights, *alphas):
        parameter.grad = None
    return found


def _least(work: Callable[[], None], device: torch.device) -> float:
    """The least seconds of some runs after a first one."""
    work()
    found = []
    for _ in range(REPEATS):
        begun = perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(perf_counter() - begun)
    return min(found)
