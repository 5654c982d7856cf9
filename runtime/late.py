"""Figures that are read a step late, so that no step waits for the one before."""

from __future__ import annotations

import copy
from typing import Protocol

import torch


class Figures(Protocol):
    """Figures on a device, such as `runtime.measure.Means`."""

    def read(self) -> dict[str, float]: ...


class Late:
    """The figures as they were kept, for when the device has more to do.

    A reading right after a step would let the device run dry: it waits for the step, and the next
    one is handed over only then. Kept after a step and read after the next, they are there by then,
    or nearly, and the device goes on with that next step meanwhile.
    """

    def __init__(self, figures: Figures, device: torch.device) -> None:
        self._figures, self._device = figures, device
        self._kept: Figures | None = None
        self._made: torch.cuda.Event | None = None

    def keep(self) -> None:
        """Copies the figures on the device, in the order of its work."""
        self._kept = copy.deepcopy(self._figures)
        if self._device.type == "cuda":
            self._made = torch.cuda.current_stream(self._device).record_event()

    def read(self) -> dict[str, float] | None:
        """What was kept, once; None where nothing was."""
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        if self._made is None:
            return kept.read()
        # In a stream of its own, as one that is shared would first finish the step under way.
        stream = torch.cuda.Stream(self._device)
        stream.wait_event(self._made)
        with torch.cuda.stream(stream):
            return kept.read()
