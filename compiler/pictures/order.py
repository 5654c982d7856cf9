"""In which order things stand in a column, so that few lines cross."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from random import Random

from compiler.pictures.ranks import Columns

SWEEPS = 12
STARTS = 12
MOST_PLACES = 400
"""With more, one start has to do."""
MOST_SWAPPED = 60
"""In columns that hold more, neighbours are not tried the other way round."""

Order = list[list[int]]


def orders(columns: Columns) -> Iterator[Order]:
    """Orders with few crossings, found from different starts; the same ones every time."""
    first = [list(column) for column in columns.columns]
    yield _untangled(columns, first)
    if len(columns.rank) > MOST_PLACES:
        return
    yield _untangled(
        columns, [sorted(column, key=lambda p: not columns.is_line(p)) for column in first]
    )
    for number in range(STARTS - 2):
        random = Random(number)
        start = [list(column) for column in first]
        for column in start:
            random.shuffle(column)
        yield _untangled(columns, start)


def _untangled(columns: Columns, start: Order) -> Order:
    """Orders columns by the mean place of neighbours, forth and back; the best found."""
    order = [list(column) for column in start]
    best, fewest = start, crossings(columns, start)
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        neighbours = columns.before if forth else columns.after
        at = _places(order)
        for column in order if forth else reversed(order):
            _sort(column, at, neighbours)
        for column in order:
            _swap(columns, column, at)
        found = crossings(columns, order)
        if found < fewest:
            best, fewest = [list(column) for column in order], found
    return best


def _sort(column: list[int], at: dict[int, int], neighbours: dict[int, list[int]]) -> None:
    def mean(place: int) -> float:
        own = neighbours.get(place, [])
        return sum(at[n] for n in own) / len(own) if own else at[place]

    column.sort(key=mean)
    at.update((place, i) for i, place in enumerate(column))


def _swap(columns: Columns, column: list[int], at: dict[int, int]) -> None:
    """Swaps neighbours in a column as long as fewer lines cross for it."""
    if len(column) > MOST_SWAPPED:
        return
    for _ in range(len(column)):
        changed = False
        for i in range(len(column) - 1):
            upper, lower = column[i], column[i + 1]
            if _crossed(columns, at, lower, upper) < _crossed(columns, at, upper, lower):
                column[i], column[i + 1] = lower, upper
                changed = True
        if not changed:
            break
    at.update((place, i) for i, place in enumerate(column))


def _crossed(columns: Columns, at: dict[int, int], upper: int, lower: int) -> int:
    """How many lines of two places in a column cross, one above the other."""
    return sum(
        at[a] > at[b]
        for neighbours in (columns.before, columns.after)
        for a in neighbours.get(upper, ())
        for b in neighbours.get(lower, ())
    )


def crossings(columns: Columns, order: Order) -> int:
    """How many pairs of lines cross, over all columns."""
    at = _places(order)
    total = 0
    for column in order:
        passed: list[int] = []
        for place in column:
            ends = sorted(at[end] for end in columns.after.get(place, ()))
            total += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return total


def _places(order: Order) -> dict[int, int]:
    return {place: i for column in order for i, place in enumerate(column)}
