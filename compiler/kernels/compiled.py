"""Pointwise kernels through `torch.compile`, for those who ask for it.

Only what is pointwise is compiled, and small: sums of scaled terms, and the gradient of a norm once
its sums are known. All else stays the library's, which compiling does not make faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType
from typing import Any

import torch
from torch import Tensor


class Compiled:
    """Compiled forms of functions of tensors, one for each form of the arguments.

    `seconds` is how long compiling has taken so far, first runs included.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.known: dict[Any, Callable[..., Any]] = {}

    def __call__(self, function: FunctionType, *arguments: Any) -> Any:
        key = function, _form(arguments)
        if key in self.known:
            return self.known[key](*arguments)
        begun = time.monotonic()
        # A function of its own each time: torch gives up on one that it has compiled too often.
        code = function.__code__.replace(co_name=f"{function.__name__}_{len(self.known)}")
        fresh = FunctionType(code, function.__globals__)
        self.known[key] = torch.compile(fresh, fullgraph=True, dynamic=False)
        result = self.known[key](*arguments)
        self.seconds += time.monotonic() - begun
        return result


_chosen: ContextVar[Compiled | None] = ContextVar("chosen", default=None)


@contextmanager
def compiling(by: Compiled | None) -> Iterator[None]:
    """Kernels within are compiled, unless by None."""
    before = _chosen.set(by)
    try:
        yield
    finally:
        _chosen.reset(before)


def pointwise(function: Any, *arguments: Any) -> Any:
    """What a function gives, in its compiled form where that is asked for."""
    chosen = _chosen.get()
    return function(*arguments) if chosen is None else chosen(function, *arguments)


def _form(value: Any) -> Any:
    """All that a compiled form hangs on."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    if isinstance(value, list | tuple):
        return tuple(_form(each) for each in value)
    return value
