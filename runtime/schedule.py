"""What changes from epoch to epoch: the learning rate, and how often edges are dropped."""

from __future__ import annotations

import math

from dsl.settings import Settings


def drop_path(settings: Settings, done: int) -> float:
    """The probability of dropping an edge after `done` finished epochs.

    It rises linearly from 0 towards `drop_path` (Larsson et al. 2017; Liu et al. 2019, appendix
    A.2).
    """
    return settings.drop_path * done / settings.epochs


def learning_rate(settings: Settings, done: int) -> float:
    """The learning rate after `done` finished epochs, by `settings.schedule`.

    `constant` is `lr` throughout; `exponential` is `lr` times `lr_decay` after each epoch; `cosine`
    goes from `lr` down half a cosine towards `lr_end`.
    """
    if settings.schedule == "constant":
        return settings.lr
    if settings.schedule == "exponential":
        return settings.lr * settings.lr_decay**done
    share = (1 + math.cos(math.pi * done / settings.epochs)) / 2
    return settings.lr_end + (settings.lr - settings.lr_end) * share
