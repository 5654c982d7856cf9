"""Which device a run uses."""

from __future__ import annotations

import torch

from runtime.errors import UserError


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`: `cpu`, `cuda`, `cuda:1` …; `auto` is CUDA where there is any.

    Raises:
        UserError: when the name is no device, or the machine has no such one.
    """
    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"there is no device `{name}`: use `auto`, `cpu` or `cuda`")
    if device.type == "cuda" and not available:
        raise UserError("this machine has no CUDA device that torch can use: use `--device cpu`")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"there is no `{name}`: CUDA devices here: {torch.cuda.device_count()}")
    return device
