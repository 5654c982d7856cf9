"""The learning rate of the weights over the epochs."""

from __future__ import annotations

import math

from dsl.settings import Settings


def learning_rate(settings: Settings, done: int) -> float:
    """The learning rate after `done` finished epochs, by `settings.schedule`.

    `constant` is `lr` throughout; `cosine` goes from `lr` down half a cosine towards `lr_end`.
    """
    if settings.schedule == "constant":
        return settings.lr
    share = (1 + math.cos(math.pi * done / settings.epochs)) / 2
    return settings.lr_end + (settings.lr - settings.lr_end) * share
