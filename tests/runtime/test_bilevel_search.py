"""Whole searches: their folder, their determinism, how they stop and go on."""

import dataclasses
import json

import pytest
import torch
import yaml
from support import PROGRAMS

import dsl
from dsl import DartsError
from runtime.bilevel_search import resume, search
from runtime.data import Images, load
from runtime.errors import UserError
from runtime.guard import Interrupted, within_memory
from runtime.progress import Silent
from runtime.rundir import Checkpoint, RunFolder
from runtime.text import Text

SPACE = "spaces/cifar_cell.darts"
QUICK = {"profile": "demo", "device": "cpu", "subset": 64, "batch": 16, "N": 3, "C": 2}


@pytest.fixture(scope="module")
def digits():
    images = load("digits")
    return dataclasses.replace(images, test=images.test[:40], test_labels=images.test_labels[:40])


def tensors(folder):
    return RunFolder(folder).read_checkpoint().tensors


def same(first, second):
    a, b = tensors(first), tensors(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def timeless(history):
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in history]


class StopAt(Silent):
    """Presses Ctrl-C after some number of steps."""

    def __init__(self, steps):
        self.left = steps

    def step(self, losses):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_search_leaves_a_whole_folder(tmp_path, digits):
    out = tmp_path / "run"
    result = search(SPACE, digits, out, epochs=2, **QUICK)
    assert sorted(p.name for p in out.iterdir()) == [
        "checkpoint-000002.safetensors", "checkpoint.json", "cifar_cell.darts", "genotype.yaml",
        "metrics.jsonl", "model.py", "settings.json",
    ]  # fmt: skip
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(result.history)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(0 < line["data_seconds"] < line["seconds"] for line in lines)
    for part in ("train", "valid", "test"):
        assert 0 < lines[0][f"{part}_loss"] < 10 and 0 <= lines[0][f"{part}_accuracy"] <= 1
    assert (result.folder, result.model) == (out, out / "model.py")
    settings = json.loads((out / "settings.json").read_text())
    assert settings["settings"]["epochs"] == 2 and settings["fitted"]["channels"] == 1
    assert dsl.load(out / settings["space"]).network is not None
    assert yaml.safe_load((out / "genotype.yaml").read_text())
    compile((out / "model.py").read_text(), "model.py", "exec")


def test_an_auxiliary_head_that_does_not_fit_costs_no_model(tmp_path, digits):
    class Notes(Silent):
        texts = ()

        def note(self, text):
            self.texts = (*self.texts, text)

    # Without the demo's overlay the final network has an auxiliary head, for larger images.
    notes = Notes()
    options = {k: v for k, v in QUICK.items() if k != "profile"}
    result = search(SPACE, digits, tmp_path / "run", epochs=1, progress=notes, **options)
    assert result.model is not None and "auxiliary" not in result.model.read_text()
    assert notes.texts == ("model.py has no auxiliary head: it does not fit these images",)


def test_weights_learn_and_alphas_move(tmp_path, digits):
    result = search(SPACE, digits, tmp_path / "run", epochs=4, lr=0.1, **QUICK | {"subset": 320})
    losses = [line["train_loss"] for line in result.history]
    assert losses[-1] < 0.8 * losses[0]
    assert result.history[-1]["valid_accuracy"] > 0.25  # a guess is right one time in ten
    before = search(SPACE, digits, tmp_path / "twin", epochs=1, alpha_lr=0.0, **QUICK)
    first, last = tensors(before.folder), tensors(result.folder)
    moved = [n for n in last if n.startswith("net.alphas") and not torch.equal(first[n], last[n])]
    assert len(moved) == 2


@pytest.mark.parametrize("order", [1, 2])
def test_the_same_seed_gives_the_same_bits(tmp_path, digits, order):
    options = {**QUICK, "order": order, "epochs": 1}
    state = torch.get_rng_state()
    one = search(SPACE, digits, tmp_path / "one", seed=3, **options)
    assert torch.equal(torch.get_rng_state(), state)  # the caller's random numbers are its own
    torch.manual_seed(99)
    two = search(SPACE, digits, tmp_path / "two", seed=3, **options)
    assert same(one.folder, two.folder) and timeless(one.history) == timeless(two.history)
    other = search(SPACE, digits, tmp_path / "other", seed=4, **options)
    assert not same(one.folder, other.folder)


@pytest.mark.parametrize("steps", [1, 2, 3])  # in the first epoch, at its last step, in the second
def test_going_on_after_an_interrupt_changes_no_bit(tmp_path, digits, steps):
    options = {**QUICK, "epochs": 2, "crop": 1, "flip": True}
    whole = search(SPACE, digits, tmp_path / "whole", **options)
    out = tmp_path / "cut"
    with pytest.raises(Interrupted, match=f"--resume {out}"):
        search(SPACE, digits, out, progress=StopAt(steps), **options)
    assert not list(out.glob(".*"))
    again = resume(out, data=digits)
    assert same(whole.folder, out)
    assert timeless(whole.history) == timeless(again.history)
    assert (out / "genotype.yaml").read_text() == (whole.folder / "genotype.yaml").read_text()


