"""What measuring a supernet after an epoch takes: it runs in evaluation mode, as it was generated.

Its tensors are counted by running it without numbers: torch's `meta` device has shapes only.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from compiler.engine.memory import Sizes
from compiler.estimating.workload import Workload, shape_of

IMAGES = 256
"""Images that are measured at once, as in `runtime.batches`."""
TIMED_IMAGES, TIMED_WORDS = 16, 4
"""A batch, and words of each stream, from which the time of all is told."""


class _Held(TorchDispatchMode):
    """Counts the bytes of the tensors that are there, and the most that have been."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.users: Counter[int] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for found in tree_leaves(result):
            if isinstance(found, Tensor):
                self.take(found)
        return result

    def take(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if not self.users[key]:
            self.now += size
            self.peak = max(self.peak, self.now)
        self.users[key] += 1
        weakref.finalize(tensor, self.give, key, size)

    def give(self, key: int, size: int) -> None:
        self.users[key] -= 1
        if not self.users[key]:
            del self.users[key]
            self.now -= size


def tensors(work: Workload) -> int:
    """The bytes of the tensors that are there at once while measuring, beside weights.

    Of words one of each stream is gone through, and what it takes is counted for all.
    """
    named = {**dict(work.net.named_parameters()), **dict(work.net.named_buffers())}
    without = {name: value.detach().to("meta") for name, value in named.items()}
    x = _inputs(work, measured(work), "meta")
    held = _Held()
    with _evaluating(work), held:
        functional_call(work.net, without, (x,))
    times = work.settings.bptt if work.reads_words else 1
    return times * (held.peak + x.untyped_storage().nbytes())


def measured(work: Workload) -> Sizes:
    """The sizes of a batch to measure on, of words those of one time."""
    s = work.settings
    if work.reads_words:
        return Sizes(s.evaluation_batch)
    known = work.data.test if work.data is not None else IMAGES
    return Sizes(max(1, min(IMAGES, s.test_subset or known)))


def seconds(work: Workload, device: torch.device) -> float:
    """How long all of the data to measure on take, from a small part of them."""
    s = work.settings
    if work.data is None:
        return 0.0
    if work.reads_words:
        sizes = Sizes(s.evaluation_batch, min(TIMED_WORDS, s.bptt))
        parts = work.data.test / (sizes.batch * sizes.length)
    else:
        sizes = Sizes(min(TIMED_IMAGES, s.batch))
        parts = (s.test_subset or work.data.test) / sizes.batch
    x = _inputs(work, sizes, device)
    with _evaluating(work):
        work.net(x)
        begun = perf_counter()
        work.net(x)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (perf_counter() - begun) * parts


def _inputs(work: Workload, sizes: Sizes, device: torch.device | str) -> Tensor:
    kind = torch.int64 if work.reads_words else None  # the usual one of floats
    return torch.zeros(shape_of(work.first_input, sizes), dtype=kind, device=device)


@contextmanager
def _evaluating(work: Workload) -> Iterator[None]:
    """The network in evaluation mode, without gradients; its mode is put back."""
    was_training = work.net.training
    work.net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        work.net.train(was_training)
