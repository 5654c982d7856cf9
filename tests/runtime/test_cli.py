"""The command line: what it hands on to a training, what it says of it, what it refuses."""

import json
import re
from pathlib import Path

import pytest
from support import CIFAR, DARTS_V2

import runtime
from compiler import Genotype
from runtime.cli import USERS_FAULT, run
from runtime.training import TrainingResult

RESULT = TrainingResult(
    folder=Path("runs/cell-1"),
    model=Path("runs/cell-1/model.py"),
    best=Path("runs/cell-1/best.safetensors"),
    last=Path("runs/cell-1/last.safetensors"),
    parameters=22_960_000,
    best_epoch=7,
    measured={"valid_perplexity": 58.291, "test_loss": 4.03, "test_perplexity": 56.105},
    history=(),
)


@pytest.fixture
def genotype(tmp_path):
    path = tmp_path / "genotype.txt"
    path.write_text(DARTS_V2)
    return str(path)


def test_a_training_gets_what_the_command_says(monkeypatch, capsys, genotype):
    given = {}

    def train(space, genotype, *, progress, **options):
        given.update(space=space, genotype=genotype, **options)
        return RESULT

    monkeypatch.setattr(runtime, "train", train, raising=False)
    command = [str(CIFAR), "--train", "--genotype", genotype, "--data", "text:books", "--out", "x"]
    assert run([*command, "--epochs", "3", "--seed", "5", "--demo", "--set", "C=8"]) == 0
    assert given == {
        "space": CIFAR, "genotype": Genotype.load(genotype), "data": "text:books", "out": Path("x"),
        "seed": 5, "device": "auto", "profile": "demo", "epochs": 3, "C": 8,
    }  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "valid perplexity 58.29, test loss 4.0300, test perplexity 56.10, best epoch 7, "
        "22,960,000 parameters",
        "runs/cell-1: genotype.yaml, metrics.jsonl, model.py, best.safetensors, last.safetensors, "
        "result.json",
    ]


def a_run(folder: Path, job: str, epoch: int, *files: str) -> None:
    """A run of three epochs after `epoch` of them, with more files in its folder."""
    folder.mkdir()
    record = {"format": 1, "job": job, "settings": {"epochs": 3}}
    (folder / "settings.json").write_text(json.dumps(record))
    (folder / "checkpoint.json").write_text(json.dumps({"format": 1, "epoch": epoch}))
    for name in files:
        (folder / name).write_text("")


@pytest.mark.parametrize(
    ("job", "epoch", "files"),
    [
        ("train", 2, ["model.py"]),
        ("train", 3, ["model.py"]),
        ("search", 2, []),
        ("search", 3, []),
    ],
)
def test_a_resumed_run_is_reported_like_a_new_one(tmp_path, monkeypatch, capsys, job, epoch, files):
    """Be it that only the last step is left, as the test of a trained model is."""
    monkeypatch.setattr(runtime, "resume", lambda folder, **options: RESULT, raising=False)
    a_run(tmp_path / "cell-1", job, epoch, *files)
    assert run(["--resume", str(tmp_path / "cell-1")]) == 0
    assert "test perplexity 56.10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("job", "files", "result"),
    [
        ("search", ["model.py"], "model.py"),
        ("train", ["model.py", "result.json"], "result.json"),
    ],
)
def test_a_finished_run_says_where_its_result_is(tmp_path, capsys, job, files, result):
    a_run(tmp_path / "cell-1", job, 3, *files)
    assert run(["--resume", str(tmp_path / "cell-1")]) == 0
    folder = tmp_path / "cell-1"
    said = f"{folder} is finished: the result is in {folder / result}\n"
    assert capsys.readouterr().out == said


def test_what_is_no_run_cannot_be_resumed(tmp_path, capsys):
    (tmp_path / "cell-1").mkdir()
    for folder in (tmp_path / "cell-1", tmp_path / "cell-2"):
        assert run(["--resume", str(folder)]) == USERS_FAULT
        assert capsys.readouterr().err.count("\n") == 1


