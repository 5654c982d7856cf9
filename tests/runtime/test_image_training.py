"""Training on images against a plain loop, and whole trainings in a folder."""

import json
import math
import subprocess
import sys
from itertools import islice

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from support import CIFAR, DARTS_V2
from torch import nn

import compiler
from compiler import Genotype
from dsl.settings import Settings
from runtime.batches import whole
from runtime.data import Images
from runtime.errors import UserError
from runtime.guard import Interrupted
from runtime.image_training import ImageTraining
from runtime.jobs import resume
from runtime.measure import evaluate
from runtime.progress import Silent
from runtime.rundir import BEST, LAST, RunFolder
from runtime.training import train

CPU = torch.device("cpu")
GENOTYPE = Genotype.parse(DARTS_V2)
SIZES = {"C": 2, "N": 3, "classes": 4}
QUICK = {"C": 2, "N": 3, "batch": 8, "epochs": 2, "lr": 0.1, "cutout": 4}


def pictures(count=20, tests=12, size=32, channels=3, classes="abcd"):
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count + tests) % len(classes)
    shape = (count + tests, channels, size, size)
    pixels = torch.randint(0, 64, shape, generator=draw, dtype=torch.uint8)
    pixels += (labels * 40).to(torch.uint8)[:, None, None, None]  # so that there is a class to see
    parts = pixels[:count], labels[:count], pixels[count:], labels[count:]
    return Images("made", *parts, tuple(classes))


