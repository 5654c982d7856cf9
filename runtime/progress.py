"""What a run shows while it runs: a bar on a terminal, lines elsewhere."""

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
    """What a run tells of its progress."""

    def started(self, folder: str, epochs: int, first: int, steps: int) -> None:
        """A run in `folder`: epochs `first` to `epochs`, of about `steps` steps each, are to
        come."""

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
        self._taken = self._in_epoch = 0  # steps, since the run began and in this epoch
        self._finished = self._epochs = self._steps = 0  # epochs of this run, steps in one
        self._of_epochs = ""

    def started(self, folder: str, epochs: int, first: int, steps: int) -> None:
        self._console.print(f"run folder {folder}", highlight=False, markup=False)
        self._begun = self._read_at = time.monotonic()
        self._epochs, self._steps = epochs - first + 1, steps
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
        self._task = self._bar.add_task(
            self._of_epochs, total=self._epochs * steps, rate="", losses=""
        )
        self._bar.start()

    def due(self) -> bool:
        wait = LINE_SECONDS if self._bar is None else BAR_SECONDS
        return time.monotonic() - self._read_at >= wait

    def step(self, losses: Mapping[str, float] | None) -> None:
        self._taken += 1
        self._in_epoch += 1
        # An epoch of more steps or fewer than was said moves the bar by as many as was said.
        done = self._finished * self._steps + min(self._in_epoch, self._steps)
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
        if losses is None:
            return
        self._read_at = time.monotonic()
        rate = self._taken / max(self._read_at - self._begun, 1e-9)
        shown = f"{rate:.2f} steps/s" if rate >= 0.1 else f"{1 / rate:.0f} s/step"
        parts = _figures(losses)
        if self._bar is not None:
            self._bar.update(self._task, rate=shown, losses=parts)
            return
        step = f"step {self._in_epoch}/{max(self._in_epoch, self._steps)}"
        left = timedelta(seconds=round((self._epochs * self._steps - done) / rate))
        self.note(f"{self._of_epochs}  {step}  {shown}, {left} left  {parts}")

    def epoch(self, metrics: Mapping[str, object]) -> None:
        parts = _figures({k: v for k, v in metrics.items() if isinstance(v, float)})
        lines = [f"epoch {metrics['epoch']}/{metrics['epochs']}  {parts}"]
        lines += [f"  {line}" for line in str(metrics.get("genotype", "")).splitlines()]
        skips = f"skips: {metrics['skips']}  " if "skips" in metrics else ""
        lines.append(f"  {skips}({metrics['seconds']:.1f} s)")
        self._console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
        done, epochs = int(str(metrics["epoch"])), int(str(metrics["epochs"]))
        self._of_epochs = f"epoch {min(done + 1, epochs)}/{epochs}"
        self._finished, self._in_epoch = self._finished + 1, 0
        if self._bar is not None:
            completed = self._finished * self._steps
            self._bar.update(self._task, description=self._of_epochs, completed=completed)

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def stopped(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _figures(numbers: Mapping[str, float]) -> str:
    """`train 2.000 (25.0%)` for each part with a loss, or its perplexity in the brackets."""
    shown = []
    for name, loss in numbers.items():
        part = name.removesuffix("_loss")
        if part == name:
            continue
        figure = ""
        if f"{part}_accuracy" in numbers:
            figure = f" ({numbers[f'{part}_accuracy']:.1%})"
        elif f"{part}_perplexity" in numbers:
            figure = f" (perplexity {numbers[f'{part}_perplexity']:.2f})"
        shown.append(f"{part} {loss:.3f}{figure}")
    return "  ".join(shown)
