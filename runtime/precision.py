"""In which precision a loss is computed."""

from __future__ import annotations

from typing import Any

import torch

from runtime.objective import Forward, Loss, Outcome


def in_precision(loss: Loss, precision: str, device: torch.device) -> Loss:
    """The loss with convolutions and linear maps in `precision`: `float32` or `bfloat16`.

    Weights, alphas, statistics and all gradients by them stay in float32.
    """
    if precision == "float32":
        return loss

    def computed(forward: Forward, batch: Any) -> Outcome:
        with torch.autocast(device.type, torch.bfloat16):
            return loss(forward, batch)

    return computed
