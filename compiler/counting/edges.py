"""What hangs on the edges of a cell kind: which of its values are there, and which are computed.

What follows a choice on an edge goes with the edge, up to the join where edges meet. What stands
before the choice stays, but is not computed for an edge that is not kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from compiler.ir import Choice, Join, Region, Scan
from compiler.program import is_fixed, kept

Edges = Mapping[int, frozenset[str]]
"""By value, some edges, named by the paths of their decisions."""


def droppable(kind: Region) -> frozenset[str]:
    """The edges of which their nodes keep some."""
    outer = [decision for decision in kind.decisions if not decision.within]
    if not is_fixed(kind):
        return frozenset(decision.path for decision in outer)
    counts, edges = kept(kind), Counter(decision.place for decision in outer)
    return frozenset(d.path for d in outer if counts[d.place] < edges[d.place])


def there(kind: Region) -> Edges:
    """For every value, the edges that must be kept for it to be there.

    A value vanishes with any that it reads; a join, with all of them. Several edges that may be
    dropped enter one join, where some are kept.
    """
    found: dict[int, frozenset[str]] = {}
    edges = droppable(kind)
    for number, node in kind.nodes():
        reads = [found[operand] for operand in node.operands]
        if isinstance(node, Choice):
            found[number] = edges & {node.decision}
        elif isinstance(node, Join):
            found[number] = reads[0] if len(set(reads)) == 1 else frozenset()
        else:
            found[number] = frozenset().union(*reads)
    return found


def before(kind: Region) -> Edges:
    """The values that are computed only where one of some edges is kept, with these.

    They stand before the choice of an edge that may be dropped, and nothing else reads them.
    """
    found: dict[int, frozenset[str]] = {}
    readers: dict[int, list[frozenset[str]]] = {}
    edges = droppable(kind)
    states = {i for i, n in kind.nodes() if isinstance(n, Scan) and n.region.states}
    ends = {*kind.outputs, *kind.auxiliary, *states}
    for number, node in reversed(list(kind.nodes())):
        read = readers.get(number, [])
        own: frozenset[str] = frozenset()
        if isinstance(node, Choice):
            own = edges & {node.decision}
        elif read and all(read) and node.bound is None and number not in ends:
            own = found[number] = own.union(*read)
        for operand in node.operands:
            readers.setdefault(operand, []).append(own)
    return found


def idle(before: Edges, kept: Iterable[str]) -> frozenset[int]:
    """The values that are not computed where these of the edges are kept."""
    return frozenset(number for number, edges in before.items() if edges.isdisjoint(kept))
