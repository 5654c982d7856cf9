"""The examples of the pages: what is wrong has exactly the page's code, what is right has none."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.describe import check
from dsl import DartsError, load
from dsl.codes import CODES
from dsl.explain import page
from runtime.cli import run

BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"^(?:error|warning)\[(\w+)\]", re.MULTILINE)


@pytest.mark.parametrize("code", CODES)
def test_examples(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blocks of a page go into one folder in their order, and commands run in it."""
    monkeypatch.chdir(tmp_path)
    for language, title, text in BLOCK.findall(page(code)):
        if title not in ("wrong", "right"):
            Path(title).write_text(text, encoding="utf-8")
            continue
        found = [*(checked(text) if language == "darts" else executed(text, title, capsys))]
        assert set(found) == ({code} if title == "wrong" else set()), title


def checked(text: str) -> Iterator[str]:
    """The codes of all that is said of a program."""
    Path("example.darts").write_text(text, encoding="utf-8")
    try:
        diagnostics = check(load("example.darts"))
    except DartsError as error:
        diagnostics = error.diagnostics
    return (diagnostic.code for diagnostic in diagnostics)


def executed(text: str, title: str, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """The codes of all that commands say, of which the last fails where it is wrong."""
    *before, last = text.splitlines()
    for line in before:
        subprocess.run(line, shell=True, check=True)
    command, *arguments = shlex.split(last)
    assert command == "dartsc"
    failed = run(arguments) != 0
    said = capsys.readouterr().err
    assert failed == (title == "wrong"), said
    return (match[1] for match in SAID.finditer(said))
