"""How steps are measured against each other.

Times are taken in one process, the steps in turn, so that a busy machine slows all alike. Peaks of
memory are taken in a process for each step, which has done nothing else.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

Found = TypeVar("Found")
Step = Callable[[], object]
Make = Callable[[], Step]
"""Builds what takes a step, and can be pickled: a function of a module, or a partial of one."""

MIB = 2**20


@dataclass(frozen=True)
class Alone:
    """What building and one step took in a process of its own: seconds, and MiB at the peak.

    `peak` is that of the whole process, or on a GPU of what was allocated there; `added` is what
    came on top of what the process held before.
    """

    seconds: float
    peak: float
    added: float


@dataclass(frozen=True)
class Pair:
    """The times of a step and of the one it is compared with, in seconds, by rounds."""

    base: Sequence[float]
    other: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.other)

    @property
    def ratio(self) -> float:
        """How many times as fast the other one is, by the medians."""
        return statistics.median(self.base) / self.median

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest ratio of a round."""
        ratios = [base / other for base, other in zip(self.base, self.other, strict=True)]
        return min(ratios), max(ratios)


def alternate(steps: Mapping[str, Step], rounds: int) -> dict[str, list[float]]:
    """The seconds of each step in each round, after one round to warm up.

    Every other round goes through the steps backwards, so that none always follows the same one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        names = [*steps] if number % 2 == 0 else [*steps][::-1]
        for name in names:
            begun = time.perf_counter()
            steps[name]()
            if number:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def compared(makes: Mapping[str, Make], base: str, rounds: int) -> dict[str, Pair]:
    """Every step with the one that is called `base`, timed in this process."""
    seconds = alternate({name: make() for name, make in makes.items()}, rounds)
    return {name: Pair(seconds[base], taken) for name, taken in seconds.items()}


def alone(make: Make, warm_up: Make | None = None) -> Alone:
    """`warm_up` makes a small step of the same kind: what is taken to load the code of libraries
    then does not count as added."""
    return elsewhere(partial(_first_step, make, warm_up))


def _first_step(make: Make, warm_up: Make | None) -> Alone:
    if warm_up is not None:
        warm_up()()
    before, begun = memory("VmHWM"), time.perf_counter()
    make()()
    seconds = time.perf_counter() - begun
    if torch.cuda.is_initialized():
        peak = torch.cuda.max_memory_allocated() / MIB
        return Alone(seconds, peak, peak)
    peak = memory("VmHWM")
    return Alone(seconds, peak, peak - before)


def elsewhere(function: Callable[[], Found]) -> Found:
    """What a function gives in a process of its own, in which torch is imported already.

    Raises:
        SystemExit: when it failed there, which has then been told.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])
    found: multiprocessing.SimpleQueue[Found] = context.SimpleQueue()
    process = context.Process(target=_put, args=(function, found))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("a step failed in a process of its own")
    return found.get()


def _put(function: Callable[[], Found], found: multiprocessing.SimpleQueue[Found]) -> None:
    found.put(function())


def memory(field: str) -> float:
    """MiB of this process: `VmRSS`, what it holds, or `VmHWM`, the most it has held.

    `getrusage` will not do: its peak is at least that of the process that started this one.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.removesuffix("kB")) / 1024
    raise RuntimeError(f"the system does not tell {field}")


def circumstances() -> str:
    """What every figure depends on, for the head of a table."""
    return f"torch {torch.__version__}, {torch.get_num_threads()} threads"
