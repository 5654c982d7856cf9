"""The runtime: bilevel search over what the compiler builds. Names are imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.bilevel import BilevelStep, StepLosses
    from runtime.bilevel_search import Interrupted, SearchResult, resume, search
    from runtime.data import Images, load
    from runtime.errors import UserError

__all__ = [
    "BilevelStep",
    "Images",
    "Interrupted",
    "SearchResult",
    "StepLosses",
    "UserError",
    "load",
    "resume",
    "search",
]

_PLACES = {
    "bilevel": ("BilevelStep", "StepLosses"),
    "data": ("Images", "load"),
    "errors": ("UserError",),
    "bilevel_search": ("Interrupted", "SearchResult", "resume", "search"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"runtime.{module}"), name)
    raise AttributeError(f"module `runtime` has no `{name}`")