def test_metrics_after_the_checkpoint_are_dropped(tmp_path, digits, monkeypatch):
    options = {**QUICK, "epochs": 2}
    whole = search(SPACE, digits, tmp_path / "whole", **options)
    write = RunFolder.write_checkpoint

    def crash(self, checkpoint: Checkpoint):
        if checkpoint.epoch == 2:
            (self.path / "metrics.jsonl").open("a").write('{"epoch": 3, "tor')
            raise KeyboardInterrupt
        write(self, checkpoint)

    monkeypatch.setattr(RunFolder, "write_checkpoint", crash)
    with pytest.raises(Interrupted):
        search(SPACE, digits, tmp_path / "cut", **options)
    monkeypatch.undo()
    again = resume(tmp_path / "cut", data=digits)
    assert timeless(again.history) == timeless(whole.history)
    lines = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_resuming_a_finished_run_only_writes_the_model_again(tmp_path, digits):
    out = tmp_path / "run"
    done = search(SPACE, digits, out, epochs=1, **QUICK)
    (out / "model.py").unlink()
    again = resume(out, data=digits)
    assert (out / "model.py").exists() and again.history == done.history


def test_resuming_refuses_other_images(tmp_path, digits):
    out = tmp_path / "run"
    search(SPACE, digits, out, epochs=1, **QUICK)
    with pytest.raises(UserError, match="not the data set"):
        resume(out, data="digits")
    others = dataclasses.replace(
        digits, train=digits.train.flip(0)
    )  # of the same shape, other pixels
    with pytest.raises(UserError, match="not the data set"):
        resume(out, data=others)


def test_a_space_that_decides_nothing_is_not_searched(tmp_path, digits):
    place = tmp_path / "still.darts"
    place.write_text(
        "language 1\nnetwork(C = 2, classes = 10) from image[1, 8, 8] to class[classes] =\n"
        "    image -> conv(3, out: C) -> global_pool(mean) -> linear(classes)\n"
        "profile search { batch = 8 }\nprofile final { batch = 8 }\n"
    )
    with pytest.raises(UserError, match="decides nothing"):
        search(place, digits, tmp_path / "run", epochs=1)


def test_too_large_a_network_is_refused_before_it_is_built(tmp_path, digits):
    with pytest.raises(DartsError, match="more than 100,000,000,000 weights"):
        search(SPACE, digits, tmp_path / "run", epochs=1, **QUICK | {"C": 10**12})


def test_more_memory_than_there_is_is_one_line():
    with pytest.raises(UserError, match="more memory than there is"), within_memory():
        torch.empty(10**15)


def test_a_loss_that_is_not_finite_stops_the_search(tmp_path, digits):
    with pytest.raises(UserError, match=r"finite number in epoch 1: try a smaller `lr`"):
        search(SPACE, digits, tmp_path / "run", epochs=1, lr=1e30, clip=0, **QUICK)


class Watching(Silent):
    """Wants the losses at every step."""

    def __init__(self):
        self.seen, self.notes = [], []

    def due(self):
        return True

    def step(self, losses):
        self.seen.append(losses)

    def note(self, text):
        self.notes.append(text)


def test_losses_are_shown_a_step_late(tmp_path, digits):
    watching = Watching()
    options = QUICK | {"subset": 128}
    result = search(SPACE, digits, tmp_path / "run", epochs=1, progress=watching, **options)
    shown = [losses is not None for losses in watching.seen]
    assert shown == [False, True, False, True]
    other = Watching()
    options["batch"] = 64  # the same images, all in one step, so that none is left to show
    search(SPACE, digits, tmp_path / "other", epochs=1, progress=other, **options)
    assert other.seen == [None]
    first, third = watching.seen[1], watching.seen[3]
    last = {name: result.history[0][name] for name in first}
    assert len({losses["train_loss"] for losses in (first, third, last)}) == 3


def test_a_loss_that_is_not_finite_is_found_a_step_later(tmp_path, digits):
    watching = Watching()
    wrong = QUICK | {"subset": 320, "lr": 1e30, "clip": 0}
    with pytest.raises(UserError, match="finite number in epoch 1"):
        search(SPACE, digits, tmp_path / "run", epochs=1, progress=watching, **wrong)
    assert len(watching.seen) < 10  # the steps of an epoch


def test_waiting_for_data_is_told(tmp_path, digits, monkeypatch):
    watching = Watching()
    monkeypatch.setattr("runtime.waiting.LEAST", 0.0)
    monkeypatch.setattr("runtime.waiting.SHARE", 0.0)
    search(SPACE, digits, tmp_path / "run", epochs=1, progress=watching, **QUICK)
    assert [note for note in watching.notes if note.startswith("epoch 1 waited for data for 0.0")]


