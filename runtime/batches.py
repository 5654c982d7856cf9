"""The training images in two halves, and the batches of each, as functions of the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dsl.settings import Settings
from runtime.augment import Augmentation, Normalisation
from runtime.data import Images
from runtime.errors import UserError
from runtime.seeds import generator

Batch = tuple[Tensor, Tensor]  # floats [batch, channels, height, width] and labels [batch]

EVALUATION_BATCH = 256  # evaluation keeps no activations, so this fits where a training batch does
MEMORY_SHARE = 0.25  # of the device's free memory: the most that data sets may take


@dataclass(frozen=True, eq=False)
class Half:
    """One half of the training images, gone through again and again, each time in a new order.

    Batch `i` is a function of (seed, name, i) alone: a run that goes on from step i needs nothing
    of what was drawn before. Partial batches are left out.
    """

    name: str
    images: Tensor
    labels: Tensor
    batch_size: int
    augment: Augmentation
    seed: int
    device: torch.device

    @property
    def batches(self) -> int:
        """Whole batches in one pass over the half."""
        return len(self.images) // self.batch_size

    def from_step(self, step: int) -> Iterator[Batch]:
        """Batches `step`, `step + 1` and so on, without end, augmented, on the device."""
        while True:
            turn, first = divmod(step, self.batches)
            order = torch.randperm(
                len(self.images), generator=generator(self.seed, "order", self.name, turn)
            )
            for i in range(first, self.batches):
                chosen = order[i * self.batch_size : (i + 1) * self.batch_size]
                draw = generator(self.seed, "augment", self.name, step, device=self.device)
                yield self._batch(chosen, draw)
                step += 1

    def _batch(self, chosen: Tensor, draw: torch.Generator) -> Batch:
        images, labels = _take(self.images, self.labels, chosen, self.device)
        return self.augment(images, draw), labels


@dataclass(frozen=True, eq=False)
class EvaluationImages:
    """The images to test on, in batches, normalised and not augmented."""

    images: Tensor
    labels: Tensor
    normalise: Normalisation
    device: torch.device

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Batch]:
        for chosen in torch.arange(len(self.images)).split(EVALUATION_BATCH):
            images, labels = _take(self.images, self.labels, chosen, self.device)
            yield self.normalise(images), labels


@dataclass(frozen=True)
class Parts:
    """What a search reads: weights train on one half, alphas on the other."""

    train: Half
    valid: Half
    test: EvaluationImages


def split(images: Images, settings: Settings, seed: int, device: torch.device) -> Parts:
    """The training images in halves by a seeded shuffle, on the device where they fit there.

    Raises:
        UserError: when there are fewer images than `settings.subset`, or a half is smaller than
            one batch.
    """
    available = len(images.train)
    if settings.subset > available:
        raise UserError(
            f"`subset` asks for {settings.subset} training images and `{images.name}` has "
            f"{available}: lower it, or use 0 for all"
        )
    chosen = torch.randperm(available, generator=generator(seed, "split"))
    chosen = chosen[: settings.subset or available]
    half = len(chosen) // 2
    if half < settings.batch:
        raise UserError(
            f"half of {len(chosen)} training images is less than one `batch` of "
            f"{settings.batch}: use a smaller `batch` or more images"
        )
    normalise = Normalisation.of(images.train[chosen])
    normalise = Normalisation(normalise.mean.to(device), normalise.deviation.to(device))
    augment = Augmentation(normalise, settings.crop, settings.flip, settings.cutout)
    resident = _fits(images.train[chosen[:1]].nbytes * len(chosen) + images.test.nbytes, device)

    def part(name: str, rows: Tensor) -> Half:
        pixels, labels = images.train[rows], images.train_labels[rows]
        pixels = _place(pixels, device, resident)
        return Half(name, pixels, labels, settings.batch, augment, seed, device)

    test = EvaluationImages(
        _place(images.test, device, resident), images.test_labels, normalise, device
    )
    return Parts(part("train", chosen[:half]), part("valid", chosen[half:]), test)


def _fits(size: int, device: torch.device) -> bool:
    return device.type == "cpu" or size < MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]


def _place(images: Tensor, device: torch.device, resident: bool) -> Tensor:
    return images.to(device) if resident else images


def _take(images: Tensor, labels: Tensor, chosen: Tensor, device: torch.device) -> Batch:
    """The chosen images as bytes, and their labels, on the device."""
    return images[chosen.to(images.device)].to(device), labels[chosen].to(device)
