"""The runtime: search and training of what the compiler builds. Names are imported when first
used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.bilevel import BilevelStep, StepLosses
    from runtime.bilevel_search import SearchResult, search
    from runtime.data import Images, load
    from runtime.errors import UserError
    from runtime.guard import Interrupted
    from runtime.jobs import resume
    from runtime.text import Text
    from runtime.training import TrainingResult, train

__all__ = [
    "BilevelStep",
    "Images",
    "Interrupted",
    "SearchResult",
    "StepLosses",
    "Text",
    "TrainingResult",
    "UserError",
    "load",
    "resume",
    "search",
    "train",
]

_PLACES = {
    "bilevel": ("BilevelStep", "StepLosses"),
    "data": ("Images", "load"),
    "errors": ("UserError",),
    "bilevel_search": ("SearchResult", "search"),
    "guard": ("Interrupted",),
    "jobs": ("resume",),
    "text": ("Text",),
    "training": ("TrainingResult", "train"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"runtime.{module}"), name)
    raise AttributeError(f"module `runtime` has no `{name}`")
