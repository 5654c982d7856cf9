"""What is to be decided in a region, and by which rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dsl.source import Span

Condition = tuple[tuple[str, frozenset[str]], ...]
"""Decisions, by their paths, each with the options of which one must be chosen."""

BETWEEN = " + "
"""Between the labels of options that are chosen together."""


def winners(option: str) -> tuple[str, ...]:
    """The labels that a genotype has for one decision: `x + n[0]` where several are chosen."""
    return tuple(filter(None, option.split(BETWEEN)))


def together(labels: Iterable[str]) -> str:
    """The labels of options that are chosen together, as a genotype has them."""
    return BETWEEN.join(labels)


def holds(condition: Condition, chosen: Mapping[str, str]) -> bool:
    """Whether decisions have come out so; `chosen` has the option of each by its path."""
    return all(labels & {*winners(chosen.get(path, ""))} for path, labels in condition)


@dataclass(frozen=True)
class Decision:
    """A choice of a kind: its path, the edge it stands on, and its options."""

    path: str
    node: str | None
    source: str | None
    options: tuple[tuple[str, bool], ...]
    """Label and whether it is a sink, in the order of the file."""
    least: int = 1
    most: int = 1
    """How many options are chosen."""
    above: float | None = None
    """The weight that an option must have where their number is open; options then have weights
    that do not compete."""
    within: Condition = ()
    """What must be decided for this to be decided at all."""
    numbers: tuple[int | float, ...] = ()
    """The values of the options where these are numbers."""

    @property
    def place(self) -> str:
        """The node that its edge enters, or its own path where it stands on no edge."""
        return self.node or self.path

    @property
    def selectable(self) -> tuple[str, ...]:
        return tuple(label for label, sink in self.options if not sink)


@dataclass(frozen=True)
class Keep:
    """`unit` is "edges" or "candidates", counted per node or `in_all`.

    `count` is None where all are kept that are above `above`.
    """

    count: int | None
    strength: str
    unit: str = "edges"
    in_all: bool = False
    above: float | None = None
    span: Span | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """In the words of the file: `2 edges per node by weight above 0.1`."""
        unit = self.unit.removesuffix("s") if self.count == 1 else self.unit
        where = " in all" if self.in_all else "" if self.count is None else " per node"
        number = "" if self.count is None else f"{self.count} "
        above = "" if self.above is None else f" above {self.above:g}"
        return f"{number}{unit}{where} by {self.strength}{above}"
