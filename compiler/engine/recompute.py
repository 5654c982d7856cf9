"""What the backward pass computes again instead of keeping it: less memory for more time.

Operations have prices, by measurement: how long it takes to compute a value again for the bytes
that it saves. What costs next to nothing is never kept.

| price | values | a pass takes longer by |
|---|---|---|
| 0 | activations, parts, members | nothing to speak of |
| 1 | depthwise convolutions up to 3x3 | 1 % |
| 2 | wider depthwise convolutions | 2 % |
| 3 | other convolutions, norms | 10 % |
| 4 | pools | 5 % |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from compiler.engine.memory import Sizes, peak
from compiler.engine.operation import Operation
from compiler.engine.plan import Plan
from compiler.ir import Region
from dsl.diagnostics import fault

USUAL, DEAREST = 1, 4
"""The prices that are paid by default and at most."""
LEAN = 0.66
"""The part of what a pass usually takes that the lean mode keeps to."""

Planned = Callable[[Callable[[Operation], bool]], Plan]
"""A plan in which some values are computed again."""


@dataclass(frozen=True)
class Budget:
    """How much memory the tensors of a pass may take: in bytes, or as a share of what is usual.

    Where neither is said, it is what is left when values up to a price are computed again.
    """

    bytes: int | None = None
    share: float | None = None
    price: int = USUAL


UNITS = {"": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}


def budget_of(memory: str | int | None) -> Budget:
    """The budget that is called so: "lean", "3 GB", a number of bytes; None is the usual one.

    Raises:
        DartsError: for another word.
    """
    if memory is None:
        return Budget()
    if memory == "lean":
        return Budget(share=LEAN)
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]b|)", str(memory).strip().lower())
    size = float(found[1]) * UNITS[found[2]] if found else 0
    if size < 1:
        help = 'an amount as in "3 GB" or "800 MB", or "lean"'
        raise fault("E0902", f"`{memory}` is no amount of memory", None, help)
    return Budget(bytes=int(size))


def within(
    budget: Budget,
    planned: Planned,
    region: Region,
    operations: Mapping[int, Operation],
    sizes: Sizes,
) -> Plan:
    """The plan that computes no more again than it must to stay within a budget.

    Where no plan stays within, it is the one that comes closest.
    """
    usual = planned(lambda operation: is_paid(operation, budget.price))
    most = budget.bytes
    if budget.share is not None:
        most = int(budget.share * peak(usual, region, sizes))
    if most is None:
        return usual

    def made(chosen: set[Operation]) -> tuple[int, Plan]:
        plan = planned(lambda operation: operation in chosen)
        return peak(plan, region, sizes), plan

    known: set[Operation] = set()
    best = made(known)
    for price in range(DEAREST + 1):
        more = [operation for operation in _all(operations) if operation.price == price]
        more.sort(key=lambda operation: -sizes.of(operation.node))
        needed, plan = made({*known, *more})
        if needed <= most:
            return _least(known, more, most, made)
        best = min(best, (needed, plan), key=lambda pair: pair[0])
        known.update(more)
    return best[1]


def _all(operations: Mapping[int, Operation]) -> Iterator[Operation]:
    """The operations of a region and of the loops in it, in order."""
    for operation in operations.values():
        yield operation
        yield from _all(operation.body or {})


def _least(
    known: set[Operation],
    more: list[Operation],
    most: int,
    made: Callable[[set[Operation]], tuple[int, Plan]],
) -> Plan:
    """As few of `more`, the largest first, as are needed; all of them suffice."""
    low, high = 0, len(more)
    while low < high:
        middle = (low + high) // 2
        if made({*known, *more[:middle]})[0] <= most:
            high = middle
        else:
            low = middle + 1
    return made({*known, *more[:high]})[1]


def is_paid(operation: Operation, most: int) -> bool:
    return operation.price is not None and operation.price <= most
