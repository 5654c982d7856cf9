"""The README: its examples run as written, and it mentions no option that does not exist."""

from __future__ import annotations

import re
import shlex
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

import compiler
import runtime
from runtime import cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").glob("*.md")))]
SMALL = {
    "cifar_cell": ["C=2", "N=3", "subset=8", "batch=4"],
    "imagenet_cell": ["C=2", "N=3", "subset=8", "batch=4"],
    "rnn_cell": ["H=2", "subset=160", "batch=8", "bptt=9", "evaluation_batch=20"],
}


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
    name = Path(command[0]).stem.partition("-")[0]
    given = "--data" in command or name == "rnn_cell" or command[0].startswith("runs/")
    sizes = [word for size in SMALL[name] for word in ("--set", size)]
    return [
        *here(command),
        *([] if given else ["--data", "images:pictures"]),
        "--epochs",
        "1",
        *sizes,
    ]


def here(command: list[str]) -> list[str]:
    """A command on what the folder of these tests holds."""
    others = {"images:DIR": "images:pictures", "text:DIR": "text:text", "cuda": "cpu"}
    others |= {"C=16": "C=2", "N=8": "N=3"}
    return [others.get(word, word) for word in command]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has who came this far: a space of his own, data, genotypes, a search and a
    training."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(ROOT / "spaces" / "cifar_cell.darts", folder / "my_space.darts")
    for part, name in product(("train", "test"), ("cat", "dog")):
        (folder / "pictures" / part / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / part / name / f"{number}.png")
    (folder / "text").mkdir()
    for part in ("train", "valid", "test"):
        (folder / "text" / f"{part}.txt").write_text("a rose is a rose\n" * 40)
    small = {"C": 2, "N": 3, "subset": 8, "batch": 4, "epochs": 1}
    data = f"images:{folder / 'pictures'}"
    found = runtime.search("spaces/cifar_cell.darts", data, folder / "runs/cifar_cell-1", **small)
    runtime.train(
        "spaces/cifar_cell.darts", found.genotype, data, folder / "runs/cifar_cell-2", **small
    )
    (folder / "runs" / "rnn_cell-1").mkdir()
    pairs = "('relu', 0), ('tanh', 1), " + "('sigmoid', 2), " * 6
    cell = f"Genotype(recurrent=[{pairs}], concat=range(1, 9))"
    (folder / "runs" / "rnn_cell-1" / "genotype.yaml").write_text(cell)
    (folder / "cell.txt").write_text("|none~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|")
    supernet = compiler.build("spaces/cifar_cell.darts", C=2, N=3)
    save_file(supernet.state_dict(), folder / "supernet.safetensors")
    return folder


@pytest.fixture
def folder(tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same for each command alone."""
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
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
    assert cli.run(here(command)) == 0


@pytest.mark.parametrize(
    "command", [c for c in commands() if is_run(c) and c[0] != "--resume"], ids=" ".join
)
def test_run(command: list[str], folder: Path) -> None:
    """In a small size; then gone on with."""
    before = set(folder.glob("runs/*"))
    assert cli.run(small(command)) == 0
    (made,) = set(folder.glob("runs/*")) - before
    assert cli.run(["--resume", str(made)]) == 0


def test_options_exist() -> None:
    opts = {opt for param in cli.dartsc.params for opt in param.opts}
    known = {opt for opt in opts if opt.startswith("--")} | {"--help"}
    of_pytest = {"--slow", "--update-golden", "--random-spaces"}
    of_scripts = {"--axis", "--batch", "--inputs", "--quick", "--space"}
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
