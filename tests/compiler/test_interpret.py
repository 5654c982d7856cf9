"""Generated code computes what the IR says, under every pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import PROGRAMS, images, model_state, randomise, rows
from torch import nn

import compiler
from compiler.compile import compile_space
from compiler.interpret import interpret
from compiler.passes import PIPELINES


def set_mode(net: nn.Module, training: bool) -> None:
    """Dropout modules are off; masks are drawn in one order, so equal seeds give equal ones."""
    net.train(training)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.eval()


@pytest.mark.parametrize("passes", PIPELINES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_supernets(path: Path, training: bool, passes: str) -> None:
    net = compiler.build(path, passes=passes)
    randomise(net)
    state = {name: value.clone() for name, value in model_state(net).items()}
    x = images(net.program)
    set_mode(net, training)
    plain = compile_space(path).program
    for program in (net.program, plain):
        torch.manual_seed(1)
        expected = interpret(program, [x], state, rows(net), training)
        torch.manual_seed(1)
        torch.testing.assert_close(net(x), expected, rtol=1e-9, atol=1e-9)
        net.model.load_state_dict(state)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_final_models(path: Path, training: bool) -> None:
    net = compiler.build(path)
    for _ in range(3):
        randomise(net)
        genotype = net.genotype()
        final = compiler.build(path, genotype=genotype)
        program = compile_space(path, genotype=genotype).program
        randomise(final)
        state = {name: value.clone() for name, value in final.state_dict().items()}
        x = images(program)
        set_mode(final, training)
        torch.manual_seed(1)
        expected = interpret(program, [x], state, None, training)
        torch.manual_seed(1)
        torch.testing.assert_close(final(x), expected, rtol=1e-9, atol=1e-9)


def test_a_final_model_is_its_supernet_with_all_mass_on_the_winners() -> None:
    """In a space where every edge is kept and norms are the same in both phases."""
    path = next(p for p in PROGRAMS if p.stem == "vectors")
    net = compiler.build(path)
    randomise(net)
    genotype = net.genotype()
    final = compiler.build(path, genotype=genotype, width=8)
    state = model_state(net)
    decided = {p: o for cell in genotype.cells.values() for p, o in cell.decisions}

    def found(name: str) -> torch.Tensor:
        for decision, option in decided.items():
            name = name.replace(f".{decision}.", f".{decision}.{option}.")
        return state[name]

    final.load_state_dict({name: found(name) for name in final.state_dict()})
    decisions = [d for kind in net.program.kinds for d in kind.decisions]
    stacked = [row for alphas in net.arch_parameters() for row in alphas.data]
    for row, decision in zip(stacked, decisions, strict=True):
        row.fill_(-1000)
        row[[label for label, _ in decision.options].index(decided[decision.path])] = 0
    x = images(net.program)
    torch.testing.assert_close(final.eval()(x), net.eval()(x))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_state_has_the_same_names_and_shapes_under_every_pipeline(path: Path) -> None:
    found = [
        {name: value.shape for name, value in compiler.build(path, passes=p).state_dict().items()}
        for p in PIPELINES
    ]
    assert all(list(other.items()) == list(found[0].items()) for other in found[1:])
