"""Changes of colour, of a whole batch at once: each image has numbers and an order of its own.

Nothing here asks what a tensor holds, so a device is never waited for. The arithmetic is that of
`torchvision.transforms.v2.functional.adjust_*` on one image after another, step by step, so that
the bytes are the same up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# What is changed in an image's colours: the columns of the numbers that are drawn.
PARTS = ("brightness", "contrast", "saturation", "hue")
CONTRAST, SATURATION, HUE = 1, 2, 3
LUMA = (0.2989, 0.587, 0.114)  # of red, green and blue in the grey of a pixel (ITU-R BT.601)
ALMOST_256 = 255.999  # takes 1 to the byte 255 when it is cut off, and every 256th part to its own
PIECE = 2**16  # pixels at a time on a CPU, whose cache then holds what is computed of them


@dataclass(frozen=True, eq=False)
class ColourChanges:
    """What is to be changed in each image of a batch.

    `orders` are int64 [batch, 4]: the columns of `PARTS` in the order of the changes. `numbers` are
    float64 [batch, 4]: what brightness, contrast and saturation are multiplied by, and how far hue
    turns, in full turns. `blends` and `turns` say whether the first three vary at all, and hue.
    """

    orders: Tensor
    numbers: Tensor
    blends: bool
    turns: bool

    @classmethod
    def draw(cls, batch: int, jitter: float, hue: float, draw: torch.Generator) -> ColourChanges:
        """Factors uniform in 1 ± `jitter`, turns in ± `hue`, all orders alike."""
        drawn = torch.rand(2, batch, len(PARTS), generator=draw, device=draw.device)
        shifts = (2 * drawn[1] - 1).double()
        numbers = torch.cat([1 + jitter * shifts[:, :HUE], hue * shifts[:, HUE:]], 1)
        return cls(drawn[0].argsort(1), numbers, jitter > 0, hue > 0)

    def __call__(self, images: Tensor) -> Tensor:
        """Bytes [batch, channels, height, width], of one channel or three, with other colours."""
        batch, _, height, width = images.shape
        size = max(1, PIECE // (height * width)) if images.device.type == "cpu" else batch
        pieces = zip(
            images.split(size), self.orders.split(size), self.numbers.split(size), strict=True
        )
        return torch.cat([self._changed(*piece) for piece in pieces])

    def _changed(self, images: Tensor, orders: Tensor, numbers: Tensor) -> Tensor:
        grey = images.shape[1] == 1  # without a hue, and without a saturation
        colours = images.to(torch.float32, memory_format=torch.contiguous_format)
        columns = torch.arange(len(PARTS), device=images.device)
        turned_at = (orders == HUE).int().argmax(1, keepdim=True)
        if self.turns and not grey:
            # Hue turns once for all images, each of which has its own changes before and after.
            # Where an image has no change to make, the hue in its place stands for none.
            before = orders.masked_fill(columns > turned_at, HUE)
            after = orders.masked_fill(columns < turned_at, HUE)
            colours = self._blended(colours, before[:, :-1], numbers)
            colours = turned(colours, numbers[:, HUE].float())
            colours = self._blended(colours, after[:, 1:], numbers)
        else:
            others = torch.where(columns < turned_at, orders, orders.roll(-1, 1))
            colours = self._blended(colours, others[:, :-1], numbers)
        return colours.to(torch.uint8)

    def _blended(self, colours: Tensor, orders: Tensor, numbers: Tensor) -> Tensor:
        """Whole numbers as floats, after the changes of `orders` [batch, changes]."""
        if not self.blends:
            return colours
        same = (SATURATION, HUE) if colours.shape[1] == 1 else (HUE,)
        factors = numbers.clone()
        for column in same:
            factors[:, column].fill_(1)
        factors = factors.gather(1, orders)[:, :, None, None, None]
        orders = orders[:, :, None, None, None]
        share = (1 - factors).float()
        shares = zip(
            factors.float().unbind(1),
            (share * (orders == CONTRAST)).unbind(1),
            (share * (orders == SATURATION)).unbind(1),
            strict=True,
        )
        for own, of_mean, of_grey in shares:
            colours = blended(colours, own, of_mean, of_grey)
        return colours


def blended(colours: Tensor, own: Tensor, of_mean: Tensor, of_grey: Tensor) -> Tensor:
    """Whole numbers from 0 to 255 as floats: the colours times `own`, plus the mean of the image's
    greys times `of_mean`, plus each pixel's grey times `of_grey`, one of which is 0.

    Args:
        colours: whole numbers, float32 [batch, channels, height, width].
        own, of_mean, of_grey: float32 [batch, 1, 1, 1].
    """
    grey = greys(colours)
    mean = grey.mean((1, 2, 3), keepdim=True)
    # One rounding for a product and the sum, as `add` with an `alpha` has.
    mixed = (colours * own).addcmul_(mean, of_mean).addcmul_(grey, of_grey)
    return mixed.clamp_(0, 255).floor_()


def greys(colours: Tensor) -> Tensor:
    """The grey of each pixel, cut off to a whole number: [batch, 1, height, width]."""
    if colours.shape[1] == 1:
        return colours
    red, green, blue = colours.split(1, 1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]).floor_()


def turned(colours: Tensor, turns: Tensor) -> Tensor:
    """Colours [batch, 3, height, width] as `blended` has them, with hues further by `turns`
    [batch]; by way of hue, saturation and value (Smith, SIGGRAPH 1978)."""
    hue, saturation, value = _hue_saturation_value(colours * (1 / 255))
    hue = hue.add_(turns[:, None, None, None])
    hue = hue.sub_(hue.floor()).mul_(6)
    sector = hue.floor()
    within = hue.sub_(sector)
    falling = (1 - saturation * within).mul_(value).clamp_(0, 1)
    rising = (saturation * within).add_(1 - saturation).mul_(value).clamp_(0, 1)
    low = (1 - saturation).mul_(value).clamp_(0, 1)
    return _colours(sector, value, falling, low, rising).mul_(ALMOST_256).floor_()


def _colours(sector: Tensor, value: Tensor, falling: Tensor, low: Tensor, rising: Tensor) -> Tensor:
    """Red, green and blue by the sector of the circle, 0 to 6, that a hue lies in. Red is highest
    in sectors 5 and 0, falls in 1, is lowest in 2 and 3 and rises in 4; green does so two sectors
    later, and blue two later again."""
    # Factors of 0 and 1 in place of choices, which take a CPU several times as long.
    numbers = torch.arange(6, device=sector.device)[:, None, None]
    within = (sector.remainder_(6) - numbers).abs_().neg_().add_(1).clamp_(min=0)
    even, odd = within[:, 0::2], within[:, 1::2]
    found = value * (even + odd.roll(1, 1))
    found.addcmul_(falling, odd).addcmul_(low, (even + odd).roll(-1, 1))
    return found.addcmul_(rising, even.roll(1, 1))


def _hue_saturation_value(colours: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each [batch, 1, height, width], from 0 to 1, of colours from 0 to 1; a grey has hue 0."""
    red, green, blue = colours.split(1, 1)
    high = torch.maximum(red, green).maximum(blue)
    spread = high - torch.minimum(red, green).minimum(blue)
    colourless = spread == 0
    saturation = spread / high.masked_fill(colourless, 1)
    spread.masked_fill_(colourless, 1)
    by_red, by_green, by_blue = ((high - part) / spread for part in (red, green, blue))
    sixths = torch.where(green == high, 2 + by_red - by_blue, 4 + by_green - by_red)
    sixths = torch.where(red == high, by_blue - by_green, sixths)
    return sixths.mul_(1 / 6).add_(1).frac_(), saturation, high
