"""Faulty programs beside the pictures of their diagnostics; `--update-golden` draws them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.describe import check
from dsl import DartsError, load, render
from dsl.diagnostics import Diagnostic

FAULTS = Path(__file__).with_name("faults")
NAMES = sorted(path.stem for path in FAULTS.glob("*.darts"))


def diagnostics(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Diagnostic, ...]:
    monkeypatch.chdir(FAULTS)
    try:
        return check(load(f"{name}.darts"))
    except DartsError as error:
        return error.diagnostics


@pytest.mark.parametrize("name", NAMES)
def test_picture(
    name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    picture = render(diagnostics(name, monkeypatch))
    expected = FAULTS / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        expected.write_text(picture, encoding="utf-8")
    assert picture == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_faults_are_shown_in_the_file_of_the_user(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for diagnostic in diagnostics(name, monkeypatch):
        assert diagnostic.span is not None
        assert diagnostic.span.source.name == f"{name}.darts"


def test_a_fault_inside_an_imported_op_is_a_label_at_its_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for diagnostic in diagnostics("reduction_of_odd_size", monkeypatch):
        assert diagnostic.code == "E0501"
        assert diagnostic.labels[0].span.source.name == "spaces/std.darts"


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("independent_faults", ["E0502", "E0504"]),
        ("independent_faults_of_size", ["E0504", "E0503", "E0501"]),
        ("number_of_values", ["E0402"] * 3),
        ("groups", ["E0503"] * 6),
    ],
)
def test_independent_faults_come_together(
    name: str, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [d.code for d in diagnostics(name, monkeypatch)] == codes


def test_every_picture_has_its_file() -> None:
    assert sorted(path.stem for path in FAULTS.glob("*.txt")) == NAMES
