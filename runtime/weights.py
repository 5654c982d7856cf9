"""The weights of a final model in a file, with what one must know to use them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from runtime.augment import Normalisation
from runtime.errors import UserError

SHOWN = 3
MOST = 1e9  # in a note: sizes, means and deviations are well below


@dataclass(frozen=True, eq=False)
class Weights:
    """A state dict by name, and the notes that training leaves with it: for images their `shape`,
    `classes`, and the `mean` and `deviation` of their channels, for text the `words`; each as
    JSON."""

    path: Path
    tensors: dict[str, Tensor]
    about: dict[str, str]

    @classmethod
    def read(cls, path: str | Path) -> Weights:
        """Raises:
        UserError: when the file cannot be read as safetensors.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"there are no weights in {path}: name a `.safetensors` file")
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return cls(path, tensors, dict(file.metadata() or {}))
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path} is no safetensors file that can be read: {error}") from error

    def put_into(self, net: nn.Module) -> None:
        """Raises:
        UserError: when the weights are another model's.
        """
        wanted = net.state_dict()
        if self.tensors.keys() != wanted.keys():
            lacking = [name for name in wanted if name not in self.tensors]
            unknown = [name for name in self.tensors if name not in wanted]
            parts = [
                f"{what} {_some(names)}"
                for what, names in (("they lack", lacking), ("it has no", unknown))
                if names
            ]
            raise UserError(self._of_another(", and ".join(parts)))
        for name, tensor in wanted.items():
            found = self.tensors[name]
            if found.shape != tensor.shape:
                there, here = list(found.shape), list(tensor.shape)
                raise UserError(self._of_another(f"`{name}` is {there} there and {here} here"))
            if found.is_floating_point() != tensor.is_floating_point() or found.is_complex():
                raise UserError(self._of_another(f"`{name}` holds another kind of numbers"))
            if not torch.isfinite(found).all():
                raise UserError(f"`{name}` in {self.path} holds numbers that are not finite")
        net.load_state_dict(self.tensors)

    def _of_another(self, how: str) -> str:
        return (
            f"{self.path} holds the weights of another model: {how}; give the genotype, profile "
            f"and sizes that they were trained with"
        )

    @property
    def normalisation(self) -> Normalisation | None:
        """That of the images they were trained on, where there is a note of it."""
        mean, deviation = self._note("mean", int | float), self._note("deviation", int | float)
        if mean is None or deviation is None:
            return None
        channels = len(mean) if self.shape is None else self.shape[0]
        if not len(mean) == len(deviation) == channels or min(deviation) <= 0:
            raise self._damaged("mean` or `deviation")
        return Normalisation(torch.tensor(mean).float(), torch.tensor(deviation).float())

    @property
    def shape(self) -> list[int] | None:
        """Channels, height and width of the images they were trained on, where it is noted."""
        return self._note("shape", int)

    @property
    def labels(self) -> list[str] | None:
        """The classes, or the words, that outputs stand for, where there is a note of them."""
        return self._note("classes", str) or self._note("words", str)

    def _note(self, name: str, kind: type | UnionType) -> Any:
        """The list of things of one kind in a note; None where there is none."""
        try:
            noted = json.loads(self.about.get(name, "null"))
        except (ValueError, RecursionError) as error:
            raise self._damaged(name) from error
        if noted is None:
            return None
        if not isinstance(noted, list) or not noted:
            raise self._damaged(name)
        for each in noted:
            if not isinstance(each, kind) or isinstance(each, bool):
                raise self._damaged(name)
            # Nor what is not a number.
            if isinstance(each, int | float) and not -MOST < each < MOST:
                raise self._damaged(name)
        return noted

    def _damaged(self, name: str) -> UserError:
        return UserError(f"{self.path} is damaged: its note `{name}` cannot be read")


def _some(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
