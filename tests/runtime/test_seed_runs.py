"""Trainings with several seeds: their mean and deviation, and going on with them."""

import json
import statistics

import pytest
from support import RNN
from tiny import GENOTYPE, StopAt, coloured, space_in
from toy import text

import compiler
import dsl
from runtime import Interrupted, resume
from runtime.errors import UserError
from runtime.rundir import RunFolder
from runtime.seed_runs import train_seeds
from runtime.training import train

SEEDS = (3, 0, 7)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return space_in(tmp_path_factory.mktemp("space"))


def run(space, out, seeds=SEEDS, **changes):
    options = {"device": "cpu", "epochs": 2, "subset": 0} | changes
    return train_seeds(space, GENOTYPE, coloured(), out, seeds=seeds, **options)


@pytest.fixture(scope="module")
def whole(space, tmp_path_factory):
    """Three seeds, of three steps an epoch."""
    return run(space, tmp_path_factory.mktemp("runs") / "whole")


def content(folder):
    """All that a run leaves but times, by name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".safetensors":
            tensors = RunFolder(path.parent).read_weights(path.name)
            found[path.name, path.parent.name] = {n: t.tolist() for n, t in tensors.items()}
        elif path.suffix == ".jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[path.name, path.parent.name] = [
                {k: v for k, v in line.items() if not k.endswith("seconds")} for line in lines
            ]
        elif path.is_file():
            name = path.parent.name if path.parent != folder else ""
            found[path.name, name] = path.read_text()
    return found


def test_each_seed_is_a_training_of_its_own(space, whole, tmp_path):
    assert list(whole.runs) == list(SEEDS)
    assert sorted(p.name for p in whole.folder.iterdir()) == [
        "genotype.yaml", "result.json", "seed-0", "seed-3", "seed-7", "settings.json", "tiny.darts",
    ]  # fmt: skip
    for seed, result in whole.runs.items():
        assert result.folder == whole.folder / f"seed-{seed}"
        assert json.loads((result.folder / "settings.json").read_text())["seed"] == seed
    record = json.loads((whole.folder / "settings.json").read_text())
    assert (record["seeds"], record["device"]) == (list(SEEDS), "cpu")
    alone = train(
        space, GENOTYPE, coloured(), tmp_path / "seed-7", seed=7, device="cpu", epochs=2, subset=0
    )
    assert content(alone.folder) == content(whole.folder / "seed-7")


def test_figures_have_means_and_sample_deviations(whole):
    told = json.loads((whole.folder / "result.json").read_text())
    assert told == {
        "format": 1, "seeds": list(SEEDS), "mean": whole.means, "deviation": whole.deviations,
    }  # fmt: skip
    figures = {
        seed: json.loads((whole.folder / f"seed-{seed}" / "result.json").read_text())
        for seed in SEEDS
    }
    assert list(whole.means) == ["test_loss", "test_accuracy", "test_top5", "best_test_accuracy"]
    for name, mean in whole.means.items():
        values = [figures[seed][name] for seed in SEEDS]
        assert mean == pytest.approx(sum(values) / 3, rel=1e-12)
        deviation = (sum((value - mean) ** 2 for value in values) / 2) ** 0.5
        assert whole.deviations[name] == pytest.approx(deviation, rel=1e-9, abs=1e-15)
    assert whole.deviations["test_loss"] > 0
    assert statistics.pstdev(
        [figures[seed]["test_loss"] for seed in SEEDS]
    ) < whole.deviations["test_loss"]  # fmt: skip


def test_a_single_seed_has_no_deviation(space, tmp_path):
    result = run(space, tmp_path / "run", seeds=[5], epochs=1)
    assert set(result.deviations.values()) == {0.0}
    assert result.means == result.runs[5].measured


# In the first and in the second epoch of the second seed, and in the last one.
@pytest.mark.parametrize("steps", [8, 11, 14])
def test_going_on_in_the_middle_of_a_seed_changes_nothing(space, whole, tmp_path, steps):
    out = tmp_path / "cut"
    with pytest.raises(Interrupted) as stop:
        run(space, out, progress=StopAt(steps))
    message = f"stopped: `--resume {out}` goes on from the last finished epoch"
    assert str(stop.value) == message
    assert not (out / "result.json").exists()
    again = resume(out, data=coloured())
    assert (again.means, again.deviations) == (whole.means, whole.deviations)
    assert list(again.runs) == list(SEEDS)
    assert content(out) == content(whole.folder)


def test_going_on_with_what_is_finished_only_says_it_again(space, whole):
    before = content(whole.folder)
    again = resume(whole.folder, data=coloured())
    assert (again.means, again.deviations) == (whole.means, whole.deviations)
    assert content(whole.folder) == before


def test_a_seed_that_had_hardly_begun_begins_anew(space, whole, tmp_path, monkeypatch):
    """Ctrl-C after the seed's folder is made, before there is a checkpoint in it; then a machine
    that goes out at that point and leaves a part of the folder."""
    write, out = RunFolder.write_settings, tmp_path / "cut"

    def stopping(self, settings):
        if self.path.name == "seed-0":
            raise KeyboardInterrupt
        write(self, settings)

    monkeypatch.setattr(RunFolder, "write_settings", stopping)
    with pytest.raises(Interrupted, match=f"--resume {out}`"):
        run(space, out)
    monkeypatch.undo()
    assert not (out / "seed-0").exists()
    (out / "seed-0").mkdir()
    (out / "seed-0" / "model.py").write_text("# the first half of a mo")
    assert resume(out, data=coloured()).means == whole.means
    assert content(out) == content(whole.folder)


def test_a_seed_that_has_lost_its_checkpoint_is_not_begun_anew(space, tmp_path):
    out = run(space, tmp_path / "run", epochs=1).folder
    (out / "seed-0" / "checkpoint.json").unlink()
    with pytest.raises(UserError, match=r"seed-0 is no folder of a run: it has no"):
        resume(out, data=coloured())
    assert (out / "seed-0" / "best.safetensors").exists()


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"subset": 10**6}, {"lrr": 1}, {"cutout": 8}, {"device": "gpu"}]
)
def test_a_bad_setting_leaves_no_folder(space, tmp_path, wrong):
    with pytest.raises((UserError, dsl.DartsError)):
        run(space, tmp_path / "run", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_leave_no_folder(space, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cutout"):
        run(space, None, cutout=8)  # not even `runs`
    for seeds in ([], [1, 1]):
        with pytest.raises(UserError, match="whole numbers below"):
            run(space, None, seeds=seeds)
    with pytest.raises(dsl.DartsError, match="cannot read the genotype"):
        train_seeds(space, "nowhere.yaml", coloured(), seeds=[0])
    with pytest.raises(dsl.DartsError):
        train_seeds("nowhere.darts", GENOTYPE, coloured(), seeds=[0])
    with pytest.raises(UserError, match="no data set"):
        train_seeds(space, GENOTYPE, "digit", tmp_path / "run", seeds=[0])
    assert list(tmp_path.iterdir()) == []


def test_a_later_fault_keeps_what_there_is(space, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(UserError, match=r"no longer a finite number in epoch 1"):
        run(space, out, lr=1e30, clip=0)
    assert (out / "seed-3" / "checkpoint.json").exists()
    with pytest.raises(UserError, match="exists already"):
        run(space, out)
    assert (out / "seed-3" / "checkpoint.json").exists()


def test_going_on_refuses_other_images(space, whole):
    with pytest.raises(UserError, match="not the data set"):
        resume(whole.folder, data=coloured(seed=1))
    with pytest.raises(UserError, match="there is no data set `mine`"):
        resume(whole.folder)


@pytest.mark.parametrize("name", ["space", "profile", "overrides", "data", "seeds", "device"])
def test_damaged_settings_are_told_in_a_line(space, tmp_path, name):
    record = {
        "job": "train_seeds", "space": "tiny.darts", "profile": None, "overrides": {},
        "data": None, "seeds": [0], "device": "cpu",
    }  # fmt: skip
    del record[name]
    RunFolder(tmp_path).write_settings(record)
    with pytest.raises(UserError, match=r"settings\.json is damaged: start a new run"):
        resume(tmp_path)


def test_texts_are_trained_on_with_several_seeds_too(tmp_path):
    genotype = compiler.build(RNN, H=2, V=7).genotype()
    how = {"H": 4, "batch": 4, "evaluation_batch": 2, "bptt": 9, "epochs": 1, "device": "cpu"}
    result = train_seeds(RNN, genotype, text(), tmp_path / "run", seeds=[0, 1], **how)
    assert list(result.means) == ["valid_perplexity", "test_loss", "test_perplexity"]
    assert result.deviations["test_perplexity"] > 0
