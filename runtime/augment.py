"""Augmentation and normalisation of whole batches, on the device that the images are on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# What is changed in an image's colours, and the number that leaves it as it is.
ADJUSTMENTS = (("brightness", 1), ("contrast", 1), ("saturation", 1), ("hue", 0))


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

    def __call__(self, images: Tensor) -> Tensor:
        """Floats [batch, channels, height, width] from bytes of the same shape."""
        scale = 1 / (255 * self.deviation)
        shift = -self.mean / self.deviation
        return images * scale[:, None, None] + shift[:, None, None]


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
            images = self._jittered(images, generator)
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

    def _jittered(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Bytes as they came, each image with colours of its own."""
        # Takes a second to import, which only those wait for who use it.
        from torchvision.transforms.v2 import functional as colours

        drawn = torch.rand(
            2, len(images), len(ADJUSTMENTS), generator=generator, device=images.device
        )
        orders = drawn[0].argsort(1).tolist()
        shifts = (2 * drawn[1] - 1).tolist()
        changed = []
        for image, order, shift in zip(images, orders, shifts, strict=True):
            for which in order:
                part, centre = ADJUSTMENTS[which]
                reach = self.jitter if centre else self.hue
                if reach:
                    adjust = getattr(colours, f"adjust_{part}")
                    image = adjust(image, centre + reach * shift[which])
            changed.append(image)
        return torch.stack(changed)

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
