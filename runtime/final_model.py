"""A final model: the space, what was decided, and the sizes; what builds and writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

import compiler
from compiler.profile import values_of
from dsl.settings import Settings
from dsl.space import Space


@dataclass(frozen=True)
class FinalModel:
    """`overrides` take the place of the profile's values: of the network's parameters, and
    settings; so do `sizes`, which follow from the data."""

    space: Space
    genotype: compiler.Genotype
    profile: str | None
    overrides: Mapping[str, Any]
    sizes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        return {**self.overrides, **self.sizes}

    @property
    def settings(self) -> Settings:
        return values_of(self.space, "final", self.profile, self.values).settings

    def of(self, genotype: compiler.Genotype) -> FinalModel:
        """The same with other decisions."""
        return replace(self, genotype=genotype)

    def build(self, *, auxiliary: bool = False) -> nn.Module:
        """The network, with its auxiliary head if it is to be trained with one."""
        return compiler.build(
            self.space,
            genotype=self.genotype,
            profile=self.profile,
            auxiliary=auxiliary,
            **self.values,
        )

    def source(self) -> str:
        """The text of the classes that `build` makes the network of."""
        return compiler.compile_space(
            self.space, self.profile, self.genotype, overrides=self.values
        ).source

    def emit(self, path: Path, *, prune: bool = False) -> None:
        """Writes that text, or one without the layers that nothing depends on."""
        compiler.emit(
            self.space,
            genotype=self.genotype,
            path=path,
            profile=self.profile,
            prune=prune,
            **self.values,
        )
