"""How long a loop waits for its data: what it takes to prepare a batch, or to get a prepared one.

On a device that computes beside the host this is the host's time, as what the host has handed over
is part of the device's work.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")

SHARE = 0.03  # of an epoch: waiting for less is not worth a word
LEAST = 1.0  # second; in an epoch of a moment a share says nothing


class Waiting:
    """A watch that runs while a loop waits for its next item."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def on(self, items: Iterable[T]) -> Iterator[T]:
        """The items, each timed from when it is asked for to when it is there."""
        end = object()
        waiting = iter(items)
        while True:
            begun = time.monotonic()
            try:
                item = next(waiting, end)
            finally:
                self._seconds += time.monotonic() - begun
            if item is end:
                return
            yield item  # type: ignore[misc]

    def read(self) -> float:
        """The seconds since the last reading."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


@runtime_checkable
class Waits(Protocol):
    """A task whose loop waits for data."""

    @property
    def waiting(self) -> Waiting: ...


def data_seconds(task: object) -> dict[str, float]:
    """`data_seconds` for an epoch's line of metrics: how long `task` waited since the last line.
    Nothing for a task that has its data at hand and keeps no watch."""
    return {"data_seconds": task.waiting.read()} if isinstance(task, Waits) else {}


def slow_data(line: Mapping[str, Any]) -> str | None:
    """What to tell of an epoch, by its line of metrics, where data held it up."""
    waited, total = line.get("data_seconds", 0.0), line["seconds"]
    if waited < LEAST or waited <= SHARE * total:
        return None
    return f"epoch {line['epoch']} waited for data for {waited:.1f} of its {total:.1f} s"
