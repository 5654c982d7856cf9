"""The benchmarks of search steps: every command prints its table, and what it counts is right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))

import accuracy  # noqa: E402
import commands  # noqa: E402
import growth  # noqa: E402
import leak  # noqa: E402
import networks  # noqa: E402
import pairs  # noqa: E402
import step  # noqa: E402

SIZES = ("--quick", "--set", "batch=4")
SMALL = (*SIZES, "--set", "C=2", "--set", "size=8")
UNDECIDED = """language 1
network from image[3, 8, 8] to class[10] = image -> flatten -> linear(10)
"""
IMAGES = (*SMALL, "--rounds", "1")
WORDS = (*SIZES, "--rounds", "1", "--order", "2", "--space", "rnn_cell", "--set", "bptt=3")
NAMES = ["reference", "plain", "fast", "lean"]

Run = Callable[..., list[list[str]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command here, where everything is imported, and gives the words of each line."""

    def words(main: Callable[[], None], *arguments: str) -> list[list[str]]:
        monkeypatch.setattr(sys, "argv", [main.__module__, *arguments])
        main()
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    return words


def numbers(words: list[str]) -> list[float]:
    return [float(word.rstrip("x%")) for word in words]


def test_commands_are_documented() -> None:
    """Each file that can be run stands on the page, and what stands there is a file."""
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    scripts = {p.name for p in BENCHMARKS.glob("*.py") if "__main__" in p.read_text("utf-8")}
    assert set(re.findall(r"benchmarks/(\w+\.py)", page)) == scripts


@pytest.mark.slow
def test_step_in_second_order(run: Run) -> None:
    check_step(run(step.main, *WORDS))


