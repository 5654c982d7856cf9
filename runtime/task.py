"""What a search does for one kind of data; the loop around it is the same for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import nn

import compiler
from compiler.estimating import DataSizes
from dsl.settings import Settings, meaningless
from dsl.space import Space
from runtime.bilevel import BilevelStep, StepLosses
from runtime.data import Images, ImageSet, load
from runtime.errors import UserError
from runtime.image_task import ImageTask
from runtime.objective import Loss
from runtime.text import Text
from runtime.text_task import TextTask

Data = ImageSet | Text


class Task(Protocol):
    """The data of a search, on the device, and the way through them."""

    steps: int  # in the first epoch; where their lengths are drawn, others have about as many

    @property
    def loss(self) -> Loss:
        """What a step makes of a batch."""

    def epoch(self, number: int, lr: float, step: BilevelStep) -> Iterator[StepLosses]:
        """The steps of epoch `number`, counted from 1, each taken when it is asked for.

        They are a function of the seed and `number`. `lr` is the epoch's learning rate.
        """

    def measure(self, net: nn.Module) -> dict[str, float]:
        """What the network does after an epoch, for the epoch's line of metrics."""


def make_task(data: Data, settings: Settings, seed: int, device: torch.device) -> Task:
    """The task that goes with a kind of data.

    Raises:
        UserError: when there are less data than a batch takes.
    """
    if isinstance(data, Text):
        return TextTask(data, settings, seed, device)
    return ImageTask(data, settings, seed, device)


def loaded(data: str | Data | None, settings: Settings) -> Data:
    """The data that are given, or called so; None is what the settings say.

    Raises:
        UserError: when there is no such data set or it cannot be read, or when it cannot be
            cropped as the settings say.
    """
    found = data
    if found is None or isinstance(found, str):
        found = load(found or settings.data, settings.resized_crop)
    elif isinstance(found, Images) and settings.resized_crop:
        raise UserError("`resized_crop` takes crops from files: give `images:DIR`, or set it to 0")
    return found


def data_sizes(data: Data) -> DataSizes:
    """How large a data set is, as an estimate takes it."""
    if isinstance(data, Text):
        return DataSizes(len(data.train), len(data.valid), words=len(data.words))
    train, test = len(data.train_labels), len(data.test_labels)
    kept = isinstance(data, Images)
    return DataSizes(train, test, data.shape, len(data.classes), in_memory=kept)


def require_one(space: Space) -> None:
    """Raises:
    UserError: when the network reads several things or gives several, which no data set holds.
    """
    network = space.network
    if network is None:
        return
    many = [
        f"{len(ends)} {what}"
        for what, ends in (("inputs", network.inputs), ("outputs", network.outputs))
        if len(ends) > 1
    ]
    if many:
        raise UserError(
            f"this network has {' and '.join(many)}, and data sets are images with classes or "
            f"texts: go on from Python, with `compiler.build` and a loss of your own "
            f"for `runtime.BilevelStep`"
        )


def require_meaning(settings: Settings, data: Data) -> None:
    """Raises:
    UserError: for a setting that has been changed and means nothing for this kind of data.
    """
    kind, other = ("text", "images") if isinstance(data, Text) else ("images", "text")
    idle = meaningless(settings, kind)
    if idle:
        raise UserError(
            f"`{idle[0]}` is a setting for {other}, and `{data.name}` holds {kind}: leave it out"
        )


def fitted(space: Space, data: Data, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The network parameters that the data decide: channels, classes, or number of words.

    Raises:
        UserError: when an override says otherwise.
        dsl.DartsError: when the network does not read this kind of data.
    """
    name = f"`{data.name}`"
    if isinstance(data, Text):
        sizes = dict(compiler.word_overrides(space, len(data.words), name))
    else:
        sizes = dict(compiler.data_overrides(space, data.shape, len(data.classes), name))
    for parameter, size in sizes.items():
        if overrides.get(parameter, size) != size:
            raise UserError(
                f"`{parameter}` follows from {name}, which gives {size}, not "
                f"{overrides[parameter]}: leave it out"
            )
    return sizes
