"""What is known of a program once its numbers are in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from compiler.expr import Expr
from dsl.source import Span

if TYPE_CHECKING:
    from compiler.ir import Region

Sizes = tuple[int, ...]


class Made(NamedTuple):
    """What something shared reads, how many weights it has, and where it was used first."""

    shape: Sizes
    weights: int
    span: Span | None


class OpenSize(int):
    """A length tried for a size that stays open until the network runs; shown by its name."""

    name: str

    def __new__(cls, length: int, name: str) -> OpenSize:
        made = super().__new__(cls, length)
        made.name = name
        return made

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]
        return int(self), self.name

    def __str__(self) -> str:
        return self.name


@dataclass
class Instance:
    """What walking a region with numbers gave."""

    region: Region
    shapes: dict[int, Sizes | None]
    output: Sizes | None
    weights: int
    layers: int
    shared: dict[str, Made] = field(default_factory=dict)
    """In a branch, what it shares with the region around it."""
    own: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The weights of its layers, and their multiplications of one sample, by their numbers."""
    inside: dict[int, list[Instance]] = field(default_factory=dict)
    """What its other nodes use: one for a call, one for each step of a repeat."""


@dataclass
class Facts:
    """What holds in a whole program."""

    weights: int
    """How many trained numbers there are, auxiliary heads left out."""
    output: Sizes | None
    instance: Instance
    """The network."""
    inexact: set[Expr]
    """Divisions that are rounded up somewhere."""
    uses: dict[str, set[tuple[tuple[str, Any], ...]]] = field(default_factory=dict)
    """By region name, the values its symbols take."""
    shapes: dict[int, list[dict[int, Sizes | None]]] = field(default_factory=dict)
    """By the identity of a region, for every way in which it is used, its values' shapes."""
    weighed: list[tuple[Span | None, int]] = field(default_factory=list)
    """Every layer with its weights, in the order of the program."""
