"""Writing files so that nothing half-written is ever left behind."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes beside `path`, flushes to the disk, then renames.

    Raises:
        OSError: with `path` as its file name, also when it is no file that can be replaced.
    """
    try:
        _write(replaceable(path), text)
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), str(path)) from None


def replaceable(path: Path) -> Path:
    """Where a file is, or will be, that a new one may take the place of; links are followed.

    Raises:
        OSError: when there is a folder, a device or the like.
    """
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if place.exists() and not place.is_file():
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    return place


def _write(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        share(temporary)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def share(path: str | Path) -> None:
    """Gives a file the permissions of any new one; a temporary one is its owner's alone."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)
