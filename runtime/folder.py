"""A folder of images as a data set: `train/<class>/…` and `test/<class>/…` (or `val/`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from runtime.data import Images
from runtime.errors import UserError
from runtime.image_files import ImageFiles, read_image

LAYOUT = "`train/<class>/` and `test/<class>/` hold the images"


def load_folder(folder: Path) -> Images:
    """Every image below `folder`, decoded into memory; nothing is written.

    The classes are the sorted names of the folders in `train/`. Images are RGB, or grey when every
    one of them is. Where there is no `test/`, `val/` is the part to test on. Files whose suffix is
    no image format's, and hidden ones, are passed over.

    Raises:
        UserError: when a part, a class or every image of a class is missing, or when an image
            cannot be read or has another size than the first.
    """
    train_folder, test_folder = _parts(folder)
    classes = tuple(_class_names(train_folder))
    train_files, train_labels = _files(train_folder, classes)
    test_files, test_labels = _files(test_folder, classes)
    decoded = _decode_all([*train_files, *test_files])
    images = _stack(decoded)
    split = len(train_files)
    return Images(
        f"images:{folder.resolve()}",
        images[:split],
        torch.tensor(train_labels),
        images[split:],
        torch.tensor(test_labels),
        classes,
    )


def load_files(folder: Path, side: int) -> ImageFiles:
    """Every image below `folder`, left in its file; see `load_folder`, and `ImageFiles` for `side`.

    Raises:
        UserError: when a part, a class or every image of a class is missing.
    """
    train_folder, test_folder = _parts(folder)
    classes = tuple(_class_names(train_folder))
    train, train_labels = _files(train_folder, classes)
    test, test_labels = _files(test_folder, classes)
    return ImageFiles(
        f"images:{folder.resolve()}",
        side,
        tuple(train),
        torch.tensor(train_labels),
        tuple(test),
        torch.tensor(test_labels),
        classes,
    )


def _parts(folder: Path) -> tuple[Path, Path]:
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: after `images:` comes one where {LAYOUT}")
    train = folder / "train"
    if not train.is_dir():
        raise UserError(f"there is no folder {train}: {LAYOUT}")
    for name in ("test", "val"):
        if (folder / name).is_dir():
            return train, folder / name
    raise UserError(f"there is neither {folder / 'test'} nor {folder / 'val'}: {LAYOUT}")


def _class_names(part: Path) -> list[str]:
    try:
        return sorted(p.name for p in part.iterdir() if p.is_dir() and p.name[0] != ".")
    except OSError as error:
        raise UserError(f"cannot read {part}: {error.strerror}") from error


def _files(part: Path, classes: Sequence[str]) -> tuple[list[Path], list[int]]:
    """The image files of a part, class by class and sorted within, and their labels."""
    if not classes:
        raise UserError(f"{part} has no folders: one for each class, with its images inside")
    here = _class_names(part)
    for name in here:
        if name not in classes:
            raise UserError(
                f"{part / name} is a class that `train/` does not have: "
                f"add images of it to train on, or remove it"
            )
    lacking = [name for name in classes if name not in here]
    if lacking:
        raise UserError(
            f"{part} has no folder `{lacking[0]}`, which is a class in `train/`: add images of it "
            f"to both, or remove it from both"
        )
    suffixes = _suffixes()
    files: list[Path] = []
    labels: list[int] = []
    for name in here:
        found = _walk(part / name, suffixes)
        if not found:
            raise UserError(f"{part / name} holds no images: add some, or remove the folder")
        files += found
        labels += [classes.index(name)] * len(found)
    if not files:
        raise UserError(f"{part} holds no images: {LAYOUT}")
    return files, labels


def _suffixes() -> set[str]:
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}


def _walk(folder: Path, suffixes: set[str]) -> list[Path]:
    return sorted(
        Path(root, name)
        for root, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name[0] != "." and os.path.splitext(name)[1].lower() in suffixes
    )


def _decode_all(files: Sequence[Path]) -> list[np.ndarray]:
    """Each image as bytes [height, width] or [height, width, 3], all of the first one's size."""
    first = np.asarray(read_image(files[0]))
    height, width = first.shape[:2]

    def decode(path: Path) -> np.ndarray:
        pixels = np.asarray(read_image(path))
        if pixels.shape[:2] != (height, width):
            raise UserError(
                f"{path} is {pixels.shape[1]}×{pixels.shape[0]} pixels where {files[0]} is "
                f"{width}×{height}: bring all to one size, or `--set resized_crop={height}`"
            )
        return pixels

    # Decoders release the interpreter's lock, so threads do run side by side.
    with ThreadPoolExecutor() as pool:
        return list(pool.map(decode, files))


def _stack(decoded: list[np.ndarray]) -> Tensor:
    """Bytes [images, channels, height, width], with one channel where every image has one."""
    channels = max(1 if pixels.ndim == 2 else 3 for pixels in decoded)
    images = np.empty((len(decoded), channels, *decoded[0].shape[:2]), np.uint8)
    for i, pixels in enumerate(decoded):
        images[i] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(images)
