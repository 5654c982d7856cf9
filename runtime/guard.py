"""What surrounds the loop of any run: Ctrl-C and a lack of memory, each told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from runtime.errors import UserError
from runtime.progress import Reporter
from runtime.rundir import RunFolder


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run. Its folder is whole; the message, one line, says how to go on."""


@contextmanager
def stopping(folder: RunFolder, progress: Reporter) -> Iterator[None]:
    """Makes Ctrl-C within an Interrupted, and tells `progress` of the end, whatever the reason."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"stopped: `--resume {folder.path}` goes on from the last finished epoch"
        ) from error
    finally:
        progress.stopped()


@contextmanager
def within_memory() -> Iterator[None]:
    """What does not fit into memory as one line; torch tells it in several ways."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        words = ("allocate memory", "out of memory", "Storage size calculation overflowed")
        if isinstance(error, RuntimeError) and not any(word in str(error) for word in words):
            raise
        raise UserError(
            "this takes more memory than there is: use a smaller `batch` or a narrower network"
        ) from error
