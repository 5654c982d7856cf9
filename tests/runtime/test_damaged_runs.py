"""Folders of runs edited by hand: a line that names what is damaged, and nothing is touched."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import GENOTYPE, coloured, space_in

from dsl import DartsError
from runtime import alphas
from runtime.bilevel_search import search
from runtime.errors import UserError
from runtime.jobs import model_of_run, resume
from runtime.seed_runs import train_seeds
from runtime.training import train

HOW = {"device": "cpu", "epochs": 1, "subset": 0, "batch": 20}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    space = space_in(folder)
    search(space, coloured(), folder / "search", **HOW)
    train(space, GENOTYPE, coloured(), folder / "train", **HOW)
    train_seeds(space, GENOTYPE, coloured(), folder / "seeds", seeds=[0], **HOW)
    return folder


@pytest.fixture
def run(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    return tmp_path / "runs"


def edited(folder, **changes):
    record = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps(record | changes))


def refused(call, *arguments, match=r"is (missing or )?damaged", **options):
    with pytest.raises((UserError, DartsError), match=match) as found:
        call(*arguments, **options)
    assert str(found.value).count("\n") == 0


@pytest.mark.parametrize(
    "seeds", [["1/../../victim"], ["a"], [1.5], [None], [1, 1], [True], [], [[1]], [2**63], "0"]
)
def test_seeds_that_are_no_seeds_touch_nothing(run, seeds):
    (run / "victim").mkdir()
    (run / "victim" / "kept").write_text("kept")
    edited(run / "seeds", seeds=seeds)
    refused(resume, run / "seeds", data=coloured())
    assert (run / "victim" / "kept").read_text() == "kept"


@pytest.mark.parametrize("job", ["search", "train", "seeds"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("profile", 3), ("profile", []), ("overrides", 3), ("space", None), ("data", 3)),
        *(("device", {"a": 1}), ("seed", "x"), ("seed", True), ("fitted", [])),
    ],
)
def test_settings_of_another_kind(run, job, name, value):
    if job == "seeds" and name in ("seed", "fitted"):
        return  # it has none
    edited(run / job, **{name: value})
    refused(resume, run / job, data=coloured())


@pytest.mark.parametrize(("name", "value"), [("order", "3"), ("passes", 3), ("hessian", 1)])
def test_settings_of_a_search_of_another_kind(run, name, value):
    edited(run / "search", **{name: value})
    refused(resume, run / "search", data=coloured())


def test_a_profile_that_the_space_does_not_have(run):
    edited(run / "search", profile="x")
    for call in (resume, model_of_run, alphas.of_run):
        refused(call, run / "search", match="there is no profile `x`")


@pytest.mark.parametrize("name", ["settings.json", "checkpoint.json"])
@pytest.mark.parametrize("text", ["[" * 100_000, "null", "3", "{", ""])
def test_json_that_is_no_record(run, name, text):
    (run / "train" / name).write_text(text)
    refused(resume, run / "train", data=coloured(), match="damaged|not written by this version")


@pytest.mark.parametrize("epoch", [-5, 10**30, "1", True, 1.0])
def test_a_checkpoint_of_an_epoch_that_cannot_be(run, epoch):
    path = run / "train" / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"epoch": epoch}))
    refused(resume, run / "train", data=coloured())


@pytest.mark.parametrize("line", ["null", "3", "[]", "[" * 100_000, "{}", '{"epoch": "1"}'])
def test_metrics_that_are_no_line(run, line):
    for job in ("search", "train"):
        (run / job / "metrics.jsonl").write_text(f"{line}\n")
        refused(resume, run / job, data=coloured())
    (run / "search" / "metrics.jsonl").write_text(f"{line}\n{line}\n")
    refused(alphas.of_run, run / "search")


@pytest.mark.parametrize(
    "change", [{"best": None}, {"test_accuracy": "x"}, {"test_accuracy": None}]
)
def test_metrics_that_lack_what_the_best_is_found_by(run, change):
    path = run / "train" / "metrics.jsonl"
    line = json.loads(path.read_text()) | change
    path.write_text(json.dumps({k: v for k, v in line.items() if k != "best" or v is not None}))
    refused(resume, run / "train", data=coloured())


@pytest.mark.parametrize("rows", [3, [], {"normal_0": 3}, {"normal_0": [3]}, {"normal_0": [["x"]]}])
def test_alphas_that_are_no_rows(run, rows):
    path = run / "search" / "metrics.jsonl"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"alphas": rows}))
    refused(alphas.of_run, run / "search")


@pytest.mark.parametrize("shape", [[], [0], [1]])
def test_momentum_of_another_shape(run, shape):
    (path,) = (run / "train").glob("checkpoint-*.safetensors")
    tensors = load_file(path)
    name = next(n for n, t in tensors.items() if "momentum" in n and t.ndim == 4)
    save_file(tensors | {name: torch.zeros(shape)}, path)
    refused(resume, run / "train", data=coloured(), match="does not fit the run's own space")


def test_random_numbers_of_another_kind(run):
    (path,) = (run / "train").glob("checkpoint-*.safetensors")
    save_file(load_file(path) | {"random.cpu": torch.zeros(3)}, path)
    refused(resume, run / "train", data=coloured(), match="does not fit the run's own space")


def test_sizes_follow_from_the_data(tmp_path):
    space = space_in(tmp_path)
    for job in (lambda **k: search(space, coloured(), tmp_path / "s", **k),
                lambda **k: train(space, GENOTYPE, coloured(), tmp_path / "t", **k)):  # fmt: skip
        refused(job, **HOW, classes=7, match="`classes` follows from `mine`, which gives 3, not 7")
    assert os.listdir(tmp_path) == ["tiny.darts"]
