"""Ops that give back lists stand for the same program with their bodies written in place."""

from __future__ import annotations

import pytest
import torch
from support import images, randomise, space

import compiler
from compiler import Supernet
from dsl import DartsError

OPS = """
    op both from x = (x -> relu, x -> tanh)
    op swapped from x, y = (y, x)
    op minus from x, y = x - y
    op halves from x[c, _, _] {
        a, b = split(x, 2)
        return (a -> conv(1, out: c), b -> conv(3, out: c))
    }
    op after(k) = conv(k) -> bn -> halves
    op members from x {
        node n[3] = sum(each (x, earlier n) -> conv(1))
        return n
    }
    op squared from x {
        a, b = x -> both
        return a * b
    }
    op deciding from x = each (x, x) -> choose { relu, tanh }
    op sometimes(k) from x = (x -> conv(k), x) when k > 1 else (x, x)
    cell unit from x = __ -> choose { relu, tanh }
    network from image[4, 4, 4] to y[4, 4, 4] = image -> unit
"""


def values(flow: str) -> list[torch.Tensor]:
    """What a network gives whose cell computes `flow`, by fixed weights, and its gradients."""
    torch.manual_seed(3)
    net = compiler.build(space(OPS.replace("__", f"({flow})")), passes="fast")
    assert isinstance(net, Supernet)
    randomise(net)
    torch.manual_seed(4)
    output = net(images(net.program))
    found = torch.autograd.grad(output.pow(2).sum(), list(net.parameters()))
    return [output, *found]


@pytest.mark.parametrize(
    ("flow", "in_place"),
    [
        ("x -> both -> minus", "(x -> relu) - (x -> tanh)"),
        ("x -> both -> swapped -> minus", "(x -> tanh) - (x -> relu)"),
        ("sum(x -> both)", "(x -> relu) + (x -> tanh)"),
        ("sum(each (x -> both) -> conv(1))", "(x -> relu -> conv(1)) + (x -> tanh -> conv(1))"),
        ("x -> squared", "(x -> relu) * (x -> tanh)"),
        ("x -> conv(1) -> bn -> squared", "(x -> conv(1) -> bn -> squared)"),
        ("x -> sometimes(3) -> minus", "(x -> conv(3)) - x"),
        ("x -> sometimes(1) -> minus", "x - x"),
    ],
)
def test_as_if_written_in_place(flow: str, in_place: str) -> None:
    for found, expected in zip(values(flow), values(in_place), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_weights_are_made_at_each_use() -> None:
    one = compiler.build(space(OPS.replace("__", "(x -> after(3) -> minus)")))
    two = compiler.build(
        space(OPS.replace("__", "((x -> after(3) -> minus) + (x -> after(3) -> minus))"))
    )
    own = 4 * 4 * 9 + 8 + 2 * 4 + 2 * 4 * 9
    assert sum(p.numel() for p in one.model.parameters()) == own
    assert sum(p.numel() for p in two.model.parameters()) == 2 * own


def test_a_group_is_a_list() -> None:
    net = compiler.build(space(OPS.replace("__", "sum(x -> members)")))
    assert sum(p.numel() for p in net.model.parameters()) == 6 * 16


def test_decisions_in_a_list_are_the_cell_s() -> None:
    net = compiler.build(space(OPS.replace("__", "(x -> deciding -> minus)")))
    assert isinstance(net, Supernet)
    (kind,) = net.program.kinds
    assert len(kind.decisions) == 3


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ("x -> both", "reads one value, two flow in"),
        ("x -> choose { relu, both }", "this gives a list, not one value"),
        ("x -> (both when 1 > 0 else relu)", "reads one value, two flow in"),
        ("x -> bad -> minus", "a list of values, in it is a number"),
        ("x -> given(both)", "`given` gives back a list, not one value"),
    ],
)
def test_where_one_value_is_needed(flow: str, message: str) -> None:
    more = "op bad from x = (x, 3)\n    op given(f) from x = x -> f\n"
    with pytest.raises(DartsError, match=message):
        compiler.build(space(OPS.replace("__", f"({flow})") + f"    {more}"))
