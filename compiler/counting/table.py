"""The cost of any final model of a space, looked up.

Of a genotype no more than the cells are specialised, with sizes as symbols; what each of their
values comes to is known (see `parts.py`). Where a space is not plain, its program is walked for
every genotype.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.builder import Builder
from compiler.compile import Genes
from compiler.counting.costs import Cost, priced
from compiler.counting.parts import Entry, Part, Some, entries, network_and_cells, total
from compiler.counting.plain import is_plain
from compiler.fitting import resolve
from compiler.genotype import Genotype
from compiler.ir import Choice, Region, is_open
from compiler.measure import measure
from compiler.needed import needed
from compiler.specialise import Specialiser
from dsl.load import load
from dsl.space import Space

Chosen = Mapping[str, str]


class CostTable:
    """What every final model of a space comes to, in its final phase.

    Raises:
        DartsError: for a fault of the file, the profile or an override; and for a `concat` that
            keeps some of its edges, where these have different widths.
    """

    def __init__(
        self, space: Space | str | Path, profile: str | None = None, **overrides: Any
    ) -> None:
        space = space if isinstance(space, Space) else load(space)
        _, program, _ = measure(space, "final", profile, overrides)
        self.kinds = program.kinds
        self._program = program
        self._entries: list[Entry] = []
        if is_plain(program):
            self._entries = entries(program, network_and_cells(program))
        self._fixed = {
            id(entry): _left(entry, {}) for entry in self._entries if not entry.kind.decisions
        }

    def cost(self, genotype: Genes) -> Cost:
        """What the final model of a genotype comes to.

        Raises:
            DartsError: when the genotype is not one of this space.
        """
        genotype = genotype if isinstance(genotype, Genotype) else Genotype.load(genotype)
        chosen = resolve(genotype, self.kinds)
        if not self._entries:
            return priced(self._program, chosen)
        left = [
            self._fixed.get(id(entry)) or _left(entry, chosen[entry.kind.name])
            for entry in self._entries
        ]
        there = [some for some, _ in left]
        whole = total(self._entries, there)
        pruned = total(self._entries, [some for _, some in left])
        auxiliary = 0
        if heads := self._entries[0].heads:
            headed = Some(there[0].parts | {Part(number) for number in heads}, ())
            auxiliary = total(self._entries, [headed, *there[1:]]).parameters - whole.parameters
        return Cost(whole.parameters, whole.macs, auxiliary, pruned.parameters, pruned.macs)


def _left(entry: Entry, chosen: Chosen) -> tuple[Some, Some]:
    """The parts of an entry that are there, and those that pruning leaves."""
    region, parts = _final(entry, chosen)
    there = frozenset(part for part in parts if part.number not in entry.heads)
    left = needed(region)
    live = frozenset(parts[number] for number in left.live - left.heads)
    return Some(there, chosen), Some(live, chosen)


def _final(entry: Entry, chosen: Chosen) -> tuple[Region, list[Part]]:
    """The cell of a final model, and which part each of its values is."""
    kind = entry.kind
    if not is_open(kind):
        return kind, [Part(number) for number in kind.values]
    specialiser = _Specialiser(entry, chosen)
    region = specialiser.rebuilt(kind)
    origins = specialiser.origins[id(region)]
    parts = []
    for number, origin in enumerate(origins):
        node = kind.node(origin)
        label = chosen[node.decision] if isinstance(node, Choice) else None
        offset = number - origins.index(origin) if label is not None else 0
        parts.append(Part(origin, label, offset))
    return region, parts


class _Specialiser(Specialiser):
    """Takes options as they were written out and walked."""

    def __init__(self, entry: Entry, chosen: Chosen) -> None:
        super().__init__({entry.kind.name: dict(chosen)})
        self.done = dict(entry.narrowed)
        nodes = self.done[id(entry.kind)].values.values()
        self.written = {node.decision: node for node in nodes if isinstance(node, Choice)}

    def choice(self, builder: Builder, node: Choice, operands: list[int | None]) -> int | None:
        return super().choice(builder, self.written[node.decision], operands)
