"""Genotypes of a space: one by lot, or all of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, product

from compiler.fitting import output_of
from compiler.genotype import CellGenotype, Genotype
from compiler.ir import Region
from compiler.program import kept


def random_genotype(kinds: Sequence[Region], seed: int) -> Genotype:
    """Edges and options by lot; a function of the seed."""
    lot = random.Random(seed)
    cells = {}
    for kind in kinds:
        chosen: set[str] = set()
        for node, count in kept(kind).items():
            paths = [d.path for d in kind.decisions if d.place == node]
            chosen |= set(lot.sample(paths, count))
        cells[kind.name] = _cell(
            kind,
            {d.path: lot.choice(d.selectable) for d in kind.decisions if d.path in chosen},
        )
    return Genotype(cells)


def every_genotype(kinds: Sequence[Region]) -> Iterator[Genotype]:
    """All that a space describes, in a fixed order."""
    for chosen in product(*(list(_decided(kind)) for kind in kinds)):
        yield Genotype(
            {kind.name: _cell(kind, own) for kind, own in zip(kinds, chosen, strict=True)}
        )


def _decided(kind: Region) -> Iterator[dict[str, str]]:
    by_node = []
    for node, count in kept(kind).items():
        own = [d for d in kind.decisions if d.place == node]
        by_node.append(
            [
                tuple(zip((d.path for d in edges), options, strict=True))
                for edges in combinations(own, count)
                for options in product(*(d.selectable for d in edges))
            ]
        )
    for parts in product(*by_node):
        yield dict(pair for part in parts for pair in part)


def _cell(kind: Region, chosen: dict[str, str]) -> CellGenotype:
    decisions = tuple((d.path, chosen[d.path]) for d in kind.decisions if d.path in chosen)
    return CellGenotype(decisions, kind.sources, output_of(kind))
