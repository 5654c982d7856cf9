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
    from runtime.evaluation import Evaluation, evaluate_model
    from runtime.final_model import FinalModel
    from runtime.guard import Interrupted
    from runtime.image_files import ImageFiles
    from runtime.jobs import model_of_run, resume
    from runtime.objective import Outcome
    from runtime.seed_runs import SeedsResult, train_seeds
    from runtime.text import Text
    from runtime.training import TrainingResult, train
    from runtime.weights import Weights

__all__ = [
    "BilevelStep",
    "Evaluation",
    "FinalModel",
    "ImageFiles",
    "Images",
    "Interrupted",
    "Outcome",
    "SearchResult",
    "SeedsResult",
    "StepLosses",
    "Text",
    "TrainingResult",
    "UserError",
    "Weights",
    "evaluate_model",
    "load",
    "model_of_run",
    "resume",
    "search",
    "train",
    "train_seeds",
]

_PLACES = {
    "bilevel": ("BilevelStep", "StepLosses"),
    "data": ("Images", "load"),
    "errors": ("UserError",),
    "evaluation": ("Evaluation", "evaluate_model"),
    "final_model": ("FinalModel",),
    "image_files": ("ImageFiles",),
    "seed_runs": ("SeedsResult", "train_seeds"),
    "weights": ("Weights",),
    "bilevel_search": ("SearchResult", "search"),
    "guard": ("Interrupted",),
    "jobs": ("model_of_run", "resume"),
    "objective": ("Outcome",),
    "text": ("Text",),
    "training": ("TrainingResult", "train"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"runtime.{module}"), name)
    raise AttributeError(f"module `runtime` has no `{name}`")
