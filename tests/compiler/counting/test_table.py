"""What is looked up in the table is what walking the program of each genotype finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from costly_spaces import CONCAT, GENERAL, HAND_MADE
from random_genotypes import every_genotype, random_genotype
from random_spaces import random_space
from support import CIFAR, PROGRAMS, RNN, SPACES, space

from compiler import CostTable, cost
from compiler.compile import specialised
from dsl import DartsError, Space, load, load_text

CHUNK = 10
MOST = 150
"""About so many genotypes of a space are tried."""
SHIPPED = [CIFAR, RNN, SPACES / "nas_bench_201.darts"]


def agree(loaded: Space, seeds: range) -> None:
    table = CostTable(loaded)
    for seed in seeds:
        genotype = random_genotype(table.kinds, seed)
        found = table.cost(genotype)
        assert found == cost(loaded, genotype)
        _, _, facts = specialised(loaded, genotype=genotype)
        assert found.parameters == facts.weights


@pytest.mark.parametrize("path", [*SHIPPED, *PROGRAMS], ids=lambda path: path.stem)
def test_spaces_that_are_there(path: Path) -> None:
    agree(load(path), range(6))


@pytest.mark.parametrize("first", range(0, 40, CHUNK))
def test_random_spaces(first: int) -> None:
    for number in range(first, first + CHUNK):
        try:
            agree(load_text(random_space(number)), range(4))
        except Exception as error:
            error.add_note(f"space {number}:\n{random_space(number)}")
            raise


@pytest.mark.parametrize("number", [394, 508, 693, 738])
def test_what_zeros_read_is_found_alike(number: int) -> None:
    """Spaces in which sums of nothing but zeros have several of them to be."""
    agree(load_text(random_space(number)), range(8))


@pytest.mark.parametrize("name", GENERAL)
def test_spaces_that_do_not_decide_edge_by_edge(name: str) -> None:
    agree(space(GENERAL[name]), range(8))


@pytest.mark.parametrize("name", HAND_MADE)
def test_every_genotype_of_small_spaces(name: str) -> None:
    loaded = space(HAND_MADE[name])
    table = CostTable(loaded)
    genotypes = list(every_genotype(table.kinds))
    tried = genotypes[:: 1 + len(genotypes) // MOST]
    costs = [table.cost(genotype) for genotype in tried]
    assert costs == [cost(loaded, genotype) for genotype in tried]
    assert len(set(costs)) > 5


def test_edges_of_unlike_width_have_no_table() -> None:
    text = CONCAT.replace(
        "each earlier n -> choose { conv(3), skip } -> conv(1, out: C)",
        "each earlier n -> choose { conv(3), skip } -> conv(1, out: 2 * C)",
    )
    assert text != CONCAT
    with pytest.raises(DartsError, match="different widths") as raised:
        CostTable(space(text))
    assert [d.code for d in raised.value.diagnostics] == ["E0609"]


def test_profiles_and_overrides_are_those_of_the_file() -> None:
    table = CostTable(CIFAR, "demo", C=8)
    genotype = random_genotype(table.kinds, 0)
    assert table.cost(genotype) == cost(CIFAR, genotype, "demo", C=8)
    assert table.cost(genotype) != CostTable(CIFAR, "demo").cost(genotype)
