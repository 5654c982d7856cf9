"""Whole searches on the demo's data: their folder, their determinism, how they stop and go on."""

import dataclasses
import json

import pytest
import torch
import yaml

import dsl
from dsl.settings import Settings
from runtime.bilevel_search import Interrupted, cosine, resume, search
from runtime.data import Images, load
from runtime.errors import UserError
from runtime.progress import Silent
from runtime.rundir import Checkpoint, RunFolder

SPACE = "spaces/cifar_cell.darts"
QUICK = {"profile": "demo", "device": "cpu", "subset": 64, "batch": 16, "N": 3, "C": 2}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    return [{k: v for k, v in line.items() if k != "seconds"} for line in history]


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


def test_too_large_a_network_is_one_line(tmp_path, digits):
    with pytest.raises(UserError, match="more memory than there is"):
        search(SPACE, digits, tmp_path / "run", epochs=1, **QUICK | {"C": 10**12})


def test_a_loss_that_is_not_finite_stops_the_search(tmp_path, digits):
    with pytest.raises(UserError, match=r"finite number in epoch 1: try a smaller `lr`"):
        search(SPACE, digits, tmp_path / "run", epochs=1, lr=1e30, clip=0, **QUICK)


def test_mistakes_leave_no_folder(tmp_path, digits, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in ({"batch": 500}, {"lrr": 1}, {"subset": 10**6}):
        with pytest.raises((UserError, dsl.DartsError)):
            search(SPACE, digits, **QUICK | wrong)
    with pytest.raises(UserError, match="no data set"):
        search(SPACE, "digit5s", **QUICK)
    assert list(tmp_path.iterdir()) == []


def test_the_cosine_starts_at_lr_and_ends_near_lr_end():
    settings = Settings(lr=0.025, lr_end=0.001, epochs=50)
    rates = [cosine(settings, done) for done in range(51)]
    assert rates[0] == 0.025 and rates[50] == pytest.approx(0.001)
    assert rates[25] == pytest.approx(0.013)
    assert rates == sorted(rates, reverse=True)


def test_images_of_one_s_own_are_a_data_set(tmp_path):
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (80, 3, 8, 8), generator=draw, dtype=torch.uint8)
    labels = torch.arange(80) % 2
    images = Images("mine", pixels[:64], labels[:64], pixels[64:], labels[64:], ("a", "b"))
    result = search(SPACE, images, tmp_path / "run", epochs=1, **QUICK | {"subset": 0})
    assert result.history[0]["test_accuracy"] * 16 == int(result.history[0]["test_accuracy"] * 16)
    with pytest.raises(UserError, match="there is no data set `mine`"):
        resume(tmp_path / "run")
