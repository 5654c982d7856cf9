"""From a `.darts` file to a torch network. Names are handed on when they are first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compiler.building import build
    from compiler.compile import compile_space, emit
    from compiler.derive import Derivation
    from compiler.genotype import Genotype
    from compiler.profile import data_overrides, settings, word_overrides
    from compiler.supernet import Supernet

_HOMES = {
    "Derivation": "compiler.derive",
    "Genotype": "compiler.genotype",
    "Supernet": "compiler.supernet",
    "build": "compiler.building",
    "compile_space": "compiler.compile",
    "data_overrides": "compiler.profile",
    "emit": "compiler.compile",
    "settings": "compiler.profile",
    "word_overrides": "compiler.profile",
}

__all__ = [
    "Derivation",
    "Genotype",
    "Supernet",
    "build",
    "compile_space",
    "data_overrides",
    "emit",
    "settings",
    "word_overrides",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'compiler' has no attribute {name!r}")
