"""Images that stay in their files: read when they are asked for, cropped and scaled to one side."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from runtime.errors import UserError
from runtime.pixels import AHEAD

SHARES = (0.08, 1.0)  # of an image's area, in a random crop (Szegedy et al. 2015, section 6)
RATIOS = (3 / 4, 4 / 3)  # of its width to its height
TRIES = 10
MARGIN = 8 / 7  # the shorter side of an image to test on, before the middle of it is cropped
GREY_MODES = ("1", "L")
WIDE_MODES = ("I", "F")  # Pillow would cut their values off at 255
# What decoders raise for damaged files; a RuntimeError is that of a library beneath Pillow.
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    RuntimeError,
    Image.DecompressionBombError,
)


class Box(NamedTuple):
    """A part of an image, in pixels from its top left corner."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files with class labels, in a part to train on and a part to test on.

    Every image is read as RGB and becomes `side` × `side` pixels. Labels are int64, indices into
    `classes`.
    """

    name: str
    side: int
    train: tuple[Path, ...]
    train_labels: Tensor
    test: tuple[Path, ...]
    test_labels: Tensor
    classes: tuple[str, ...]
    pool: ThreadPoolExecutor = field(default_factory=ThreadPoolExecutor, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return 3, self.side, self.side

    def pixels(self, part: str) -> Files:
        """The images of part `train` or `test`."""
        return Files(self.train if part == "train" else self.test, self.side, self.pool)

    def facts(self) -> dict[str, Any]:
        """By what a run recognises its images: the labels and names of the files, and how long
        they are.

        Raises:
            UserError: when a file is gone.
        """
        digest = sha256()
        labels = [*self.train_labels.tolist(), *self.test_labels.tolist()]
        for path, label in zip((*self.train, *self.test), labels, strict=True):
            digest.update(f"{label} {'/'.join(path.parts[-2:])} {_length(path)}\n".encode())
        return {
            "train": len(self.train),
            "test": len(self.test),
            "shape": list(self.shape),
            "classes": list(self.classes),
            "sha256": digest.hexdigest(),
        }


@dataclass(frozen=True, eq=False)
class Files:
    """Image files by number, read and cropped on all cores whenever they are asked for."""

    paths: Sequence[Path]
    side: int
    pool: ThreadPoolExecutor = field(default_factory=ThreadPoolExecutor, repr=False)

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def ahead(self) -> int:
        return AHEAD

    def __len__(self) -> int:
        return len(self.paths)

    def picked(self, rows: Tensor) -> Files:
        return Files([self.paths[row] for row in rows.tolist()], self.side, self.pool)

    def on(self, device: torch.device, share: float) -> Files:
        return self

    def read(self, chosen: Tensor, draw: torch.Generator | None = None) -> Tensor:
        """Bytes [images, 3, side, side], cropped at random by `draw` or else in the middle.

        Raises:
            UserError: when a file cannot be read as an image.
        """
        paths = [self.paths[row] for row in chosen.tolist()]
        # Drawn before any file is opened, so that a crop hangs on the image's place alone.
        crops: Sequence[Tensor | None] = [None] * len(paths)
        if draw is not None:
            crops = list(torch.rand(len(paths), TRIES, 4, generator=draw, dtype=torch.float64))
        # Decoders release the interpreter's lock, so threads do run side by side.
        images = np.empty((len(paths), 3, self.side, self.side), np.uint8)
        deque(self.pool.map(_read, paths, crops, images), maxlen=0)  # raises what they raise
        return torch.from_numpy(images)


def _read(path: Path, crop: Tensor | None, place: np.ndarray) -> None:
    """Puts an image into its place, bytes [3, side, side]."""
    side = place.shape[1]
    image = read_image(path, "RGB")
    box = middle(image.size, side) if crop is None else random_crop(image.size, crop)
    resized = image.resize((side, side), Image.Resampling.BILINEAR, box)
    place[:] = np.asarray(resized).transpose(2, 0, 1)


def read_image(path: Path, mode: str = "") -> Image.Image:
    """An image in `mode`, or else in grey where the file is grey and in RGB where it is not.

    Raises:
        UserError: when it cannot be decoded, or has more than a byte for a channel of a pixel.
    """
    try:
        with Image.open(path) as image:
            wide = image.mode.startswith(WIDE_MODES)
            if not wide:
                return image.convert(mode or ("L" if image.mode in GREY_MODES else "RGB"))
    except UNREADABLE as error:
        raise UserError(f"cannot read {path} as an image: repair or remove it") from error
    raise UserError(f"{path} has more than 8 bits a channel: convert it to 8, or remove it")


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise UserError(f"cannot read {path} as an image: repair or remove it") from error


def middle(size: tuple[int, int], side: int) -> Box:
    """What of an image, width by height, is left of its middle when its shorter side is scaled to
    8/7 of `side` (256 for 224) and a square of `side` is cropped there."""
    width, height = size
    reach = min(size) * side / round(side * MARGIN)
    return _around(width / 2, height / 2, reach, reach)


def random_crop(size: tuple[int, int], drawn: Tensor) -> Box:
    """A part of an image, width by height, of random area, ratio and place.

    `drawn` are uniform numbers [tries, 4]; the first try that fits is taken, and the largest part
    in the middle with a ratio within bounds where none does (Szegedy et al. 2015, section 6).
    """
    width, height = size
    low, high = (math.log(ratio) for ratio in RATIOS)
    for share, ratio, x, y in drawn.tolist():
        area = width * height * (SHARES[0] + (SHARES[1] - SHARES[0]) * share)
        proportion = math.exp(low + (high - low) * ratio)
        w, h = round(math.sqrt(area * proportion)), round(math.sqrt(area / proportion))
        if 0 < w <= width and 0 < h <= height:
            left, top = math.floor(x * (width - w + 1)), math.floor(y * (height - h + 1))
            return Box(left, top, left + w, top + h)
    widest, highest = min(width, height * RATIOS[1]), min(height, width / RATIOS[0])
    return _around(width / 2, height / 2, widest, highest)


def _around(x: float, y: float, width: float, height: float) -> Box:
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
