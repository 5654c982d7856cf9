"""The README: its examples run as written, and it mentions no option that does not exist."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from runtime import cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").glob("*.md")))]
SMALL = {
    "cifar_cell": ["C=2", "N=3", "subset=8", "batch=4"],
    "rnn_cell": ["H=2", "subset=160", "batch=8", "bptt=9", "evaluation_batch=20"],
}


ALL = [f"spaces/{name}.darts" for name in SMALL]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """The arguments of every `dartsc` that stands in the README's blocks."""
    lines = "".join(blocks("sh")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("dartsc ")]


def is_run(command: list[str]) -> bool:
    return bool({"--search", "--train", "--resume"} & set(command))


def small(command: list[str]) -> list[str]:
    """A run in a small size, with data and a device that every machine has."""
    others = {"images:DIR": "digits", "text:DIR": "text:text", "cuda": "cpu"}
    words = [others.get(word, word) for word in command]
    name = Path(command[0]).stem
    given = "--data" in command or name == "rnn_cell"
    sizes = [word for size in SMALL[name] for word in ("--set", size)]
    return [*words, *([] if given else ["--data", "digits"]), "--epochs", "1", *sizes]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space of one's own, and a genotype where the first run would have left it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "spaces" / "cifar_cell.darts", "my_space.darts")
    run = tmp_path / "runs" / "cifar_cell-1"
    run.mkdir(parents=True)
    pairs = "('skip_connect', 0), ('sep_conv_3x3', 1), " * 4
    kinds = ", ".join(f"{k}=[{pairs}], {k}_concat=range(2, 6)" for k in ("normal", "reduce"))
    (run / "genotype.yaml").write_text(f"Genotype({kinds})")
    run = tmp_path / "runs" / "rnn_cell-1"
    run.mkdir()
    pairs = "('relu', 0), ('tanh', 1), " + "('sigmoid', 2), " * 6
    (run / "genotype.yaml").write_text(f"Genotype(recurrent=[{pairs}], concat=range(1, 9))")
    (tmp_path / "text").mkdir()
    for part in ("train", "valid", "test"):
        (tmp_path / "text" / f"{part}.txt").write_text("a rose is a rose\n" * 40)
    return tmp_path


def test_first_two_commands() -> None:
    """Each sets up all it needs; `.ci/run` runs them."""
    first, second = blocks("sh")[:2]
    set_up = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && "
    assert first == f"{set_up}.venv/bin/dartsc spaces/cifar_cell.darts --search --demo\n"
    assert second == f"{set_up}.venv/bin/python -m pytest\n"


def test_python(folder: Path) -> None:
    namespace: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    assert (folder / "model.py").exists()
    assert (folder / "first_run" / "model.py").exists()


@pytest.mark.parametrize("command", [c for c in commands() if not is_run(c)], ids=" ".join)
def test_command(command: list[str], folder: Path) -> None:
    assert cli.run(command) == 0


@pytest.mark.parametrize(
    "command", [c for c in commands() if c[0] in ALL and is_run(c)], ids=" ".join
)
def test_run(command: list[str], folder: Path) -> None:
    """In a small size; then gone on with."""
    assert cli.run(small(command)) == 0
    assert cli.run(["--resume", f"runs/{Path(command[0]).stem}-2"]) == 0


def test_options_exist() -> None:
    opts = {opt for param in cli.dartsc.params for opt in param.opts}
    known = {opt for opt in opts if opt.startswith("--")} | {"--help"}
    of_pytest = {"--slow", "--update-golden", "--random-spaces"}
    of_scripts = {"--batch", "--inputs"}
    mentioned = {
        option for page in PAGES for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", page)
    }
    assert mentioned <= known | of_pytest | of_scripts
    assert known - {"--help"} <= mentioned
    assert of_pytest | of_scripts <= mentioned


def test_links() -> None:
    for page, folder in ((README, ROOT), *((text, ROOT / "docs") for text in PAGES[1:])):
        for target in re.findall(r"\]\(([^)#]+)", page):
            assert (folder / target).exists()
