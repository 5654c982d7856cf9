"""Batches of images as functions of the seed: in halves for a search, whole for a training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dsl.settings import Settings
from runtime.augment import Augmentation, Normalisation
from runtime.data import ImageSet
from runtime.errors import UserError
from runtime.pixels import Pixels, prepared, sent
from runtime.seeds import generator

Batch = tuple[Tensor, Tensor]  # floats [batch, channels, height, width] and labels [batch]

EVALUATION_BATCH = 256  # evaluation keeps no activations, so this fits where a training batch does
MEMORY_SHARE = 0.1  # of the device's free memory: the most that a part of a data set may take
SAMPLE = 1000  # images from which files' statistics are taken


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images gone through again and again, each time in a new order.

    Batch `i` is a function of (seed, name, i) alone: a run that goes on from step i needs nothing
    of what was drawn before. A last batch of fewer images is left out unless it is `partial`, and
    then too if it is a single image, which no norm can train on.
    """

    name: str
    pixels: Pixels
    labels: Tensor
    batch_size: int
    augment: Augmentation
    seed: int
    device: torch.device
    partial: bool = False

    @property
    def batches(self) -> int:
        """Batches in one pass over the images."""
        whole, rest = divmod(len(self.pixels), self.batch_size)
        return whole + (self.partial and rest > 1)

    def from_step(self, step: int) -> Iterator[Batch]:
        """Batches `step`, `step + 1` and so on, without end, augmented, on the device."""
        return prepared(self._batches(step), self.pixels.ahead)

    def _batches(self, step: int) -> Iterator[Batch]:
        while True:
            turn, first = divmod(step, self.batches)
            order = torch.randperm(
                len(self.pixels), generator=generator(self.seed, "order", self.name, turn)
            )
            order = sent(order, self.pixels.device)  # once; a batch takes a view of it
            for i in range(first, self.batches):
                yield self._batch(order[i * self.batch_size : (i + 1) * self.batch_size], step)
                step += 1

    def _batch(self, chosen: Tensor, step: int) -> Batch:
        crop = generator(self.seed, "crop", self.name, step)
        draw = generator(self.seed, "augment", self.name, step, device=self.device)
        images = sent(self.pixels.read(chosen, crop), self.device)
        return self.augment(images, draw), sent(self.labels[chosen], self.device)


@dataclass(frozen=True, eq=False)
class EvaluationImages:
    """The images to test on, in batches, normalised and not augmented."""

    pixels: Pixels
    labels: Tensor
    normalise: Normalisation
    device: torch.device

    def __len__(self) -> int:
        return len(self.pixels)

    def __iter__(self) -> Iterator[Batch]:
        return prepared(self._batches(), self.pixels.ahead)

    def _batches(self) -> Iterator[Batch]:
        numbers = torch.arange(len(self.pixels), device=self.pixels.device)
        for chosen in numbers.split(EVALUATION_BATCH):
            images = sent(self.pixels.read(chosen), self.device)
            yield self.normalise(images), sent(self.labels[chosen], self.device)


@dataclass(frozen=True)
class Halves:
    """What a search reads: weights train on one half, alphas on the other."""

    train: TrainingImages
    valid: TrainingImages
    test: EvaluationImages


@dataclass(frozen=True)
class Whole:
    """What a training reads."""

    train: TrainingImages
    test: EvaluationImages


def split(images: ImageSet, settings: Settings, seed: int, device: torch.device) -> Halves:
    """The training images in halves by a seeded shuffle, on the device where they fit there.

    Raises:
        UserError: when there are fewer images than `settings.subset`, a half is smaller than one
            batch, or cutout would blank whole images.
    """
    chosen = _chosen(images, settings, seed)
    half = len(chosen) // 2
    if half < settings.batch:
        raise UserError(
            f"half of {len(chosen)} training images is less than one `batch` of "
            f"{settings.batch}: use a smaller `batch` or more images"
        )
    parts = _Parts(images, settings, seed, device, statistics_of(images, chosen, seed))
    return Halves(
        parts.train("train", chosen[:half]), parts.train("valid", chosen[half:]), parts.test()
    )


