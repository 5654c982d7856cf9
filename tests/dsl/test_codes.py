"""The table of codes and the codes that are used are the same."""

from __future__ import annotations

import re
from pathlib import Path

from dsl.codes import CODES

ROOT = Path(__file__).parents[2]


def used() -> set[str]:
    files = [
        path
        for folder in ("dsl", "compiler", "runtime")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "codes.py"
    ]
    return {
        code
        for path in files
        for code in re.findall(r"\b[EW]0\d{3}\b", path.read_text(encoding="utf-8"))
    }


def test_every_code_in_use_is_explained() -> None:
    assert used() - CODES.keys() == set()


def test_codes_are_in_order() -> None:
    assert list(CODES) == sorted(CODES)
    assert all(re.fullmatch(r"[EW]0[1-9]\d\d", code) for code in CODES)
    assert all(text[0].islower() or text[0] == "`" for text in CODES.values())
