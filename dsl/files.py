"""Finding and reading `.darts` files."""

from __future__ import annotations

import re
from pathlib import Path

from dsl.diagnostics import did_you_mean, fault
from dsl.limits import MAX_BYTES, too_long
from dsl.source import Source, Span

SHIPPED = Path(__file__).resolve().parent.parent / "spaces"
_SHIPPED_NAME = re.compile(r"spaces/(\w+)\.darts")


def find(path: str | Path) -> Path:
    """The file of that path; `spaces/NAME.darts` is also looked for among the shipped spaces."""
    path = Path(path)
    try:
        if path.exists():
            return path
    except (OSError, ValueError):
        return path
    shipped = _SHIPPED_NAME.fullmatch(path.as_posix())
    if shipped and (SHIPPED / f"{shipped[1]}.darts").is_file():
        return SHIPPED / f"{shipped[1]}.darts"
    return path


def read(path: Path, name: str) -> Source:
    """The text of a file, which diagnostics call `name`.

    Raises:
        DartsError: a single diagnostic when there is no such file or it is no text.
    """
    try:
        if path.is_dir():
            raise fault("E0101", f"`{name}` is a folder", None, "name a `.darts` file in it")
        if path.exists() and not path.is_file():
            # Reading a pipe or a device might never end.
            raise fault("E0101", f"`{name}` is not a plain file", None)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise fault("E0101", f"there is no file `{name}`", None, _nearby(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fault("E0101", f"`{name}` cannot be read: {reason.lower()}", None) from None
    if len(content) > MAX_BYTES:
        raise too_long(name)
    return Source(name, decode(content, name), path)


def decode(content: bytes, name: str) -> str:
    """The text in a file's bytes.

    Raises:
        DartsError: when the bytes are not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise fault(
            "E0102", f"`{name}` is not UTF-8 text (line {line})", None, "save it as UTF-8"
        ) from None


def find_import(
    parts: tuple[str, ...], folder: Path | None, span: Span, word: str = "import"
) -> Path:
    """The file that `import a/b` or `extend a/b` means: beside the file itself, else shipped.

    Raises:
        DartsError: when there is none, or when a link leads out of the folder it is looked for in.
    """
    written = "/".join(parts)
    for root in (folder, SHIPPED):
        path = None if root is None else root.joinpath(*parts).with_suffix(".darts")
        if root is None or path is None or not _is_file(path):
            continue
        if not path.resolve().is_relative_to(root.resolve()):
            raise fault("E0108", f"`{written}` is a link that leads out of its folder", span)
        return path
    where = "among the shipped files" if folder is None else "beside this file or among the shipped"
    known = _names(folder)
    help = f"`{word} {parts[-1]}`" if parts[-1] in known else did_you_mean(written, known)
    raise fault("E0108", f"no `{written}` {where}", span, help)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system
        return False


def _names(folder: Path | None) -> list[str]:
    return [p.stem for root in (folder, SHIPPED) if root is not None for p in root.glob("*.darts")]


def _nearby(path: Path) -> str | None:
    try:
        return did_you_mean(path.name, [p.name for p in path.parent.glob("*.darts")])
    except OSError:
        return None
