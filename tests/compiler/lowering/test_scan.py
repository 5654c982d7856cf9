"""`f over T`: what flows in comes step by step, the other inputs are states."""

from __future__ import annotations

import pytest
import torch
from support import space

import compiler
from compiler.describe import check
from compiler.expr import evaluate
from compiler.facts import Facts
from compiler.ir import Region, Scan
from compiler.measure import measure
from compiler.program import Program
from compiler.verify import verify
from dsl import DartsError

CELLS = """
    op plain from x = x -> linear(3)
    cell one(H) from x, h[H] = concat(x, h) -> linear(H) -> choose { tanh, relu }
    op two(H) from x, h[H], c[2 * H] {
        new = concat(x, h, c) -> linear(2 * H)
        return (split(new, 2)[0], new)
    }
    op sum_of from x, y, h[3] = x + y - h
"""


def lowered(body: str) -> tuple[Program, Facts]:
    text = f"{CELLS}\nnetwork(H = 4) from x[T, 3] to y[T, _] = {body}\n"
    _, program, facts = measure(space(text), "search", None, {})
    verify(program)
    return program, facts


def region(program: Program, name: str) -> Region:
    return next(r for r in program.regions() if r.name == name)


@pytest.mark.parametrize(
    ("body", "name", "states", "width", "weights"),
    [
        ("x -> plain over T", "plain", [], 3, 3 * 3 + 3),
        ("x -> one(H) over T", "one", [(4,)], 4, 7 * 4 + 4),
        ("x -> two(H) over T", "two", [(4,), (8,)], 4, 15 * 8 + 8),
        ("(x, x -> tanh) -> sum_of over T", "sum_of", [(3,)], 3, 0),
    ],
)
def test_states_are_the_inputs_that_nothing_flows_into(
    body: str, name: str, states: list[tuple[int, ...]], width: int, weights: int
) -> None:
    program, facts = lowered(body)
    made = region(program, name)
    assert made.states == len(states)
    assert len(made.outputs) == max(len(states), 1)
    (scan,) = [n for _, n in program.network.nodes() if isinstance(n, Scan)]
    sizes = [[evaluate(size, {"H": 4}) for size in s] for s in made.state_dims(scan.arguments)]
    assert [tuple(s) for s in sizes] == states
    assert [evaluate(size, {"T": 9, "H": 4}) for size in scan.shape] == [9, width]
    assert facts.weights == weights
    assert facts.output is not None
    assert facts.output[1:] == (width,)


def test_decisions_of_a_recurrent_cell_are_those_of_its_kind() -> None:
    """Two recurrences of one kind decide alike and have weights of their own."""
    program, facts = lowered("x -> one(H) over T -> one(H) over T")
    (kind,) = program.kinds
    assert [d.path for d in kind.decisions] == ["return"]
    assert facts.weights == (7 * 4 + 4) + (8 * 4 + 4)


def test_a_second_kind_runs_over_time_too() -> None:
    text = f"""{CELLS}
        cell other(H) = one(2 * H)
        network(H = 4) from x[T, 3] to y[T, 8] = x -> one(H) over T -> other(H) over T
    """
    _, program, facts = measure(space(text), "search", None, {})
    verify(program)
    assert [kind.name for kind in program.kinds] == ["one", "other"]
    assert facts.weights == (7 * 4 + 4) + (12 * 8 + 8)


def test_a_cell_that_runs_and_is_applied_is_not_of_one_structure() -> None:
    text = f"""{CELLS}
        network(H = 4) from x[T, 3], h[T, 4] to y[T, 4] =
            sum(x -> one(H) over T, (x, h) -> one(H))
    """
    with pytest.raises(DartsError) as raised:
        check(space(text))
    assert raised.value.diagnostics[0].code in ("E0502", "E0606")


def test_a_dimension_may_be_a_parameter() -> None:
    text = f"{CELLS}\nnetwork(T = 5) from x[T, 3] to y[T, 4] = x -> one(4) over T\n"
    _, program, facts = measure(space(text), "search", None, {})
    verify(program)
    assert facts.output == (5, 4)
    assert program.open_sizes == ()


def test_four_sizes_are_more_than_a_value_has() -> None:
    text = """
        op grow(C) from x, h[C, 4, 4] = (x -> conv(3, out: C)) + h
        network(C = 2) from film[T, 3, 4, 4] to y[T, C, 4, 4] = film -> grow(C) over T
    """
    with pytest.raises(DartsError, match="`film` has four sizes"):
        check(space(text))


def test_a_recurrence_that_nothing_reads_moves_its_state_all_the_same() -> None:
    text = """
        op moved(H) from x, h[H] = x + h
        network(H = 2) from x[T, 2] to y[T, 2] {
            a = x -> linear(H)
            return sum(a, a -> moved(H) over T -> zero)
        }
    """
    net = compiler.build(space(text))
    x = torch.randn(3, 4, 2)
    _, state = net(x)
    torch.testing.assert_close(state, net.model.a(x).sum(0))
