"""Settings: their table, what they refuse, and how profiles give them."""

from __future__ import annotations

import pytest

from dsl import load, load_text
from dsl.diagnostics import did_you_mean
from dsl.settings import (
    OF_KIND,
    SETTINGS,
    Settings,
    Value,
    complaint,
    meaningless,
    settings_from,
)


def test_defaults_satisfy_their_own_rules() -> None:
    defaults = Settings()
    assert {n: complaint(n, getattr(defaults, n)) for n in SETTINGS} == dict.fromkeys(SETTINGS)


def test_every_setting_says_what_it_is() -> None:
    assert all(field.metadata["doc"] for field in SETTINGS.values())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", "fifty", "is a whole number of at least 1"),
        ("epochs", 0, "is a whole number of at least 1"),
        ("epochs", 1.5, "is a whole number of at least 1"),
        ("epochs", True, "is a whole number of at least 1"),
        ("lr", -0.1, "is a number of at least 0"),
        ("lr", True, "is a number of at least 0"),
        ("lr", (1, 2), "is a number of at least 0"),
        ("momentum", 1.5, "is a number of at least 0 and at most 1"),
        ("flip", 1, "is `yes` or `no`"),
        ("optimiser", "adam", "is one of `sgd`, `averaged_sgd`"),
        ("data", 3, "is a word"),
        ("alpha_betas", (0.5, 1), "is a pair of numbers from 0 to 1, as in `(0.5, 0.999)`"),
        ("alpha_betas", (0.5,), "is a pair of numbers from 0 to 1, as in `(0.5, 0.999)`"),
        ("alpha_betas", 0.5, "is a pair of numbers from 0 to 1, as in `(0.5, 0.999)`"),
        ("epochs", 1, None),
        ("lr", 0, None),
        ("alpha_betas", (0, 0.9), None),
        ("data", "digits", None),
    ],
)
def test_complaints(name: str, value: Value, message: str | None) -> None:
    assert complaint(name, value) == message


def test_settings_leave_out_parameters() -> None:
    profile = load("spaces/cifar_cell.darts").profiles["final"]
    settings = settings_from({name: entry.value for name, entry in profile.entries.items()})
    assert settings.epochs == 600
    assert settings.alpha_betas == Settings().alpha_betas


def test_a_pair_of_a_whole_number_and_another_is_one_of_two_alike() -> None:
    betas = settings_from({"alpha_betas": (0, 0.999)}).alpha_betas
    assert betas == (0, 0.999)
    assert all(type(beta) is float for beta in betas)


def test_profiles_begin_with_their_base() -> None:
    space = load_text(
        "language 1\n"
        "network(C, N = 2) from x[C] to y[C] = x\n"
        "profile large = final { C = 9  epochs = 7 }\n"
        "profile final { C = 3  N = 4  lr = 0.5 }\n"
        "profile larger = large { N = 8 }\n"
        "profile demo { C = 1 }\n"
        "profile tiny = demo { N = 1 }\n"
    )
    values = {
        name: (p.phase, {n: e.value for n, e in p.entries.items()})
        for name, p in space.profiles.items()
    }
    assert values == {
        "large": ("final", {"C": 9, "N": 4, "lr": 0.5, "epochs": 7}),
        "final": ("final", {"C": 3, "N": 4, "lr": 0.5}),
        "larger": ("final", {"C": 9, "N": 8, "lr": 0.5, "epochs": 7}),
        "demo": (None, {"C": 1}),
        "tiny": (None, {"C": 1, "N": 1}),
    }


def test_entries_know_where_they_were_written() -> None:
    space = load_text("language 1\nprofile search { epochs = 7 }\nprofile a = search { }\n")
    span = space.profiles["a"].entries["epochs"].span
    assert span is not None
    assert str(span) == "<text>:2:27"


def test_the_other_case_is_suggested() -> None:
    """A name that differs in case alone is the nearest, however short it is."""
    assert did_you_mean("c", ["C", "N", "crop"]) == "did you mean `C`?"


def test_settings_of_one_kind_of_data_mean_nothing_for_the_other() -> None:
    changed = Settings(cutout=4, bptt=20, slowness=1e-3, clip_virtual=True, epochs=3)
    assert meaningless(changed, "text") == ["cutout"]
    assert meaningless(changed, "images") == ["bptt", "slowness"]
    assert meaningless(Settings(), "text") == meaningless(Settings(), "images") == []
    assert {name for names in OF_KIND.values() for name in names} <= SETTINGS.keys()