def test_a_search_takes_no_setting_of_training(tmp_path, digits):
    with pytest.raises(UserError, match="not in 2: leave `accumulate` at 1"):
        search(SPACE, digits, tmp_path / "run", accumulate=2, **QUICK)
    with pytest.raises(UserError, match="set `optimiser` to `sgd`"):
        search(SPACE, digits, tmp_path / "run", optimiser="averaged_sgd", **QUICK)
    with pytest.raises(
        UserError, match="`slowness` is a setting for text, and `digits` holds images"
    ):
        search(SPACE, digits, tmp_path / "run", slowness=0.1, **QUICK)
    assert not (tmp_path / "run").exists()


def test_mistakes_leave_no_folder(tmp_path, digits, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in ({"batch": 500}, {"lrr": 1}, {"subset": 10**6}):
        with pytest.raises((UserError, dsl.DartsError)):
            search(SPACE, digits, **QUICK | wrong)
    with pytest.raises(UserError, match="no data set"):
        search(SPACE, "digit5s", **QUICK)
    assert list(tmp_path.iterdir()) == []


def test_images_of_one_s_own_are_a_data_set(tmp_path):
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (80, 3, 8, 8), generator=draw, dtype=torch.uint8)
    labels = torch.arange(80) % 2
    images = Images("mine", pixels[:64], labels[:64], pixels[64:], labels[64:], ("a", "b"))
    result = search(SPACE, images, tmp_path / "run", epochs=1, **QUICK | {"subset": 0})
    assert result.history[0]["test_accuracy"] * 16 == int(result.history[0]["test_accuracy"] * 16)
    with pytest.raises(UserError, match="there is no data set `mine`"):
        resume(tmp_path / "run")


WORDS = {
    "device": "cpu", "batch": 4, "evaluation_batch": 2, "bptt": 5, "bptt_halved": 0.3, "lr": 5.0,
    "momentum": 0.0, "clip": 0.25, "alpha_lr": 3e-3, "init_uniform": 0.04, "slowness": 1e-3,
    "H": 8, "drop": 0.1,
}  # fmt: skip


TEXT_SPACE = next(path for path in PROGRAMS if path.stem == "words")


@pytest.fixture
def text():
    """A made text in which words follow each other by a rule."""
    train, valid, test = (torch.arange(size) * 3 % 7 for size in (200, 100, 20))
    return Text("made", train, valid, test, tuple("abcdefg"))


def test_a_search_on_text_learns_and_says_so_in_perplexities(tmp_path, text):
    options = WORDS | {"init_uniform": 0.5, "lr": 0.5, "momentum": 0.9, "clip": 1.0, "batch": 8}
    result = search(TEXT_SPACE, text, tmp_path / "run", epochs=6, **options)
    assert list(result.history[0]) == [
        "epoch", "epochs", "lr", "train_loss", "train_perplexity", "valid_loss",
        "valid_perplexity", "evaluation_loss", "evaluation_perplexity", "seconds",
        "data_seconds", "skips", "genotype", "alphas",
    ]  # fmt: skip
    first, last = result.history[0], result.history[-1]
    assert first["evaluation_perplexity"] > 5  # of seven words
    assert last["evaluation_perplexity"] < 3
    settings = json.loads((result.folder / "settings.json").read_text())
    assert settings["data"] == "made" and settings["facts"] == text.facts()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("steps", [3, 20])  # in the first epoch and in the second
def test_a_search_on_text_goes_on_after_an_interrupt(tmp_path, text, order, steps):
    options = {**WORDS, "epochs": 3, "order": order, "clip_virtual": order == 2}
    whole = search(TEXT_SPACE, text, tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        search(TEXT_SPACE, text, tmp_path / "cut", progress=StopAt(steps), **options)
    assert RunFolder(tmp_path / "cut").read_checkpoint().epoch == (0 if steps == 3 else 1)
    again = resume(tmp_path / "cut", data=text)
    assert same(whole.folder, tmp_path / "cut")
    assert timeless(whole.history) == timeless(again.history)


def test_resuming_refuses_another_text(tmp_path, text, digits):
    search(TEXT_SPACE, text, tmp_path / "run", epochs=1, **WORDS)
    for other in (dataclasses.replace(text, valid=text.valid.flip(0)), digits):
        with pytest.raises(UserError, match="not the data set"):
            resume(tmp_path / "run", data=other)


def test_weights_start_within_the_bound_that_was_asked_for(tmp_path, text):
    search(TEXT_SPACE, text, tmp_path / "run", epochs=1, **WORDS | {"lr": 0.0, "alpha_lr": 0.0})
    start = {n: t for n, t in tensors(tmp_path / "run").items() if n.startswith("net.model")}
    matrices = [t for t in start.values() if t.ndim == 2]
    assert 0.035 < max(t.abs().max().item() for t in matrices) <= 0.04
    assert torch.equal(start["net.model.linear_1.weight"], start["net.model.table.weight"])


def test_a_text_too_short_leaves_no_folder(tmp_path, text):
    with pytest.raises(UserError, match="too short for 500 streams"):
        search(TEXT_SPACE, text, tmp_path / "run", **WORDS | {"batch": 500})
    assert not (tmp_path / "run").exists()
