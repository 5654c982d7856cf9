"""What a run was asked for, and the record of it that a run can be resumed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch

import compiler
import dsl
from dsl.settings import Settings
from dsl.space import Space
from runtime.final_model import FinalModel
from runtime.rundir import SEARCH, RunFolder
from runtime.task import Data
from runtime.unrolled import Hessian
from runtime.version import version


@dataclass(frozen=True)
class SearchRequest:
    """What a run was asked for: with its data, all that its numbers depend on."""

    space: Space
    profile: str | None
    overrides: dict[str, Any]
    fitted: dict[str, Any]  # the network parameters that the data set decides
    passes: str
    memory: str | None
    order: int
    hessian: Hessian
    seed: int

    @property
    def settings(self) -> Settings:
        return compiler.settings(self.space, self.profile, **self._all)

    def build(self) -> compiler.Supernet:
        net = compiler.build(
            self.space,
            profile=self.profile,
            passes=self.passes,
            memory=self.memory,
            **self._all,
        )
        return cast(compiler.Supernet, net)

    def final(self, genotype: compiler.Genotype, **values: Any) -> FinalModel:
        """The final model, by the final profile and, where the run had one, its overlay.

        What was overridden for the search is not the final network's (a width, say), unless the
        final profile leaves it open: a number of nodes must be the same in both. `values` come
        on top.
        """
        profiles = self.space.profiles
        overlay = self.profile is not None and profiles[self.profile].phase is None
        profile = self.profile if overlay else None
        layers = [profiles[p] for p in ("final", profile) if p is not None and p in profiles]
        stated = {name for layer in layers for name in layer.entries}
        network = self.space.network
        parameters = {p.name for p in network.parameters} if network is not None else set()
        kept = {n: v for n, v in self.overrides.items() if n in parameters - stated}
        return FinalModel(self.space, genotype, profile, {**kept, **values}, self.fitted)

    @property
    def _all(self) -> dict[str, Any]:
        return {**self.overrides, **self.fitted}

    def record(self, data: Data, device: str, space: str) -> dict[str, Any]:
        """What `settings.json` says; `space` is the name of the space's copy beside it."""
        return {
            "job": SEARCH,
            "dartsc": version(),
            "torch": str(torch.__version__),
            "space": space,
            "profile": self.profile,
            "overrides": self.overrides,
            "fitted": self.fitted,
            "passes": self.passes,
            "memory": self.memory,
            "data": data.name,
            "facts": data.facts(),
            "order": self.order,
            "hessian": self.hessian,
            "seed": self.seed,
            "device": device,
            "settings": asdict(self.settings),
        }

    @classmethod
    def of_record(cls, record: dict[str, Any], folder: RunFolder) -> SearchRequest:
        """The request that `record` was made from, with the space's copy in the folder.

        Raises:
            KeyError, TypeError, AttributeError: when it is no such record.
            dsl.DartsError: when the copy is no longer what it was.
        """
        require_kinds(
            record, KINDS | {"passes": str, "memory": str | None, "order": int, "hessian": str}
        )
        return cls(
            dsl.load(folder.path / record["space"]),
            record["profile"],
            tuples(record["overrides"]),
            tuples(record["fitted"]),
            record["passes"],
            record["memory"],
            record["order"],
            record["hessian"],
            record["seed"],
        )


KINDS: dict[str, Any] = {
    "space": str,
    "profile": str | None,
    "overrides": dict,
    "fitted": dict,
    "seed": int,
    "data": str,
    "device": str,
}
"""What `settings.json` holds of every run, and of which kind it is."""


def require_kinds(record: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raises:
    KeyError, TypeError: when a record lacks something, or has another kind of thing.
    """
    for name, kind in kinds.items():
        if not isinstance(record[name], kind) or isinstance(record[name], bool):
            raise TypeError(f"`{name}` is {record[name]!r}")


def tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Values as they were before JSON made lists of tuples."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
