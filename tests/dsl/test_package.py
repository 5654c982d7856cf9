"""The language needs no torch, and hands on little."""

from __future__ import annotations

import subprocess
import sys

import dsl

PROGRAM = """
import sys
import dsl
dsl.load("spaces/cifar_cell.darts")
heavy = {"torch", "numpy", "networkx", "compiler", "runtime"} & set(sys.modules)
assert not heavy, heavy
"""


def test_reading_a_space_imports_nothing_heavy() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


def test_names_handed_on() -> None:
    assert sorted(dsl.__all__) == ["DartsError", "Space", "load", "load_text", "render"]
    assert all(hasattr(dsl, name) for name in dsl.__all__)
