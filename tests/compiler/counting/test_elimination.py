"""Sums of functions of few variables, against all values that there are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from random import Random

import pytest

from compiler.counting.elimination import TooManyError, least, terms

COUNTS = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2}


@pytest.mark.parametrize("seed", range(20))
def test_terms_and_extremes(seed: int) -> None:
    lot = Random(seed)
    scopes = [lot.sample(list(COUNTS), lot.randint(0, 3)) for _ in range(lot.randint(1, 5))]
    tables = [
        {numbers: lot.randint(-9, 9) for numbers in product(*(range(COUNTS[n]) for n in scope))}
        for scope in scopes
    ]

    def value(given: Mapping[str, int]) -> tuple[int, int]:
        read = (tuple(given.get(name, 0) for name in scope) for scope in scopes)
        total = sum(table[numbers] for table, numbers in zip(tables, read, strict=True))
        return total, -2 * total

    first, second = terms(COUNTS, scopes, value, 1000)
    everything = [
        dict(zip(COUNTS, numbers, strict=True))
        for numbers in product(*(range(count) for count in COUNTS.values()))
    ]
    for given in everything:
        for found, whole in zip((first, second), value(given), strict=True):
            told = sum(t[tuple(given[n] for n in scope)] for scope, t in found.items())
            assert told == whole
    for sign, best in ((1, min), (-1, max)):
        for number, found in enumerate((first, second)):
            got, given = least(COUNTS, found, sign, 1000)
            assert got == best(value(each)[number] for each in everything)
            assert got == value(given)[number]


def test_limits() -> None:
    def value(given: Mapping[str, int]) -> tuple[int]:
        return (sum(given.values()),)

    with pytest.raises(TooManyError):
        terms(COUNTS, [["a", "b", "d"]], value, 23)
    (found,) = terms(COUNTS, [["a", "b"], ["b", "d"]], value, 24)
    assert least(COUNTS, found, -1, 24)[0] == 1 + 2 + 3
    with pytest.raises(TooManyError):
        least(COUNTS, found, -1, 5)
