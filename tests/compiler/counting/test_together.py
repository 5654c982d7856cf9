"""What decisions that hang together cost, against walks of models by lot, and all of them."""

from __future__ import annotations

from random import Random

import pytest
from costly_spaces import GENERAL, HAND_MADE, LOOSE
from random_genotypes import every_genotype
from random_spaces import random_space
from support import space

from compiler import CostTable, cost, cost_range
from compiler.counting.interactions import interactions
from compiler.counting.together import Extremes
from compiler.measure import measure
from compiler.program import Program
from dsl import DartsError, Space, load_text


def final(loaded: Space) -> Program:
    return measure(loaded, "final", None, {})[1]


def smaller(text: str) -> str:
    """With a node less, where nodes are many."""
    return text.replace("node n[3]", "node n[2]").replace("keep 5 edges", "keep 3 edges")


def check_sums(program: Program) -> None:
    """Any models cost the sum of what their decisions cost together."""
    found, lot = Extremes(program), Random(0)
    for _ in range(20):
        numbers = {name: lot.randrange(count) for name, count in found.counts.items()}
        for which, functions in enumerate(found.functions):
            told = sum(t[tuple(numbers[n] for n in s)] for s, t in functions.items())
            assert told == found.value(numbers)[which], numbers


@pytest.mark.parametrize("name", {**GENERAL, **HAND_MADE})
def test_costs_are_sums(name: str) -> None:
    check_sums(final(space(smaller({**GENERAL, **HAND_MADE}[name]))))


def test_costs_of_random_spaces_are_sums() -> None:
    tried = 0
    for number in range(12):
        program = final(load_text(random_space(number)))
        try:
            check_sums(program)
        except DartsError as error:
            assert [d.code for d in error.diagnostics] == ["E0103"]
        else:
            tried += bool(program.kinds)
    assert tried > 4


@pytest.mark.parametrize("name", GENERAL)
def test_the_extremes_of_all_models(name: str) -> None:
    loaded = space(smaller(GENERAL[name]))
    table, found = CostTable(loaded), cost_range(loaded)
    costs = [table.cost(genotype) for genotype in every_genotype(table.kinds)]
    parameters, macs = [c.parameters for c in costs], [c.macs for c in costs]
    assert found.fewest_parameters.value == min(parameters)
    assert found.most_parameters.value == max(parameters)
    assert found.fewest_macs.value == min(macs)
    assert found.most_macs.value == max(macs)
    assert cost(loaded, found.most_macs.genotype).macs == max(macs)
    assert cost(loaded, found.fewest_parameters.genotype).parameters == min(parameters)


def test_widths_hang_together_with_their_neighbours_alone() -> None:
    program = final(
        space("""
            network from image[3, 4, 4] to class[2] = image
                -> conv(3, out: choose entangled { 1, 2 })
                -> conv(3, out: choose entangled { 1, 2 })
                -> conv(3, out: choose entangled { 1, 2 }) -> global_pool(mean) -> linear(2)
        """)
    )
    paths = [decision.path for decision in program.kinds[0].decisions]
    assert interactions(program, lambda kind, path: path) == {
        frozenset(paths[:2]),
        frozenset(paths[1:]),
    }


def test_too_many_that_hang_together() -> None:
    loaded = space(LOOSE.replace("node n[3]", "node n[5]"))
    with pytest.raises(DartsError, match="hang together") as raised:
        cost_range(loaded)
    assert [d.code for d in raised.value.diagnostics] == ["E0103"]
