"""Which of the files that come along declares a name."""

from __future__ import annotations

import re
from functools import cache

from dsl.files import SHIPPED

_DECLARED = re.compile(r"^(?:op|set|cell) (\w+)", re.MULTILINE)
LIBRARIES = ("std",)
"""Files that are there to be imported."""


def shipped_home(name: str) -> str | None:
    """The file to import for an op, set or cell of that name; None where there is none."""
    return _homes().get(name)


@cache
def _homes() -> dict[str, str]:
    texts = {name: (SHIPPED / f"{name}.darts").read_text(encoding="utf-8") for name in LIBRARIES}
    return {name: home for home, text in texts.items() for name in _DECLARED.findall(text)}
