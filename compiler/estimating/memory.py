"""How much memory a search takes, added up from what is known before it begins.

On a CPU it is the resident memory of the whole process at its highest; the constants are
measurements of searches with glibc's allocator, of several spaces in many sizes. On CUDA it is the
memory of the device: tensors are counted by torch's caching allocator, and the constants for it
have not been measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import prod

import torch
from torch import Tensor

from compiler.engine.memory import Sizes, peak
from compiler.estimating import evaluation, machine
from compiler.estimating.workload import Workload

MB = 2**20
NUMBER = 4
"""The bytes of a weight, which is a float32."""
PER_BYTE, PER_BYTE_OF_WORDS = 1.12, 1.06
"""What a byte of a pass's tensors takes, the holes between them included. Steps of a loop are all
alike, so that one fills the holes of another."""
KERNELS = 40 * MB
"""Code that the library makes for each kind of convolution, and its working memory."""
COMPILING = 14 * MB
"""What lowering, passes and generating code leave behind."""
MODULE = 4600
"""A module of the network, with its names and its parameters' objects."""
DIGITS = 88 * MB
"""The library that the data set `digits` comes with."""
MEASURING = 1.6
"""What a byte of the tensors of an evaluation adds: they are larger than those of a step, and so
find little room in what steps have left. Streams of words are few and do."""
CONTEXT = 400 * MB
"""On CUDA what the context and the libraries take; not measured."""
COPIES = {1: 3, 2: 8}
"""Tensors like the weights that a step holds, by its order: the momentum, and the gradients of this
step and of the last. In the second order also the virtual weights with their gradients, and the
shifted weights of the finite difference with what they are shifted by."""


@dataclass(frozen=True)
class Memory:
    """Bytes: of a process that does nothing but steps on given batches, and of a whole search."""

    step: int
    search: int


@dataclass(frozen=True)
class Model:
    """The memory of a search as a function of that of the tensors of a pass."""

    before: int
    """What is there before the first step, but for the data."""
    data: int
    loading: int
    """What loading the data takes for a moment."""
    besides: int
    """What a step takes besides the tensors of a pass."""
    per_byte: float
    measuring: int
    """What measuring takes after the last step of an epoch."""
    adds: bool
    """Whether it takes that on top of what the steps took."""

    def of(self, tensors: int) -> Memory:
        step = self.besides + int(self.per_byte * tensors)
        later = step + self.measuring if self.adds else max(step, self.measuring)
        return Memory(self.before + step, self.before + self.data + max(later, self.loading))

    def left(self, most: int) -> int:
        """The bytes that the tensors of a pass may take for a search to stay within `most`."""
        more = self.measuring if self.adds else 0
        return int((most - self.before - self.data - self.besides - more) / self.per_byte)


def model(work: Workload, device: torch.device) -> Model:
    """The model of a workload; what it says of any batch or plan holds for this network."""
    is_cpu = device.type == "cpu"
    weights = _bytes(list(work.net.weight_parameters()))
    measuring = evaluation.tensors(work)
    adds = is_cpu and not work.reads_words
    data = loading = 0
    if work.data is not None:
        data = work.data.bytes(work.settings)
        if work.settings.data == "digits" and is_cpu:
            data += DIGITS
        if work.data.in_memory and is_cpu:  # a copy, by which the data are recognised
            loading = prod(work.data.shape) * work.data.train
    return Model(
        before(work, device),
        data,
        loading,
        COPIES[work.order] * weights + (KERNELS if is_cpu else 0),
        PER_BYTE_OF_WORDS if work.reads_words else PER_BYTE,
        int(MEASURING * measuring) if adds else measuring,
        adds,
    )


def before(work: Workload, device: torch.device) -> int:
    """What is there before the first step, but for the data."""
    held = _bytes([*work.net.parameters(), *work.net.buffers()])
    if device.type == "cuda":
        return CONTEXT + held
    return resident() + COMPILING + MODULE * sum(1 for _ in work.net.modules()) + held


@cache
def resident() -> int:
    """What this process holds with all of torch, when that is first asked for."""
    import_module("torch._dynamo")  # torch's optimisers do that
    return machine.status("VmRSS") or 0


def tensors(work: Workload, sizes: Sizes) -> int:
    """The bytes of the tensors of the largest pass of a step."""
    return max(peak(plan, work.region, sizes) for _, plan, _ in work.passes(sizes))


def _bytes(held: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in held)
