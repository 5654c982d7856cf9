"""Which values are in force: a phase's profile, an overlay over it, overrides over both."""

from __future__ import annotations

from typing import Any

import pytest
from support import CIFAR, space

import compiler
from compiler import data_overrides, settings
from compiler.profile import values_of
from dsl import DartsError, load


def values(phase: str, profile: str | None = None, **overrides: Any) -> dict[str, Any]:
    found = values_of(load(CIFAR), phase, profile, overrides)
    return {**found.parameters, **vars(found.settings)}


def test_the_profile_of_a_phase() -> None:
    search, final = values("search"), values("final")
    assert (search["C"], search["N"], search["epochs"], search["lr_end"]) == (16, 8, 50, 0.001)
    assert (final["C"], final["N"], final["epochs"], final["cutout"]) == (36, 20, 600, 16)
    assert (search["size"], final["classes"]) == (32, 10)


@pytest.mark.parametrize("phase", ["search", "final"])
def test_an_overlay_is_laid_over_either(phase: str) -> None:
    plain, demo = values(phase), values(phase, "demo")
    assert (demo["C"], demo["N"], demo["epochs"], demo["data"]) == (4, 3, 4, "digits")
    changed = {name for name in plain if plain[name] != demo[name]}
    assert changed <= {
        "C", "N", "data", "crop", "flip", "cutout", "epochs", "batch", "auxiliary_weight",
    }  # fmt: skip
    assert demo["lr"] == plain["lr"]


def test_overrides_go_on_top() -> None:
    assert values("search", "demo", C=9, lr=0.5)["C"] == 9
    assert values("search", "demo", C=9, lr=0.5)["lr"] == 0.5


def test_the_shown_name_is_that_asked_for() -> None:
    assert values_of(load(CIFAR), "search", "demo", {}).profile == "demo"
    assert values_of(load(CIFAR), "final", None, {}).profile == "final"


def test_settings_are_those_of_the_search() -> None:
    assert settings(CIFAR).epochs == 50
    assert settings(CIFAR, "demo", batch=7).batch == 7


@pytest.mark.parametrize(
    ("profile", "overrides", "code", "help"),
    [
        (None, {"epoch": 3}, "E0706", "did you mean `epochs`?"),
        (None, {"zzz": 3}, "E0706", "it has C, N, channels, size, classes"),
        (None, {"epochs": 0}, "E0709", None),
        (None, {"epochs": 2.5}, "E0709", None),
        (None, {"momentum": 2}, "E0709", None),
        (None, {"flip": 1}, "E0709", None),
        (None, {"alpha_betas": 0.5}, "E0709", None),
        (None, {"optimiser": "adamw"}, "E0709", None),
        ("dem", {}, "E0705", "did you mean `demo`?"),
        ("final", {}, "E0705", None),
    ],
)
def test_faults(
    profile: str | None, overrides: dict[str, Any], code: str, help: str | None
) -> None:
    with pytest.raises(DartsError) as raised:
        compiler.build(CIFAR, profile=profile, **overrides)
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == code
    if help is not None:
        assert diagnostic.help == help


def test_a_file_without_a_network_builds_nothing() -> None:
    with pytest.raises(DartsError) as raised:
        compiler.build("spaces/std.darts")
    assert raised.value.diagnostics[0].code == "E0701"


def test_data_set_the_parameters_of_the_network() -> None:
    loaded = load(CIFAR)
    assert data_overrides(loaded, (1, 8, 8), 10) == {"channels": 1, "size": 8, "classes": 10}


@pytest.mark.parametrize(
    ("header", "shape", "classes", "fits"),
    [
        ("image[3, 8, 8] to class[10]", (3, 8, 8), 10, True),
        ("image[3, 8, 8] to class[10]", (1, 8, 8), 10, False),
        ("image[3, 8, 8] to class[10]", (3, 8, 8), 5, False),
        ("image[3, n, n] to class[10]", (3, 6, 6), 10, True),
        ("image[3, n, n] to class[10]", (3, 6, 8), 10, False),
        ("image[_, 8, 8] to class[10]", (9, 8, 8), 10, True),
        ("image[n, n, n] to class[n]", (4, 4, 4), 4, True),
        ("image[n, n, n] to class[n]", (4, 4, 4), 5, False),
    ],
)
def test_data_must_fit_what_is_written(
    header: str, shape: tuple[int, ...], classes: int, fits: bool
) -> None:
    body = "image -> flatten -> linear(10)"
    loaded = space(f"network(n = 8) from {header} = {body}")
    if fits:
        found = data_overrides(loaded, shape, classes)
        assert found == ({"n": shape[1]} if "n," in header else {})
        return
    with pytest.raises(DartsError) as raised:
        data_overrides(loaded, shape, classes)
    assert raised.value.diagnostics[0].code == "E0708"
    assert raised.value.diagnostics[0].span is not None
