"""What a search shows while it runs: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

# Between two readings of the losses, each of which waits for the device.
BAR_SECONDS = 1.0
LINE_SECONDS = 30.0


class Reporter(Protocol):
    """What a search tells of its progress."""

    def started(self, folder: str, epochs: int, first: int, steps: int) -> None:
        """A run in `folder`: epochs `first` to `epochs`, of `steps` steps each, are to come."""

    def due(self) -> bool:
        """Whether to read the losses now and call `step` with them."""

    def step(self, losses: Mapping[str, float] | None) -> None:
        """A step is done; `losses` are the means of the epoch so far, where they were read."""

    def epoch(self, metrics: Mapping[str, object]) -> None:
        """An epoch is done; `metrics` is its line of `metrics.jsonl`."""

    def note(self, text: str) -> None:
        """Something that a person should know, and that stops nothing."""

    def stopped(self) -> None:
        """No more comes, whatever the reason."""


class Silent:
    """Shows nothing."""

    def started(self, folder: str, epochs: int, first: int, steps: int) -> None:
        pass

    def due(self) -> bool:
        return False

    def step(self, losses: Mapping[str, float] | None) -> None:
        pass

    def epoch(self, metrics: Mapping[str, object]) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def stopped(self) -> None:
        pass


class Terminal:
    """A bar with rate, time left and losses where `console` is a terminal, and elsewhere a plain
    line of the same every half minute; a block of lines after each epoch everywhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._read_at = self._begun = 0.0
        self._done = self._total = self._steps = 0
        self._of_epochs = ""

    def started(self, folder: str, epochs: int, first: int, steps: int) -> None:
        self._console.print(f"run folder {folder}", highlight=False, markup=False)
        self._begun = self._read_at = time.monotonic()
        self._total, self._steps = (epochs - first + 1) * steps, steps
        self._of_epochs = f"epoch {first}/{epochs}"
        if not self._console.is_terminal:
            return
        self._read_at -= BAR_SECONDS
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
        )
        self._bar = Progress(*columns, console=self._console)
        self._task = self._bar.add_task(self._of_epochs, total=self._total, rate="", losses="")
        self._bar.start()

    def due(self) -> bool:
        wait = LINE_SECONDS if self._bar is None else BAR_SECONDS
        return time.monotonic() - self._read_at >= wait

    def step(self, losses: Mapping[str, float] | None) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.advance(self._task)
        if losses is None:
            return
        self._read_at = time.monotonic()
        rate = self._done / max(self._read_at - self._begun, 1e-9)
        shown = f"{rate:.2f} steps/s" if rate >= 0.1 else f"{1 / rate:.0f} s/step"
        parts = _losses(losses, ("train", "valid"))
        if self._bar is not None:
            self._bar.update(self._task, rate=shown, losses=parts)
            return
        step = (self._done - 1) % self._steps + 1
        left = timedelta(seconds=round((self._total - self._done) / rate))
        self.note(f"{self._of_epochs}  step {step}/{self._steps}  {shown}, {left} left  {parts}")

    def epoch(self, metrics: Mapping[str, object]) -> None:
        numbers = {k: v for k, v in metrics.items() if isinstance(v, float)}
        parts = _losses(numbers, ("train", "valid", "test"))
        lines = [f"epoch {metrics['epoch']}/{metrics['epochs']}  {parts}"]
        lines += [f"  {line}" for line in str(metrics["genotype"]).splitlines()]
        lines.append(f"  skips: {metrics['skips']}  ({metrics['seconds']:.1f} s)")
        self._console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
        done, epochs = int(str(metrics["epoch"])), int(str(metrics["epochs"]))
        self._of_epochs = f"epoch {min(done + 1, epochs)}/{epochs}"
        if self._bar is not None:
            self._bar.update(self._task, description=self._of_epochs)

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def stopped(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _losses(numbers: Mapping[str, float], parts: tuple[str, ...]) -> str:
    return "  ".join(
        f"{part} {numbers[f'{part}_loss']:.3f} ({numbers[f'{part}_accuracy']:.1%})"
        for part in parts
        if f"{part}_loss" in numbers
    )
