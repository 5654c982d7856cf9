"""Crossings are counted right, and orders found have few; places settle as near as they fit."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, permutations, product
from random import Random

import pytest
from drawn_cells import published

from compiler.pictures.order import MOST_PLACES, crossings, orders
from compiler.pictures.ranks import Columns, columns_of
from compiler.pictures.settling import BOX_GAP, settled


def columns(sizes: list[int], steps: list[tuple[int, int]]) -> Columns:
    """Columns of so many boxes each, with steps between them."""
    rank = [number for number, size in enumerate(sizes) for _ in range(size)]
    made = Columns(len(rank), rank, defaultdict(list, {step: [step[1]] for step in steps}))
    for start, end in steps:
        made.after[start].append(end)
        made.before[end].append(start)
    places = range(len(rank))
    made.columns = [[p for p in places if rank[p] == number] for number in range(len(sizes))]
    return made


def counted(made: Columns, order: list[list[int]]) -> int:
    """Crossings by looking at every pair of steps."""
    at = {place: i for column in order for i, place in enumerate(column)}
    return sum(
        made.rank[a] == made.rank[c] and (at[a] - at[c]) * (at[b] - at[d]) < 0
        for (a, b), (c, d) in combinations(made.steps, 2)
    )


def random_columns(number: int) -> Columns:
    """Three columns of up to four boxes, half of the steps between neighbours."""
    random = Random(number)
    sizes = [random.randint(1, 4) for _ in range(3)]
    a, b, c = sizes[0], sum(sizes[:2]), sum(sizes)
    pairs = [*product(range(a), range(a, b)), *product(range(a, b), range(b, c))]
    return columns(sizes, [pair for pair in pairs if random.random() < 0.5])


@pytest.mark.parametrize("number", range(20))
def test_crossings_are_counted_and_few(number: int) -> None:
    made = random_columns(number)
    every = [list(map(list, order)) for order in product(*map(permutations, made.columns))]
    for order in every[:50]:
        assert crossings(made, order) == counted(made, order)
    fewest = min(counted(made, order) for order in every)
    assert min(crossings(made, order) for order in orders(made)) == fewest


def test_orders_are_the_same_every_time() -> None:
    made = columns_of(published()["cifar_normal"])
    assert list(orders(made)) == list(orders(made))


def test_large_cells_make_do_with_one_order() -> None:
    half = MOST_PLACES
    made = columns([half, half], [(i, half + (i * 7) % half) for i in range(half)])
    assert len(list(orders(made))) == 1


def test_the_published_cells_are_easy_to_read() -> None:
    found = {}
    for name, cell in published().items():
        made = columns_of(cell)
        settled(made, [20.0] * len(made.rank))
        found[name] = crossings(made, made.columns)
    assert found["bench_unit"] == found["rnn_v2_recurrent"] == 0
    assert found["cifar_normal"] <= 10


def test_two_that_want_the_same_place_share_it() -> None:
    """Both want to stand beside the one before them, and stand half their room from it."""
    made = columns([1, 2], [(0, 1), (0, 2)])
    middles = settled(made, [20.0, 30.0, 10.0])
    assert middles[2] - middles[1] == pytest.approx(20 + BOX_GAP)
    assert (middles[1] + middles[2]) / 2 == pytest.approx(middles[0])


def test_a_chain_is_level() -> None:
    made = columns([1, 1, 1, 1], [(0, 1), (1, 2), (2, 3)])
    assert settled(made, [20.0] * 4) == pytest.approx([0.0] * 4)
