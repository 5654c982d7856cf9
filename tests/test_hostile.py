"""Hostile files end in a diagnostic, soon and with little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_texts import texts

from dsl import DartsError, load
from dsl.codes import CODES
from dsl.limits import MAX_FILES, MAX_IMPORTS

ROOT = Path(__file__).parents[1]
TEXTS = texts()
SECONDS = 1.0
KILOBYTES = 200_000

Taken = tuple[float, int, list[str] | str]


@pytest.fixture(scope="module")
def checked() -> dict[str, Taken]:
    """What checking each text took, in a process of its own."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "hostile_child.py"],
        input=json.dumps(list(TEXTS.values())),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    return dict(zip(TEXTS, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("what", TEXTS)
def test_texts(what: str, checked: dict[str, Taken]) -> None:
    seconds, kilobytes, found = checked[what]
    assert not isinstance(found, str), found
    assert all(code in CODES for code in found)
    assert seconds < SECONDS
    assert kilobytes < KILOBYTES


@pytest.mark.parametrize(
    "what",
    [
        *("1000000 bytes of a name", "a long number", "a long name", "1000000 bytes of a comment"),
        *("19000 bytes of parentheses", "19000 bytes of minus", "1000000 bytes of sums"),
        *("2000 profiles", "1000000 bytes of ops", "60 ops in flows", "60 ops of ops"),
        *("60 cells", "a big image", "60 loops "),
    ],
)
def test_limits_are_told(what: str, checked: dict[str, Taken]) -> None:
    assert "E0103" in checked[what][2]


# ---- files ---------------------------------------------------------------------------------------


def write(folder: Path, name: str, text: str = "op f = relu\n") -> None:
    (folder / f"{name}.darts").write_text("language 1\n" + text, encoding="utf-8")


def refused(path: Path) -> list[str]:
    with pytest.raises(DartsError) as raised:
        load(path)
    return [f"{d.code} {d.message}" for d in raised.value.diagnostics]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.darts")
    write(tmp_path, "main", "import pipe\n")
    assert refused(tmp_path / "pipe.darts")[0].startswith("E0101")
    assert refused(tmp_path / "main.darts")[0].startswith("E0108")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/stdin", "/dev/tty"])
def test_a_device_is_not_read(device: str) -> None:
    assert refused(Path(device))[0].startswith("E0101")


def test_a_folder_called_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder.darts").mkdir()
    write(tmp_path, "main", "import folder\n")
    assert refused(tmp_path / "folder.darts")[0].startswith("E0101")
    assert refused(tmp_path / "main.darts")[0].startswith("E0108")


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_out_of_the_folder(tmp_path: Path, link: str) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    write(outside, "secret")
    if link == "file":
        (inside / "secret.darts").symlink_to(outside / "secret.darts")
    else:
        (inside / "deeper").symlink_to(outside)
    write(inside, "main", f"import {'secret' if link == 'file' else 'deeper/secret'}\n")
    assert any("leads out" in line for line in refused(inside / "main.darts"))


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop.darts").symlink_to(tmp_path / "loop.darts")
    write(tmp_path, "main", "import loop\n")
    assert refused(tmp_path / "loop.darts")[0].startswith("E0101")
    assert refused(tmp_path / "main.darts")[0].startswith("E0108")


@pytest.mark.parametrize("path", ["..", "../outside", "a/../../outside", "/etc/passwd", "~/x", "."])
def test_an_import_goes_down_only(tmp_path: Path, path: str) -> None:
    (tmp_path / "a").mkdir()
    write(tmp_path, "outside")
    write(tmp_path / "a", "main", f"import {path}\n")
    assert refused(tmp_path / "a" / "main.darts")[0].startswith("E0105")


def test_imports_that_go_round(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, name, f"import {'abca'['abc'.index(name) + 1]}\n")
    write(tmp_path, "itself", "import itself\n")
    assert refused(tmp_path / "a.darts")[0].startswith("E0109")
    assert refused(tmp_path / "itself.darts")[0].startswith("E0109")


def test_too_many_files(tmp_path: Path) -> None:
    names = [f"f{i}" for i in range(MAX_FILES)]
    for name in names:
        write(tmp_path, name, f"op {name}_op = relu\n")
    write(tmp_path, "main", "".join(f"import {name}\n" for name in names))
    assert refused(tmp_path / "main.darts") == [f"E0103 a program has at most {MAX_FILES} files"]


@pytest.mark.parametrize("length", [MAX_IMPORTS + 1, 1000])
def test_a_long_chain_of_imports(tmp_path: Path, length: int) -> None:
    for i in range(length):
        write(tmp_path, f"f{i}", f"import f{i + 1}\n")
    write(tmp_path, f"f{length}")
    assert refused(tmp_path / "f0.darts") == [f"E0103 imports go at most {MAX_IMPORTS} files deep"]
    load(tmp_path / f"f{length - MAX_IMPORTS}.darts")


def test_a_program_of_many_words(tmp_path: Path) -> None:
    names = [f"f{i}" for i in range(10)]
    for name in names:
        write(tmp_path, name, "".join(f"op {name}_{i} = conv(3)\n" for i in range(500)))
    write(tmp_path, "main", "".join(f"import {name}\n" for name in names))
    assert refused(tmp_path / "main.darts")[0].startswith("E0103 a program has at most")
