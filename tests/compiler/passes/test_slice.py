"""Mixtures of slices become one product or one convolution, with the same values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc

import pytest
import torch
from support import compiled, gradients, images, model_state, randomise, rows, space

import compiler
from compiler import Supernet
from compiler.flat.interpret import interpret_flat
from compiler.flat.nodes import Mixture, Slices, Windows
from compiler.interpret import interpret
from compiler.passes.expand import Expand
from compiler.passes.share import Share
from compiler.passes.simplify import Simplify
from compiler.passes.slice import Slice

After = Callable[..., str]
NETWORK = """
    network from image[2, 4, 4] to class[3] {
        w = choose entangled {1, 3, 4}  k = choose entangled {1, 3}
        y = image -> conv(1, out: w)
        return y -> conv(k) -> depthwise(k, bias: yes) -> conv(choose entangled {3, 5}, out: 2)
            -> flatten -> linear(3)
    }
"""


def test_each_number_costs_one_node(after: After) -> None:
    assert after(NETWORK, Expand(), Simplify(), Share(), Slice()) == cleandoc("""
        %0 = image
        %1 = network
        %2 = network
        %3 = conv `y` <- %0
        %4 = slices(%1[0, 0] · 1 + %1[0, 1] · 3 + %1[0, 2] · 4) <- %3, %1
        %5 = windows(%2[0, 0] · 1 + %2[0, 1] · 3) of conv `conv` <- %4, %2
        %6 = slices(%1[0, 0] · 1 + %1[0, 1] · 3 + %1[0, 2] · 4) <- %5, %1
        %7 = windows(%2[0, 0] · 1 + %2[0, 1] · 3) of depthwise `depthwise` <- %6, %2
        %8 = slices(%1[0, 0] · 1 + %1[0, 1] · 3 + %1[0, 2] · 4) <- %7, %1
        %9 = windows(%2[1, 0] · 3 + %2[1, 1] · 5) of conv `conv_1` <- %8, %2
        %10 = flatten <- %9
        %11 = linear `linear` <- %10
        return %11
    """)


@pytest.mark.parametrize("training", [False, True])
def test_flat_programs_compute_what_they_did(training: bool) -> None:
    program = compiled(NETWORK).program
    net = compiler.build(space(NETWORK), passes="none")
    assert isinstance(net, Supernet)
    randomise(net)
    x, state, mixed = images(program), model_state(net), rows(net)
    for each in (Expand(), Simplify(), Share(), Slice()):
        program = each.apply(program)
    nodes = [node for _, node in program.network.nodes()]
    assert sum(isinstance(node, Slices) for node in nodes) == 3
    assert sum(isinstance(node, Windows) for node in nodes) == 3
    assert not any(isinstance(node, Mixture) for node in nodes)
    with torch.no_grad():
        expected = interpret(net.program, [x], dict(state), mixed, training)
        found = interpret_flat(program, [x], dict(state), mixed, training)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("by", ["alphas", "weights", "a bias", "the image"])
def test_gradients_that_are_asked_for_alone_are_right(by: str) -> None:
    fast, none = (compiler.build(space(NETWORK), passes=p) for p in ("fast", "none"))
    assert isinstance(fast, Supernet) and isinstance(none, Supernet)
    randomise(none)
    fast.load_state_dict(none.state_dict())
    x = images(none.program)
    found = []
    for net in (fast, none):
        read = x.clone().requires_grad_(by == "the image")
        asked = {
            "alphas": list(net.arch_parameters()),
            "weights": list(net.weight_parameters()),
            "a bias": [p for n, p in net.named_parameters() if "depthwise.bias" in n],
            "the image": [read],
        }[by]
        assert asked
        found.append(gradients(net(read).square().sum(), asked))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)
