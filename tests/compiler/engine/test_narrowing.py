"""Layers that compute with a part of what they have: regions of the compiler's own making, written
into those of a text, are run by the interpreter, the module and the engine alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import pytest
import torch
from support import images, model_state, randomise, rows, space

import compiler
from compiler import measure
from compiler.builder import Builder
from compiler.compile import compile_space
from compiler.expr import Const, Symbol
from compiler.interpret import interpret
from compiler.ir import Layer, Region, children
from compiler.lowering import lower
from compiler.program import Program

HEAD = """
    network(C = 4) from image[2, 7, 6] to class[3] =
        image -> conv(1, out: C) -> u -> u -> flatten -> linear(3)
"""
CELLS = {
    "shared, in the body and in options": """
        cell u from x {
            shared W = conv(5)
            a = x -> W
            b = (a -> W) -> choose { W, W -> tanh as bounded, skip }
            return sum(a, b -> W, a -> relu6 -> W)
        }
    """,
    "shared, of channels by themselves": """
        cell u from x {
            shared W = depthwise(5, bias: yes)
            shared V = depthwise(5, dilation: 2, padding: 4)
            return sum(x -> W, x -> W -> choose { W as one, V as other, V -> W as both }, x -> V)
        }
    """,
    "groups, biases and little padding": """
        cell u from x {
            shared W = conv(5, groups: 2, bias: yes, padding: 1)
            shared V = conv(5, padding: 3, dilation: 1)
            return x -> W -> V -> W -> V
        }
    """,
    "its own weights": """
        op flow = conv(5) -> bn -> relu6
        op sized(m) = relu -> conv(5) -> relu6
        cell u from x {
            a = x -> choose { conv(5), depthwise(5) as alone, flow, skip }
            b = x -> choose { sized(3), sized(1), relu6 }
            return sum(a, b, x -> flow, x -> sized(3))
        }
    """,
}
VECTORS = """
    cell u(H) from x, h[H] {
        a = x -> linear(H) -> relu6
        b = h -> choose { relu6, tanh }
        return a * b
    }
    network(H = 4) from x[T, 3] to y[T, 3] = x -> relu6 -> u(H) over T -> relu6 -> linear(3)
"""


def narrowed(program: Program, centres: Sequence[int], widths: Sequence[int]) -> Program:
    """The program with windows of 5 narrowed to their centres, and with `narrow` for relu6."""
    sizes, counts = cycle(centres), cycle(widths)

    def change(region: Region, symbols: set[str]) -> None:
        own = set(region.parameters) | (symbols if region.is_branch else set())
        for child in (c for c in children(region) if c.is_branch):
            change(child, own)
        for number, node in region.nodes():
            given = dict(getattr(node, "arguments", ()))
            if isinstance(node, Layer) and given.get("k") == Const(5):
                size = Symbol("m") if "m" in own else Const(next(sizes))
                if size != Const(5):
                    region.replace(number, arguments=(*node.arguments, ("centre", size)))
            if isinstance(node, Layer) and node.layer == "relu6":
                count = Symbol("m") if "m" in own else Const(next(counts))
                region.replace(number, layer="narrow", arguments=(("n", count),))

    for region in program.regions():
        if not region.is_branch:
            change(region, set())
    return program


@pytest.fixture(params=[(3, 5, 1), (1, 1, 3)])
def narrowing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is lowered is narrowed."""

    def lowered(*arguments: Any) -> Program:
        return narrowed(lower(*arguments), request.param, (2, 3, 1))

    monkeypatch.setattr(measure, "lower", lowered)


@pytest.mark.usefixtures("narrowing")
@pytest.mark.parametrize("text", [*(cell + HEAD for cell in CELLS.values()), VECTORS])
def test_the_engine_computes_what_the_module_does(text: str, pair: Any, check: Any) -> None:
    check(pair(space(text), 3))


@pytest.mark.usefixtures("narrowing")
@pytest.mark.parametrize("passes", ["none", "fast"])
@pytest.mark.parametrize("text", [*(cell + HEAD for cell in CELLS.values()), VECTORS])
def test_the_module_computes_what_the_program_says(text: str, passes: str) -> None:
    net = compiler.build(space(text), passes=passes)
    randomise(net)
    x, state = images(net.program, 3), model_state(net)
    expected = interpret(net.program, [x], {n: t.clone() for n, t in state.items()}, rows(net))
    torch.testing.assert_close(net(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("narrowing")
def test_only_what_is_narrowed_is_a_convolution_that_can_be() -> None:
    source = compile_space(space(CELLS["groups, biases and little padding"] + HEAD)).source
    assert source.count("= CentredConv2d(") == 2
    assert "nn.Conv2d(2, C, 1, bias=False)" in source


def test_weights_outside_the_centre_have_gradients_of_zero(monkeypatch: Any) -> None:
    monkeypatch.setattr(measure, "lower", lambda *given: narrowed(lower(*given), (3,), (2,)))
    body = "cell u from x { shared W = conv(5) \n return x -> W }"
    net = compiler.build(space(body + HEAD))
    randomise(net)
    net(images(net.program, 3)).sum().backward()
    found = net.model.u_0.W.weight.grad
    assert found[:, :, 1:4, 1:4].abs().min() > 0
    assert found.abs().sum() == found[:, :, 1:4, 1:4].abs().sum()


def test_what_narrows_nothing_is_left_out() -> None:
    builder = Builder(Region("scratch", "branch"))
    width = Symbol("c")
    x = builder.input("x", (width, Const(6), Const(6)))
    assert builder.layer("narrow", (("n", width),), x) == x
    assert builder.layer("narrow", (("n", Const(2)),), x) != x
    given = {"out": "same", "across": "same", "stride": 1, "dilation": 1, "groups": 1}
    rest = tuple((n, Const(v)) for n, v in {**given, "padding": "auto", "bias": False}.items())
    for k, centre, kept in ((Const(5), Const(5), False), (Const(5), Const(3), True)):
        made = builder.layer("conv", (("k", k), *rest, ("centre", centre)), x)
        assert ("centre" in dict(builder.region.node(made).arguments)) is kept
