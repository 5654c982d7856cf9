"""Pruned models compute the same with fewer layers, under the names that the whole model has."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run

import pytest
import torch
from random_genotypes import random_genotype
from random_spaces import random_space
from support import (
    CIFAR,
    DARTS_V2,
    PROGRAMS,
    RNN,
    SPACES,
    inputs,
    output,
    randomise,
    space,
    weights,
)
from torch import nn

import compiler
from compiler import Genotype
from compiler.compile import compile_space, specialised
from compiler.genotype import CellGenotype
from compiler.instantiate import instantiate
from compiler.interpret import interpret
from compiler.program import Program
from compiler.prune import prune
from compiler.verify import verify
from dsl import Space, load, load_text

NB201 = SPACES / "nas_bench_201.darts"
SMALL = {CIFAR: {"C": 4, "N": 3, "size": 32}, RNN: {"V": 7, "H": 4}, NB201: {"C": 4, "N": 1}}


def both(loaded: Space | Path, genotype: Genotype, **small: int) -> tuple[nn.Module, nn.Module]:
    """The whole model, and the pruned one with the weights that it shares with it."""
    whole = compiler.build(loaded, genotype=genotype, **small)
    pruned = compiler.build(loaded, genotype=genotype, prune=True, **small)
    randomise(whole)
    missing, _ = pruned.load_state_dict(whole.state_dict(), strict=False)
    assert missing == [], "every name of a pruned model is one of the whole model"
    return whole, pruned


def agree(whole: nn.Module, pruned: nn.Module, program: Program) -> None:
    """Outputs are equal, those in training first, which also move the statistics alike."""
    read = inputs(program)
    for training in (True, False):
        whole.train(training), pruned.train(training)
        assert torch.equal(output(whole, *read), output(pruned, *read))
    state = whole.state_dict()
    for name, value in pruned.state_dict().items():
        assert torch.equal(value, state[name]), name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_shipped_spaces(path: Path, seed: int) -> None:
    kinds = specialised(path)[1].kinds
    genotype = random_genotype(kinds, seed)
    whole, pruned = both(path, genotype, **SMALL[path])
    agree(whole, pruned, compile_space(path, genotype=genotype, overrides=SMALL[path]).program)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs(path: Path) -> None:
    genotype = random_genotype(specialised(path)[1].kinds, 0)
    whole, pruned = both(path, genotype)
    agree(whole, pruned, compile_space(path, genotype=genotype).program)


@pytest.mark.parametrize("number", range(25))
def test_random_spaces(number: int) -> None:
    loaded = load_text(random_space(number))
    genotype = random_genotype(specialised(loaded)[1].kinds, number)
    whole, pruned = both(loaded, genotype)
    agree(whole, pruned, compile_space(loaded, genotype=genotype).program)


@pytest.mark.parametrize("number", range(10))
def test_the_program_says_what_its_text_does(number: int) -> None:
    """Pruning is legal, is done once and for all, and the interpreter knows nothing of it."""
    loaded = load_text(random_space(number))
    genotype = random_genotype(specialised(loaded)[1].kinds, number)
    program = prune(specialised(loaded, genotype=genotype)[1])
    verify(program, after="prune")
    again = prune(program)
    assert instantiate(again).weights == instantiate(program).weights
    net = compiler.build(loaded, genotype=genotype, prune=True)
    read = inputs(program)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    torch.testing.assert_close(interpret(program, read, state), net(*read))


def cell(*options: str) -> Genotype:
    paths = ["n[0] from x", "n[1] from x", "n[1] from n[0]"]
    paths += [f"n[2] from {source}" for source in ("x", "n[0]", "n[1]")]
    return Genotype({"unit": CellGenotype(tuple(zip(paths, options, strict=True)))})


@pytest.mark.parametrize(
    ("options", "left"),
    [
        # one convolution whose node nothing reads, and one that is read
        (("nor_conv_3x3", "none", "none", "nor_conv_3x3", "none", "none"), 1),
        # zeros through a pool and an identity
        (("none", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1", "skip_connect", "none"), 1),
        # a convolution of zeros ends in a norm, which shifts them
        (("none", "none", "nor_conv_3x3", "none", "none", "skip_connect"), 1),
        (("nor_conv_3x3",) * 6, 6),
        (("none",) * 6, 0),
    ],
)
def test_what_is_left_of_cells_of_the_benchmark(options: tuple[str, ...], left: int) -> None:
    whole, pruned = both(NB201, cell(*options), C=4, N=1)
    units = [m for m in pruned.modules() if type(m).__name__ == "Unit"]
    assert len(units) == 3
    for unit in units:
        assert sum(isinstance(m, nn.Conv2d) for m in unit.modules()) == left
    program = compile_space(NB201, genotype=cell(*options), overrides={"C": 4, "N": 1}).program
    agree(whole, pruned, program)


def test_nothing_goes_from_the_cell_of_the_paper() -> None:
    """But the text says that it was looked for."""
    genotype = Genotype.parse(DARTS_V2)
    whole, pruned = (compile_space(CIFAR, genotype=genotype, prune=p).source for p in (False, True))
    more = "Layers that nothing reads, or that make only zeros, are left out.\n"
    assert pruned.replace(more, "") == whole != pruned


def test_what_an_op_holds_stays_as_it_was_written() -> None:
    text = """
        op spare from x { y = x -> conv(5)  return x -> conv(3) }
        cell u from x = x -> choose { spare as a, relu }
        network(C = 2) from image[2, 4, 4] to out[2, 4, 4] = image -> u
    """
    genotype = Genotype({"u": CellGenotype((("return", "a"),))})
    whole, pruned = both(space(text), genotype)
    assert weights(whole) == weights(pruned) == 2 * 2 * (9 + 25)


def test_the_whole_program_is_not_changed() -> None:
    _, program, facts = specialised(
        NB201, genotype=cell(*["none"] * 3, "nor_conv_3x3", "none", "none")
    )
    before = [len(region.values) for region in program.regions()]
    prune(program)
    assert [len(region.values) for region in program.regions()] == before
    assert instantiate(program).weights == facts.weights


def test_a_supernet_has_nothing_to_prune() -> None:
    assert compile_space(NB201, prune=True).source == compile_space(NB201).source


def test_the_written_file_is_the_pruned_model(tmp_path: Path) -> None:
    path, genotype = (
        tmp_path / "model.py",
        cell("nor_conv_3x3", *["none"] * 2, "skip_connect", *["none"] * 2),
    )
    compiler.emit(load(NB201), genotype=genotype, path=path, prune=True, C=4, N=1)
    small = weights(compiler.build(NB201, genotype=genotype, prune=True, C=4, N=1))
    code = f"import model; print(sum(p.numel() for p in model.Network().parameters()) == {small})"
    told = run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout == "True\n"
    assert small < weights(compiler.build(NB201, genotype=genotype, C=4, N=1))


def test_an_auxiliary_head_stays() -> None:
    genotype = random_genotype(specialised(CIFAR)[1].kinds, 0)
    nets = [
        compiler.build(CIFAR, genotype=genotype, auxiliary=True, prune=p, C=4, N=3)
        for p in (False, True)
    ]
    nets[1].load_state_dict(nets[0].state_dict(), strict=False)
    x = torch.randn(2, 3, 32, 32)
    whole, pruned = (net.train()(x) for net in nets)
    assert all(torch.equal(a, b) for a, b in zip(whole, pruned, strict=True))
