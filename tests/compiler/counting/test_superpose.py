"""One program holds what every genotype of a space puts into its final model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from costly_spaces import HAND_MADE
from random_genotypes import random_genotype
from random_spaces import random_space
from support import CIFAR, RNN, space

from compiler.compile import specialised
from compiler.counting.superpose import Superposed, superpose
from compiler.fitting import resolve
from compiler.instantiate import instantiate
from compiler.ir import Layer, Region, is_open
from compiler.measure import measure
from compiler.program import Program
from dsl import Space, load, load_text


def final(loaded: Space) -> Program:
    return measure(loaded, "final", None, {})[1]


def cell(text: str) -> Superposed:
    """The only cell of a program that decides."""
    _, apart = superpose(final(space(text)))
    (found,) = (each for each in apart.values() if each.meetings)
    return found


def layers(region: Region, numbers: Iterable[int]) -> Counter[tuple[str, str, str]]:
    """The layers among some values, with their arguments and the names that they share."""
    nodes = (region.node(number) for number in numbers)
    return Counter(
        (n.layer, str(n.arguments), n.shared)
        for n in nodes
        if isinstance(n, Layer) and n.layer != "drop_path"
    )


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_what_a_genotype_has_is_what_the_specialiser_makes(first: int) -> None:
    for number in range(first, first + 10):
        loaded = load_text(random_space(number))
        program = final(loaded)
        whole, apart = superpose(program)
        assert not is_open(whole.network)
        instantiate(whole)
        for seed in range(3):
            genotype = random_genotype(program.kinds, seed)
            chosen = resolve(genotype, program.kinds)
            made = {r.name: r for r in specialised(loaded, genotype=genotype)[1].regions()}
            for each in apart.values():
                if each.meetings:
                    own = chosen[each.kind.name]
                    there = each.operands(own, each.conditions())
                    region = made[each.kind.name]
                    assert layers(each.region, there) == layers(region, region.values), number


@pytest.mark.parametrize("path", [CIFAR, RNN], ids=lambda path: path.stem)
def test_callers_come_before_what_they_use(path: Path) -> None:
    program = final(load(path))
    whole, apart = superpose(program)
    first, *cells = apart.values()
    assert first.region is whole.network
    assert [each.kind for each in cells if each.meetings] == program.kinds[::-1]


def test_an_inner_cell_comes_after_the_outer_one() -> None:
    _, apart = superpose(final(space(HAND_MADE["nested"])))
    assert [each.kind.name for each in apart.values()][1:] == ["u", "motif"]


def test_sinks_are_not_among_the_options() -> None:
    found = cell("""
        cell u from x = x -> choose { sink conv(5), conv(3), relu }
        network from image[2, 4, 4] to out[2, 4, 4] = image -> u
    """)
    ((number, options),) = found.meetings.items()
    assert list(options) == ["conv_3", "relu"]
    assert found.region.outputs == (number,)


EDGES = """
    cell u from x {
        y = x -> conv(3)
        node n[1] = sum(each (x, y) -> conv(1) -> choose { conv(5), skip } -> conv(7))
        KEEP
        return n[-1]
    }
    network from image[2, 4, 4] to out[2, 4, 4] = image -> u
"""


def conditions(text: str) -> dict[str, list[list[tuple[str, str | None]]]]:
    """By the first argument of the convolutions, under which conditions they are there."""
    superposed = cell(text)
    found: dict[str, list[list[tuple[str, str | None]]]] = {}
    own = superposed.conditions()
    for number, node in superposed.region.nodes():
        if isinstance(node, Layer) and node.layer == "conv":
            size = str(dict(node.arguments)["k"].value)  # type: ignore[attr-defined]
            found.setdefault(size, []).append(sorted(own[number]))
    return found


def test_what_follows_a_choice_is_there_with_its_edge() -> None:
    assert conditions(EDGES.replace("KEEP", "keep 1 edge per node by weight")) == {
        "3": [[]],
        "1": [[], []],
        "5": [[("n[0] from x", "conv_5")], [("n[0] from y", "conv_5")]],
        "7": [[("n[0] from x", None)], [("n[0] from y", None)]],
    }
    assert conditions(EDGES.replace("KEEP", ""))["7"] == [[], []]


def test_what_stands_before_a_choice_is_run_with_its_edge() -> None:
    superposed = cell(EDGES.replace("KEEP", "keep 1 edge per node by weight"))
    before = superposed.before()
    assert list(before.values()) == [frozenset({"n[0] from y"}), frozenset({"n[0] from x"})]
    assert all(dict(superposed.region.node(n).arguments)["k"].value == 1 for n in before)
    assert cell(EDGES.replace("KEEP", "")).before() == {}


def test_a_concat_is_as_wide_as_what_it_keeps() -> None:
    found = cell(HAND_MADE["concat"])
    widths = [len(found.region.node(number).operands) for number in found.joins]
    assert widths == [1, 1]
    assert [len(operands) for operands in found.joins.values()] == [2, 3]
