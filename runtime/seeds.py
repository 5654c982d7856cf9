"""Independent streams of random numbers, all from one seed."""

from __future__ import annotations

import hashlib

import torch


def stream_seed(seed: int, *stream: str | int) -> int:
    """A seed of 63 bits for the stream named `stream`, such as `("shuffle", "train", 3)`.

    Hashing keeps the streams of nearby seeds apart, and lets any stream start in the middle of a
    run without having drawn what came before.
    """
    text = "/".join(str(part) for part in (seed, *stream))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def generator(seed: int, *stream: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` at the start of the stream named `stream`."""
    return torch.Generator(device).manual_seed(stream_seed(seed, *stream))
