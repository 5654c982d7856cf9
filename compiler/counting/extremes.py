"""The cheapest and the dearest final models of a space, exactly, without trying them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from compiler.counting.amounts import Amount
from compiler.counting.cheapest import Picks, Prices, best
from compiler.counting.superpose import superpose
from compiler.counting.table import Entry, Some, entries, total
from compiler.fitting import output_of
from compiler.genotype import CellGenotype, Genotype
from compiler.ir import Region, is_open
from compiler.measure import measure
from compiler.program import Program, kept
from dsl.diagnostics import fault
from dsl.load import load
from dsl.space import Space

PARAMETERS, MACS = "parameters", "macs"
MOST_ASSUMED = 14
"""So many edges may hold a cell that decides for itself; all sets of them are gone through."""

Assumed = Mapping[str, Mapping[str, bool]]
"""By kind and path, whether an edge is kept."""


@dataclass(frozen=True)
class Extreme:
    """The least or the most that final models come to, with one that does."""

    value: int
    genotype: Genotype


@dataclass(frozen=True)
class CostRange:
    """Between which numbers the final models of a space lie, their auxiliary heads left out."""

    fewest_parameters: Extreme
    most_parameters: Extreme
    fewest_macs: Extreme
    most_macs: Extreme

    def lines(self) -> Iterator[str]:
        for name, least, most in self._ranges():
            yield f"{name:<12}{least.value:,} to {most.value:,}"
        for name, least, most in self._ranges():
            yield f"\nfewest {name}\n  {least.genotype}"
            yield f"most {name}\n  {most.genotype}"

    def as_data(self) -> dict[str, dict[str, dict[str, int | str]]]:
        """For JSON, with genotypes in the tuple form."""
        return {
            name.lower(): {
                which: {"value": extreme.value, "genotype": str(extreme.genotype)}
                for which, extreme in (("fewest", least), ("most", most))
            }
            for name, least, most in self._ranges()
        }

    def _ranges(self) -> Iterator[tuple[str, Extreme, Extreme]]:
        yield "parameters", self.fewest_parameters, self.most_parameters
        yield "MACs", self.fewest_macs, self.most_macs


def cost_range(
    space: Space | str | Path, profile: str | None = None, **overrides: Any
) -> CostRange:
    """The fewest and the most parameters and multiplications of all final models, not pruned.

    Raises:
        DartsError: for a fault of the file, the profile or an override; for a `concat` that keeps
            some of its edges, where these have different widths; and for a space beyond the limits.
    """
    space = space if isinstance(space, Space) else load(space)
    _, program, _ = measure(space, "final", profile, overrides)
    search = _Search(program)
    return CostRange(
        search.extreme(PARAMETERS, 1),
        search.extreme(PARAMETERS, -1),
        search.extreme(MACS, 1),
        search.extreme(MACS, -1),
    )


class _Search:
    def __init__(self, program: Program) -> None:
        self.kinds = program.kinds
        whole, apart = superpose(program)
        # what decides nothing is counted with what it stands in
        self.entries = entries(whole, {
            key: superposed for key, superposed in apart.items()
            if superposed.region is whole.network or is_open(superposed.kind)
        })  # fmt: skip
        self.heads = whole.network.heads()

    def extreme(self, what: str, sign: int) -> Extreme:
        """The least where `sign` is 1, the most where it is -1."""
        found = (self.best(what, sign, assumed) for assumed in self.assumptions())
        value, picks = min((way for way in found if way is not None), key=lambda way: sign * way[0])
        cells = {
            kind.name: CellGenotype(picks[kind.name], kind.sources, output_of(kind))
            for kind in self.kinds
        }
        return Extreme(value, Genotype(cells))

    def assumptions(self) -> Iterator[Assumed]:
        """Which edges are kept of those that hold a cell that decides for itself.

        How often that cell is there hangs on it, and so what its options come to.
        """
        edges = dict.fromkeys(
            (entry.superposed.kind.name, path)
            for entry in self.entries
            for amounts in entry.uses.values()
            for number, amount in amounts.items()
            for path in entry.edges(number)
            if amount.run
        )
        if len(edges) > MOST_ASSUMED:
            message = f"more than {MOST_ASSUMED} edges hold cells that decide for themselves"
            raise fault("E0103", message, None)
        for kept_or_not in product((True, False), repeat=len(edges)):
            assumed: dict[str, dict[str, bool]] = {}
            for (kind, path), is_kept in zip(edges, kept_or_not, strict=True):
                assumed.setdefault(kind, {})[path] = is_kept
            if all(_is_possible(kind, assumed.get(kind.name, {})) for kind in self.kinds):
                yield assumed

    def best(self, what: str, sign: int, assumed: Assumed) -> tuple[int, dict[str, Picks]] | None:
        """The best way to decide everything, or None where nothing fits what is assumed."""
        times = total(self.entries, [self.certain(entry, assumed) for entry in self.entries])
        value = 0
        picks: dict[str, Picks] = {}
        for entry in self.entries:
            kind = entry.superposed.kind
            found = best(kind, self.prices(entry, what, times), sign, assumed.get(kind.name, {}))
            if found is None:
                return None
            value += found[0]
            picks[kind.name] = found[1]
        return value, picks

    def certain(self, entry: Entry, assumed: Assumed) -> Some:
        """The values that are there whatever is decided beyond what is assumed."""
        edges = assumed.get(entry.superposed.kind.name, {})
        kept = [path for path, is_kept in edges.items() if is_kept]
        there = [
            number
            for number in self.counted(entry)
            if all(label is None and path in kept for path, label in entry.conditions[number])
        ]
        return Some(frozenset(there), entry.idle(kept))

    def counted(self, entry: Entry) -> list[int]:
        """The values of a region without the auxiliary head."""
        region = entry.superposed.region
        heads = self.heads if region.kind == "network" else set()
        return [number for number in region.values if number not in heads]

    def prices(self, entry: Entry, what: str, times: Amount) -> Prices:
        """What the decisions of a kind come to, where its cells are there so many times."""
        prices = Prices()
        for use, amounts in entry.uses.items():
            made, run = entry.times(use, times)
            shared: dict[str, int] = {}
            for number in self.counted(entry):
                amount = amounts.get(number, Amount())
                (condition,) = entry.conditions[number] or (None,)
                if what == MACS:
                    edges = entry.before.get(number, frozenset())
                    for path in edges:
                        prices.add((path, None), 0, [f"value {number}"])
                    if edges:
                        shared[f"value {number}"] = run * amount.macs
                    else:
                        prices.add(condition, run * amount.macs)
                    continue
                name = entry.superposed.region.node(number).shared
                parts = {**amount.shared, **({name: amount} if name else {})}
                prices.add(condition, 0 if name else made * amount.parameters, parts)
                shared |= {name: made * part.parameters for name, part in parts.items()}
            for name, cost in shared.items():
                prices.shared[name] = prices.shared.get(name, 0) + cost
        return prices


def _is_possible(kind: Region, assumed: Mapping[str, bool]) -> bool:
    """Whether every node of a kind can keep as many edges as it must."""
    for node, count in kept(kind).items():
        own = [assumed.get(d.path) for d in kind.decisions if (d.node or d.path) == node]
        if not own.count(True) <= count <= len(own) - own.count(False):
            return False
    return True
