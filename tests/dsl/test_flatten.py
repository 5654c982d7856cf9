"""A space in one file is the same space."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import PROGRAMS, SPACES

from compiler.compile import specialised
from compiler.counting.architectures import architectures
from compiler.dump import dump
from dsl import Space, load, load_text
from dsl.flatten import flattened
from dsl.layout import printed

FILES = [*sorted(SPACES.glob("*.darts")), *PROGRAMS]


def values(space: Space) -> dict[str, object]:
    """What every profile says."""
    return {
        name: (profile.phase, {key: entry.value for key, entry in profile.entries.items()})
        for name, profile in space.profiles.items()
    }


def in_one(path: Path) -> str:
    return printed(flattened(load(path)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_same_space(path: Path) -> None:
    one = load_text(in_one(path))
    space = load(path)
    assert not one.file.imports
    assert values(one) == values(space)
    if space.network is None:
        return
    for profile in (None, *space.profiles):
        if profile is None or space.profiles[profile].phase != "final":
            (_, ours, facts), (_, theirs, wanted) = (specialised(s, profile) for s in (one, space))
            assert facts.weights == wanted.weights
            assert architectures(ours.kinds) == architectures(theirs.kinds)


def test_the_same_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no name had to change, the intermediate form is the same line by line."""
    for name in ("cifar_cell", "rnn_cell"):
        path = SPACES / f"{name}.darts"
        ours, theirs = (
            [line.split("  # ")[0] for line in dump(specialised(s)[1]).splitlines()[1:]]
            for s in (load_text(in_one(path)), load(path))
        )
        assert ours == theirs


def test_again_is_the_same() -> None:
    for path in FILES:
        text = in_one(path)
        assert printed(flattened(load_text(text))) == text


def test_names_that_did_not_see_each_other(tmp_path: Path) -> None:
    """Two files have an op `act` of their own; the option keeps the label that it had."""
    (tmp_path / "a.darts").write_text("language 1\nop act = relu\nset acts = { act, tanh }\n")
    (tmp_path / "b.darts").write_text("language 1\nimport a\nset other = acts\n")
    path = tmp_path / "c.darts"
    path.write_text(
        "language 1\nimport b\nop act = gelu -> relu\n"
        "cell c from x = x -> act -> choose other\n"
        "network from image[3, 8, 8] to class[_, _, _] = image -> c\n"
    )
    text = in_one(path)
    assert "op act = gelu -> relu" in text and "op act_2 = relu" in text
    assert "act_2 as act" in text
    _, program, _ = specialised(load_text(text))
    assert program.kinds[0].decisions[0].selectable == ("act", "tanh")
