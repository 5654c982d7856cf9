"""Broken IR is found: every violation is made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import PROGRAMS, compiled

from compiler.compile import compile_space
from compiler.expr import Symbol
from compiler.ir import Call, Choice, Elementwise, Layer, Region, Scan
from compiler.program import Program
from compiler.verify import IllegalIR, verify

TEXT = """
    op f(k) = relu -> conv(k) -> norm
    cell u(C) from x {
        y = x -> f(C)
        node n[2] = sum(each (x, y, earlier n) -> choose { skip, sep_conv(3) })
        return n[-1]
    }
    network(C = 3) from image[3, 8, 8] to out[3, 8, 8] = image -> u(C) -> repeat 2 { f(3) }
"""


def first(region: Region, kind: type) -> int:
    return next(i for i, node in region.nodes() if isinstance(node, kind))


def region(program: Program, name: str) -> Region:
    return next(r for r in program.regions() if r.name == name)


def no_output(program: Program) -> None:
    region(program, "u").outputs = ()


def cycle(program: Program) -> None:
    unit = region(program, "u")
    unit.replace(first(unit, Call), operands=unit.outputs)


def later_operand(program: Program) -> None:
    unit = region(program, "u")
    number = first(unit, Call)
    unit.replace(number, operands=(number,))


def hole(program: Program) -> None:
    unit = region(program, "u")
    del unit.values[max(unit.values)]
    unit.values[99] = unit.node(0)


def other_options(program: Program) -> None:
    unit = region(program, "u")
    number = first(unit, Choice)
    made = unit.node(number).region
    made.options = made.options[::-1]


def unlisted(program: Program) -> None:
    unit = region(program, "u")
    unit.decisions = unit.decisions[1:]


def unbound(program: Program) -> None:
    chain = region(program, "f")
    number = first(chain, Layer)
    chain.replace(number, arguments=(("k", Symbol("nowhere")),))


def lacking(program: Program) -> None:
    unit = region(program, "u")
    unit.replace(first(unit, Call), arguments=())


def same_name(program: Program) -> None:
    region(program, "f").name = "u"


@pytest.mark.parametrize(
    ("spoil", "invariant"),
    [
        (no_output, "has an output"),
        (cycle, "reads earlier ones"),
        (later_operand, "reads earlier ones"),
        (hole, "numbered in program order"),
        (other_options, "has the options that are listed"),
        (unlisted, "is listed"),
        (unbound, "symbols are bound: nowhere"),
        (lacking, "`f` is given what it takes"),
        (same_name, "one name each"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_violations(spoil: Callable[[Program], None], invariant: str) -> None:
    program = compiled(TEXT).program
    verify(program)
    spoil(program)
    with pytest.raises(IllegalIR, match=invariant):
        verify(program)


def test_what_the_compiler_makes_is_legal() -> None:
    for path in PROGRAMS:
        verify(compile_space(path).program)


RECURRENT = """
    op f(k) from x = x / k
    cell u(H) from x, h[H], c[H] {
        shared W = linear(H)
        y = x -> linear(H) -> f(H)
        z = y -> choose { W as W, W -> tanh as curved, identity }
        return (z + (h -> W), c - z)
    }
    network(H = 3) from x[T, 4] to out[T, 3] = x -> u(H) over T
"""


def two_things(program: Program) -> None:
    unit = region(program, "u")
    number = next(i for i, n in unit.nodes() if n.shared == "W")
    unit.replace(number, arguments=(("out", Symbol("H")), ("bias", Symbol("H"))))


def two_kinds(program: Program) -> None:
    unit = region(program, "u")
    option = unit.node(first(unit, Choice)).region.options[1].body
    option.replace(max(option.values), shared="W")


def state_lost(program: Program) -> None:
    unit = region(program, "u")
    unit.outputs = unit.outputs[:1]


def several_outputs(program: Program) -> None:
    region(program, "network").outputs *= 2


def no_states(program: Program) -> None:
    region(program, "u").states = None


def not_given(program: Program) -> None:
    network = region(program, "network")
    network.replace(first(network, Scan), arguments=())


def unbound_number(program: Program) -> None:
    division = region(program, "f")
    division.replace(first(division, Elementwise), number=Symbol("nowhere"))


@pytest.mark.parametrize(
    ("spoil", "invariant"),
    [
        (two_things, "`W` is one thing"),
        (two_kinds, "`W` is one thing"),
        (state_lost, "states are given back"),
        (several_outputs, "a network gives back what it promises"),
        (no_states, "a region has one output"),
        (not_given, "`u` is given what it takes"),
        (unbound_number, "symbols are bound: nowhere"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_violations_of_recurrences(spoil: Callable[[Program], None], invariant: str) -> None:
    program = compiled(RECURRENT).program
    verify(program)
    spoil(program)
    with pytest.raises(IllegalIR, match=invariant):
        verify(program)
