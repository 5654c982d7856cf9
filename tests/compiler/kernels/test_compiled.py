"""Compiled kernels against the plain ones, in a network; they need a C++ compiler."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from support import gradients, space

import compiler
from compiler.kernels.compiled import Compiled, compiling, pointwise

TEXT = """
    cell small from x = x -> choose { sep_conv(3), max_pool(3), avg_pool(3) }
    network from image[3, 4, 4] to class[3] =
        image -> conv(1, out: 6) -> small -> global_pool(mean) -> linear(3)
"""


def doubled(x: torch.Tensor) -> torch.Tensor:
    return x + x


def test_nothing_is_compiled_unasked() -> None:
    with compiling(None):
        assert pointwise(doubled, torch.ones(2)).tolist() == [2, 2]


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_a_network_with_compiled_kernels() -> None:
    torch.manual_seed(0)
    net = compiler.build(space(TEXT), passes="fast")
    other = copy.deepcopy(net)
    other.optimised.engine.compiled = compiled = Compiled()
    x = torch.randn(3, 3, 4, 4)
    for _ in range(2):
        found, expected = (
            gradients(each(x).square().sum(), list(each.parameters())) for each in (other, net)
        )
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        first, known = compiled.seconds, len(compiled.known)
        assert first > 0 and known >= 2
    assert (compiled.seconds, len(compiled.known)) == (first, known)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_more_forms_than_torch_compiles_of_one_function() -> None:
    compiled = Compiled()
    for size in range(1, 12):
        with compiling(compiled):
            assert pointwise(doubled, torch.ones(size)).sum() == 2 * size
    assert len(compiled.known) == 11
