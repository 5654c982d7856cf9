"""Pictures of the cells of a space or a genotype."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.fitting import resolve
from compiler.genotype import Genotype
from compiler.ir import Region
from compiler.measure import measure
from compiler.pictures.from_genotype import cells_of
from compiler.pictures.from_space import cell_of
from compiler.pictures.graph import Cell
from compiler.pictures.svg import svg_of
from compiler.pictures.text import dot_of, mermaid_of
from dsl.load import load
from dsl.space import Space


@dataclass(frozen=True)
class Picture:
    """A cell as SVG, or as text that Graphviz or Mermaid lay out themselves."""

    cell: Cell

    @property
    def title(self) -> str:
        """The name of the cell kind."""
        return self.cell.name

    def svg(self) -> str:
        """A standalone file."""
        return svg_of([self.cell])

    def dot(self) -> str:
        """A digraph for `dot`."""
        return dot_of([self.cell])

    def mermaid(self) -> str:
        """A flowchart, as Markdown pages show it in a block marked `mermaid`."""
        return mermaid_of([self.cell])

    def _repr_svg_(self) -> str:
        return self.svg()


def draw(
    space: Space | str | Path,
    genotype: Genotype | str | Path | None = None,
    profile: str | None = None,
    **overrides: Any,
) -> dict[str, Picture]:
    """A picture of every cell kind that decides something, by name in the order of the file.

    With a genotype, each edge that is kept shows its option; without one, its candidates.

    Raises:
        DartsError: for a fault of the file, the profile, an override or the genotype.
    """
    space = space if isinstance(space, Space) else load(space)
    phase = "search" if genotype is None else "final"
    _, program, _ = measure(space, phase, profile, overrides)
    if genotype is None:
        return of_kinds(program.kinds)
    genotype = genotype if isinstance(genotype, Genotype) else Genotype.load(genotype)
    return of_kinds(program.kinds, genotype)


def of_kinds(kinds: list[Region], genotype: Genotype | None = None) -> dict[str, Picture]:
    """Pictures of kinds in the IR, by name.

    Raises:
        DartsError: when the genotype is not one of theirs.
    """
    if genotype is None:
        return {kind.name: Picture(cell_of(kind)) for kind in kinds}
    chosen = resolve(genotype, kinds)
    return {kind.name: Picture(cell_of(kind, chosen[kind.name])) for kind in kinds}


FORMS: Mapping[str, Callable[[Sequence[Cell]], str]] = {
    "svg": svg_of,
    "dot": dot_of,
    "mermaid": mermaid_of,
}


def together(pictures: Mapping[str, Picture] | Iterable[Picture], form: str = "svg") -> str:
    """Several pictures as one file in one of FORMS; in SVG they stand below each other."""
    several = pictures.values() if isinstance(pictures, Mapping) else pictures
    return FORMS[form]([picture.cell for picture in several])


def of_genotype(genotype: Genotype) -> str | None:
    """The cells of a genotype as one SVG file, without their space.

    Kinds of operation are taken from the labels. None where it does not say which values its edges
    join, as a tuple form may not.
    """
    cells = cells_of(genotype)
    return svg_of(cells) if cells else None
