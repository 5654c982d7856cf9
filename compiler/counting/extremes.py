"""The cheapest and the dearest final models of a space, exactly, without trying them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from compiler.counting.amounts import Amount
from compiler.counting.cheapest import Condition, Picks, Prices, best
from compiler.counting.parts import Entry, Part, Some, entries, network_and_cells, total
from compiler.counting.plain import is_plain
from compiler.counting.together import Extremes
from compiler.fitting import cell_of
from compiler.genotype import Genotype
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
        which: dict[str, list[str]] = {}  # what each genotype has, once where it has several
        for name, least, most in self._ranges():
            if least.value == most.value:
                yield f"{name:<12}{least.value:,}, whatever is chosen"
                continue
            yield f"{name:<12}{least.value:,} to {most.value:,}"
            which.setdefault(str(least.genotype), []).append(f"fewest {name}")
            which.setdefault(str(most.genotype), []).append(f"most {name}")
        for genotype, names in which.items():
            yield f"\n{', '.join(names)}\n  {genotype}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

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
            some of its edges, where these have different widths; and for a space beyond the limits,
            or in which too many decisions hang together.
    """
    space = space if isinstance(space, Space) else load(space)
    _, program, _ = measure(space, "final", profile, overrides)
    search = _Search(program) if is_plain(program) else _Together(program)
    return CostRange(
        search.extreme(PARAMETERS, 1),
        search.extreme(PARAMETERS, -1),
        search.extreme(MACS, 1),
        search.extreme(MACS, -1),
    )


class _Together:
    """Where decisions hang together."""

    def __init__(self, program: Program) -> None:
        self.kinds = program.kinds
        self.found = Extremes(program)

    def extreme(self, what: str, sign: int) -> Extreme:
        value, chosen = self.found.extreme((PARAMETERS, MACS).index(what), sign)
        cells = {kind.name: cell_of(kind, chosen[kind.name]) for kind in self.kinds}
        return Extreme(value, Genotype(cells))


class _Search:
    """Where every decision is an edge with one of its options."""

    def __init__(self, program: Program) -> None:
        self.kinds = program.kinds
        # what decides nothing is counted with what it stands in
        apart = [r for r in network_and_cells(program) if r is program.network or is_open(r)]
        self.entries = entries(program, apart)

    def extreme(self, what: str, sign: int) -> Extreme:
        """The least where `sign` is 1, the most where it is -1."""
        found = (self.best(what, sign, assumed) for assumed in self.assumptions())
        value, picks = min((way for way in found if way is not None), key=lambda way: sign * way[0])
        cells = {kind.name: cell_of(kind, dict(picks[kind.name])) for kind in self.kinds}
        return Extreme(value, Genotype(cells))

    def assumptions(self) -> Iterator[Assumed]:
        """Which edges are kept of those that hold a cell that decides for itself.

        How often that cell is there hangs on it, and so what its options come to.
        """
        edges = dict.fromkeys(
            (entry.kind.name, edge)
            for entry in self.entries
            for amounts in entry.uses.values()
            for part, amount in amounts.items()
            if amount.run
            for edge in sorted(entry.there[part.number] | entry.before.get(part.number, set()))
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
            kind = entry.kind
            found = best(kind, self.prices(entry, what, times), sign, assumed.get(kind.name, {}))
            if found is None:
                return None
            value += found[0]
            picks[kind.name] = found[1]
        return value, picks

    def certain(self, entry: Entry, assumed: Assumed) -> Some:
        """The parts that are there whatever is decided beyond what is assumed."""
        edges = assumed.get(entry.kind.name, {})
        kept = {edge for edge, is_kept in edges.items() if is_kept}
        there = (number for number, own in entry.there.items() if own <= kept)
        return Some(frozenset(Part(number) for number in there if number not in entry.heads), kept)

    def prices(self, entry: Entry, what: str, times: Amount) -> Prices:
        """What the decisions of a kind come to, where its cells are there so many times."""
        prices = Prices()
        for use, amounts in entry.uses.items():
            made, run = entry.times(use, times)
            shared: dict[str, int] = {}
            for part, amount in amounts.items():
                if part.number in entry.heads:
                    continue
                condition = _condition(entry, part)
                edges = entry.before.get(part.number, ())
                if what == PARAMETERS:
                    prices.add(condition, made * amount.parameters, amount.shared)
                    shared |= {n: made * each.parameters for n, each in amount.shared.items()}
                elif not edges:
                    prices.add(condition, run * amount.macs)
                else:
                    for edge in edges:
                        prices.add((edge, None), 0, [f"value {part.number}"])
                    shared[f"value {part.number}"] = run * amount.macs
            for name, cost in shared.items():
                prices.shared[name] = prices.shared.get(name, 0) + cost
        return prices


def _condition(entry: Entry, part: Part) -> Condition | None:
    """What must be decided for a part to be there."""
    if part.label is not None:
        return entry.kind.node(part.number).decision, part.label
    (edge,) = entry.there[part.number] or (None,)
    return None if edge is None else (edge, None)


def _is_possible(kind: Region, assumed: Mapping[str, bool]) -> bool:
    """Whether every node of a kind can keep as many edges as it must."""
    for node, count in kept(kind).items():
        own = [assumed.get(d.path) for d in kind.decisions if d.place == node]
        if not own.count(True) <= count <= len(own) - own.count(False):
            return False
    return True
