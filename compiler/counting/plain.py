"""Which spaces are plain: those in which every decision is one edge with one of its options.

In such a space costs add up edge by edge. Elsewhere a decision may hang on another, leave several
options, be obeyed in several places or choose a number that layers have for a size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from compiler.ir import Join, Node, Region, branches, choices, is_open
from compiler.program import Program, is_fixed


def is_plain(program: Program) -> bool:
    """Whether all that a program decides is decided edge by edge."""
    return all(map(_is_plain, program.kinds))


def _is_plain(kind: Region) -> bool:
    if not is_fixed(kind):
        return False
    for decision in kind.decisions:
        one = (decision.least, decision.most, decision.above) == (1, 1, None)
        if not one or decision.within or decision.numbers:
            return False
    if any(node.under or (isinstance(node, Join) and node.loose) for node in _nodes(kind)):
        return False
    obeyed: Counter[str] = Counter()
    for region, _, choice in choices(kind):
        if region is not kind or choice.how != "sum":
            return False
        if any(is_open(option.body) for option in choice.region.options):
            return False
        obeyed[choice.decision] += 1
    return all(obeyed[decision.path] == 1 for decision in kind.decisions)


def _nodes(region: Region) -> Iterator[Node]:
    """The values of a region, and of the branches in it."""
    for _, node in region.nodes():
        yield node
        for inner in branches(node):
            yield from _nodes(inner)
