"""Costs against networks that are built and run: what torch has and counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from random_genotypes import random_genotype
from random_spaces import random_space
from support import CIFAR, DARTS_V2, PROGRAMS, RNN, SPACES, inputs, space, weights
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import compiler
from compiler import Cost, Genotype, cost
from compiler.compile import compile_space
from compiler.genotype import CellGenotype
from compiler.program import Program
from dsl import DartsError, load_text

NB201 = SPACES / "nas_bench_201.darts"
IMAGENET, VISION = (
    next(path for path in PROGRAMS if path.stem == stem) for stem in ("imagenet", "vision")
)
SMALL = {
    CIFAR: {"C": 4, "N": 5, "size": 32},
    RNN: {"V": 11, "H": 6},
    NB201: {"C": 4, "N": 2, "size": 16},
    IMAGENET: {"size": 64},
    VISION: {},
}


def multiplications(net: nn.Module, program: Program) -> int:
    """What torch counts, which is twice that; of a sequence, for one step.

    It does not count what a kernel for the whole of an attention does.
    """
    read = inputs(program, batch=1, steps=1)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        net(*read)
    total = counter.get_total_flops()
    assert total % 2 == 0
    return total // 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_shipped_spaces_cost_what_their_models_do(path: Path, seed: int) -> None:
    small = SMALL[path]
    genotype = random_genotype(compile_space(path).program.kinds, seed)
    found = cost(path, genotype, **small)
    program = compile_space(path, genotype=genotype, overrides=small).program
    net = compiler.build(path, genotype=genotype, **small).eval()
    assert found.parameters == weights(net)
    pruned = compiler.build(path, genotype=genotype, prune=True, **small).eval()
    assert found.pruned_parameters == weights(pruned)
    assert found.pruned_macs == multiplications(pruned, program) == multiplications(net, program)
    if path != NB201:  # where what is chosen may come to nothing
        assert found.macs == found.pruned_macs
    if program.network.auxiliary:
        headed = compiler.build(path, genotype=genotype, auxiliary=True, **small)
        assert weights(headed) == found.parameters + found.auxiliary_parameters


def test_the_cell_of_the_paper() -> None:
    """Liu et al. 2019: 3.3 M parameters; with an auxiliary head of 768 channels."""
    found = cost(CIFAR, Genotype.parse(DARTS_V2))
    head = 576 * 128 + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 768 * 10 + 10
    assert found == Cost(3_349_342, 528_359_040, head, 3_349_342, 528_359_040)


def test_the_recurrent_cell_of_the_paper() -> None:
    """Eight nodes and the start, each of a matrix to 2 H; the table is not multiplied."""
    genotype = random_genotype(compile_space(RNN).program.kinds, 0)
    found = cost(RNN, genotype)
    matrices = 2 * 850 * 2 * 850 + 8 * 850 * 2 * 850
    assert found.parameters == matrices + 10_000 * 850 + 10_000 == 22_960_000
    assert found.macs == matrices + 10_000 * 850


@pytest.mark.parametrize("number", range(20))
def test_random_spaces_cost_what_their_models_do(number: int) -> None:
    loaded = load_text(random_space(number))
    genotype = random_genotype(compile_space(loaded).program.kinds, number)
    found = cost(loaded, genotype)
    program = compile_space(loaded, genotype=genotype).program
    net = compiler.build(loaded, genotype=genotype).eval()
    pruned = compiler.build(loaded, genotype=genotype, prune=True).eval()
    assert (found.parameters, found.pruned_parameters) == (weights(net), weights(pruned))
    assert found.pruned_macs == multiplications(pruned, program)
    assert multiplications(net, program) <= found.macs


def test_what_nothing_reads_counts_until_it_is_pruned() -> None:
    """A 3x3 convolution whose node only reaches the output by `none`; it has 2 * 2 * 9 weights."""
    text = """
        cell u from x {
            node n[2] = sum(x -> choose { conv(3), none }, each earlier n -> choose { relu, none })
            return n[-1]
        }
        network(C = 2) from image[2, 4, 4] to out[2, 4, 4] = image -> u
    """
    loaded = space(text)
    paths = ("n[0] from x", "n[1] from x", "n[1] from n[0]")
    found = [
        cost(loaded, Genotype({"u": CellGenotype(tuple(zip(paths, options, strict=True)))}))
        for options in (("conv_3", "conv_3", "none"), ("conv_3", "conv_3", "relu"))
    ]
    assert found[0] == Cost(72, 72 * 16, 0, 36, 36 * 16)
    assert found[1] == Cost(72, 72 * 16, 0, 72, 72 * 16)


def test_what_stands_before_an_edge_that_is_dropped_is_made_and_not_run() -> None:
    text = """
        cell u from x {
            node n[1] = sum(
                x -> conv(1) -> choose { conv(3), relu }, x -> choose { conv(5) , relu }
            )
            keep 1 edge per node by weight
            return n[-1]
        }
        network(C = 2) from image[2, 4, 4] to out[2, 4, 4] = image -> u
    """
    loaded = space(text)
    found = [
        cost(loaded, Genotype({"u": CellGenotype(((path, option),))}))
        for path, option in (("n[0] from x", "conv_3"), ("n[0] from x (2)", "conv_5"))
    ]
    assert found[0] == Cost(4 + 36, 40 * 16, 0, 40, 40 * 16)
    assert found[1] == Cost(4 + 100, 100 * 16, 0, 100, 100 * 16)


@pytest.mark.parametrize(
    ("layer", "parameters", "macs"),
    [
        ("conv(3, out: 6, stride: 2)", 4 * 6 * 9, 4 * 6 * 9 * 16),
        ("conv(3, out: 6, groups: 2, bias: yes)", 2 * 6 * 9 + 6, 2 * 6 * 9 * 64),
        ("depthwise(5, dilation: 2)", 4 * 25, 4 * 25 * 64),
        ("depthwise(2)", 4 * 4, 4 * 4 * 49),
        ("flatten -> linear(3)", 256 * 3 + 3, 256 * 3),
        ("pool(mean, 3) -> relu -> bn", 8, 0),
    ],
)
def test_layers_by_hand_and_by_torch(layer: str, parameters: int, macs: int) -> None:
    out = "3" if "linear" in layer else "_, _, _"
    loaded = space(f"network from image[4, 8, 8] to out[{out}] = image -> {layer}")
    found = cost(loaded, Genotype({}))
    net = compiler.build(loaded, genotype=Genotype({})).eval()
    assert (found.parameters, found.macs) == (parameters, macs)
    assert weights(net) == parameters
    with FlopCounterMode(display=False) as counter:
        net(torch.randn(1, 4, 8, 8))
    assert counter.get_total_flops() == 2 * macs


def test_lines_say_only_what_there_is() -> None:
    assert list(Cost(1_000, 2_000, 0, 1_000, 2_000).lines()) == [
        "parameters  1,000",
        "MACs        2,000",
    ]
    assert list(Cost(1_000, 2_000, 30, 900, 1_800).lines())[2:] == [
        "auxiliary   30 parameters more while training",
        "pruned      900 parameters, 1,800 MACs",
    ]


def test_a_genotype_of_another_space_is_refused() -> None:
    with pytest.raises(DartsError, match="does not fit"):
        cost(RNN, Genotype.parse(DARTS_V2))
