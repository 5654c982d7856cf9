"""Arithmetic of values and numbers, and parts of a value's channels: shapes and weights."""

from __future__ import annotations

from typing import Any

import pytest
from support import space

from compiler.expr import Const
from compiler.facts import Facts
from compiler.ir import Elementwise, Part
from compiler.measure import measure
from compiler.program import Program
from compiler.verify import verify
from dsl import DartsError


def lowered(body: str, shape: str = "4, 6, 6", out: str = "_, _, _") -> tuple[Program, Facts]:
    """`body` over an image, or what `shape` says."""
    text = f"network(n = 2) from x[{shape}] to out[{out}] = {body}\n"
    _, program, facts = measure(space(text), "search", None, {})
    verify(program)
    return program, facts


def nodes(program: Program, kind: type) -> list[Any]:
    return [node for _, node in program.network.nodes() if isinstance(node, kind)]


@pytest.mark.parametrize(
    "body",
    [
        "x + x", "x * (x -> global_pool(mean))", "(x -> global_pool(mean)) - x", "-x / n",
        "2 / (x * x + 1)", "x - (x -> global_pool(mean) -> linear(4) -> sigmoid) * x",
    ],
)  # fmt: skip
def test_a_vector_goes_with_all_pixels_of_an_image(body: str) -> None:
    assert lowered(body)[1].output == (4, 6, 6)


def test_a_vector_goes_with_all_steps_of_a_sequence() -> None:
    text = """
        network(n = 2) from image[3, 4, 4], x[T, 3] to y[T, 3] {
            v = image -> global_pool(mean)
            return v - x * v
        }
    """
    _, program, facts = measure(space(text), "search", None, {})
    verify(program)
    assert facts.output is not None
    assert facts.output[1:] == (3,)


def test_numbers_stay_numbers_until_they_meet_a_value() -> None:
    found = nodes(lowered("x * (1 + 2) - 2 * 3")[0], Elementwise)
    assert [(e.operator, e.number, e.swapped) for e in found] == [
        ("*", Const(3), False), ("-", Const(6), False),
    ]  # fmt: skip


def test_which_of_two_comes_first_is_kept() -> None:
    found = nodes(lowered("(1 - x) / x - (x / 8 - 8 / x)")[0], Elementwise)
    assert [(e.operator, e.swapped, e.operands) for e in found] == [
        ("-", True, (0,)), ("/", False, (1, 0)), ("/", False, (0,)), ("/", True, (0,)),
        ("-", False, (3, 4)), ("-", False, (2, 5)),
    ]  # fmt: skip


@pytest.mark.parametrize(("parts", "width"), [(1, 4), (2, 2), (4, 1)])
def test_parts_are_equal(parts: int, width: int) -> None:
    program, facts = lowered(f"split(x, {parts})[{parts - 1}]")
    assert facts.output == (width, 6, 6)
    assert len(nodes(program, Part)) == (0 if parts == 1 else parts)


def test_parts_side_by_side_are_the_whole() -> None:
    assert lowered("concat(split(x, 4))")[1].output == (4, 6, 6)
    assert lowered("concat(split(x, n)) -> linear(1)", "6", "1")[1].weights == 7


def test_the_number_of_parts_may_be_a_parameter() -> None:
    text = "op f(k) from x = sum(split(x, k))\nnetwork(n = 3) from x[6] to y[2] = x -> f(n)\n"
    _, program, facts = measure(space(text), "search", None, {})
    verify(program)
    assert facts.output == (2,)


def test_parts_bear_the_names_that_they_are_bound_to() -> None:
    text = """
        network(n = 2) from x[T, 6] to y[T, 3] {
            first, second = split(x, n)
            return first * second
        }
    """
    _, program, _ = measure(space(text), "search", None, {})
    assert [part.bound for part in nodes(program, Part)] == ["first", "second"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("x + (x -> conv(1, out: 3))", "E0501"),
        ("x * (x -> global_pool(mean) -> linear(2))", "E0501"),
        ("split(x, 3)[0]", "E0504"),
        ("x / (n - 2)", "E0504"),
        ("x + (n > 1)", "E0401"),
    ],
)
def test_what_does_not_fit(body: str, code: str) -> None:
    with pytest.raises(DartsError) as raised:
        lowered(body)
    assert [d.code for d in raised.value.diagnostics] == [code]
