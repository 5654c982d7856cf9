"""Genotypes of a space: one by lot, or all of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, product

from compiler.fitting import output_of
from compiler.genotype import CellGenotype, Genotype
from compiler.ir import Decision, Region, together
from compiler.program import is_made, kept, kept_in_all, ranked

Chosen = dict[str, str]


def random_genotype(kinds: Sequence[Region], seed: int) -> Genotype:
    """Edges and options by lot; a function of the seed."""
    lot = random.Random(seed)
    return Genotype({kind.name: _cell(kind, _by_lot(kind, lot)) for kind in kinds})


def every_genotype(kinds: Sequence[Region]) -> Iterator[Genotype]:
    """All that a space describes, in a fixed order."""
    for chosen in product(*(list(every_choice(kind)) for kind in kinds)):
        yield Genotype(
            {kind.name: _cell(kind, own) for kind, own in zip(kinds, chosen, strict=True)}
        )


def _outcomes(decision: Decision) -> list[str]:
    """All that one decision may come to."""
    labels = decision.selectable
    counts = range(decision.least, min(decision.most, len(labels)) + 1)
    return [together(some) for count in counts for some in combinations(labels, count)]


# ---- all -----------------------------------------------------------------------------------------


def every_choice(kind: Region) -> Iterator[Chosen]:
    nodes = {node: list(_of_node(kind, node)) for node in kept(kind)}
    edges = [node in _ranking(kind) for node in nodes]
    for parts in product(*nodes.values()):
        pairs = zip(parts, edges, strict=True)
        if _fits(kind, sum(number for (number, _), is_ranked in pairs if is_ranked)):
            yield from _completed(kind, dict(pair for _, part in parts for pair in part.items()))


def _fits(kind: Region, total: int) -> bool:
    """Whether a kind may keep so many in all."""
    keep = kind.keep
    if keep is None or not keep.in_all or keep.count is None:
        return True
    wanted = kept_in_all(kind)
    return total == wanted if keep.above is None else total <= wanted


def _ranking(kind: Region) -> set[str]:
    """The nodes whose edges `keep` ranks; what stands on no edge is decided beside it."""
    return {d.place for d in kind.decisions if kind.keep is not None and ranked(d, kind.keep)}


def _of_node(kind: Region, node: str) -> Iterator[tuple[int, Chosen]]:
    """The ways in which a node may keep its edges, each with how many of them count."""
    own = [d for d in kind.decisions if d.place == node and not d.within]
    for number in _numbers(kind, own):
        for some in combinations(_ranked(kind, own), number):
            chosen = [(d, [(d.path, o)]) for d in own for e, o in some if e is d and o]
            if chosen:  # candidates, of which an edge may keep several
                merged: dict[str, list[str]] = {}
                for _, ((path, label),) in chosen:
                    merged.setdefault(path, []).append(label)
                yield number, {path: together(labels) for path, labels in merged.items()}
                continue
            edges = [e for e, _ in some]
            for options in product(*map(_outcomes, edges)):
                yield number, {e.path: o for e, o in zip(edges, options, strict=True)}


def _ranked(kind: Region, own: list[Decision]) -> list[tuple[Decision, str]]:
    """What `keep` ranks: edges, or their options."""
    if kind.keep is not None and kind.keep.unit == "candidates" and own[0].node is not None:
        return [(d, label) for d in own for label in d.selectable]
    return [(d, "") for d in own]


def _numbers(kind: Region, own: list[Decision]) -> Sequence[int]:
    """How many a node may keep."""
    keep, there = kind.keep, len(_ranked(kind, own))
    if keep is None or own[0].place not in _ranking(kind):
        return [there]
    most = there if keep.count is None else min(keep.count, there)
    return range(1, most + 1) if keep.in_all or keep.above is not None else [most]


def _completed(kind: Region, chosen: Chosen) -> Iterator[Chosen]:
    """With all that is decided within what has been chosen."""
    for decision in kind.decisions:
        if decision.within and decision.path not in chosen and is_made(decision, chosen):
            for option in _outcomes(decision):
                yield from _completed(kind, {**chosen, decision.path: option})
            return
    yield chosen


# ---- one -----------------------------------------------------------------------------------------


def _by_lot(kind: Region, lot: random.Random) -> Chosen:
    chosen: Chosen = {}
    for picked in _edges_by_lot(kind, lot):
        for decision, label in picked:
            told = [label] if label else [lot.choice(_outcomes(decision))]
            before = [chosen[decision.path]] if decision.path in chosen else []
            chosen[decision.path] = together([*before, *told])
    for decision in kind.decisions:
        if decision.within and is_made(decision, chosen):
            chosen[decision.path] = lot.choice(_outcomes(decision))
    return chosen


def _edges_by_lot(kind: Region, lot: random.Random) -> list[list[tuple[Decision, str]]]:
    """By node what it keeps, in the order of the file."""
    nodes = [[d for d in kind.decisions if d.place == n and not d.within] for n in kept(kind)]
    there = [_ranked(kind, own) for own in nodes]
    numbers = [lot.choice(_numbers(kind, own)) for own in nodes]
    keep = kind.keep
    if keep is not None and keep.in_all and keep.count is not None:
        numbers = [1] * len(nodes)
        edges = [i for i, own in enumerate(nodes) if own[0].place in _ranking(kind)]
        while sum(numbers[i] for i in edges) < kept_in_all(kind):
            numbers[lot.choice([i for i in edges if numbers[i] < len(there[i])])] += 1
    picked = [set(lot.sample(range(len(own)), n)) for own, n in zip(there, numbers, strict=True)]
    return [
        [each for place, each in enumerate(own) if place in some]
        for own, some in zip(there, picked, strict=True)
    ]


def _cell(kind: Region, chosen: Chosen) -> CellGenotype:
    decisions = tuple((d.path, chosen[d.path]) for d in kind.decisions if d.path in chosen)
    return CellGenotype(decisions, kind.sources, output_of(kind))
