"""What is done with a run's folder finds out which job it was, and which model is in it."""

import json

import pytest
import torch
from support import RNN
from tiny import GENOTYPE, WITH_DEMO, StopAt, coloured, picture, picture_folder, space_in
from toy import text

import compiler
import dsl
from compiler import Genotype
from runtime import bilevel_search, seed_runs, training
from runtime.bilevel_search import search
from runtime.errors import UserError
from runtime.guard import Interrupted
from runtime.jobs import model_of_run, resume, weights_of
from runtime.rundir import RunFolder
from runtime.seed_runs import train_seeds
from runtime.training import train
from runtime.weights import Weights


@pytest.mark.parametrize(
    ("record", "module", "function"),
    [
        ({"job": "train"}, training, "resume_training"),
        ({"job": "train_seeds"}, seed_runs, "resume_seeds"),
        ({"job": "search"}, bilevel_search, "resume"),
    ],
)
def test_the_settings_say_which(tmp_path, monkeypatch, record, module, function):
    (tmp_path / "settings.json").write_text(json.dumps({"format": 1, **record}))
    given = []
    monkeypatch.setattr(module, function, lambda folder, **options: given.append((folder, options)))
    resume(tmp_path, data="topics", device="cpu")
    assert given == [(tmp_path, {"data": "topics", "device": "cpu", "progress": None})]


def test_a_folder_that_is_no_run_is_told(tmp_path):
    for job in (resume, model_of_run, weights_of):
        with pytest.raises(UserError, match="there is no folder"):
            job(tmp_path / "nowhere")
        with pytest.raises(UserError, match="no folder of a run"):
            job(tmp_path)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return space_in(tmp_path_factory.mktemp("space"), WITH_DEMO)


@pytest.fixture(scope="module")
def trained(space, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(space, GENOTYPE, coloured(), out, device="cpu", subset=0, epochs=1, C=4)


@pytest.fixture(scope="module")
def searched(space, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return search(space, None, out, device="cpu", profile="demo")


def test_the_model_of_a_training_is_the_one_it_trains(trained):
    model = model_of_run(trained.folder)
    assert model.genotype == GENOTYPE
    assert (model.values["channels"], model.values["classes"], model.values["C"]) == (3, 3, 4)
    assert model.source() == trained.model.read_text()
    net = model.build()
    Weights.read(weights_of(trained.folder)).put_into(net)
    assert sum(p.numel() for p in net.parameters()) == trained.parameters


def test_the_model_of_a_search_is_the_one_it_writes(searched):
    model = model_of_run(searched.folder)
    assert model.genotype == searched.genotype and model.profile == "demo"
    assert model.values["channels"] == 1
    assert model.source() == searched.model.read_text()


def test_other_decisions_profiles_and_values_take_their_places(trained, searched):
    for folder in (trained.folder, searched.folder):
        other = Genotype.parse(str(GENOTYPE).replace("conv_1x1", "avg_pool_3x3"))
        model = model_of_run(folder, other, "final", C=7, classes=5)
        assert (model.genotype, model.profile) == (other, "final")
        assert (model.values["C"], model.values["classes"]) == (7, 5)
        assert model.settings.epochs == (1 if folder == trained.folder else 2)
    with pytest.raises(dsl.DartsError, match="`width`"):
        model_of_run(trained.folder, width=3).build()


def test_the_run_s_own_copy_of_the_space_counts(space, trained, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in trained.folder.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    assert model_of_run(moved).space.source.path == moved / "tiny.darts"


def test_a_search_of_no_epoch_has_no_model(space, tmp_path):
    with pytest.raises(Interrupted):
        search(space, None, tmp_path / "run", device="cpu", progress=StopAt(1))
    with pytest.raises(UserError, match="no genotype yet: its first epoch is not over"):
        model_of_run(tmp_path / "run")
    assert model_of_run(tmp_path / "run", GENOTYPE).genotype == GENOTYPE
    with pytest.raises(UserError, match="is no training, so it has no weights: give `--weights`"):
        weights_of(tmp_path / "run")


def test_a_folder_of_several_runs_names_one_of_them(space, tmp_path):
    out = tmp_path / "run"
    train_seeds(space, GENOTYPE, coloured(), out, seeds=[4], device="cpu", subset=0, profile="demo")
    with pytest.raises(UserError) as found:
        model_of_run(out)
    assert str(found.value) == f"{out} holds several runs: name one, as {out / 'seed-4'}"
    assert model_of_run(out / "seed-4").genotype == GENOTYPE
    assert weights_of(out / "seed-4").is_file()


@pytest.mark.parametrize("job", ["search", "train"])
def test_damaged_settings_are_told_in_a_line(tmp_path, job):
    space_in(tmp_path)
    GENOTYPE.save(tmp_path / "genotype.yaml")
    for record in ({}, {"space": "tiny.darts", "profile": None, "overrides": 3, "fitted": {}}):
        RunFolder(tmp_path).write_settings({"job": job, **record})
        with pytest.raises(UserError, match=r"settings\.json is damaged: start a new run"):
            model_of_run(tmp_path)
    RunFolder(tmp_path).write_settings({})
    with pytest.raises(UserError, match=r"settings\.json is damaged: start a new run"):
        model_of_run(tmp_path)


def test_weights_are_those_that_the_result_is_about(trained, tmp_path):
    """The last ones of images, the best ones of a text."""
    folder = trained.folder
    assert weights_of(folder) == weights_of(folder, "last") == trained.last
    assert weights_of(folder, "best") == trained.best
    how = {"H": 4, "batch": 4, "evaluation_batch": 2, "bptt": 9, "epochs": 1, "device": "cpu"}
    genotype = compiler.build(RNN, H=2, V=7).genotype()
    words = train(RNN, genotype, text(), tmp_path / "words", **how)
    assert weights_of(words.folder) == weights_of(words.folder, "best") == words.best
    assert weights_of(words.folder, "last") == words.last
    net = model_of_run(words.folder).build()
    Weights.read(words.best).put_into(net)
    assert torch.equal(net.state_dict()["table.weight"], net.get_parameter("table.weight"))


@pytest.mark.parametrize("steps", [2, 5])  # in the first epoch and in the second
def test_a_training_on_files_goes_on_as_if_it_had_never_stopped(space, tmp_path, steps):
    """With crops that are read ahead of the steps."""
    data = f"images:{picture_folder(tmp_path / 'pictures')}"
    how = {"device": "cpu", "subset": 0, "batch": 8, "resized_crop": 8, "jitter": 0.3}
    whole = train(space, GENOTYPE, data, tmp_path / "whole", **how)
    with pytest.raises(Interrupted):
        train(space, GENOTYPE, data, tmp_path / "cut", progress=StopAt(steps), **how)
    again = resume(tmp_path / "cut")
    assert again.measured == whole.measured
    for name in ("best.safetensors", "last.safetensors"):
        one, two = (RunFolder(tmp_path / n).read_weights(name) for n in ("whole", "cut"))
        assert all(torch.equal(one[key], two[key]) for key in one)
    picture(tmp_path / "pictures" / "test" / "ant" / "00.png", (30, 30))
    with pytest.raises(UserError, match="not the data set"):
        resume(tmp_path / "cut")
