"""The shipped spaces say what was published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import SPACES, space

import compiler
from compiler.describe import check
from compiler.instantiate import instantiate
from compiler.lowering import lower
from dsl import load

ALL = sorted(SPACES.glob("*.darts"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_shipped_spaces_are_clean(path: Path) -> None:
    check(load(path))


def weights(body: str, phase: str, C: int, size: int = 8) -> int:
    loaded = space(
        f"network(C = {C}) from image[{C}, {size}, {size}] to class[3] = "
        f"image -> {body} -> global_pool(mean) -> linear(3)"
    )
    return instantiate(lower(loaded, phase, {"C": C}, phase)).weights - 3 * (C + 1)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("C", [4, 6])
def test_weights_of_the_usual_operations(C: int, stride: int) -> None:
    """Counted by hand from their layers; norms have 2 C in the final network and none before."""
    for phase, norm in (("search", 0), ("final", 2 * C)):
        for op, expected in {
            "none": 0,
            "max_pool(3": 0,
            "avg_pool(3": 0,
            "skip": 0 if stride == 1 else C * C + norm,
            "sep_conv(3": 2 * (9 * C + C * C + norm),
            "sep_conv(5": 2 * (25 * C + C * C + norm),
            "dil_conv(3": 9 * C + C * C + norm,
            "dil_conv(5": 25 * C + C * C + norm,
            "relu_conv_bn(3": 9 * C * C + norm,
            f"project({C}": C * C + norm,
        }.items():
            opening = op if "(" in op else f"{op}("
            comma = "" if opening.endswith("(") else ", "
            found = weights(f"{opening}{comma}stride: {stride})", phase, C)
            assert found == expected, (op, phase)


@pytest.mark.parametrize(
    ("phase", "expected"),
    [("search", ["MaxPool2d", "BatchNorm2d"]), ("final", ["MaxPool2d"])],
)
def test_pools_have_a_norm_in_the_search_network_only(phase: str, expected: list[str]) -> None:
    text = """
        cell u from x = x -> choose { max_pool(3), sep_conv(3) }
        network(C = 4) from image[4, 8, 8] to class[3] = image -> u -> flatten -> linear(3)
    """
    net = compiler.build(space(text))
    if phase == "final":
        for alphas in net.arch_parameters():
            alphas.data[:, 0] = 9
        net = compiler.build(space(text), genotype=net.genotype())
    modules = [type(m).__name__ for name, m in net.named_modules() if "u." in f"{name}."]
    assert [m for m in modules if m in ("MaxPool2d", "BatchNorm2d")][: len(expected)] == expected
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(not m.affine for m in norms)


def test_the_dilated_convolution_keeps_the_size() -> None:
    for stride in (1, 2):
        for k in (3, 5):
            loaded = space(
                f"network(C = 4) from image[4, 8, 8] to out[4, {8 // stride}, {8 // stride}] = "
                f"image -> dil_conv({k}, stride: {stride})"
            )
            check(loaded)


def test_factorised_reduce_reads_every_pixel_of_even_sizes() -> None:
    loaded = space(
        "network(C = 4) from image[4, 8, 8] to out[4, 4, 4] = image -> factorised_reduce(4)"
    )
    net = compiler.build(loaded)
    x = torch.rand(1, 4, 8, 8, requires_grad=True)
    net.eval()(x).sum().backward()
    touched = x.grad[0].abs().sum(0) > 0
    assert touched[::2, ::2].all()
    assert touched[1::2, 1::2].all()
    assert not touched[::2, 1::2].any()
