"""What the training of a final model was asked for, and the record of it to resume from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import compiler
import dsl
from dsl.settings import Settings
from dsl.space import Space
from runtime.final_model import FinalModel
from runtime.rundir import TRAIN, RunFolder
from runtime.search_request import KINDS, require_kinds, tuples
from runtime.task import Data
from runtime.version import version


@dataclass(frozen=True)
class TrainingRequest:
    """What a training was asked for: with its data, all that its numbers depend on."""

    space: Space
    genotype: compiler.Genotype
    profile: str | None
    overrides: dict[str, Any]
    fitted: dict[str, Any]  # the network parameters that the data decide
    seed: int

    @property
    def model(self) -> FinalModel:
        return FinalModel(self.space, self.genotype, self.profile, self.overrides, self.fitted)

    @property
    def settings(self) -> Settings:
        return self.model.settings

    def build(self) -> nn.Module:
        return self.model.build(auxiliary=self.settings.auxiliary_weight > 0)

    def emit(self, path: Path) -> None:
        self.model.emit(path)

    def record(self, data: Data, device: str, space: str) -> dict[str, Any]:
        """What `settings.json` says; `space` is the name of the space's copy beside it, and the
        genotype stands in a file of its own."""
        return {
            "job": TRAIN,
            "dartsc": version(),
            "torch": str(torch.__version__),
            "space": space,
            "profile": self.profile,
            "overrides": self.overrides,
            "fitted": self.fitted,
            "data": data.name,
            "facts": data.facts(),
            "seed": self.seed,
            "device": device,
            "settings": asdict(self.settings),
        }

    @classmethod
    def of_record(cls, record: dict[str, Any], folder: RunFolder) -> TrainingRequest:
        """The request that `record` was made from, with the space's copy in the folder.

        Raises:
            KeyError, TypeError, AttributeError: when it is no such record.
            dsl.DartsError: when the copy or the genotype is no longer what it was.
        """
        require_kinds(record, KINDS)
        return cls(
            dsl.load(folder.path / record["space"]),
            compiler.Genotype.load(folder.genotype),
            record["profile"],
            tuples(record["overrides"]),
            tuples(record["fitted"]),
            record["seed"],
        )
