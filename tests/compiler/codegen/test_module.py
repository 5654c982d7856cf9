"""The generated text: what it looks like, that it is tidy, and that it is always the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import CIFAR, DARTS_V2, PROGRAMS, RNN, ROOT, SPACES

import compiler
from compiler import Genotype
from compiler.compile import compile_space

GOLDEN = Path(__file__).with_name("golden")
GOLDEN_PROGRAMS = (
    "hostile",
    "windows",
    "loops",
    "one_kind",
    "lstm",
    "reckoning",
    "vision",
    "words",
)
DARTS_V2_RECURRENT = """Genotype(
    recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1),
               ('tanh', 2), ('sigmoid', 5), ('tanh', 3), ('relu', 5)],
    concat=range(1, 9))"""
IMAGENET, BENCH = SPACES / "imagenet_cell.darts", SPACES / "nas_bench_201.darts"
CELL = Genotype.parse(
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
)
"""Nothing reads the second node."""
RUFF = Path(sys.executable).with_name("ruff")


def program(name: str) -> Path:
    return next(path for path in PROGRAMS if path.stem == name)


def first(path: Path) -> Genotype:
    """The genotype of equal alphas: what is written first."""
    net = compiler.build(path)
    for alphas in net.arch_parameters():
        alphas.data.zero_()
    return net.genotype()


def sources() -> dict[str, str]:
    """The golden texts: the search networks, the paper's final ones, and those of odd programs."""
    texts = {
        "cifar_cell_search": compile_space(CIFAR).source,
        "cifar_cell_search_simple": compile_space(CIFAR, passes="simple").source,
        "cifar_cell_final": compile_space(CIFAR, genotype=Genotype.parse(DARTS_V2)).source,
        "rnn_cell_search": compile_space(RNN).source,
        "rnn_cell_search_simple": compile_space(RNN, passes="simple").source,
        "rnn_cell_final": compile_space(RNN, genotype=Genotype.parse(DARTS_V2_RECURRENT)).source,
        "imagenet_cell_final": compile_space(IMAGENET, genotype=Genotype.parse(DARTS_V2)).source,
        "nas_bench_201_final": compile_space(BENCH, genotype=CELL).source,
        "nas_bench_201_final_pruned": compile_space(BENCH, genotype=CELL, prune=True).source,
    }
    for name in GOLDEN_PROGRAMS:
        texts[f"{name}_search"] = compile_space(program(name)).source
        texts[f"{name}_final"] = compile_space(program(name), genotype=first(program(name))).source
    return texts


TEXTS = sources()


@pytest.mark.parametrize("name", TEXTS)
def test_golden(name: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{name}.py"
    if request.config.getoption("--update-golden"):
        path.write_text(TEXTS[name], encoding="utf-8")
    assert TEXTS[name] == path.read_text(encoding="utf-8")


def test_every_golden_file_is_compared() -> None:
    assert {path.stem for path in GOLDEN.glob("*.py")} == TEXTS.keys()


def test_the_text_does_not_hang_on_the_process() -> None:
    run = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from compiler.compile import compile_space\n"
        "from compiler import Genotype\n"
        "from support import CIFAR, DARTS_V2, PROGRAMS\n"
        "texts = [compile_space(CIFAR, genotype=Genotype.parse(DARTS_V2)).source]\n"
        "texts += [compile_space(path).source for path in PROGRAMS]\n"
        "sys.stdout.write('\\0'.join(texts))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", run],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    expected = [TEXTS["cifar_cell_final"], *(compile_space(path).source for path in PROGRAMS)]
    assert result.stdout.split("\0") == expected


@pytest.mark.skipif(not RUFF.exists(), reason="ruff is not installed")
def test_the_text_is_tidy(tmp_path: Path) -> None:
    """Formatted as its formatter would, without anything a linter complains of."""
    for path in PROGRAMS:
        genotype = first(path)
        for passes in ("none", "simple"):
            text = compile_space(path, passes=passes).source
            (tmp_path / f"{path.stem}_{passes}.py").write_text(text, encoding="utf-8")
        text = compile_space(path, genotype=genotype).source
        (tmp_path / f"{path.stem}_final.py").write_text(text, encoding="utf-8")
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    options = ["--isolated", "--no-cache", "--line-length=100"]
    for command in (
        ["format", "--diff"],
        ["check", "--select=E,F,I,B,UP"],
    ):
        result = subprocess.run(
            [str(RUFF), *command, *options, str(tmp_path)], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", TEXTS)
def test_no_line_is_longer_than_a_hundred(name: str) -> None:
    assert max(map(len, TEXTS[name].splitlines())) <= 100


def test_the_final_text_says_what_was_decided() -> None:
    text = TEXTS["cifar_cell_final"]
    assert "n[0] = sum(a -> sep_conv_3x3, b -> sep_conv_3x3)" in text
    assert "n[3] = sum(a -> skip_connect, n[0] -> dil_conv_3x3)" in text
    for absent in ("MixedOp", "Zero", "avg_pool", "sep_conv_5x5", "weights"):
        assert absent not in text


def test_only_what_is_used_is_defined() -> None:
    assert "class Zero" not in TEXTS["windows_final"]
    assert "DropPath" not in TEXTS["cifar_cell_search"]
    assert "auxiliary" not in TEXTS["cifar_cell_search"]
