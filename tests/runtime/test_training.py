"""Whole trainings of a toy in a folder: what they leave, how they average, stop and go on."""

import copy
import json
import math

import pytest
import torch
from safetensors.torch import load_file
from support import CIFAR, DARTS_V2
from toy import Toy, plain_epoch, text, toy

import compiler
import dsl
from compiler import Genotype
from runtime.errors import UserError
from runtime.guard import Interrupted
from runtime.jobs import resume
from runtime.progress import Silent
from runtime.rundir import BEST, LAST, RunFolder
from runtime.streams import columns, word_loss
from runtime.training import train
from runtime.training_request import TrainingRequest

QUICK = {
    "batch": 4, "evaluation_batch": 2, "bptt": 5, "schedule": "constant",
    "momentum": 0.0, "lr": 2.0, "decay": 0.0, "clip": 0.25, "slowness": 0.7, "epochs": 4,
    "optimiser": "averaged_sgd", "patience": 1,
    # What the space says for images.
    "crop": 0, "flip": False, "cutout": 0, "drop_path": 0.0, "auxiliary_weight": 0.0,
}  # fmt: skip
GENOTYPE = Genotype.parse(DARTS_V2)


@pytest.fixture(autouse=True)
def built(monkeypatch):
    """Every final model is a toy, drawn at random and with dropout; gives the list of them."""
    found = []

    def build(request):
        found.append(Toy(dropout=0.3).double())
        return found[-1]

    monkeypatch.setattr(TrainingRequest, "build", build)
    monkeypatch.setattr(TrainingRequest, "emit", lambda request, path: path.write_text("# a toy\n"))
    monkeypatch.setattr(compiler, "word_overrides", lambda space, words, name: {}, raising=False)
    return found


class StopAt(Silent):
    """Presses Ctrl-C after some number of steps."""

    def __init__(self, steps):
        self.left = steps

    def step(self, losses):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def run(out, **changes):
    return train(CIFAR, GENOTYPE, text(), out, device="cpu", **QUICK | changes)


def timeless(history):
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in history]


