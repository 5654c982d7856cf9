"""The images of one part of a data set, by number: held in memory, or read when they are asked
for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

AHEAD = 2  # batches, where each has to be read or sent to the device


class Pixels(Protocol):
    """Images by number."""

    @property
    def ahead(self) -> int:
        """How many batches to prepare while others are computed on; 0 where reading is quick."""

    @property
    def device(self) -> torch.device:
        """Where the images are read to."""

    def __len__(self) -> int: ...

    def picked(self, rows: Tensor) -> Pixels:
        """Those of the images, numbered anew."""

    def read(self, chosen: Tensor, draw: torch.Generator | None = None) -> Tensor:
        """Bytes [images, channels, height, width]. Where images are cropped as they are read,
        `draw`, on the CPU, decides how; without it they are cropped in the middle."""

    def on(self, device: torch.device, share: float) -> Pixels:
        """The same images, on the device if they take less than that share of its free memory."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """Images that are bytes [images, channels, height, width], on any device."""

    tensor: Tensor
    ahead: int = 0

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    def __len__(self) -> int:
        return len(self.tensor)

    def picked(self, rows: Tensor) -> InMemory:
        return InMemory(self.tensor[rows])

    def read(self, chosen: Tensor, draw: torch.Generator | None = None) -> Tensor:
        return self.tensor.index_select(0, sent(chosen, self.device))

    def on(self, device: torch.device, share: float) -> InMemory:
        fits = device.type == "cpu" or (
            self.tensor.nbytes < share * torch.cuda.mem_get_info(device)[0]
        )
        return InMemory(self.tensor.to(device)) if fits else InMemory(self.tensor, AHEAD)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device, where the host does not wait until it is there."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def prepared(items: Iterator[T], ahead: int) -> Iterator[T]:
    """The items, of which that many are made in a thread before they are asked for."""
    if ahead == 0:
        yield from items
        return
    end = object()
    waiting: deque[Future[T | object]] = deque()
    maker = ThreadPoolExecutor(1)
    try:
        for _ in range(ahead):
            waiting.append(maker.submit(next, items, end))
        while True:
            item = waiting.popleft().result()
            if item is end:
                return
            waiting.append(maker.submit(next, items, end))
            yield item  # type: ignore[misc]
    finally:
        maker.shutdown(wait=True, cancel_futures=True)