def test_a_model_is_not_written_over_a_folder(tmp_path, capsys, genotype):
    (tmp_path / "models").mkdir()
    command = [str(CIFAR), "--genotype", genotype, "--emit", str(tmp_path / "models")]
    assert run([*command, "--set", "C=2", "--set", "N=3"]) == USERS_FAULT
    assert capsys.readouterr().err == (
        f"dartsc: cannot write {tmp_path / 'models'}: it is a folder\n"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["genotype.txt", "models"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--train"], "--train needs --genotype: --genotype g.yaml --train"),
        (["--emit", "m.py"], "--emit needs --genotype: --genotype g.yaml --emit m.py"),
        (["--export", "onnx"], "--export needs --genotype: --genotype g.yaml --export onnx"),
        (["--evaluate"], "--evaluate needs --genotype: --genotype g.yaml --evaluate"),
        (["--genotype"], "--genotype goes with --train, --evaluate, --export, --count, --draw, "),
        (["--train", "--search", "--genotype"], "--search and --train: one at a time"),
        (["--count", "--evaluate", "--genotype"], "--evaluate and --count: one at a time"),
        (["--train", "--data", "images:d", "--genotype"], "there is no folder d"),
        (["--train", "--data", "text:", "--genotype"], "write `text:DIR`"),
        (
            ["--train", "--data", "digits", "--set", "resized_crop=32", "--genotype"],
            "crops come from files: use `--data images:DIR`",
        ),
        (["--train", "--seeds", "0,one", "--genotype"], "as in 0,1,2, not `0,one`"),
        (["--train", "--seeds", "", "--genotype"], "as in 0,1,2, not ``"),
        (["--train", "--seeds", "3,3", "--genotype"], "`seeds` are whole numbers below"),
        (["--train", "--seeds", "0", "--seed", "0", "--genotype"], "--seed and --seeds: one of"),
        (["--evaluate", "--genotype"], "trained weights are needed: `--weights best.safetensors`"),
        (
            ["--evaluate", "--weights", "best", "--data", "digits", "--genotype"],
            "there are no weights in best: name a `.safetensors` file",
        ),
        (["--export", "tflite", "--genotype"], "writes onnx, torch, safetensors, not `tflite`"),
        (["--draw", "cell.png"], "--draw writes `.svg`, `.dot` or `.mmd`, not `cell.png`"),
        (["--derive"], "--derive takes the folder of a search, or a file with --alphas"),
        (["--derive", "--alphas", "a", "--epoch", "1"], "--epoch goes with the folder of a search"),
        (["--derive", "--alphas", "a"], "there are no weights in a: name a `.safetensors` file"),
        (
            ["--derive", "--alphas", "a", "--rule", "weights"],
            "`weight`, `weight without sinks`, `alpha`, `edge`, not `weights`",
        ),
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


VALUES = {
    "--data": "digits", "--order": "1", "--hessian": "exact", "--epochs": "3", "--seed": "0",
    "--device": "cpu", "--out": "x", "--genotype": "g.yaml", "--passes": "none", "--memory": "lean",
    "--compile": None, "--set": "C=8",
    "--profile": "demo", "--demo": None, "--diff": None, "--check": None, "--seeds": "0,1",
    "--epoch": "1", "--rule": "alpha", "--alphas": "a.safetensors", "--weights": "best",
    "--prune": None,
}  # fmt: skip
JOBS = {
    "": "--set --profile --demo --check",
    "--check": "--set --profile --demo --check",
    "--fmt": "--check --diff",
    "--explain E0101": "",
    "--lsp": "",
    "--search": "--set --profile --demo --data --epochs --seed --device --out --order --passes "
    "--memory --compile",
    "--train": "--set --profile --demo --data --epochs --seed --device --out --genotype --seeds",
    "--resume r": "--data --device",
    "--derive": "--set --profile --demo --alphas --epoch --rule --out",
    "--evaluate": "--set --profile --demo --genotype --weights --data --device",
    "--export onnx": "--set --profile --demo --genotype --weights --out",
    "--count": "--set --profile --demo --genotype",
    "--draw d.svg": "--set --profile --demo --genotype",
    "--emit m.py": "--set --profile --demo --genotype --prune",
    "--dump tree": "",
    "--dump space": "",
    "--dump ir": "--set --profile --demo --genotype --passes",
    "--dump ir:drop_zeros": "--set --profile --demo --genotype --passes",
    "--dump source": "--set --profile --demo --genotype --passes",
}
WITHOUT_FILE = ("--explain", "--lsp", "--resume")


def unused() -> list[tuple[str, str]]:
    return [
        (job, name) for job, taken in JOBS.items() for name in VALUES if name not in taken.split()
    ]


@pytest.mark.parametrize(("job", "name"), unused(), ids=" ".join)
def test_options_that_a_job_does_not_use(tmp_path, monkeypatch, capsys, genotype, job, name):
    """Each is refused in a line that names it, even with the value it has anyway."""
    monkeypatch.chdir(tmp_path)
    file = [] if job.startswith(WITHOUT_FILE) else [str(CIFAR)]
    value = [] if VALUES[name] is None else [VALUES[name]]
    assert run([*file, *job.split(), name, *value]) == USERS_FAULT
    told = capsys.readouterr().err
    assert name in told and told.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["genotype.txt"]


@pytest.mark.parametrize("job", [job for job in JOBS if job.startswith(WITHOUT_FILE)])
def test_jobs_without_a_file_refuse_one(capsys, job):
    assert run([str(CIFAR), *job.split()]) == USERS_FAULT
    told = capsys.readouterr().err
    assert "file" in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--check --seed 3", "--seed goes with --search or --train"),
        ("--check --data foo", "--data goes with --search, --train, --resume or --evaluate"),
        ("--dump tree --passes simple", "--passes goes with --search, --dump ir or --dump source"),
        ("--fmt --set C=8", "--set goes with --check, --search, --train, --derive, --evaluate, "),
        ("--check --epoch 1", "--epoch goes with --derive"),
        ("--count --weights last", "--weights goes with --evaluate or --export"),
        ("--draw d.svg --out x", "--out goes with --search, --train, --derive or --export"),
        ("--count --prune", "--prune goes with --emit"),
        ("--search --hessian exact", "--hessian goes with --order 2"),
        ("--search --hessian exactly --order 2", "finite_difference or exact, not `exactly`"),
        ("--demo --profile final", "leave out --profile"),
    ],
)
def test_what_goes_with_what(capsys, options, message):
    assert run([str(CIFAR), *options.split()]) == USERS_FAULT
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1


def test_a_resumed_run_takes_no_settings(capsys):
    assert run([str(CIFAR), "--resume", "r", "--set", "C=8", "--order", "2"]) == USERS_FAULT
    told = capsys.readouterr().err
    assert told.startswith("dartsc: a run goes on as it began: leave out ")
    assert set(re.findall(r"the file|--[a-z]+", told)) == {"the file", "--set", "--order"}
