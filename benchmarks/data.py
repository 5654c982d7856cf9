"""Times the preparing of batches, and what share of a search step it takes.

A search step takes two batches, one for the weights and one for the alphas. The images in memory
are random bytes of the size and number of CIFAR-10's, as it makes no difference what they show.

    python benchmarks/data.py --step 2.0
    python benchmarks/data.py --step 2.0 --files images:DIR --side 224

Images in memory are prepared between the steps. Files are read ahead in threads, so a loop waits
for them only where their share is near 100 % or the threads take the cores from the steps; their
batches have the jitter of the ImageNet recipe. On a CUDA device the time of the host counts.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from dsl.settings import Settings  # noqa: E402
from runtime.batches import Batch, whole  # noqa: E402
from runtime.data import Images, ImageSet, load  # noqa: E402
from runtime.text import Text  # noqa: E402

BATCHES_OF_A_STEP = 2
WARM_UP = 3
IN_MEMORY = {
    "normalised only": {},
    "crops, flips": {"crop": 4, "flip": True},
    "  and cutout": {"crop": 4, "flip": True, "cutout": 16},
    "  and jitter": {"crop": 4, "flip": True, "jitter": 0.4, "jitter_hue": 0.2},
}
FROM_FILES = {"flip": True, "jitter": 0.4, "jitter_hue": 0.2}


def like_cifar() -> Images:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (50_000, 3, 32, 32), generator=draw, dtype=torch.uint8)
    labels = torch.arange(len(pixels)) % 10
    return Images("noise", pixels, labels, pixels[:1], labels[:1], tuple("0123456789"))


def milliseconds(batches: Iterator[Batch], count: int, device: torch.device) -> list[float]:
    """What each of `count` batches takes, after a few that are not counted."""
    taken = []
    for _ in range(WARM_UP + count):
        begun = time.perf_counter()
        next(batches)
        taken.append(1e3 * (time.perf_counter() - begun))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return taken[WARM_UP:]


def report(name: str, images: ImageSet, options: argparse.Namespace, **settings: float) -> None:
    device = torch.device(options.device)
    asked = Settings(batch=options.batch, **settings)  # type: ignore[arg-type]
    batches = whole(images, asked, 0, device).train.from_step(0)
    taken = milliseconds(batches, options.rounds, device)
    # The mean is what holds for batches that are made ahead: some are there, others are waited for.
    typical = statistics.median(taken) if isinstance(images, Images) else statistics.mean(taken)
    share = BATCHES_OF_A_STEP * typical / (1e3 * options.step)
    print(f"{name:<24} {typical:>10.2f} {max(taken):>10.2f} {share:>9.2%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the preparing of batches.")
    parser.add_argument("--batch", type=int, default=64, help="images in a batch")
    parser.add_argument("--step", type=float, default=2.0, help="seconds of a search step")
    parser.add_argument("--files", metavar="images:DIR", help="a folder of images to read as well")
    parser.add_argument("--side", type=int, default=224, help="side of the crops from files")
    parser.add_argument("--rounds", type=int, default=30, help="timed batches of each kind")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()

    print(
        f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads, "
        f"batches of {options.batch}, a step of {options.step:g} s"
    )
    print(f"{'50,000 images of 32×32':<24} {'ms/batch':>10} {'most':>10} {'of a step':>9}")
    images = like_cifar()
    for name, settings in IN_MEMORY.items():
        report(name, images, options, **settings)
    if options.files:
        files = load(options.files, options.side)
        if isinstance(files, Text):
            raise SystemExit(f"`{options.files}` holds text: give `--files images:DIR`")
        print(f"{len(files.train_labels):,} files")
        report(f"crops of {options.side}×{options.side}, jitter", files, options, **FROM_FILES)


if __name__ == "__main__":
    main()
