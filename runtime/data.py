"""Which data sets there are, and loading them whole: images as bytes, text as numbered words."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dsl.diagnostics import did_you_mean
from runtime.errors import UserError
from runtime.image_files import ImageFiles
from runtime.pixels import InMemory
from runtime.text import Text, load_text, load_topics

CHOICES = "`cifar10`, `cifar100`, `digits`, `topics`, `images:DIR` or `text:DIR`"
OF_IMAGES = ("cifar10", "cifar100", "digits", "images")


@dataclass(frozen=True, eq=False)
class Images:
    """Images with class labels, in a part to train on and a part to test on.

    `train` and `test` are bytes [images, channels, height, width] with values 0 to 255; the labels
    are int64 [images], indices into `classes`.
    """

    name: str
    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for images, labels in ((self.train, self.train_labels), (self.test, self.test_labels)):
            if images.dtype != torch.uint8 or images.ndim != 4 or len(images) == 0:
                raise ValueError("images are bytes [images, channels, height, width], at least one")
            if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
                raise ValueError("labels are int64, one for each image")
            if not 0 <= int(labels.min()) <= int(labels.max()) < len(self.classes):
                raise ValueError("every label is an index into the classes")
        if self.train.shape[1:] != self.test.shape[1:]:
            raise ValueError("images to train and to test on have the same shape")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.shape[1:]
        return channels, height, width

    def pixels(self, part: str) -> InMemory:
        """The images of part `train` or `test`."""
        return InMemory(self.train if part == "train" else self.test)

    def facts(self) -> dict[str, Any]:
        """By what a run recognises its images."""
        digest = sha256()
        for tensor in (self.train, self.train_labels, self.test, self.test_labels):
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return {
            "train": len(self.train),
            "test": len(self.test),
            "shape": list(self.shape),
            "classes": list(self.classes),
            "sha256": digest.hexdigest(),
        }


ImageSet = Images | ImageFiles


def load(name: str, side: int = 0) -> ImageSet | Text:
    """The data set called `name`: `cifar10`, `cifar100`, `digits`, `topics`, or a folder after
    `images:` or `text:`.

    With a `side`, the images of a folder may have any size: they are read when they are asked for,
    each time as another crop, scaled to that side (the setting `resized_crop`).

    Raises:
        UserError: when there is no such data set or it cannot be read.
    """
    kind, _, folder = name.partition(":")
    if side and kind in OF_IMAGES and kind != "images":
        raise UserError(
            f"`resized_crop` is {side}, and crops come from files: use `--data images:DIR`"
        )
    if name in ("cifar10", "cifar100"):
        return _load_cifar(name)
    if name == "digits":
        return _load_digits()
    if name == "topics":
        return load_topics()
    if kind in ("images", "text") and not folder:
        raise UserError(f"`{name}` names no folder: write `{kind}:DIR`")
    if kind == "images":
        from runtime.folder import load_files, load_folder

        return load_files(Path(folder), side) if side else load_folder(Path(folder))
    if kind == "text":
        return load_text(Path(folder))
    near = did_you_mean(kind, [*OF_IMAGES, "text", "topics"])
    raise UserError(f"there is no data set `{name}`: {near or f'the choices are {CHOICES}'}")


def _load_cifar(name: str) -> Images:
    """CIFAR-10 or CIFAR-100 (Krizhevsky 2009), from the root folder or else downloaded into it."""
    from torchvision.datasets import CIFAR10, CIFAR100

    kind, called = (CIFAR10, "CIFAR-10") if name == "cifar10" else (CIFAR100, "CIFAR-100")
    root = Path(os.environ.get("DARTSC_DATA") or Path.home() / ".cache" / "dartsc")
    try:
        try:
            train = kind(str(root), train=True)
        except RuntimeError:  # not there, or not whole
            root.mkdir(parents=True, exist_ok=True)
            with _connection_timeout(20):
                train = kind(str(root), train=True, download=True)
        test = kind(str(root), train=False)
    except (OSError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{called} is not in {root} and cannot be downloaded ({_one_line(error)}): use "
            f"`--data images:DIR` or `--data digits`, or put `{kind.filename}` into that "
            f"folder (DARTSC_DATA names another)"
        ) from error
    return Images(
        name,
        torch.from_numpy(train.data).permute(0, 3, 1, 2).contiguous(),
        torch.tensor(train.targets),
        torch.from_numpy(test.data).permute(0, 3, 1, 2).contiguous(),
        torch.tensor(test.targets),
        tuple(train.classes),
    )


@contextmanager
def _connection_timeout(seconds: float) -> Iterator[None]:
    # A machine behind a silent firewall would otherwise wait for minutes.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _load_digits() -> Images:
    """The 1,797 handwritten digits that come with scikit-learn, 8×8 and grey; 300 to test on."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # [n, 8, 8], of 17 levels
    images, labels = torch.from_numpy(grey)[:, None], torch.from_numpy(digits.target).long()
    # The file goes writer by writer; the same shuffle each time mixes them.
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    test, train = order[:300], order[300:]
    return Images(
        "digits",
        images[train],
        labels[train],
        images[test],
        labels[test],
        tuple(str(digit) for digit in range(10)),
    )


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
