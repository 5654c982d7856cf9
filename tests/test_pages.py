"""The examples of the pages: what is wrong has exactly the page's code, what is right has none.

What is said of every wrong example stands in `pictures/`; `--update-golden` draws it anew.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from compiler.describe import check
from dsl import DartsError, load, render
from dsl.codes import CODES
from dsl.explain import page
from runtime.cli import run

PICTURES = Path(__file__).with_name("pictures")
BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"^(?:error|warning)\[(\w+)\]", re.MULTILINE)


@pytest.mark.parametrize("code", CODES)
def test_examples(
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """The blocks of a page go into one folder in their order, and commands run in it."""
    monkeypatch.chdir(tmp_path)
    pictures = []
    for language, title, text in BLOCK.findall(page(code)):
        if title not in ("wrong", "right"):
            Path(title).write_text(text, encoding="utf-8")
            continue
        said = checked(text) if language == "darts" else executed(text, title, capsys)
        assert set(SAID.findall(said)) == ({code} if title == "wrong" else set()), title
        pictures += [said] * (title == "wrong")
    expected = PICTURES / f"{code}.txt"
    if request.config.getoption("--update-golden"):
        expected.write_text("\n".join(pictures), encoding="utf-8")
    assert "\n".join(pictures) == expected.read_text(encoding="utf-8")


def test_every_picture_has_its_page() -> None:
    assert sorted(path.stem for path in PICTURES.iterdir()) == sorted(CODES)


def checked(text: str) -> str:
    """All that is said of a program."""
    Path("example.darts").write_text(text, encoding="utf-8")
    try:
        return render(check(load("example.darts")))
    except DartsError as error:
        return render(error.diagnostics)


def executed(text: str, title: str, capsys: pytest.CaptureFixture[str]) -> str:
    """All that commands say, of which the last fails where it is wrong."""
    *before, last = text.splitlines()
    for line in before:
        subprocess.run(line, shell=True, check=True)
    command, *arguments = shlex.split(last)
    assert command == "dartsc"
    failed = run(arguments) != 0
    said = capsys.readouterr().err
    assert failed == (title == "wrong"), said
    return said
