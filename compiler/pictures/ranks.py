"""Which column a box stands in, and where lines cross columns (after Sugiyama et al. 1981).

A line that crosses columns gets a place of its own in each of them. All lines that leave a box for
operations share their places until they part; those that leave it for values do likewise.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from compiler.pictures.graph import Cell, Role


@dataclass
class Columns:
    """Places in columns. The first are the `boxes` of the cell, the others those of lines."""

    boxes: int
    rank: list[int]
    steps: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    """From a place to one in the next column: the boxes that the line leads to."""
    columns: list[list[int]] = field(default_factory=list)
    before: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    after: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def is_line(self, place: int) -> bool:
        """Whether a place is where a line crosses a column."""
        return place >= self.boxes


def columns_of(cell: Cell) -> Columns:
    """The places of a cell in columns, in the order of the program from top to bottom."""
    columns = Columns(len(cell.boxes), _ranks(cell))
    for tail in cell.order:
        for group in _bundles(cell, tail):
            _lead(columns, tail, group)
    for start, end in columns.steps:
        columns.before[end].append(start)
        columns.after[start].append(end)
    columns.columns = [[] for _ in range(max(columns.rank, default=-1) + 1)]
    for place, rank in enumerate(columns.rank):
        columns.columns[rank].append(place)
    return columns


def _ranks(cell: Cell) -> list[int]:
    """Columns by the longest way from the left; operations stand right before what they enter."""
    rank = [0] * len(cell.boxes)
    for number in cell.order:
        rank[number] = max((rank[tail] + 1 for tail in cell.tails[number]), default=0)
    for number in reversed(cell.order):
        if cell.boxes[number].is_operation and cell.heads[number]:
            rank[number] = min(rank[head] for head in cell.heads[number]) - 1
    outputs = [i for i, box in enumerate(cell.boxes) if box.role is Role.OUTPUT]
    inner = [rank[i] for i in range(len(cell.boxes)) if i not in outputs]
    for number in outputs:
        rank[number] = max(inner, default=-1) + 1
    return rank


def _bundles(cell: Cell, tail: int) -> list[list[int]]:
    """The heads of a box that share a line: operations, and values."""
    heads = cell.heads[tail]
    operations = [head for head in heads if cell.boxes[head].is_operation]
    values = [head for head in heads if not cell.boxes[head].is_operation]
    if cell.boxes[tail].is_operation:
        return [heads] if heads else []
    return [bundle for bundle in (operations, values) if bundle]


def _lead(columns: Columns, tail: int, heads: list[int]) -> None:
    """Lays a line from a box to others, which branches where they stand."""
    here = tail
    last = max(columns.rank[head] for head in heads)
    for rank in range(columns.rank[tail] + 1, last + 1):
        for head in heads:
            if columns.rank[head] == rank:
                columns.steps[here, head].append(head)
        beyond = [head for head in heads if columns.rank[head] > rank]
        if beyond:
            place = len(columns.rank)
            columns.rank.append(rank)
            columns.steps[here, place] += beyond
            here = place