def same_tensors(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def same(one, two):
    """Whether two folders hold the same state and the same weights, bit for bit."""
    one, two = RunFolder(one), RunFolder(two)
    return all(
        same_tensors(one.read_weights(name), two.read_weights(name)) for name in (BEST, LAST)
    ) and same_tensors(one.read_checkpoint().tensors, two.read_checkpoint().tensors)


def test_a_training_leaves_a_whole_folder(tmp_path):
    result = run(out := tmp_path / "run")
    assert sorted(p.name for p in out.iterdir()) == [
        "best.safetensors", "checkpoint-000004.safetensors", "checkpoint.json", "cifar_cell.darts",
        "genotype.yaml", "last.safetensors", "metrics.jsonl", "model.py", "result.json",
        "settings.json",
    ]  # fmt: skip
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(result.history)
    assert list(lines[0]) == [
        "epoch", "epochs", "lr", "train_loss", "train_perplexity", "averaging", "valid_loss",
        "valid_perplexity", "best", "seconds",
    ]  # fmt: skip
    assert lines[0]["train_perplexity"] == math.exp(lines[0]["train_loss"])
    told = json.loads((out / "result.json").read_text())
    assert told == {
        "format": 1,
        "parameters": 21 + 18 + 7,  # the tied weight counts once
        "best_epoch": result.best_epoch,
        **result.measured,
    }
    assert list(result.measured) == ["valid_perplexity", "test_loss", "test_perplexity"]
    settings = json.loads((out / "settings.json").read_text())
    assert settings["job"] == "train" and settings["settings"]["batch"] == 4
    assert str(Genotype.load(out / "genotype.yaml")) == str(GENOTYPE)


def test_the_best_weights_are_kept_and_tested_in_one_stream(tmp_path):
    result = run(tmp_path / "run", epochs=6)
    losses = [line["valid_loss"] for line in result.history]
    assert losses[-1] > min(losses)  # so the last weights are not the best
    assert [line["best"] for line in result.history] == [
        loss < min(losses[:epoch], default=math.inf) for epoch, loss in enumerate(losses)
    ]
    net = Toy().double()
    net.load_state_dict(load_file(result.best))
    assert word_loss(net, columns(text().valid, 2), 5) == pytest.approx(min(losses), rel=1e-12)
    assert losses[result.best_epoch - 1] == min(losses)
    tested = word_loss(net, columns(text().test, 1), 40)
    assert result.measured["test_loss"] == pytest.approx(tested, rel=1e-12)
    assert result.measured["test_perplexity"] == math.exp(result.measured["test_loss"])


@pytest.mark.parametrize("optimiser", ["sgd", "averaged_sgd"])
def test_averaging_is_that_of_a_plain_loop(tmp_path, monkeypatch, optimiser):
    monkeypatch.setattr(TrainingRequest, "build", lambda request: toy())
    result = run(tmp_path / "run", optimiser=optimiser, epochs=6)
    settings = TrainingRequest(dsl.load(CIFAR), GENOTYPE, None, QUICK, {}, 0).settings
    stream, valid = columns(text().train, 4), columns(text().valid, 2)
    net, losses, averaging, walked = toy(), [], [], None
    for epoch in range(1, 7):
        after = walk(net, stream, settings, epoch)
        averaging.append(walked is not None)
        judged = after[-1]
        if walked is not None:
            walked += after
            judged = {n: torch.stack([each[n] for each in walked]).mean(0) for n in judged}
        other = Toy().double()
        other.load_state_dict(judged)
        losses.append(word_loss(other, valid, 5))
        worse = len(losses) > 2 and losses[-1] > min(losses[:-2])
        if optimiser == "averaged_sgd" and walked is None and worse:
            walked = []
    assert any(averaging) == (optimiser == "averaged_sgd") and not all(averaging)
    assert [line["averaging"] for line in result.history] == averaging
    assert [line["valid_loss"] for line in result.history] == pytest.approx(losses, rel=1e-9)


def walk(net, stream, settings, epoch):
    """The weights of `net` after each step of a plain epoch."""
    after = []
    # A step ends where the next begins: its first read of the table.
    hook = net.table.register_forward_pre_hook(
        lambda module, inputs: after.append(copy.deepcopy(net.state_dict()))
    )
    plain_epoch(net, stream, settings, 0, epoch)
    hook.remove()
    return [*after[1:], copy.deepcopy(net.state_dict())]


# In the first epoch, at an epoch's last step, and while averaging.
@pytest.mark.parametrize("steps", [2, 6, 34])
def test_going_on_after_an_interrupt_changes_no_bit(tmp_path, steps):
    options = {"momentum": 0.3, "bptt_deviation": 1.0, "accumulate": 2, "epochs": 6}
    whole = run(tmp_path / "whole", **options)
    assert [line["averaging"] for line in whole.history][-3:] == [True] * 3
    out = tmp_path / "cut"
    with pytest.raises(Interrupted, match=f"--resume {out}"):
        run(out, progress=StopAt(steps), **options)
    assert not list(out.glob(".*"))
    again = resume(out, data=text())
    assert same(whole.folder, out)
    assert timeless(whole.history) == timeless(again.history)
    assert (out / "result.json").read_text() == (whole.folder / "result.json").read_text()


def test_the_same_seed_gives_the_same_bits(tmp_path):
    state = torch.get_rng_state()
    one = run(tmp_path / "one", seed=3)
    assert torch.equal(torch.get_rng_state(), state)  # the caller's random numbers are its own
    torch.manual_seed(99)
    two = run(tmp_path / "two", seed=3)
    assert same(one.folder, two.folder)
    assert not same(one.folder, run(tmp_path / "other", seed=4).folder)


def test_resuming_a_finished_training_only_tests_again(tmp_path):
    done = run(tmp_path / "run", epochs=1)
    (done.folder / "result.json").unlink()
    again = resume(done.folder, data=text())
    assert again == done and (done.folder / "result.json").exists()


def test_weights_start_as_the_settings_say(tmp_path, built):
    run(tmp_path / "run", epochs=1, lr=0.0, init_uniform=1e-3)
    weights = dict(built[0].named_parameters())
    assert 0 < weights["table.weight"].abs().max() <= 1e-3
    assert not weights["linear.bias"].any()


def test_resuming_refuses_another_text(tmp_path):
    out = run(tmp_path / "run", epochs=1).folder
    with pytest.raises(UserError, match="not the data set"):
        resume(out, data=text(seed=1))
    with pytest.raises(UserError, match="there is no data set `mine`"):
        resume(out)


def test_damage_is_told_in_a_line(tmp_path):
    result = run(tmp_path / "run", epochs=6)
    assert result.best_epoch < 6  # so that the weights do not follow from the checkpoint
    out = result.folder
    weights = (out / "best.safetensors").read_bytes()
    (out / "best.safetensors").write_bytes(weights[:-5])
    with pytest.raises(UserError, match=r"best.safetensors is missing or damaged"):
        resume(out, data=text())
    record = json.loads((out / "settings.json").read_text())
    del record["seed"]
    (out / "settings.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"settings.json is damaged: start a new run"):
        resume(out, data=text())


def test_mistakes_leave_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mistakes = [{"accumulate": 3}, {"batch": 100}, {"evaluation_batch": 99}, {"lrr": 1}]
    for wrong in [*mistakes, {"activation": 1.0, "optimiser": "adam"}]:
        with pytest.raises((UserError, dsl.DartsError)):
            run(None, **wrong)
    with pytest.raises(UserError, match="no data set"):
        train(CIFAR, GENOTYPE, "topic", **QUICK)
    with pytest.raises(dsl.DartsError, match="cannot read the genotype"):
        train(CIFAR, "nowhere.yaml", text(), **QUICK)
    assert list(tmp_path.iterdir()) == []


class Watching(Silent):
    """Wants the losses at every step."""

    def __init__(self):
        self.seen = []

    def due(self):
        return True

    def step(self, losses):
        self.seen.append(losses)


def test_losses_are_shown_a_step_late(tmp_path):
    watching = Watching()
    result = run(tmp_path / "run", epochs=1, progress=watching)
    shown = [losses for losses in watching.seen if losses is not None]
    assert [losses is None for losses in watching.seen[:4]] == [True, False, True, False]
    assert list(shown[0]) == ["train_loss", "train_perplexity"]
    assert len({losses["train_loss"] for losses in [*shown, result.history[0]]}) > 2


def test_a_loss_that_is_not_finite_is_found_a_step_later(tmp_path):
    watching = Watching()
    with pytest.raises(UserError, match="finite number in epoch 1"):
        run(tmp_path / "run", lr=1e300, clip=0.0, progress=watching)
    assert len(watching.seen) < 5


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    with pytest.raises(UserError, match=r"finite number in epoch 1: try a smaller `lr`"):
        run(tmp_path / "run", lr=1e300, clip=0.0)


def test_the_best_weights_follow_from_the_checkpoint(tmp_path):
    """Where a run was cut off between the two, they are written again when it goes on."""
    result = run(tmp_path / "run", epochs=1)
    expected = load_file(result.best)
    for path in (result.best, result.last):
        path.unlink()
    (result.folder / "result.json").unlink()
    assert resume(result.folder, data=text()) == result
    assert same_tensors(load_file(result.best), expected)


@pytest.mark.parametrize("setting", [{"cutout": 4}, {"drop_path": 0.2}, {"label_smoothing": 0.1}])
def test_settings_that_mean_nothing_for_words(tmp_path, setting):
    (name,) = setting
    with pytest.raises(UserError, match=f"`{name}` is a setting for images, and `mine` holds text"):
        run(tmp_path / "run", **setting)
    assert list(tmp_path.iterdir()) == []
