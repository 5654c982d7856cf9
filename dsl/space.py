"""A file whose every name is resolved: what the compiler lowers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from dsl import ast
from dsl.diagnostics import Diagnostic
from dsl.settings import Value
from dsl.source import Source, Span


@dataclass(frozen=True)
class Entry:
    """A profile's value for one name, and where it was written (None: outside the file)."""

    value: Value
    span: Span | None


@dataclass(frozen=True)
class Profile:
    """A profile with its bases merged in.

    `phase` is "search" or "final"; None for an overlay, which is laid over either.
    """

    name: str
    phase: str | None
    entries: Mapping[str, Entry]


@dataclass(frozen=True)
class Space:
    """A resolved program: the declarations seen in each of its files, its network, its profiles.

    Where `source` extends another file, what is left of that is among the declarations of `file`.
    """

    source: Source
    file: ast.File
    scopes: Mapping[Source, Mapping[str, ast.Declaration]]
    network: ast.NetworkDecl | None
    profiles: Mapping[str, Profile]
    warnings: tuple[Diagnostic, ...] = ()
    """What is legal in its file and surely not meant, as far as names show it."""

    picture: ClassVar[Callable[[Space], str | None] | None] = None
    """Draws a space as SVG, where there is something to draw; the compiler sets it."""

    @property
    def name(self) -> str:
        return "space" if self.source.path is None else self.source.path.stem

    def scope(self, node: ast.Node) -> Mapping[str, ast.Declaration]:
        """The sets, ops and cells that are visible where `node` stands, by name."""
        return self.scopes[node.span.source]

    def _repr_svg_(self) -> str | None:
        """What a notebook shows of a space."""
        draw = Space.picture
        return None if draw is None else draw(self)
