"""Which dartsc this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed distribution's version; `from source` where it is not installed."""
    try:
        return metadata.version("dartsc")
    except metadata.PackageNotFoundError:
        return "from source"