class Pair(nn.Module):
    """Logits and, while training, those of an auxiliary head; nothing looks across the batch."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3 * 8 * 8, 5)
        self.main, self.head = nn.Linear(5, 4), nn.Linear(5, 4)
        self.dropped = []

    def forward(self, images):
        inner = torch.tanh(self.body(images.flatten(1)))
        return (self.main(inner), self.head(inner)) if self.training else self.main(inner)

    def set_drop_path(self, p):
        self.dropped.append(p)


def pair():
    torch.manual_seed(3)
    return Pair()


RECIPE = Settings(
    batch=8, epochs=4, lr=0.5, lr_end=0.1, momentum=0.9, decay=1e-3, clip=0.5, cutout=2, crop=1,
    flip=True, label_smoothing=0.1, auxiliary_weight=0.4, drop_path=0.2,
)  # fmt: skip


def smoothed(logits, labels, share=0.1):
    """Cross-entropy with a target that has `share` of itself spread over all classes."""
    target = F.one_hot(labels, 4) * (1 - share) + share / 4
    return -(target * logits.log_softmax(1)).sum(1).mean()


def by_hand(net, images, settings, epochs):
    """The recipe in a plain loop: SGD with momentum and decay, clipped, written out."""
    batches = whole(images, settings, 0, CPU).train.from_step(0)
    momenta = [torch.zeros_like(p) for p in net.parameters()]
    for epoch in range(epochs):
        lr = 0.1 + 0.4 * (1 + math.cos(math.pi * epoch / 4)) / 2
        for inputs, labels in islice(batches, 3):
            main, head = net(inputs)
            loss = smoothed(main, labels) + 0.4 * smoothed(head, labels)
            gradients = torch.autograd.grad(loss, list(net.parameters()))
            norm = math.sqrt(sum(g.pow(2).sum().item() for g in gradients))
            scale = min(1.0, 0.5 / (norm + 1e-6))
            with torch.no_grad():
                for p, g, m in zip(net.parameters(), gradients, momenta, strict=True):
                    m.mul_(0.9).add_(g * scale + 1e-3 * p)
                    p.sub_(lr * m)
    return net


def trained(settings, epochs=4, net=None):
    net = net or pair()
    training = ImageTraining(net, pictures(size=8), settings, 0, CPU)
    outcomes = []
    for epoch in range(1, epochs + 1):
        lr = 0.1 + 0.4 * (1 + math.cos(math.pi * (epoch - 1) / 4)) / 2
        outcomes.append(list(training.epoch(epoch, lr)))
    return net, outcomes


def parameters(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_the_recipe_is_that_of_a_plain_loop():
    net, outcomes = trained(RECIPE)
    expected = by_hand(pair(), pictures(size=8), RECIPE, 4)
    torch.testing.assert_close(parameters(net), parameters(expected), atol=1e-6, rtol=1e-5)
    # 20 images in batches of 8: the last of an epoch has 4, and none is left out.
    assert [[o.size for o in epoch] for epoch in outcomes] == [[8, 8, 4]] * 4
    assert not torch.allclose(parameters(net), parameters(pair()), atol=1e-2)


@pytest.mark.parametrize("change", [
    {"label_smoothing": 0.0}, {"auxiliary_weight": 0.0}, {"clip": 0.0}, {"momentum": 0.0},
    {"decay": 0.0}, {"cutout": 0}, {"flip": False}, {"crop": 0},
], ids=lambda change: next(iter(change)))  # fmt: skip
def test_every_part_of_the_recipe_matters(change):
    from dataclasses import replace

    changed, _ = trained(replace(RECIPE, **change))
    assert not torch.allclose(parameters(changed), parameters(trained(RECIPE)[0]), atol=1e-4)


def test_what_is_told_is_the_loss_and_accuracy_of_the_main_output():
    settings = Settings(batch=20, epochs=4, label_smoothing=0.1, auxiliary_weight=0.4)
    net = pair()
    (inputs, labels), *_ = islice(whole(pictures(size=8), settings, 0, CPU).train.from_step(0), 1)
    with torch.no_grad():
        logits, _ = net(inputs)
    _, ((outcome,),) = trained(settings, 1, net)
    assert outcome.loss.item() == pytest.approx(smoothed(logits, labels).item(), rel=1e-6)
    assert outcome.correct.item() == (logits.argmax(1) == labels).sum()


@pytest.mark.parametrize("pieces", [2, 3, 4])
def test_pieces_of_a_batch_add_up_to_its_gradient(pieces):
    from dataclasses import replace

    net, outcomes = trained(replace(RECIPE, accumulate=pieces))
    once, expected = trained(RECIPE)
    torch.testing.assert_close(parameters(net), parameters(once), atol=1e-5, rtol=1e-4)
    for ours, theirs in zip(outcomes, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.loss.item() == pytest.approx(b.loss.item(), abs=1e-5)
            assert a.correct == b.correct and a.size == b.size


def test_drop_path_rises_from_nothing_by_equal_steps():
    net, _ = trained(RECIPE)
    assert net.dropped == pytest.approx([0.0, 0.05, 0.1, 0.15])


def test_bfloat16_computes_in_it_and_learns_alike():
    from dataclasses import replace

    seen = []
    net = pair()
    net.main.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    half, _ = trained(replace(RECIPE, precision="bfloat16"), net=net)
    full, _ = trained(RECIPE)
    assert set(seen) == {torch.bfloat16}
    assert all(p.dtype == torch.float32 for p in half.parameters())
    moved = (parameters(full) - parameters(pair())).norm()
    assert 0 < (parameters(half) - parameters(full)).norm() < 0.1 * moved


@pytest.mark.parametrize(("change", "message"), [
    ({"optimiser": "averaged_sgd"}, "`sgd`, not by `averaged_sgd`"),
    ({"accumulate": 5}, "into pieces of less than two images"),
    ({"subset": 50}, "asks for 50 training images"),
    ({"cutout": 8}, "blanks whole images"),
])  # fmt: skip
def test_settings_that_do_not_go_with_images(change, message):
    from dataclasses import replace

    with pytest.raises(UserError, match=message):
        trained(replace(RECIPE, **change))


# ---- whole trainings -----------------------------------------------------------------------------


def run(out, data=None, **changes):
    return train(CIFAR, GENOTYPE, data or pictures(), out, device="cpu", **QUICK | changes)


def test_a_training_leaves_a_model_that_stands_alone(tmp_path):
    """The weights load into the emitted file and into what `build` makes, and say the same."""
    result = run(tmp_path / "run", drop_path=0.2)
    program = (
        "import runpy, json\nimport torch\nfrom safetensors.torch import load_file\n"
        "net = runpy.run_path('model.py')['Network']()\n"
        "net.load_state_dict(load_file('last.safetensors'))\n"
        "images = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)\n"
        "print(json.dumps(net.eval()(images).tolist()))\n"
    )
    command = [sys.executable, "-I", "-c", program]
    alone = subprocess.run(command, cwd=result.folder, capture_output=True, text=True)
    assert alone.returncode == 0, alone.stderr
    net = compiler.build(CIFAR, genotype=GENOTYPE, **SIZES)
    net.load_state_dict(load_file(result.last))
    images = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
    torch.testing.assert_close(torch.tensor(json.loads(alone.stdout)), net.eval()(images))
    assert result.parameters == sum(p.numel() for p in net.parameters())


def test_the_head_is_trained_and_stays_in_the_checkpoint(tmp_path):
    result = run(tmp_path / "run", auxiliary_weight=0.4)
    assert not [name for name in load_file(result.last) if "auxiliary" in name]
    before = compiler.build(CIFAR, genotype=GENOTYPE, auxiliary=True, **SIZES).state_dict()
    state = RunFolder(result.folder).read_checkpoint().tensors
    assert {f"net.{name}" for name in before} <= set(state)
    counts = [t for n, t in state.items() if "auxiliary" in n and n.endswith("batches_tracked")]
    assert counts and all(count == 2 * 3 for count in counts)
    assert result.parameters < sum(t.numel() for t in before.values())


def test_the_figures_are_those_of_the_last_epoch_and_the_best_is_told_apart(tmp_path):
    images = pictures(40, 40)
    result = run(tmp_path / "run", images, epochs=5, lr=0.3)
    lines = [
        json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()
    ]
    assert lines == list(result.history)
    assert list(lines[0]) == [
        "epoch", "epochs", "lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy",
        "test_top5", "best", "seconds", "data_seconds",
    ]  # fmt: skip
    assert all(0 < line["data_seconds"] < line["seconds"] for line in lines)
    accuracies = [line["test_accuracy"] for line in lines]
    assert result.measured["test_accuracy"] == accuracies[-1]
    assert result.measured["best_test_accuracy"] == max(accuracies)
    assert result.best_epoch == accuracies.index(max(accuracies)) + 1
    settings = Settings(batch=8, cutout=4)
    for path, line in ((result.last, lines[-1]), (result.best, lines[result.best_epoch - 1])):
        net = compiler.build(CIFAR, genotype=GENOTYPE, **SIZES)
        net.load_state_dict(load_file(path))
        measured = evaluate(net, whole(images, settings, 0, CPU).test)
        assert measured == {name: line[f"test_{name}"] for name in measured}


def test_the_notes_beside_the_weights_say_how_to_use_them(tmp_path):
    images = pictures()
    result = run(tmp_path / "run", images, epochs=1)
    with safe_open(result.last, "pt") as file:
        about = {name: json.loads(note) for name, note in file.metadata().items()}
    pixels = images.train.double() / 255
    assert about["classes"] == list("abcd") and about["shape"] == [3, 32, 32]
    assert about["mean"] == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-6)
    deviations = pixels.std((0, 2, 3), correction=0).tolist()
    assert about["deviation"] == pytest.approx(deviations, abs=1e-6)


class StopAt(Silent):
    def __init__(self, steps):
        self.left = steps

    def step(self, losses):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_going_on_after_an_interrupt_changes_no_bit(tmp_path, steps):
    """With drop-path, the auxiliary head, every augmentation and a partial batch."""
    options = {"drop_path": 0.3, "jitter": 0.4, "jitter_hue": 0.1, "epochs": 3, "accumulate": 2}
    whole_run = run(tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        train(
            CIFAR, GENOTYPE, pictures(), tmp_path / "cut", device="cpu", progress=StopAt(steps),
            **QUICK | options,
        )  # fmt: skip
    again = resume(tmp_path / "cut", data=pictures())
    one, two = RunFolder(whole_run.folder), RunFolder(again.folder)
    pairs = [(one.read_weights(name), two.read_weights(name)) for name in (BEST, LAST)]
    pairs.append((one.read_checkpoint().tensors, two.read_checkpoint().tensors))
    for first, second in pairs:
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert again.measured == whole_run.measured


def test_images_that_do_not_fit_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="a training takes at least two images"):
        run(None, subset=1)
    with pytest.raises(UserError, match="`resized_crop` is 32, and crops come from files"):
        train(CIFAR, GENOTYPE, "digits", resized_crop=32)
    assert list(tmp_path.iterdir()) == []