@pytest.mark.slow
def test_step_as_a_command() -> None:
    """From any folder."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "step.py", *IMAGES],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        cwd=BENCHMARKS.anchor,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check_step([line.split() for line in done.stdout.splitlines()])


def check_step(lines: list[list[str]]) -> None:
    sizes, _, head, *rows = lines
    assert "batch=4" in " ".join(sizes)
    assert [head[0], *(row[0] for row in rows)] == ["network", *NAMES]
    of_plain = rows[1]
    for _, median, ratio, by_rounds, *others in rows:
        seconds, faster, peak, share, start = numbers([median, ratio, *others])
        assert by_rounds == f"{faster:.2f}–{faster:.2f}", "one round has one ratio"
        assert faster == pytest.approx(float(of_plain[1]) / seconds, rel=0.05)
        assert share == pytest.approx(peak / float(of_plain[4]), abs=0.01)
        assert start > 0


def test_growth(run: Run) -> None:
    _, _, _, head, *rows, last = run(growth.main, "--quick", "--rounds", "1", "--axis", "cells")
    assert head[0] == "cells" and [row[0] for row in rows] == ["2", "4"]
    assert last[0] == "exponent" and len(last) == 5
    for column, exponent in ((4, last[3]), (5, last[4])):
        less, more = (float(row[column]) for row in rows)
        assert 0 < less < more and float(exponent) > 0


def test_accuracy(run: Run) -> None:
    """Float32 is neither exact nor far off."""
    _, _, head, *rows = run(accuracy.main, *SMALL, "--space", "nas_bench_201", "--seeds", "2")
    assert head == ["seed", "plain", "fast", "lean", "fast/plain"]
    assert [row[0] for row in rows] == ["0", "1", "median"]
    *seeds, (_, plain, fast, _, ratio) = rows
    for _, *errors in seeds:
        assert all(0 < error < 1e-2 for error in numbers(errors))
    assert float(ratio) == pytest.approx(float(fast) / float(plain), rel=0.1)


def test_leak(run: Run) -> None:
    _, _, _, *rows = run(leak.main, *SMALL, "--space", "nas_bench_201", "--steps", "2", "4")
    assert [row[0] for row in rows] == ["plain", "fast", "lean"]
    for _, few, many, grown in rows:
        before, after, percent = numbers([few, many, grown])
        assert before > 0
        assert percent == pytest.approx(100 * (after / before - 1), abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "D=2"], "no setting or parameter is called `D`"),
        (["--space", "none.darts"], "none.darts"),
        (["--space", "undecided.darts"], "undecided.darts decides nothing"),
    ],
)
def test_faults_are_told(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "undecided.darts").write_text(UNDECIDED)
    options = commands.parser("")
    commands.add_space(options, commands.PAPER)
    with pytest.raises(SystemExit, match=message):
        commands.chosen(options.parse_args(arguments))


def test_steps_alternate() -> None:
    """The first round warms up; each round goes the other way."""
    order: list[str] = []
    steps = {name: (lambda name=name: order.append(name)) for name in "abc"}
    seconds = pairs.alternate(steps, 2)
    assert "".join(order) == "abccbaabc"
    assert {name: len(taken) for name, taken in seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_ratios() -> None:
    pair = pairs.Pair(base=[4.0, 6.0, 5.0], other=[1.0, 2.0, 4.0])
    assert (pair.median, pair.ratio, pair.range) == (2.0, 2.5, (1.25, 4.0))


def test_memory_of_a_process() -> None:
    """64 MiB that were held for a moment are in the peak; those of this process are not."""
    before = pairs.memory("VmRSS")
    ours = torch.ones(300 * 2**18)
    assert pairs.memory("VmRSS") - before > 250
    taken = pairs.alone(holding)
    assert ours.sum() > 0
    assert 60 < taken.added < 150
    assert taken.peak > taken.added


def holding() -> pairs.Step:
    return lambda: float(torch.ones(64 * 2**18).sum())


def test_exponents() -> None:
    sizes = [1, 2, 4, 8]
    assert growth.exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)


@pytest.mark.parametrize("space", ["cifar_cell", "rnn_cell"])
def test_networks_are_the_same(space: str) -> None:
    """The reference has as many weights and alphas as the supernet, each where it is named."""
    of = networks.subject(space, commands.QUICK[space])
    counted = []
    for name in of.networks:
        net = networks.network(name, of)
        counted.append(
            [
                sum(p.numel() for p in parameters)
                for parameters in (net.weight_parameters(), net.arch_parameters())
            ]
        )
    assert counted == [counted[0]] * 4


@pytest.mark.parametrize("space", ["cifar_cell", "nas_bench_201", "rnn_cell"])
def test_the_papers_sizes(space: str) -> None:
    """What a command without options times."""
    of = networks.subject(space, commands.PAPER.get(space, {}))
    assert of.settings.batch == 64
    expected = {
        "cifar_cell": {"C": 16, "N": 8, "size": 32},
        "nas_bench_201": {"C": 16, "N": 5, "size": 32},
        "rnn_cell": {"H": 300, "V": 10_000},
    }[space]
    assert {**of.parameters, **expected} == of.parameters
    assert of.image == (None if space == "rnn_cell" else (3, 32, 32))
    assert of.outputs == (10_000 if space == "rnn_cell" else 10)
    if space == "rnn_cell":
        assert of.settings.bptt == 35


@pytest.mark.parametrize("order", [1, 2])
def test_a_step_leaves_the_network_as_it_was(order: int) -> None:
    """But for the running statistics, which the weights' pass moves once."""
    sizes = {"C": 2, "N": 1, "size": 8, "batch": 2}
    of = networks.subject("nas_bench_201", sizes, order)
    for name in (networks.PLAIN, networks.FAST):
        taken = networks.SearchStep(name, of)
        before = {key: value.clone() for key, value in taken.net.state_dict().items()}
        taken()
        after = taken.net.state_dict()
        changed = {key for key in after if not torch.equal(after[key], before[key])}
        assert changed == {key for key in after if "running" in key or "tracked" in key}
        assert all(p.requires_grad and p.grad is None for p in taken.net.parameters())
