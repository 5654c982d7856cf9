"""How many architectures there are, by formula and by listing them."""

from __future__ import annotations

from itertools import combinations, product
from math import factorial, prod
from pathlib import Path

import pytest
from costly_spaces import GENERAL
from hypothesis import given
from hypothesis import strategies as st
from random_genotypes import every_genotype
from support import CIFAR, PROGRAMS, RNN, compiled

from compiler.compile import compile_space
from compiler.counting.architectures import architectures, elementary, ways
from compiler.fitting import resolve
from compiler.genotype import CellGenotype, Genotype
from compiler.ir import Region
from dsl import DartsError


def listed(kind: Region) -> int:
    """Every set of decisions that `resolve` lets pass, among all there could be."""
    found = 0
    paths = [d.path for d in kind.decisions]
    options = {d.path: [label for label, _ in d.options] for d in kind.decisions}
    for size in range(len(paths) + 1):
        for chosen in combinations(paths, size):
            for labels in product(*(options[path] for path in chosen)):
                cell = CellGenotype(tuple(zip(chosen, labels, strict=True)))
                try:
                    resolve(Genotype({kind.name: cell}), [kind])
                except DartsError:
                    continue
                found += 1
    return found


@pytest.mark.parametrize("keep", [1, 2, None])
def test_the_formula_counts_what_can_be_listed(keep: int | None) -> None:
    rule = "" if keep is None else f"keep {keep} edges per node by weight"
    (kind,) = compiled(f"""
        cell u from x {{
            y = x -> choose {{ skip, sep_conv(3) }}
            node n[2] = sum(
                x -> choose {{ sink none, skip, relu }}, each earlier n -> choose {{ skip, relu }}
            )
            {rule}
            return sum(y, n)
        }}
        network(C = 2) from image[3, 4, 4] to out[3, 4, 4] = image -> u
    """).program.kinds
    assert ways(kind) == listed(kind)


@pytest.mark.parametrize("name", GENERAL)
def test_no_architecture_is_counted_twice(name: str) -> None:
    kinds = compiled(GENERAL[name]).program.kinds
    found = [str(dict(g.cells)) for g in every_genotype(kinds)]
    assert len(set(found)) == len(found) == architectures(kinds)


@given(st.integers(0, 4), st.lists(st.integers(1, 9), max_size=6))
def test_elementary_symmetric_polynomials(k: int, values: list[int]) -> None:
    assert elementary(k, values)[k] == sum(map(prod, combinations(values, k)))


def test_the_space_of_darts() -> None:
    kinds = compile_space(CIFAR).program.kinds
    assert ways(kinds[0]) == 180 * 49**4
    assert architectures(kinds) == 180**2 * 49**8


@pytest.mark.parametrize(("name", "number"), [("dense", 15_625), ("vectors", 9)])
def test_other_spaces(name: str, number: int) -> None:
    path = next(Path(p) for p in PROGRAMS if p.stem == name)
    assert architectures(compile_space(path).program.kinds) == number


def test_the_recurrent_space_of_darts() -> None:
    """Each of eight nodes keeps one of its edges, with one of four activations."""
    (kind,) = compile_space(RNN).program.kinds
    assert ways(kind) == factorial(8) * 4**8


def test_nothing_to_decide_is_one_architecture() -> None:
    assert architectures([]) == 1
