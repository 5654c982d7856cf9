"""A flat program computes after every pass what the program before it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from random_spaces import random_space
from support import PROGRAMS, SPACES, images, inputs, model_state, randomise, rows
from torch import Tensor

import compiler
from compiler import Supernet
from compiler.flat.interpret import interpret_flat
from compiler.flat.nodes import FLAT, Loop, Mixture, SharedLayer
from compiler.interpret import interpret
from compiler.ir import Region
from compiler.passes import pipeline
from compiler.program import Program
from compiler.verify import verify
from dsl import Space, load_text

CHUNK = 10
SHIPPED: dict[str, dict[str, int]] = {
    "cifar_cell": {"C": 2, "N": 3, "size": 16},
    "imagenet_cell": {"C": 2, "N": 3, "size": 32, "classes": 5},
    "nas_bench_201": {"C": 3, "N": 1, "size": 8},
    "rnn_cell": {"V": 11, "H": 4},
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "numbers" in metafunc.fixturenames:
        count = metafunc.config.getoption("--random-spaces")
        chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
        ids = [f"{chunk.start}-{chunk.stop - 1}" for chunk in chunks]
        metafunc.parametrize("numbers", chunks, ids=ids)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs(path: Path) -> None:
    assert check(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_spaces_that_come_along(name: str) -> None:
    assert check(SPACES / f"{name}.darts", **SHIPPED[name])


def test_random_spaces(numbers: range) -> None:
    chaotic = 0
    for number in numbers:
        torch.manual_seed(number)
        text = random_space(number)
        try:
            chaotic += not check(load_text(text))
        except Exception as error:
            error.add_note(f"space {number}:\n{text}")
            raise
    assert chaotic <= len(numbers) // 3


@torch.no_grad()
def test_states_are_given_and_given_back() -> None:
    net = compiler.build(next(p for p in PROGRAMS if p.stem == "lstm"), passes="none")
    state, x = dict(model_state(net)), images(net.program)
    hidden = [torch.randn_like(part) for part in net.init_hidden(x.shape[1])]
    expected = seeded(interpret, net.program, [x], state, rows(net), True, hidden)
    for name, program in stages(net.program):
        found = seeded(interpret_flat, program, [x], state, rows(net), True, hidden)
        close(found, expected, name)


@torch.no_grad()
def check(space: Space | Path, **overrides: Any) -> bool:
    """Compares a space after every pass; where rounding decides what it gives, says no instead.

    A norm of what is nearly constant divides by √ε, and in a recurrence does so at every step.
    """
    net = compiler.build(space, passes="none", **overrides)
    assert isinstance(net, Supernet)
    randomise(net)
    read, weights = inputs(net.program, batch=5), rows(net)
    state = dict(model_state(net))
    trained = seeded(interpret, net.program, read, state, weights, True)
    near = seeded(interpret, net.program, read, rounded(state), weights, True)
    size = max([1.0, *(float(value.abs().max()) for value in trained)])
    if any((a - b).abs().max() > 1e-10 * size for a, b in zip(near, trained, strict=True)):
        return False
    evaluated = seeded(interpret, net.program, read, state, weights, False)
    for name, program in stages(net.program):
        found = seeded(interpret_flat, program, read, state, weights, True)
        close(found, trained, f"{name}, in training")
        # A norm that stands for several normalises by the statistics of one of them. In training
        # those are the batch's own, which are equal. Running ones are equal only because training
        # keeps them so, and here they are drawn.
        equal = with_equal_statistics(program, state)
        if any(equal[path] is not state[path] for path in state):
            state = equal
            evaluated = seeded(interpret, net.program, read, state, weights, False)
        found = seeded(interpret_flat, program, read, state, weights, False)
        close(found, evaluated, f"{name}, in evaluation")
    return True


def rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state that is a rounding error away from this one."""
    return {
        name: value * (1 + 1e-15 * torch.randn_like(value)) if value.is_floating_point() else value
        for name, value in state.items()
    }


def stages(program: Program) -> Iterator[tuple[str, Program]]:
    """The flat programs on the way of the fast pipeline, those that a pass has changed."""
    nodes: list[object] = []
    for each in pipeline("fast"):
        program = each.apply(program)
        verify(program, after=each.name)
        before, nodes = nodes, list(program.network.nodes())
        if program.network.kind == FLAT and nodes != before:
            yield each.name, program


def with_equal_statistics(program: Program, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state in which norms that have become one have the same running statistics."""
    equal = dict(state)
    for paths in norms(program.network):
        for path in paths[1:]:
            for name in ("running_mean", "running_var"):
                equal[f"{path}.{name}"] = equal[f"{paths[0]}.{name}"]
    return equal


def norms(region: Region) -> Iterator[tuple[str, ...]]:
    """The paths of every norm, those of mixtures and loops too."""
    for _, node in region.nodes():
        match node:
            case SharedLayer(layer="bn"):
                yield node.paths
            case Mixture():
                every = (term.norm for lane in node.all_lanes for term in lane)
                yield from (norm.paths for norm in every if norm is not None)
            case Loop():
                yield from norms(node.region)


def seeded(run: Callable[..., Any], *given: Any) -> list[Tensor]:
    """What an interpreter gives, output and states; masks are drawn in one order."""
    torch.manual_seed(1)
    result = run(*given)
    return list(flattened(result))


def flattened(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    else:
        for part in result:
            yield from flattened(part)


def close(found: list[Tensor], expected: list[Tensor], name: str) -> None:
    """Equal up to rounding, at the scale of what is compared."""
    size = max([1.0, *(float(value.abs().max()) for value in expected)])
    for value, other in zip(found, expected, strict=True):
        torch.testing.assert_close(
            value, other, rtol=0, atol=1e-9 * size, msg=lambda text: f"{name}: {text}"
        )
