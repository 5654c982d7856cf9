"""How many architectures a space describes, exactly.

An architecture is an assignment to all decisions that are made: one within an option of another is
made where that is chosen. A decision between options with c_i ways each has Σ c_i ways, and e_k(c)
where k are chosen (the elementary symmetric polynomial); a node that keeps k of its edges has e_k
of theirs. Ways multiply over nodes and over cell kinds. Equivalent cells are not identified.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import prod

from compiler.decision import Decision
from compiler.ir import Region
from compiler.program import kept_in_all, ranked


def architectures(kinds: Iterable[Region]) -> int:
    """The number of architectures over all kinds."""
    return prod(ways(kind) for kind in kinds)


def ways(kind: Region) -> int:
    """The number of ways in which one cell kind can decide."""
    inside: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for decision in kind.decisions:
        for path, labels in decision.within[-1:]:
            for label in labels:
                inside[path, label].append(decision)

    def of_options(decision: Decision) -> list[int]:
        """The ways of every option that may be selected."""
        found = []
        for label in decision.selectable:
            found.append(prod(of_decision(inner) for inner in inside[decision.path, label]))
        return found

    def of_decision(decision: Decision) -> int:
        sums = elementary(decision.most, of_options(decision))
        return sum(sums[decision.least :])

    keep = kind.keep
    nodes: dict[str, list[int]] = defaultdict(list)
    alone = 1
    for decision in (d for d in kind.decisions if not d.within):
        if keep is None or not ranked(decision, keep):
            alone *= of_decision(decision)
        else:
            by_candidate = keep.unit == "candidates"
            own = of_options(decision) if by_candidate else [of_decision(decision)]
            nodes[decision.place] += own
    return alone * _of_kept(kind, list(nodes.values()))


def _of_kept(kind: Region, ranked: list[list[int]]) -> int:
    """The ways to keep some of what is ranked, of which every node has a list of ways."""
    keep = kind.keep
    if keep is None or not ranked:
        return 1
    if keep.in_all:
        most = kept_in_all(kind)
        sums = [1]
        for own in ranked:  # every node keeps at least one
            sums = _product(sums, [0, *elementary(len(own), own)[1:]], most)
        return sums[most] if keep.above is None else sum(sums)
    found = 1
    for own in ranked:
        most = len(own) if keep.count is None else min(keep.count, len(own))
        sums = elementary(most, own)
        found *= sums[most] if keep.above is None else sum(sums[1:])
    return found


def _product(one: Sequence[int], other: Sequence[int], degree: int) -> list[int]:
    """The product of two polynomials, by their coefficients, up to a degree."""
    found = [0] * (degree + 1)
    for i, a in enumerate(one[: degree + 1]):
        for j, b in enumerate(other[: degree + 1 - i]):
            found[i + j] += a * b
    return found


def elementary(most: int, values: list[int]) -> list[int]:
    """The elementary symmetric polynomials e_0 to e_most of some numbers."""
    sums = [1] + [0] * most
    for value in values:
        for j in range(most, 0, -1):
            sums[j] += sums[j - 1] * value
    return sums
