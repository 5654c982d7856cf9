"""Opening a run again: what it was asked for, its last checkpoint, and the data it began with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch

from dsl.settings import Settings
from runtime.device import choose_device
from runtime.errors import UserError
from runtime.rundir import SETTINGS, Checkpoint, RunFolder, open_folder
from runtime.task import Data, loaded


class Request(Protocol):
    """What a run was asked for."""

    @property
    def settings(self) -> Settings: ...

    @classmethod
    def of_record(cls, record: dict[str, Any], folder: RunFolder) -> Self: ...


R = TypeVar("R", bound=Request)


@dataclass(frozen=True)
class Reopened(Generic[R]):
    """All that a run goes on from."""

    folder: RunFolder
    request: R
    data: Data
    device: torch.device
    checkpoint: Checkpoint


def request_of(folder: RunFolder, kind: type[R]) -> R:
    """What a run was asked for.

    Raises:
        UserError: when its settings cannot be understood.
        dsl.DartsError: when its space or genotype is no longer what it was.
    """
    record = folder.read_settings()
    try:
        request = kind.of_record(record, folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise damaged(folder) from error
    assert request.settings  # a profile or an override that the space no longer has
    return request


def reopened(
    path: str | Path, kind: type[R], data: str | Data | None, device: str | None
) -> Reopened[R]:
    """The run in a folder; `data` and `device` take the place of its own.

    Raises:
        UserError: when the folder is no run's or is damaged, or the data set is another one.
        dsl.DartsError: when its space or genotype is no longer what it was.
    """
    folder = open_folder(path)
    record, checkpoint = folder.read_settings(), folder.read_checkpoint()
    request = request_of(folder, kind)
    target = choose_device(device or record["device"])
    found = loaded(data or record["data"], request.settings)
    if found.facts() != record.get("facts"):
        raise UserError(f"`{found.name}` is not the data set that {folder.path} began with")
    return Reopened(folder, request, found, target, checkpoint)


def damaged(folder: RunFolder) -> UserError:
    return UserError(f"{folder.path / SETTINGS} is damaged: start a new run")
