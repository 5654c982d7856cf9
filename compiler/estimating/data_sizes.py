"""How large a data set is, as far as the cost of a search hangs on it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from compiler.profile import data_overrides, word_overrides
from dsl.diagnostics import DartsError
from dsl.settings import Settings
from dsl.space import Space

WORD_BYTES = 8
"""A word is a whole number of 64 bits."""


@dataclass(frozen=True)
class DataSizes:
    """Of images their numbers, `shape` [channels, height, width] and `classes`; of texts the
    numbers of words in the training and in the validation part, and of different `words`."""

    train: int
    test: int
    shape: tuple[int, ...] = ()
    classes: int = 0
    words: int = 0
    in_memory: bool = True
    """Whether all of it is in memory, and not read from files as it is asked for."""

    def bytes(self, settings: Settings) -> int:
        """What it takes while it is searched on.

        Images are there twice, as they were loaded and as the halves picked from them; so are
        texts, and their validation part once more, in the streams that it is measured in.
        """
        if self.words:
            read = settings.subset or self.train
            return WORD_BYTES * (self.train + read + 3 * self.test)
        if not self.in_memory:
            return 0
        read = settings.subset or self.train
        tested = settings.test_subset
        return prod(self.shape) * (self.train + self.test + read + tested)

    def steps(self, settings: Settings) -> int:
        """The steps of an epoch."""
        read = settings.subset or self.train
        if not self.words:
            return (read // 2) // settings.batch
        length = settings.bptt * (1 - settings.bptt_halved / 2)
        return max(1, round((read // settings.batch - 2) / length))

    def overrides(self, space: Space) -> dict[str, Any] | None:
        """What it gives the network's parameters; None where the network reads something else."""
        try:
            if self.words:
                return dict(word_overrides(space, self.words))
            return dict(data_overrides(space, self.shape, self.classes))
        except DartsError:
            return None


KNOWN = {
    "cifar10": DataSizes(50_000, 10_000, (3, 32, 32), 10),
    "cifar100": DataSizes(50_000, 10_000, (3, 32, 32), 100),
    "digits": DataSizes(1_497, 300, (1, 8, 8), 10),
    "topics": DataSizes(58_515, 6_832, words=2_041),
}
"""The data sets that a profile can name. Those of `topics` are for Python 3.11; other versions have
about as many."""
