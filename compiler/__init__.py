"""From a `.darts` file to a torch network. Names are handed on when they are first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from compiler.notebook import show_spaces

if TYPE_CHECKING:
    from compiler.building import build
    from compiler.compile import compile_space, emit
    from compiler.counting.costs import Cost, cost
    from compiler.counting.extremes import cost_range
    from compiler.counting.table import CostTable
    from compiler.derive import Derivation
    from compiler.estimating import Estimate, estimate
    from compiler.genotype import Genotype
    from compiler.pictures import draw
    from compiler.profile import data_overrides, settings, word_overrides
    from compiler.supernet import Supernet

_HOMES = {
    "Cost": "compiler.counting.costs",
    "CostTable": "compiler.counting.table",
    "Derivation": "compiler.derive",
    "Estimate": "compiler.estimating",
    "Genotype": "compiler.genotype",
    "Supernet": "compiler.supernet",
    "build": "compiler.building",
    "compile_space": "compiler.compile",
    "cost": "compiler.counting.costs",
    "cost_range": "compiler.counting.extremes",
    "data_overrides": "compiler.profile",
    "draw": "compiler.pictures",
    "emit": "compiler.compile",
    "estimate": "compiler.estimating",
    "settings": "compiler.profile",
    "word_overrides": "compiler.profile",
}

__all__ = [
    "Cost",
    "CostTable",
    "Derivation",
    "Estimate",
    "Genotype",
    "Supernet",
    "build",
    "compile_space",
    "cost",
    "cost_range",
    "data_overrides",
    "draw",
    "emit",
    "estimate",
    "settings",
    "word_overrides",
]

show_spaces()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'compiler' has no attribute {name!r}")
