"""Bytes and seconds in units that a person reads."""

from __future__ import annotations

UNITS = ((2**30, "GB"), (2**20, "MB"), (2**10, "KB"))
TIMES = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))


def amount(size: int) -> str:
    """Bytes, as in `3.4 GB`; the units are those of `--memory`, powers of 1024."""
    for unit, name in UNITS:
        if size >= unit:
            return f"{_two(size / unit)} {name}"
    return f"{size} bytes"


def duration(seconds: float) -> str:
    """As in `1.2 s`, `35 min` or `2.1 days`."""
    for unit, name in TIMES:
        if seconds >= unit * (2 if name == "days" else 1):
            return f"{_two(seconds / unit)} {name}"
    return "less than 1 ms"


def _two(number: float) -> str:
    """Two digits, and all that stand before the point."""
    return f"{number:.1f}" if number < 9.95 else f"{number:,.0f}"
