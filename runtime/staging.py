"""Several files that appear together: written in a folder of their own, then moved to their place.

`compiler.files.write_text` does as much for one text.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from compiler.files import replaceable
from runtime.errors import UserError


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what is not finished; it is gone afterwards.

    Raises:
        UserError: that names `path`, for a refusal of the operating system within.
    """
    try:
        replaceable(path)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def write_bytes(file: Path, data: bytes) -> None:
    """Writes a file and flushes it to the disk."""
    with file.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def move_all(files: Sequence[Path], path: Path) -> None:
    """Moves finished files beside each other, the one called as `path` last; all or none.

    What is there is replaced. The others are held in memory meanwhile, so they should be small.
    """
    before: dict[Path, bytes | None] = {}
    try:
        for file in sorted(files, key=lambda file: file.name == path.name):
            target = replaceable(path.with_name(file.name))
            if target != path:
                before[target] = target.read_bytes() if target.exists() else None
            os.replace(file, target)
    except BaseException:
        for target, content in before.items():
            if content is None:
                target.unlink(missing_ok=True)
            else:
                target.write_bytes(content)
        raise
