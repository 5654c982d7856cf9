"""The command line: what it hands on to a training, what it says of it, what it refuses."""

from pathlib import Path

import pytest
from support import CIFAR, DARTS_V2

import runtime
from runtime.cli import USERS_FAULT, run
from runtime.training import TrainingResult

RESULT = TrainingResult(
    folder=Path("runs/cell-1"),
    model=Path("runs/cell-1/model.py"),
    weights=Path("runs/cell-1/model.safetensors"),
    parameters=22_960_000,
    best_epoch=7,
    valid_perplexity=58.291,
    test_loss=4.03,
    test_perplexity=56.105,
    history=(),
)


@pytest.fixture
def genotype(tmp_path):
    path = tmp_path / "genotype.txt"
    path.write_text(DARTS_V2)
    return str(path)


def test_a_training_gets_what_the_command_says(monkeypatch, capsys, genotype):
    given = {}

    def train(space, genotype, data, out, *, progress, **options):
        given.update(space=space, genotype=genotype, data=data, out=out, **options)
        return RESULT

    monkeypatch.setattr(runtime, "train", train, raising=False)
    command = [str(CIFAR), "--train", "--genotype", genotype, "--data", "text:books", "--out", "x"]
    assert run([*command, "--epochs", "3", "--seed", "5", "--demo", "--set", "C=8"]) == 0
    assert given == {
        "space": CIFAR, "genotype": Path(genotype), "data": "text:books", "out": Path("x"),
        "seed": 5, "device": "auto", "profile": "demo", "epochs": 3, "C": 8,
    }  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "test perplexity 56.10, valid 58.29 after epoch 7; 22,960,000 parameters",
        "runs/cell-1: genotype.yaml, metrics.jsonl, model.py, model.safetensors, result.json",
    ]


def test_a_resumed_training_is_reported_like_a_new_one(monkeypatch, capsys):
    monkeypatch.setattr(runtime, "resume", lambda folder, **options: RESULT, raising=False)
    assert run(["--resume", "runs/cell-1"]) == 0
    assert "test perplexity 56.10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--train"], "--genotype goes with --emit or --train"),
        (["--genotype"], "--genotype goes with --emit or --train"),
        (["--train", "--search", "--genotype"], "--search and --train: one at a time"),
        (["--train", "--genotype"], "is a data set of images"),  # the file's own data
        (["--train", "--data", "images:d", "--genotype"], "`images:d` is a data set of images"),
        (["--train", "--data", "text:", "--genotype"], "write `text:DIR`"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    tmp_path, monkeypatch, capsys, genotype, options, message
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    names = [genotype] if options[-1] == "--genotype" else []
    assert run([str(CIFAR), *options, *names]) == USERS_FAULT
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not list((tmp_path / "empty").iterdir())
