"""Genotypes of a space: one by lot, or all of them, by the definitions alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, product

from compiler.decision import Decision, together, winners
from compiler.fitting import output_of
from compiler.genotype import CellGenotype, Genotype
from compiler.ir import Region

Chosen = dict[str, str]


def random_genotype(kinds: Sequence[Region], seed: int) -> Genotype:
    """Edges and options by lot; a function of the seed."""
    lot = random.Random(seed)
    cells = {}
    for kind in kinds:
        sizes = lot.choice(list(_sizes(kind)))
        chosen: Chosen = {}
        for (_, own), size in zip(_nodes(kind), sizes, strict=True):
            chosen |= lot.choice(list(_subsets_of_node(kind, own, size, lot)))
        for decision in _inner(kind):
            if _is_made(decision, chosen):
                chosen[decision.path] = lot.choice(list(_options(decision)))
        cells[kind.name] = _cell(kind, chosen)
    return Genotype(cells)


def every_genotype(kinds: Sequence[Region]) -> Iterator[Genotype]:
    """All that a space describes, in a fixed order."""
    for chosen in product(*(list(every_choice(kind)) for kind in kinds)):
        yield Genotype(
            {kind.name: _cell(kind, own) for kind, own in zip(kinds, chosen, strict=True)}
        )


def every_choice(kind: Region) -> Iterator[Chosen]:
    """All ways in which one kind can decide: options by the paths of what is decided."""
    for sizes in _sizes(kind):
        parts = [
            list(_subsets_of_node(kind, own, size))
            for (_, own), size in zip(_nodes(kind), sizes, strict=True)
        ]
        for outer in product(*parts):
            chosen = {path: option for part in outer for path, option in part.items()}
            yield from _completed(chosen, _inner(kind))


def _completed(chosen: Chosen, inner: Sequence[Decision]) -> Iterator[Chosen]:
    """What may be decided besides, where the options that it hangs on are chosen."""
    if not inner:
        yield chosen
        return
    first, *rest = inner
    if not _is_made(first, chosen):
        yield from _completed(chosen, rest)
        return
    for option in _options(first):
        yield from _completed({**chosen, first.path: option}, rest)


def _is_made(decision: Decision, chosen: Chosen) -> bool:
    return all(
        any(label in labels for label in winners(chosen.get(path, "")))
        for path, labels in decision.within
    )


def _nodes(kind: Region) -> list[tuple[str, list[Decision]]]:
    """The nodes of a kind, each with the decisions that hang on no other."""
    found: dict[str, list[Decision]] = {}
    for decision in kind.decisions:
        if not decision.within:
            found.setdefault(decision.place, []).append(decision)
    return list(found.items())


def _inner(kind: Region) -> list[Decision]:
    return [decision for decision in kind.decisions if decision.within]


def _options(decision: Decision) -> Iterator[str]:
    """What a decision may come to: one option, or several together."""
    for count in range(decision.least, decision.most + 1):
        for labels in combinations(decision.selectable, count):
            yield together(labels)


def _ranked(kind: Region, own: Sequence[Decision]) -> list[tuple[Decision, str | None]]:
    """What a node keeps some of: its edges, or the candidates on them."""
    if _keeps_candidates(kind, own):
        return [(decision, label) for decision in own for label in decision.selectable]
    return [(decision, None) for decision in own]


def _keeps_candidates(kind: Region, own: Sequence[Decision]) -> bool:
    """Whether `keep` speaks of candidates; it speaks of nothing that stands on no edge."""
    return kind.keep is not None and kind.keep.unit == "candidates" and own[0].node is not None


def _sizes(kind: Region) -> Iterator[tuple[int, ...]]:
    """How many every node may keep."""
    nodes = [own for _, own in _nodes(kind)]
    have = [len(_ranked(kind, own)) for own in nodes]
    keep = kind.keep
    if keep is None:
        yield tuple(have)
        return
    of_edges = [own[0].node is not None for own in nodes]
    there = sum(count for count, is_edge in zip(have, of_edges, strict=True) if is_edge)
    most = there if keep.count is None else keep.count
    for sizes in product(*(range(1, count + 1) for count in have)):
        own = [size for size, is_edge in zip(sizes, of_edges, strict=True) if is_edge]
        if keep.in_all:
            wanted = min(max(most, len(own)), there)  # a node never loses its last edge
            fits = sum(own) <= wanted if keep.above is not None else sum(own) == wanted
        elif keep.above is not None:
            fits = all(size <= most for size in own)
        else:
            fits = all(size == min(most, n) for size, n in zip(sizes, have, strict=True))
        if fits:
            yield sizes


def _subsets_of_node(
    kind: Region, own: Sequence[Decision], size: int, lot: random.Random | None = None
) -> Iterator[Chosen]:
    """The ways to keep so many of what a node ranks; by lot, one of them."""
    ranked = _ranked(kind, own)
    subsets = combinations(ranked, size) if lot is None else [lot.sample(ranked, size)]
    for kept in subsets:
        if _keeps_candidates(kind, own):
            labels: dict[str, list[str]] = {}
            for decision, label in sorted(kept, key=ranked.index):
                labels.setdefault(decision.path, []).append(str(label))
            yield {path: together(several) for path, several in labels.items()}
            continue
        choices = [list(_options(decision)) for decision, _ in kept]
        options = product(*choices) if lot is None else [list(map(lot.choice, choices))]
        for each in options:
            yield {d.path: option for (d, _), option in zip(kept, each, strict=True)}


def _cell(kind: Region, chosen: Chosen) -> CellGenotype:
    decisions = tuple((d.path, chosen[d.path]) for d in kind.decisions if d.path in chosen)
    return CellGenotype(decisions, kind.sources, output_of(kind))
