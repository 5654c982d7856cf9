"""A space, images and texts so small that whole runs of them take a fraction of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from compiler import Genotype
from runtime.data import Images
from runtime.progress import Silent

SPACE = """language 1
import std

set candidates = {
    sink none,
    skip as skip_connect,
    avg_pool(3) as avg_pool_3x3,
    relu_conv_bn(1) as conv_1x1,
}

cell normal from x {
    node n[2] = sum(each (x, earlier n) -> choose candidates -> drop_path)
    keep 1 edge per node by weight
    return n[1]
}

network(C = 2, channels = 3, size = 8, classes = 10)
from image[channels, size, size] to class[classes] {
    stem = image -> conv(3, out: C) -> bn
    return stem -> repeat 1 { normal } -> global_pool(mean) -> linear(classes)
}

profile search { data = digits  subset = 64  epochs = 2  batch = 16  alpha_lr = 0.1 }
profile final { data = digits  subset = 64  epochs = 2  batch = 16  crop = 1  drop_path = 0.3 }
"""
WITH_DEMO = SPACE + "profile demo { C = 3  epochs = 1 }\n"
GENOTYPE = Genotype.parse("""cells:
  normal:
    decisions:
      n[0] from x: conv_1x1
      n[1] from n[0]: skip_connect
    sources: [x, 'n[0]', 'n[1]']
    output: ['n[1]']
""")


def space_in(folder: Path, text: str = SPACE) -> Path:
    """The space as a file."""
    path = folder / "tiny.darts"
    path.write_text(text)
    return path


def coloured(
    seed: int = 0, train: int = 40, test: int = 21, classes: tuple[str, ...] = ("ant", "bee", "cat")
) -> Images:
    """Random images of 3 × 8 × 8, the channels of unlike means and deviations."""
    draw = torch.Generator().manual_seed(seed)
    scale = torch.tensor([60, 120, 200])[:, None, None]
    pixels = (torch.rand(train + test, 3, 8, 8, generator=draw) * scale + 20).to(torch.uint8)
    labels = torch.arange(train + test) % len(classes)
    return Images("mine", pixels[:train], labels[:train], pixels[train:], labels[train:], classes)


def picture(path: Path, size: tuple[int, int] = (12, 10), seed: int = 0) -> Path:
    """Writes a random RGB image, width by height, in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def picture_folder(folder: Path, train: int = 10, test: int = 3) -> Path:
    """Images of unlike sizes, in two classes."""
    for part, count in (("train", train), ("test", test)):
        for kind in ("ant", "bee"):
            for i in range(count):
                seed = i + 100 * len(part) + 1000 * len(kind)
                place = folder / part / kind / f"{i:02}.{('png', 'bmp')[i % 2]}"
                picture(place, (9 + 3 * (i % 4), 8 + 5 * (i % 3)), seed + ord(kind[0]))
    return folder


class StopAt(Silent):
    """Presses Ctrl-C after some number of steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, losses: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
