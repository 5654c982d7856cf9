"""The least of a function that is a sum of functions of few variables each.

The function is only asked for its value where all variables have one. From the sets of variables
that it may treat together, its terms follow: with all others at their first value, what it gives
beyond the terms before belongs to a set. For let g(T) be the part that hangs on all of T and is 0
where any of T has its first value; then the term of a set S is the sum of g(T) over all T in S and
in no set before, and every T is in some set. Variables are then eliminated one after another, each
with the terms that it stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from math import prod

Values = tuple[int, ...]
"""A number for each variable of a set, which says which of its values it has."""
Table = dict[Values, int]
Scope = tuple[str, ...]
Terms = dict[Scope, Table]


class TooManyError(Exception):
    """There are more ways than can be gone through."""


def terms(
    counts: Mapping[str, int],
    scopes: Iterable[Iterable[str]],
    value: Callable[[Mapping[str, int]], tuple[int, ...]],
    most: int,
) -> list[Terms]:
    """The terms of functions that are asked for together, each over the variables of a scope.

    `counts` says how many values every variable has; 0 is the first.

    Raises:
        TooManyError: when the functions would have to be asked for more than `most` values.
    """
    order = list(counts)
    own = {tuple(sorted(scope, key=order.index)) for scope in scopes} or {()}
    sets = sorted(own, key=lambda scope: (-len(scope), scope))
    if sum(prod(counts[name] for name in scope) for scope in sets) > most:
        raise TooManyError
    found: list[Terms] = [{} for _ in value({})]
    for scope in sets:
        tables: list[Table] = [{} for _ in found]
        for numbers in product(*(range(counts[name]) for name in scope)):
            given = dict(zip(scope, numbers, strict=True))
            for table, before, whole in zip(tables, found, value(given), strict=True):
                table[numbers] = whole - _sum(before.items(), given)
        for known, table in zip(found, tables, strict=True):
            known[scope] = table
    return found


def least(
    counts: Mapping[str, int], functions: Terms, sign: int, most: int
) -> tuple[int, dict[str, int]]:
    """The least of a sum where `sign` is 1, the most where it is -1, and the values for it.

    Raises:
        TooManyError: when a table would have more than `most` values.
    """
    left = list(functions.items())
    steps: list[tuple[str, Scope, dict[Values, int]]] = []
    waiting = list(counts)
    while waiting:
        name = min(waiting, key=lambda n: _size(n, left, counts))
        if _size(name, left, counts) > most:
            raise TooManyError
        waiting.remove(name)
        own = [term for term in left if name in term[0]]
        left = [term for term in left if name not in term[0]]
        rest = tuple(dict.fromkeys(n for scope, _ in own for n in scope if n != name))
        table: Table = {}
        taken: dict[Values, int] = {}
        for numbers in product(*(range(counts[n]) for n in rest)):
            given = dict(zip(rest, numbers, strict=True))
            ways = [_sum(own, {**given, name: number}) for number in range(counts[name])]
            taken[numbers] = min(range(len(ways)), key=lambda n: sign * ways[n])
            table[numbers] = ways[taken[numbers]]
        steps.append((name, rest, taken))
        left.append((rest, table))
    found: dict[str, int] = {}
    for name, rest, taken in reversed(steps):
        found[name] = taken[tuple(found[n] for n in rest)]
    return _sum(left, found), {name: found[name] for name in counts}


def _size(name: str, terms: Sequence[tuple[Scope, Table]], counts: Mapping[str, int]) -> int:
    """How many values there are of all variables that one stands with."""
    names = {name}.union(*(scope for scope, _ in terms if name in scope))
    return prod(counts[n] for n in names)


def _sum(terms: Iterable[tuple[Scope, Table]], given: Mapping[str, int]) -> int:
    """What terms add up to, where what is not given has its first value."""
    return sum(table[tuple(given.get(name, 0) for name in scope)] for scope, table in terms)
