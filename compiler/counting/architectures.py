"""How many architectures a space describes, exactly.

An architecture is an assignment to all decisions. A node that keeps k of its edges, of which edge i
has c_i options to select, has e_k(c) ways (the elementary symmetric polynomial); ways multiply over
nodes and over cell kinds. Equivalent cells are not identified.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from compiler.ir import Region
from compiler.program import kept


def architectures(kinds: Iterable[Region]) -> int:
    """The number of architectures over all kinds."""
    return prod(ways(kind) for kind in kinds)


def ways(kind: Region) -> int:
    """The number of ways in which one cell kind can decide."""
    return prod(
        elementary(
            count,
            [len(d.selectable) for d in kind.decisions if d.place == node],
        )
        for node, count in kept(kind).items()
    )


def elementary(k: int, values: list[int]) -> int:
    """The elementary symmetric polynomial e_k of some numbers."""
    sums = [1] + [0] * k
    for value in values:
        for j in range(k, 0, -1):
            sums[j] += sums[j - 1] * value
    return sums[k]
