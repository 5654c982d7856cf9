"""Which spaces decide edge by edge, told by hand."""

from __future__ import annotations

import pytest
from costly_spaces import GENERAL, HAND_MADE
from support import CIFAR, RNN, SPACES, compiled

from compiler.compile import compile_space
from compiler.counting.plain import is_plain

PLAIN = {"network", "stages"}


@pytest.mark.parametrize("name", HAND_MADE)
def test_edges_with_one_option_each(name: str) -> None:
    assert is_plain(compiled(HAND_MADE[name]).program)


@pytest.mark.parametrize("name", GENERAL)
def test_anything_else(name: str) -> None:
    assert is_plain(compiled(GENERAL[name]).program) == (name in PLAIN)


def test_the_shipped_spaces() -> None:
    for path in (CIFAR, RNN, SPACES / "nas_bench_201.darts"):
        assert is_plain(compile_space(path).program)
