"""What a picture of a cell shows: its values and operations as boxes, and links between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from compiler.pictures.operations import OperationKind


class Role(Enum):
    INPUT = "input"
    NODE = "node"
    OUTPUT = "output"
    OPERATION = "operation"


@dataclass(frozen=True)
class Box:
    """A value, or the operation on an edge.

    `note` is what stands below the label of a value. `kind` is None on an edge that is not decided,
    whose candidates then are set number `options` of the cell.
    """

    role: Role
    label: str
    note: str = ""
    kind: OperationKind | None = None
    options: int | None = None

    @property
    def is_operation(self) -> bool:
        return self.role is Role.OPERATION


@dataclass(frozen=True)
class OptionSet:
    """The candidates of some edges, with the kind of each."""

    name: str
    options: tuple[tuple[str, OperationKind], ...]


@dataclass(frozen=True)
class Cell:
    """A cell to be drawn; `links` are pairs of places in `boxes`, from a tail to its head."""

    name: str
    boxes: tuple[Box, ...]
    links: tuple[tuple[int, int], ...]
    sets: tuple[OptionSet, ...] = ()

    @cached_property
    def tails(self) -> dict[int, list[int]]:
        """The boxes that each box is linked from."""
        found: dict[int, list[int]] = {number: [] for number in range(len(self.boxes))}
        for tail, head in self.links:
            found[head].append(tail)
        return found

    @cached_property
    def heads(self) -> dict[int, list[int]]:
        """The boxes that each box is linked to."""
        found: dict[int, list[int]] = {number: [] for number in range(len(self.boxes))}
        for tail, head in self.links:
            found[tail].append(head)
        return found

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The boxes, each after those it is linked from.

        Boxes on a cycle, and those after one, are left out.
        """
        waiting = {number: len(tails) for number, tails in self.tails.items()}
        ready = [number for number, count in waiting.items() if not count]
        for number in ready:
            for head in self.heads[number]:
                waiting[head] -= 1
                if not waiting[head]:
                    ready.append(head)
        return tuple(ready)

    @property
    def is_acyclic(self) -> bool:
        return len(self.order) == len(self.boxes)


class CellBuilder:
    """Collects the boxes and links of a cell; the same link counts once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.boxes: list[Box] = []
        self.links: dict[tuple[int, int], None] = {}
        self.sets: list[OptionSet] = []

    def add(self, box: Box) -> int:
        self.boxes.append(box)
        return len(self.boxes) - 1

    def link(self, tail: int, head: int) -> None:
        self.links[tail, head] = None

    def finish(self) -> Cell:
        return Cell(self.name, tuple(self.boxes), tuple(self.links), tuple(self.sets))


def set_names(names: list[str]) -> list[str]:
    """Names of sets told apart: a name that several have gets a number."""
    count, seen = Counter(names), Counter[str]()
    told = []
    for name in names:
        seen[name] += 1
        told.append(name if count[name] == 1 else f"{name} {seen[name]}")
    return told
