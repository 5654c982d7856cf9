"""`compiler.estimate`: how much memory and time a search takes, before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from compiler.building import build
from compiler.estimating import evaluation, machine, memory, overhead
from compiler.estimating.data_sizes import KNOWN, DataSizes
from compiler.estimating.figures import amount, duration
from compiler.estimating.passes import timer
from compiler.estimating.ways import ways
from compiler.estimating.workload import OF_ORDER, Workload
from compiler.measure import measure
from compiler.profile import values_of
from compiler.supernet import Supernet
from dsl.load import load
from dsl.space import Space

FAST = "fast"
"""The pipeline whose networks say what they compute; of others little is known."""


@dataclass(frozen=True)
class Estimate:
    """What a search will take; None is what is not known.

    `step_memory` are the bytes of a process that only steps on given batches, `memory` those of the
    whole search, with its data and its measuring; on a CPU both count the whole process, on CUDA
    the device. `available` is what there is. `ways` are options with which a search that does not
    fit would.
    """

    device: str
    step_memory: int | None = None
    memory: int | None = None
    step_seconds: float | None = None
    search_seconds: float | None = None
    available: int | None = None
    batch: int = 0
    epochs: int = 0
    ways: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether there is enough memory, as far as is known."""
        return self.memory is None or self.available is None or self.memory <= self.available

    def lines(self) -> list[str]:
        """For the command line: a step, the search, and what does not fit; empty where nothing is
        known, or nothing is to be searched."""
        found = []
        if self.step_memory is not None:
            took = _took(self.step_seconds, self.step_memory)
            found.append(f"step      {took} for batch {self.batch} on {self.device}")
        if self.memory is not None:
            took = _took(self.search_seconds, self.memory)
            there = "" if self.available is None else f" of {amount(self.available)}"
            epochs = f"{self.epochs} epoch" + "s" * (self.epochs != 1)
            found.append(f"search    {took}{there} for {epochs}")
        if not self.fits:
            found.append(f"too much  {self.shortage}")
        return found

    @property
    def shortage(self) -> str | None:
        """What does not fit and what would, in one line; None where all fits."""
        if self.fits or self.memory is None or self.available is None:
            return None
        line = (
            f"a search takes {amount(self.memory)} and there is room for {amount(self.available)}"
        )
        if not self.ways:
            return f"{line}; no smaller batch or width that was tried fits"
        return f"{line}; what fits is {' or '.join(self.ways)}"

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _took(seconds: float | None, size: int) -> str:
    return amount(size) if seconds is None else f"{duration(seconds)} and {amount(size)}"


def estimate(
    space: Space | str | Path,
    profile: str | None = None,
    passes: str = FAST,
    order: int = 1,
    device: str | torch.device | None = None,
    *,
    memory: str | int | None = None,
    data: DataSizes | str | None = None,
    **overrides: Any,
) -> Estimate:
    """What a search of the space in a `.darts` file takes on this machine, in memory and in time.

    Time is told from a few seconds of calibration. `order`, `profile`, `passes`, `memory` and
    `overrides` are those of `runtime.search`; `data` is another data set than the profile's, by its
    name or by its sizes. Torch's random numbers are left as they were.

    Raises:
        DartsError: for a fault of the file, the profile or an override.
    """
    return _Asked(space, profile, passes, order, device, memory, data, overrides).estimate(True)


def shortage(
    space: Space | str | Path,
    profile: str | None = None,
    passes: str = FAST,
    order: int = 1,
    device: str | torch.device | None = None,
    *,
    memory: str | int | None = None,
    data: DataSizes | str | None = None,
    net: Supernet | None = None,
    **overrides: Any,
) -> str | None:
    """Whether a search will not fit: what it takes, what there is and what would fit, in one line.

    None where it fits or where that is not known. Nothing is timed. `net` is the supernet, where it
    is built already; the rest is as for `estimate`.

    Raises:
        DartsError: for a fault of the file, the profile or an override.
    """
    asked = _Asked(space, profile, passes, order, device, memory, data, overrides)
    return asked.estimate(False, net).shortage


class _Asked:
    """What an estimate is asked of."""

    def __init__(
        self,
        space: Space | str | Path,
        profile: str | None,
        passes: str,
        order: int,
        device: str | torch.device | None,
        budget: str | int | None,
        data: DataSizes | str | None,
        overrides: Mapping[str, Any],
    ) -> None:
        if order not in OF_ORDER:
            raise ValueError(f"the order is 1 or 2, not {order}")
        self.space = space if isinstance(space, Space) else load(space)
        self.profile, self.passes, self.order, self.budget = profile, passes, order, budget
        if isinstance(data, str):
            overrides, data = {**overrides, "data": data}, None
        values = values_of(self.space, "search", profile, overrides)
        if data is None and not values.settings.resized_crop:  # which is for images in files
            data = KNOWN.get(values.settings.data)
        decided = None if data is None else data.overrides(self.space)
        self.data = None if decided is None else data
        self.overrides = {**(decided or {}), **overrides}
        self.values, _, facts = measure(self.space, "search", profile, self.overrides)
        self.weights = facts.weights
        # what the data decide is not for a shortage to change
        self.widths = {
            name: value
            for name, value in self.values.parameters.items()
            if isinstance(value, int) and name not in (decided or {})
        }
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)

    def estimate(self, timed: bool, net: Supernet | None = None) -> Estimate:
        settings = self.values.settings
        found = Estimate(
            str(self.device),
            available=machine.available(self.device),
            batch=settings.batch,
            epochs=settings.epochs,
        )
        least = self.weights * memory.NUMBER * (1 + memory.COPIES[self.order])
        if found.available is not None and least > found.available:
            return replace(found, memory=least)  # too much to be built
        if self.passes != FAST:
            return found
        memory.resident()
        with torch.random.fork_rng(devices=[]):
            work = self.workload({}, net)
            if not work.is_searchable:
                return found
            return self.filled(found, work, timed)

    def workload(self, values: Mapping[str, Any], net: Supernet | None = None) -> Workload:
        if net is None:
            built = build(
                self.space,
                profile=self.profile,
                passes=self.passes,
                memory=self.budget,
                **{**self.overrides, **values},
            )
            net = cast(Supernet, built)
        return Workload(net, self.values.settings, self.data, self.order)

    def filled(self, found: Estimate, work: Workload, timed: bool) -> Estimate:
        sizes = work.sizes()
        needed = memory.model(work, self.device).of(memory.tensors(work, sizes))
        found = replace(found, step_memory=needed.step, memory=needed.search)
        if not found.fits:
            assert found.available is not None
            options = ways(work, self.workload, self.widths, self.device, found.available)
            found = replace(found, ways=tuple(options))
        if not timed or not found.fits:
            return found
        work.net.to(self.device).train()
        step = step_seconds(work, self.device)
        whole = None
        if work.data is not None:
            measuring = evaluation.seconds(work, self.device)
            steps = work.data.steps(work.settings)
            whole = work.settings.epochs * (steps * step + measuring)
        return replace(found, step_seconds=step, search_seconds=whole)


def step_seconds(work: Workload, device: torch.device) -> float:
    """How long a step takes, from its passes and from what follows them."""
    sizes = work.sizes()
    seconds = timer(work, sizes, device)
    passes = sum(times * seconds(of, plan) for of, plan, times in work.passes(sizes))
    return passes + overhead.of_step(work, device)
