"""Augmentation and normalisation of whole batches, on the device that the images are on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from runtime.colours import ColourChanges


@dataclass(frozen=True, eq=False)
class Normalisation:
    """Bytes to floats of mean 0 and deviation 1 per channel. `mean` and `deviation` are [channels],
    in units of the byte range: 0 to 1."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, images: Tensor) -> Normalisation:
        """The statistics of bytes [images, channels, height, width], exact in float64."""
        levels = torch.arange(256, dtype=torch.float64) / 255
        means, deviations = [], []
        for channel in images.unbind(1):
            counts = torch.bincount(channel.flatten(), minlength=256).double().cpu()
            share = counts / counts.sum()
            mean = (share * levels).sum()
            deviation = (share * (levels - mean) ** 2).sum().sqrt()
            means.append(mean)
            # A channel that never varies carries nothing to scale.
            deviations.append(deviation if deviation > 0 else torch.ones_like(deviation))
        device = images.device
        return cls(
            torch.stack(means).float().to(device), torch.stack(deviations).float().to(device)
        )

    def on(self, device: torch.device) -> Normalisation:
        return Normalisation(self.mean.to(device), self.deviation.to(device))

    @cached_property
    def _scale(self) -> Tensor:
        return (1 / (255 * self.deviation))[:, None, None]

    @cached_property
    def _shift(self) -> Tensor:
        return (-self.mean / self.deviation)[:, None, None]

    def __call__(self, images: Tensor) -> Tensor:
        """Floats [batch, channels, height, width] from bytes of the same shape."""
        return (images * self._scale).add_(self._shift)


@dataclass(frozen=True)
class Augmentation:
    """Random crops after padding by `crop` black pixels, horizontal flips, colour jitter, then, on
    the normalised image, cutout of a square of side `cutout` (DeVries & Taylor 2017).

    `jitter` scales brightness, contrast and saturation by factors uniform in 1 ± `jitter`, `hue`
    turns the colours by up to that share of a full turn either way; the four in an order drawn for
    each image. 0 and False do nothing.
    """

    normalise: Normalisation
    crop: int = 0
    flip: bool = False
    cutout: int = 0
    jitter: float = 0.0
    hue: float = 0.0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """A batch of floats from bytes [batch, channels, height, width] of the same shape.

        Each image draws its own crop, flip and square from `generator`, which lives on the images'
        device.
        """
        if self.crop or self.flip:
            images = self._crop_and_flip(images, generator)
        if self.jitter or self.hue:
            changes = ColourChanges.draw(len(images), self.jitter, self.hue, generator)
            images = changes(images)
        images = self.normalise(images)
        return self._cut_out(images, generator) if self.cutout else images

    def _crop_and_flip(self, images: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        rows = self._offsets(batch, generator) + torch.arange(height, device=images.device)
        columns = torch.arange(width, device=images.device).expand(batch, width)
        if self.flip:
            flips = _whole(2, batch, generator).bool()
            columns = torch.where(flips, columns.flip(1), columns)
        columns = columns + self._offsets(batch, generator)
        padded = F.pad(images, [self.crop] * 4)
        which = torch.arange(batch, device=images.device)[:, None, None]
        # Indices around a slice put the channels last: [batch, height, width, channels].
        picked = padded[which, :, rows[:, :, None], columns[:, None, :]]
        return picked.permute(0, 3, 1, 2)

    def _offsets(self, batch: int, generator: torch.Generator) -> Tensor:
        return _whole(2 * self.crop + 1, batch, generator)

    def _cut_out(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Squares of zeros, centred on any pixel alike, cut off at the border."""
        batch, _, height, width = images.shape
        kept = [
            (position < first) | (position >= first + self.cutout)
            for size in (height, width)
            for position in [torch.arange(size, device=images.device)]
            for first in [_whole(size, batch, generator) - self.cutout // 2]
        ]
        rows, columns = kept  # [batch, height] and [batch, width]
        return images * (rows[:, None, :, None] | columns[:, None, None, :])


def _whole(below: int, batch: int, generator: torch.Generator) -> Tensor:
    """Uniform whole numbers [batch, 1] from 0 to below − 1."""
    return torch.randint(below, (batch, 1), generator=generator, device=generator.device)
