"""The commands that read a file: what they print, what they write, and that torch stays out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import CIFAR, ROOT, SPACES

from dsl.codes import CODES
from dsl.layout import formatted
from dsl.source import Source
from runtime.cli import USERS_FAULT, run

UGLY = "language 1 op f=relu->conv( 3 ) # why\nop g(k)=k\n"
WRONG = "language 1\nop f = relv\n"
DOUBTFUL = """\
language 1

op unused = relu

network from image[3, 8, 8] to class[10] = image -> flatten -> linear(10)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {"ugly": UGLY, "wrong": WRONG, "doubtful": DOUBTFUL}.items():
        (tmp_path / f"{name}.darts").write_text(text)
    return tmp_path


def test_warnings_are_told_and_fail_nothing(here: Path, capsys) -> None:
    assert run(["doubtful.darts", "--check"]) == 0
    told = capsys.readouterr()
    assert told.out == "doubtful.darts: fine, with 1 warning\n"
    assert "warning[W0201]: the op `unused` is never used" in told.err


@pytest.mark.parametrize("job", [["--check"], [], ["--search"], ["--dump", "ir"], ["--fmt"]])
def test_faults_as_json(here: Path, capsys, job: list[str]) -> None:
    file = "wrong.darts"
    if job == ["--fmt"]:
        (here / file).write_text("language 1 op")
    assert run([file, *job, "--format", "json"]) == USERS_FAULT
    told = capsys.readouterr()
    (found,) = json.loads(told.out)
    assert found["severity"] == "error" and found["file"] == file
    assert not told.err


def test_warnings_as_json_alone(here: Path, capsys) -> None:
    assert run(["doubtful.darts", "--check", "--format", "json"]) == 0
    told = capsys.readouterr()
    assert [found["code"] for found in json.loads(told.out)] == ["W0201"] and not told.err


def test_a_profile_is_checked_with_what_is_set(here: Path, capsys) -> None:
    assert run([str(CIFAR), "--check", "--set", "C=0"]) == USERS_FAULT
    assert run([str(CIFAR), "--check", "--profile", "demi"]) == USERS_FAULT
    assert run([str(CIFAR), "--check", "--profile", "demo"]) == 0


def test_a_file_is_laid_out(here: Path, capsys) -> None:
    laid_out = formatted(Source("ugly.darts", UGLY))
    assert run(["ugly.darts", "--fmt", "--check"]) == USERS_FAULT
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["ugly.darts", "--fmt", "--diff"]) == 0
    diff = capsys.readouterr().out
    assert "-language 1 op f=relu->conv( 3 ) # why\n" in diff and "+language 1\n" in diff
    assert (here / "ugly.darts").read_text() == UGLY
    assert run(["ugly.darts", "--fmt"]) == 0
    assert (here / "ugly.darts").read_text() == laid_out
    assert capsys.readouterr().out == "ugly.darts: laid out anew\n"
    assert run(["ugly.darts", "--fmt"]) == 0
    assert capsys.readouterr().out == "ugly.darts: already in the canonical layout\n"
    assert run(["ugly.darts", "--fmt", "--check", "--diff"]) == 0
    assert sorted(p.name for p in here.iterdir()) == ["doubtful.darts", "ugly.darts", "wrong.darts"]


def test_what_cannot_be_parsed_stays_as_it_is(here: Path) -> None:
    (here / "ugly.darts").write_text("language 1 op f = = relu")
    assert run(["ugly.darts", "--fmt"]) == USERS_FAULT
    assert (here / "ugly.darts").read_text() == "language 1 op f = = relu"


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.darts")), ids=lambda path: path.stem)
def test_shipped_spaces_are_in_the_layout(path: Path) -> None:
    assert run([str(path), "--fmt", "--check"]) == 0


def test_explain(capsys) -> None:
    assert run(["--explain", "e0201"]) == 0
    assert capsys.readouterr().out.startswith(f"E0201: {CODES['E0201']}\n\n")
    assert run(["--explain", "E2"]) == USERS_FAULT
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("what", "begins"),
    [
        ("tree", "File(language = 1"),
        ("space", "# The convolutional space of DARTS"),
        ("ir", "# cifar_cell, phase search"),
        ("ir:drop_zeros", "# before drop_zeros\n# cifar_cell, phase search"),
        ("source", '"""The supernet of cifar_cell.darts'),
    ],
)
def test_dumps(capsys, what: str, begins: str) -> None:
    passes = [] if what in ("tree", "space") else ["--passes", "simple"]
    assert run([str(CIFAR), "--dump", what, *passes]) == 0
    told = capsys.readouterr().out
    assert told.startswith(begins)
    assert ("# after drop_zeros\n" in told) == (what == "ir:drop_zeros")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dump", "trees"], "--dump shows `tree`, `space`, `ir`, `source`, `ir:PASS`"),
        (["--dump", "tree:x"], "not `tree:x`"),
        (["--dump", "ir:drop_zeros"], "the pipeline `none` has no pass `drop_zeros`"),
        (["--dump", "ir:drop_zero", "--passes", "simple"], "did you mean `drop_zeros`?"),
        (["--diff"], "--diff goes with --fmt"),
        (["--format", "xml"], "--format is text or json"),
        (["--fmt", "--search"], "--fmt and --search: one at a time"),
    ],
)
def test_mistakes_are_one_line(capsys, options: list[str], said: str) -> None:
    assert run([str(CIFAR), *options]) == USERS_FAULT
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [["--check"], ["--fmt", "--check"], *(["--dump", s] for s in ("tree", "space", "ir"))],
    ids="-".join,
)  # fmt: skip
def test_reading_does_not_import_torch(options: list[str]) -> None:
    program = (
        "import sys\n"
        "from runtime.cli import run\n"
        f"code = run({[str(CIFAR), *options]!r})\n"
        "sys.exit(code or 3 * ('torch' in sys.modules))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