def whole(images: ImageSet, settings: Settings, seed: int, device: torch.device) -> Whole:
    """All training images (or the `subset` of them), on the device where they fit there.

    Raises:
        UserError: when there are fewer images than `settings.subset`, or than two, or cutout would
            blank whole images.
    """
    chosen = _chosen(images, settings, seed)
    if len(chosen) < 2:
        raise UserError("a training takes at least two images: use more, or a larger `subset`")
    parts = _Parts(images, settings, seed, device, statistics_of(images, chosen, seed))
    return Whole(parts.train("all", chosen, partial=True), parts.test())


def images_to_test_on(
    images: ImageSet,
    normalise: Normalisation,
    device: torch.device,
    rows: Tensor | None = None,
) -> EvaluationImages:
    """The images to test on, or those in some rows, on the device where they fit there."""
    pixels, labels = images.pixels("test"), images.test_labels
    if rows is not None:
        pixels, labels = pixels.picked(rows), labels[rows]
    pixels = pixels.on(device, MEMORY_SHARE)
    labels = labels.to(pixels.device)
    return EvaluationImages(pixels, labels, normalise.on(device), device)


def statistics_of(images: ImageSet, chosen: Tensor | None = None, seed: int = 0) -> Normalisation:
    """Those of the training images, or of the chosen ones; of files, from a sample drawn by the
    seed, cropped in the middle."""
    pixels = images.pixels("train")
    if chosen is None:
        chosen = torch.arange(len(pixels))
    if pixels.ahead:
        order = torch.randperm(len(chosen), generator=generator(seed, "statistics"))
        chosen = chosen[order[:SAMPLE]]
    return Normalisation.of(pixels.read(chosen))


def _chosen(images: ImageSet, settings: Settings, seed: int) -> Tensor:
    """The numbers of the training images in use, shuffled."""
    available = len(images.train_labels)
    if settings.subset > available:
        raise UserError(
            f"`subset` asks for {settings.subset} training images and `{images.name}` has "
            f"{available}: lower it, or use 0 for all"
        )
    order = torch.randperm(available, generator=generator(seed, "split"))
    return order[: settings.subset or available]


@dataclass(frozen=True)
class _Parts:
    """How the parts of a data set are made into batches."""

    images: ImageSet
    settings: Settings
    seed: int
    device: torch.device
    normalise: Normalisation

    def train(self, name: str, rows: Tensor, partial: bool = False) -> TrainingImages:
        s = self.settings
        channels, *sides = self.images.shape
        side = min(sides)
        if (s.jitter or s.jitter_hue) and channels not in (1, 3):
            raise UserError(
                f"`jitter` changes colours, and images of `{self.images.name}` have {channels} "
                f"channels: set `jitter` and `jitter_hue` to 0"
            )
        if s.cutout >= side:
            raise UserError(
                f"`cutout` ({s.cutout}) blanks whole images of `{self.images.name}`, whose shorter "
                f"side is {side}: make it smaller, or 0"
            )
        normalise = self.normalise.on(self.device)
        augment = Augmentation(normalise, s.crop, s.flip, s.cutout, s.jitter, s.jitter_hue)
        pixels = self.images.pixels("train").picked(rows).on(self.device, MEMORY_SHARE)
        labels = self.images.train_labels[rows].to(pixels.device)
        return TrainingImages(
            name, pixels, labels, s.batch, augment, self.seed, self.device, partial
        )

    def test(self) -> EvaluationImages:
        """All images to test on, or `test_subset` of them."""
        available, wanted = len(self.images.test_labels), self.settings.test_subset
        if wanted > available:
            raise UserError(
                f"`test_subset` asks for {wanted} images to test on and `{self.images.name}` has "
                f"{available}: lower it, or use 0 for all"
            )
        order = torch.randperm(available, generator=generator(self.seed, "test"))
        rows = order[:wanted].sort().values if wanted else None
        return images_to_test_on(self.images, self.normalise, self.device, rows)
