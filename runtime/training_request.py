"""What the training of a final model was asked for, and the record of it to resume from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import compiler
import dsl
from compiler.profile import values_of
from dsl.settings import Settings
from dsl.space import Space
from runtime.request import tuples
from runtime.text import Text
from runtime.version import version

JOB = "train"  # what `settings.json` says of such a run


@dataclass(frozen=True)
class TrainingRequest:
    """What a training was asked for: with its text, all that its numbers depend on."""

    space: Space
    genotype: compiler.Genotype
    profile: str | None
    overrides: dict[str, Any]
    fitted: dict[str, Any]  # the network parameters that the text decides
    seed: int

    @property
    def settings(self) -> Settings:
        return values_of(self.space, "final", self.profile, self._all).settings

    def build(self) -> nn.Module:
        return compiler.build(self.space, genotype=self.genotype, profile=self.profile, **self._all)

    def emit(self, path: Path) -> None:
        """Writes the model whose weights are trained, in the same classes as `build` makes."""
        compiler.emit(
            self.space, genotype=self.genotype, path=path, profile=self.profile, **self._all
        )

    @property
    def _all(self) -> dict[str, Any]:
        return {**self.overrides, **self.fitted}

    def record(self, text: Text, device: str, space: str) -> dict[str, Any]:
        """What `settings.json` says; `space` is the name of the space's copy beside it, and the
        genotype stands in a file of its own."""
        return {
            "job": JOB,
            "dartsc": version(),
            "torch": str(torch.__version__),
            "space": space,
            "profile": self.profile,
            "overrides": self.overrides,
            "fitted": self.fitted,
            "data": text.name,
            "text": text.facts(),
            "seed": self.seed,
            "device": device,
            "settings": asdict(self.settings),
        }

    @classmethod
    def of_record(cls, record: dict[str, Any], folder: Path, genotype: Path) -> TrainingRequest:
        """The request that `record` was made from, with the space's copy in `folder`.

        Raises:
            KeyError, TypeError, AttributeError: when it is no such record.
            dsl.DartsError: when the copy or the genotype is no longer what it was.
        """
        return cls(
            dsl.load(folder / record["space"]),
            compiler.Genotype.load(genotype),
            record["profile"],
            tuples(record["overrides"]),
            tuples(record["fitted"]),
            record["seed"],
        )
