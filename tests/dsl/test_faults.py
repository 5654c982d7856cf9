"""Faulty files beside the pictures of their diagnostics; `--update-golden` draws them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsl import DartsError, load, render

FAULTS = Path(__file__).with_name("faults")
NAMES = sorted(path.stem for path in FAULTS.glob("*.darts"))


@pytest.mark.parametrize("name", NAMES)
def test_picture(
    name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(FAULTS)
    try:
        diagnostics = load(f"{name}.darts").warnings
    except DartsError as error:
        diagnostics = error.diagnostics
    picture = render(diagnostics)
    expected = FAULTS / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        expected.write_text(picture, encoding="utf-8")
    assert picture == expected.read_text(encoding="utf-8")


def test_every_picture_has_its_file() -> None:
    assert sorted(path.stem for path in FAULTS.glob("*.txt")) == NAMES
