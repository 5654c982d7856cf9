"""Where a kernel in Triton takes the place of a plain form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from torch import Tensor


def in_triton(values: Sequence[Tensor]) -> Any:
    """The module of kernels for these values, None where the plain forms are to be used."""
    kernels = _kernels() if values[0].is_cuda else None
    return kernels if kernels is not None and kernels.fits(values) else None


@cache
def _kernels() -> Any:
    try:
        return import_module("compiler.kernels.mixtures_triton")
    except ImportError:  # no Triton on this system
        return None
