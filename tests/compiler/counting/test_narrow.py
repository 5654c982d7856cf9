"""Values of a narrowed program are those of the space, of the sizes that final models have."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from costly_spaces import HAND_MADE
from random_genotypes import random_genotype
from random_spaces import random_space
from support import space

from compiler.counting.narrow import Narrower
from compiler.counting.plain import is_plain
from compiler.fitting import resolve
from compiler.instantiate import instantiate
from compiler.ir import Choice, Join, Region
from compiler.measure import measure
from compiler.program import Program
from compiler.specialise import Specialiser
from dsl import Space, load_text


def final(loaded: Space) -> Program:
    return measure(loaded, "final", None, {})[1]


def narrowed(text: str) -> tuple[Region, Region]:
    """The only kind of a space, and what is walked in its place."""
    program = final(space(text))
    narrower = Narrower()
    narrower.region(program.network)
    (kind,) = program.kinds
    return kind, narrower.done[id(kind)]


def agree(loaded: Space, seeds: range) -> None:
    """What stands for a value has its shape in every final model, wherever a cell is used."""
    program = final(loaded)
    narrower = Narrower()
    whole = replace(program, network=narrower.region(program.network))
    known = instantiate(whole).shapes
    for seed in seeds:
        chosen = resolve(random_genotype(program.kinds, seed), program.kinds)
        specialiser = Specialiser(chosen)
        model = replace(program, network=specialiser.region(program.network))
        shapes = instantiate(model).shapes
        for kind in program.kinds:
            made = id(specialiser.done[id(kind)])
            origins = specialiser.origins[made]
            last = [n for n, (a, b) in enumerate(pairwise([*origins, None])) if a != b]
            uses = known.get(id(narrower.done[id(kind)]), [])
            for found in shapes.get(made, []):  # none where no step is made of the cell
                own = {origins[number]: found[number] for number in last}
                assert any(own.items() <= use.items() for use in uses)


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_spaces(first: int) -> None:
    for number in range(first, first + 10):
        loaded = load_text(random_space(number))
        if is_plain(final(loaded)):
            agree(loaded, range(3))


@pytest.mark.parametrize("name", HAND_MADE)
def test_spaces_whose_costs_hang_together(name: str) -> None:
    agree(space(HAND_MADE[name]), range(10))


def test_a_concat_is_as_wide_as_what_it_keeps() -> None:
    kind, region = narrowed(HAND_MADE["concat"])
    joins = [number for number, node in kind.nodes() if isinstance(node, Join)]
    assert [len(kind.node(number).operands) for number in joins] == [2, 3]
    assert [len(region.node(number).operands) for number in joins] == [1, 1]
    for number in joins:
        assert region.node(number).operands[0] == kind.node(number).operands[0]


def test_what_is_no_edge_stays_in_a_concat() -> None:
    kind, region = narrowed("""
        cell u from x {
            node n[1] = concat(x, x -> choose { conv(1), relu }, x -> choose { conv(3), relu }, x)
            keep 1 edge per node by weight
            return n[-1] -> conv(1, out: 2)
        }
        network from image[2, 4, 4] to out[2, 4, 4] = image -> u
    """)
    (number,) = (number for number, node in kind.nodes() if isinstance(node, Join))
    x, first, _, again = kind.node(number).operands
    assert region.node(number).operands == (x, first, again)


def test_sinks_are_not_among_the_options() -> None:
    _, region = narrowed("""
        cell u from x = x -> choose { sink conv(5), conv(3), relu }
        network from image[2, 4, 4] to out[2, 4, 4] = image -> u
    """)
    assert [option.label for option in region.output.region.options] == ["conv_3", "relu"]


def test_edges_that_read_alike_have_their_options_in_common() -> None:
    """So that a walk with numbers goes through them no more often than through the space."""
    kind, region = narrowed("""
        set ops = { conv(3), relu }
        cell u from x {
            node n[3] = sum(each (x, earlier n) -> choose ops)
            return n[-1]
        }
        network from image[2, 4, 4] to out[2, 4, 4] = image -> u
    """)
    sets = [node.region for _, node in region.nodes() if isinstance(node, Choice)]
    assert len(sets) == len(kind.decisions) == 6
    assert len({id(each) for each in sets}) == 1
