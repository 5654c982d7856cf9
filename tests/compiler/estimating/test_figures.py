"""Bytes and seconds in words."""

from __future__ import annotations

import pytest

from compiler.estimating.figures import amount, duration


@pytest.mark.parametrize(
    ("size", "said"),
    [(12, "12 bytes"), (2048, "2.0 KB"), (550 * 2**20, "550 MB"), (int(3.44 * 2**30), "3.4 GB")],
)
def test_amounts(size: int, said: str) -> None:
    assert amount(size) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0001, "less than 1 ms"), (0.0123, "12 ms"), (0.52, "520 ms"), (1.24, "1.2 s"),
        (90, "1.5 min"), (3600 * 30, "30 h"), (86400 * 2.5, "2.5 days"),
    ],
)  # fmt: skip
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
