"""The cheapest and dearest models against all there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from costly_spaces import HAND_MADE
from random_genotypes import every_genotype
from random_spaces import random_space
from support import CIFAR, RNN, SPACES, space

from compiler import Cost, CostTable, cost, cost_range
from compiler.counting.architectures import architectures
from compiler.counting.extremes import CostRange, Extreme
from compiler.genotype import Genotype
from dsl import DartsError, Space, load_text

NB201 = SPACES / "nas_bench_201.darts"
CHUNK = 10
MOST = 3000
"""Of so many architectures all are tried."""
MOST_WALKED = 200
"""And of so many, where each is walked."""


def values(found: CostRange) -> list[int]:
    return [
        found.fewest_parameters.value,
        found.most_parameters.value,
        found.fewest_macs.value,
        found.most_macs.value,
    ]


def attained(loaded: Space | Path, found: CostRange) -> Iterator[int]:
    """What the models come to that are said to be extreme."""
    for extreme in (found.fewest_parameters, found.most_parameters):
        yield cost(loaded, extreme.genotype).parameters
    for extreme in (found.fewest_macs, found.most_macs):
        yield cost(loaded, extreme.genotype).macs


def tried(table: CostTable) -> list[int]:
    """The extremes of all models."""
    costs: list[Cost] = [table.cost(genotype) for genotype in every_genotype(table.kinds)]
    parameters, macs = [c.parameters for c in costs], [c.macs for c in costs]
    return [min(parameters), max(parameters), min(macs), max(macs)]


@pytest.mark.parametrize("first", range(0, 40, CHUNK))
def test_random_spaces(first: int) -> None:
    for number in range(first, first + CHUNK):
        loaded = load_text(random_space(number))
        table = CostTable(loaded)
        try:
            found = cost_range(loaded)
        except DartsError as error:
            assert [d.code for d in error.diagnostics] == ["E0103"], number
            continue
        assert list(attained(loaded, found)) == values(found), number
        if architectures(table.kinds) <= (MOST if table.is_plain else MOST_WALKED):
            assert tried(table) == values(found), number


@pytest.mark.parametrize("name", HAND_MADE)
def test_spaces_whose_costs_hang_together(name: str) -> None:
    loaded = space(HAND_MADE[name])
    found = cost_range(loaded)
    assert list(attained(loaded, found)) == values(found)
    assert tried(CostTable(loaded)) == values(found)


@pytest.mark.parametrize("path", [CIFAR, RNN, NB201], ids=lambda path: path.stem)
def test_the_extremes_of_shipped_spaces_are_attained(path: Path) -> None:
    found = cost_range(path)
    assert list(attained(path, found)) == values(found)


def test_the_benchmark_by_hand() -> None:
    """Between no convolution at all and six of 3x3."""
    found = cost_range(NB201)
    assert values(found) == [73_306, 1_531_546, 7_783_040, 220_119_680]
    assert found.most_macs.genotype.counts() == {"nor_conv_3x3": 6}
    assert "nor_conv" not in str(found.fewest_parameters.genotype)


def test_the_space_of_darts_by_hand() -> None:
    """Fewest: nothing but pools, and in reductions too; most: eight separable convolutions of 5."""
    found = cost_range(CIFAR)
    for name in ("normal", "reduce"):
        fewest, most = (
            {option for _, option in extreme.genotype.cells[name].decisions}
            for extreme in (found.fewest_parameters, found.most_parameters)
        )
        assert fewest <= {"max_pool_3x3", "avg_pool_3x3", "skip_connect"}
        assert most == {"sep_conv_5x5"}


def test_activations_cost_nothing() -> None:
    found = cost_range(RNN)
    assert found.fewest_parameters.value == found.most_parameters.value == 22_960_000
    assert found.fewest_macs.value == found.most_macs.value


def test_too_many_cells_that_decide_on_edges() -> None:
    text = HAND_MADE["nested"].replace("node n[2]", "node n[8]")
    with pytest.raises(DartsError) as raised:
        cost_range(space(text))
    assert [d.code for d in raised.value.diagnostics] == ["E0103"]


def test_lines_and_data() -> None:
    cheap, dear = (Genotype.parse(f"|{op}~0|") for op in ("pool", "conv"))
    least, most = Extreme(1_000, cheap), Extreme(2_000, dear)
    found = CostRange(least, most, least, Extreme(3_000, cheap))
    assert str(found).splitlines() == [
        "parameters  1,000 to 2,000",
        "MACs        1,000 to 3,000",
        "",
        "fewest parameters, fewest MACs, most MACs",
        "  |pool~0|",
        "",
        "most parameters",
        "  |conv~0|",
    ]
    one = CostRange(least, least, least, most)
    assert str(one).splitlines()[0] == "parameters  1,000, whatever is chosen"
    assert found.as_data()["macs"]["most"] == {"value": 3_000, "genotype": "|pool~0|"}
