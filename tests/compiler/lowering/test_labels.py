"""What options are called is the same in both phases, so that a genotype fits the final network."""

from __future__ import annotations

import pytest
from support import space

from compiler.ir import Region
from compiler.measure import measure

NETWORK = "network from x[5] to class[3] = x -> u -> linear(3)"


def labels(cell: str, phase: str) -> list[list[str]]:
    (kind,) = _kinds(cell, phase)
    return [[label for label, _ in d.options] for d in kind.decisions]


def _kinds(cell: str, phase: str) -> list[Region]:
    return measure(space(f"{cell}\n{NETWORK}"), phase, None, {})[1].kinds


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (
            "cell u from x { y = x -> (relu when final)  return choose { each (x, y) -> tanh } }",
            ["x", "y"],
        ),
        (
            "cell u from x { y = x -> (relu when search)  return choose { (x, y), x -> tanh } }",
            ["x", "y", "x (2)"],
        ),
        (
            "op f from a = choose { each (a, a) -> tanh, (a, a -> sin) }"
            "cell u from x = x -> (relu when final) -> f",
            ["a", "a (2)", "a (3)", "a (4)"],
        ),
        (
            "cell u from x { node n[2] = x -> (relu when final)"
            "               return choose { n, each n -> tanh } }",
            ["n[0]", "n[1]", "n[0] (2)", "n[1] (2)"],
        ),
    ],
    ids=["each", "alias", "op", "group"],
)
def test_values_are_called_alike_in_both_phases(cell: str, expected: list[str]) -> None:
    assert labels(cell, "search") == labels(cell, "final") == [expected]
