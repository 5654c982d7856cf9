"""What there is to draw of a genotype without its space.

With named decisions all is said. The tuple form leaves out which node an edge enters, so the two
published forms are assumed (Liu et al. 2019): two edges into each node after two inputs, or one
edge into each node after one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from compiler.decision import winners
from compiler.genotype import CellGenotype, Genotype
from compiler.pictures.graph import Box, Cell, CellBuilder, Role
from compiler.pictures.operations import kind_by_label

_NUMBERED = re.compile(r"#([0-9]{1,9})")
_EDGE = re.compile(r"(?P<node>.+?) from (?P<source>.+?)(?: \([0-9]+\))?", re.DOTALL)
RESULT = "return"
"""How paths call the value that a cell gives back, where it has no name."""

Edge = tuple[str | None, str, str]
"""Source, option and node; no source where a decision stands on no edge."""


def cells_of(genotype: Genotype) -> list[Cell] | None:
    """The cells of a genotype; None where it does not say between which values its edges are."""
    cells = [_cell(name, cell) for name, cell in genotype.cells.items()]
    drawn = [cell for cell in cells if cell is not None and cell.is_acyclic]
    return drawn if len(drawn) == len(cells) else None


def _cell(name: str, cell: CellGenotype) -> Cell | None:
    places = [path for path, _ in cell.decisions]
    if not any(place.startswith("#") for place in (*places, *cell.output)):
        return _drawn(name, _named(cell), cell.sources, cell.output)
    tails, outputs = _numbers(places), _numbers(cell.output)
    if tails is None or not outputs:
        return None
    inputs, kept = (1, 1) if min(outputs) == 1 else (2, 2)
    heads = [inputs + i // kept for i in range(len(tails))]
    total = inputs + len(tails) // kept
    values = cell.sources or tuple(str(number) for number in range(total))
    if len(tails) % kept or len(values) != total:
        return None
    if any(tail >= head for tail, head in zip(tails, heads, strict=True)):
        return None
    if not all(inputs <= place < total for place in outputs):
        return None
    edges: list[Edge] = [
        (values[tail], option, values[head])
        for tail, head, (_, option) in zip(tails, heads, cell.decisions, strict=True)
    ]
    return _drawn(name, edges, values, tuple(values[place] for place in outputs))


def _numbers(places: Sequence[str]) -> list[int] | None:
    """Places that are all written `#0`."""
    found = [_NUMBERED.fullmatch(place) for place in places]
    numbers = [int(match[1]) for match in found if match is not None]
    return numbers if len(numbers) == len(found) else None


def _named(cell: CellGenotype) -> list[Edge]:
    pairs = [(_EDGE.fullmatch(path), path, option) for path, option in cell.decisions]
    return [
        (edge["source"], label, edge["node"]) if edge else (None, label, path)
        for edge, path, option in pairs
        for label in winners(option)
    ]


def _drawn(name: str, edges: list[Edge], sources: tuple[str, ...], output: tuple[str, ...]) -> Cell:
    builder = CellBuilder(name)
    ends = [end for source, _, node in edges for end in (source, node)]
    values = dict.fromkeys(v for v in (*sources, *ends, *output) if v is not None and v != RESULT)
    entered = {node for _, _, node in edges}
    boxes = {
        value: builder.add(Box(Role.NODE if value in entered else Role.INPUT, value))
        for value in values
    }
    operations = [
        builder.add(Box(Role.OPERATION, option, kind=kind_by_label(option)))
        for _, option, _ in edges
    ]
    boxes[RESULT] = builder.add(Box(Role.OUTPUT, "output"))
    for operation, (source, _, node) in zip(operations, edges, strict=True):
        if source is not None:
            builder.link(boxes[source], operation)
        builder.link(operation, boxes[node])
    for value in output:
        builder.link(boxes[value], boxes[RESULT])
    return builder.finish()
