"""Which edges, or options, `keep` leaves, by what each is ranked by; and how close that was.

`ranked` is what is ranked, in the order of the program; `above` says by how much each is above the
threshold, if there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from compiler.account import EdgeAudit, Gap
from compiler.decision import Keep, together


def ranked_of(edge: EdgeAudit, keep: Keep | None) -> list[EdgeAudit]:
    """What `keep` ranks of an edge: itself, or every option that may be selected."""
    if keep is None or keep.unit == "edges" or edge.decision.node is None:
        return [edge]
    return [replace(edge, option=label, rank=score) for label, score in edge.scores.items()]


def taken_of(
    ranked: Sequence[EdgeAudit], above: Sequence[float], keep: Keep | None
) -> frozenset[int]:
    """The numbers of what is kept. Every node keeps its strongest, whatever else the file says."""
    if keep is None:
        return frozenset(range(len(ranked)))
    order = sorted(range(len(ranked)), key=lambda number: -ranked[number].rank)
    places = [edge.decision.place for edge in ranked]
    taken = _first(ranked, order)
    for number in order:
        among = [n for n in taken if _is_counted(ranked[n], keep) or places[n] == places[number]]
        strong = keep.above is None or above[number] > 0
        if strong and (keep.count is None or len(among) < keep.count):
            taken.add(number)
    return frozenset(taken)


def _is_counted(edge: EdgeAudit, keep: Keep) -> bool:
    """Whether something that is kept counts for every node; what stands on no edge does not."""
    return keep.in_all and edge.decision.node is not None


def selected(ranked: Sequence[EdgeAudit], taken: frozenset[int]) -> dict[str, str]:
    """The options of the edges that are kept, by path, in the order of the program."""
    found: dict[str, list[str]] = {}
    for number in sorted(taken):
        found.setdefault(ranked[number].decision.path, []).append(ranked[number].option)
    return {path: together(options) for path, options in found.items()}


def gap_of(
    node: str,
    ranked: Sequence[EdgeAudit],
    above: Sequence[float],
    taken: frozenset[int],
    keep: Keep | None,
) -> Gap | None:
    """How close it was that a node had kept other edges, or options.

    Where it keeps a fixed number, the weakest of them and the strongest that is dropped may change
    places. Else its strongest is kept in any case, and may only lose to others of the node; the
    rest may lose to whatever is counted with them, or to the threshold, and what is dropped may win
    against those.
    """
    own = [n for n, edge in enumerate(ranked) if edge.decision.node == node]
    if keep is None or not own:
        return None
    everywhere = [n for n, edge in enumerate(ranked) if _is_counted(edge, keep)]
    counted = everywhere if keep.in_all else own
    is_full = keep.count is not None and sum(n in taken for n in counted) >= keep.count
    is_fixed = keep.above is None and not keep.in_all
    first = set() if is_fixed else _first(ranked, counted)
    pairs = [(n, m) for n in own for m in own if n in first]
    if is_full:
        pairs += [(n, m) for n in counted for m in counted if n not in first]
    gaps = [
        Gap(ranked[n], ranked[m], ranked[n].rank - ranked[m].rank)
        for n, m in pairs
        if n in taken and m not in taken and (n in own or m in own)
    ]
    if keep.above is not None:
        gaps += [Gap(ranked[n], None, above[n]) for n in own if n in taken and n not in first]
        gaps += [Gap(None, ranked[n], -above[n]) for n in own if not is_full and n not in taken]
    return min(gaps, key=lambda gap: gap.margin, default=None)


def _first(ranked: Sequence[EdgeAudit], numbers: Iterable[int]) -> set[int]:
    """The strongest of every node."""
    found: dict[str, int] = {}
    for n in sorted(numbers, key=lambda n: -ranked[n].rank):
        found.setdefault(ranked[n].decision.place, n)
    return set(found.values())
