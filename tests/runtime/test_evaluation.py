"""What trained weights are worth, against a loop over single images and words in float64."""

import dataclasses
import json
import math
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import RNN
from tiny import GENOTYPE, coloured, picture_folder, space_in
from toy import text

import compiler
import dsl
from dsl import DartsError
from runtime import evaluation
from runtime.data import load
from runtime.errors import UserError
from runtime.evaluation import evaluate_model, seconds
from runtime.final_model import FinalModel
from runtime.folder import load_files
from runtime.jobs import model_of_run, weights_of
from runtime.training import train
from runtime.weights import Weights

WORDS = {"device": "cpu", "H": 6, "batch": 4, "evaluation_batch": 2, "bptt": 5, "epochs": 1}


@pytest.fixture(autouse=True)
def one_measurement_of_time(monkeypatch):
    monkeypatch.setattr(evaluation, "REPEATS", 2)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return space_in(tmp_path_factory.mktemp("space"))


@pytest.fixture(scope="module")
def trained(space, tmp_path_factory):
    """A training on images that the module `tiny` makes, of which only half are used."""
    out = tmp_path_factory.mktemp("runs") / "images"
    return train(space, GENOTYPE, coloured(), out, device="cpu", epochs=2, subset=20)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    genotype = compiler.build(RNN, H=2, V=7).genotype()
    out = tmp_path_factory.mktemp("runs") / "words"
    return train(RNN, genotype, text(), out, **WORDS)


def evaluated(run, data, **changes):
    weights = Weights.read(weights_of(run.folder))
    return evaluate_model(model_of_run(run.folder, **changes), weights, data, "cpu")


def alone(run, images, mean, deviation):
    """Loss, accuracy and top five of the run's last weights, one image at a time."""
    model = model_of_run(run.folder)
    net = compiler.build(
        model.space, genotype=model.genotype, profile=model.profile, **model.values
    )
    net.load_state_dict(load_file(run.last))
    net = net.double().eval()
    loss = right = near = 0.0
    for image, label in zip(images.test, images.test_labels.tolist(), strict=True):
        floats = (image.double() / 255 - mean[:, None, None]) / deviation[:, None, None]
        with torch.no_grad():
            logits = net(floats[None])[0].tolist()
        order = sorted(range(len(logits)), key=lambda c: -logits[c])
        loss += math.log(sum(math.exp(logit) for logit in logits)) - logits[label]
        right += order[0] == label
        near += label in order[:5]
    count = len(images.test)
    return {"loss": loss / count, "accuracy": right / count, "top5": near / count}


def statistics(run):
    """The mean and the deviation of the very images that the run was trained on."""
    notes = Weights.read(run.last).about
    return (torch.tensor(json.loads(notes[name])).double() for name in ("mean", "deviation"))


def test_images_are_measured_as_one_by_one(trained):
    images = coloured()
    found = evaluated(trained, images)
    assert found.measured == pytest.approx(
        alone(trained, images, *statistics(trained)), abs=1e-6, rel=1e-6
    )
    assert found.measured["loss"] == pytest.approx(trained.measured["test_loss"], abs=1e-6)
    assert found.measured["accuracy"] == trained.measured["test_accuracy"]
    assert (found.data, found.size, found.device, found.batch) == ("mine", 21, "cpu", 16)
    assert found.latency > 0 and found.throughput > 0


def test_other_images_are_normalised_as_those_trained_on(trained):
    """Darker ones by the same numbers, although their own statistics are other ones."""
    other = coloured(seed=9)
    other = dataclasses.replace(other, train=other.train // 3, test=other.test // 3)
    found = evaluated(trained, other)
    mean, deviation = statistics(trained)
    expected = alone(trained, other, mean, deviation)
    assert found.measured == pytest.approx(expected, abs=1e-6, rel=1e-6)
    floats = other.train.double() / 255
    own = alone(trained, other, floats.mean((0, 2, 3)), floats.std((0, 2, 3), correction=0))
    assert abs(found.measured["loss"] - own["loss"]) > 1e-3  # so that the two are told apart


def test_weights_without_notes_are_measured_by_the_data_s_own_statistics(trained, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(load_file(trained.last), path)
    images = coloured()
    found = evaluate_model(model_of_run(trained.folder), Weights.read(path), images, "cpu")
    floats = images.train.double() / 255
    expected = alone(trained, images, floats.mean((0, 2, 3)), floats.std((0, 2, 3), correction=0))
    assert found.measured == pytest.approx(expected, abs=1e-6, rel=1e-6)


def test_what_a_model_costs_is_what_it_has(trained, words):
    model = model_of_run(trained.folder)
    cost = compiler.cost(model.space, model.genotype, model.profile, **model.values)
    found = evaluated(trained, coloured())
    assert (found.parameters, found.macs) == (cost.parameters, cost.macs)
    assert found.parameters == trained.parameters
    assert evaluated(words, text()).parameters == words.parameters


def test_the_best_weights_of_a_text_are_measured_word_by_word(words):
    found = evaluated(words, text())
    net = compiler.build(RNN, genotype=model_of_run(words.folder).genotype, V=7, H=6)
    net.load_state_dict(load_file(words.best))
    net, state, loss = net.double().eval(), None, 0.0
    test = text().test
    for word, target in pairwise(test):
        with torch.no_grad():
            logits, state = net(word[None, None], net.init_hidden(1) if state is None else state)
        loss -= torch.log_softmax(logits[0, 0], 0)[target].item()
    loss /= len(test) - 1
    assert found.measured == pytest.approx({"loss": loss, "perplexity": math.exp(loss)}, rel=1e-6)
    assert found.measured["perplexity"] == pytest.approx(words.measured["test_perplexity"])
    assert (found.size, found.batch) == (len(test) - 1, 4)
    assert found.latency > 0 and found.throughput > 0


def test_files_are_measured_in_the_middle_of_each(space, tmp_path):
    files = load_files(picture_folder(tmp_path / "pictures"), 8)
    run = train(space, GENOTYPE, files, tmp_path / "run", device="cpu", epochs=1, subset=0)
    found = evaluated(run, files)
    middles = files.pixels("test").read(torch.arange(6))
    images = dataclasses.replace(
        coloured(classes=("ant", "bee")), test=middles, test_labels=files.test_labels
    )
    expected = alone(run, images, *statistics(run))
    assert found.measured == pytest.approx(expected, abs=1e-6, rel=1e-6)
    assert found.size == 6


def test_a_genotype_with_a_file_takes_the_sizes_of_the_data(space, trained):
    model = FinalModel(dsl.load(space), GENOTYPE, None, {})
    found = evaluate_model(model, Weights.read(trained.last), coloured(), "cpu")
    assert found.measured == evaluated(trained, coloured()).measured


def refusal(action):
    with pytest.raises(UserError) as found:
        action()
    message = str(found.value)
    assert "\n" not in message
    return message


def test_data_of_another_kind_than_trained_on_are_refused(trained, words):
    renamed = coloured(classes=("ant", "bee", "dog"))
    assert (
        refusal(lambda: evaluated(trained, renamed))
        == "`mine` has other classes than the weights were trained on: `cat` then, `dog` here"
    )
    fewer = coloured(classes=("ant", "bee"))
    assert "gives `classes` = 2, and this model was made for 3" in refusal(
        lambda: evaluated(trained, fewer)
    )
    assert "gives `channels` = 1, and this model was made for 3" in refusal(
        lambda: evaluated(trained, load("digits"))
    )
    other = dataclasses.replace(text(), words=tuple("abcdefz"))
    assert "has other words than the weights were trained on: `g` then, `z` here" in refusal(
        lambda: evaluated(words, other)
    )
    with pytest.raises(DartsError):
        evaluated(trained, text())
    with pytest.raises(DartsError):
        evaluated(words, coloured())


def test_weights_say_themselves_what_images_they_are_for(space, trained):
    """Where the model is named by a file and a genotype, which fit images of any size."""
    model, weights = FinalModel(dsl.load(space), GENOTYPE, None, {}), Weights.read(trained.last)

    def told(images):
        return refusal(lambda: evaluate_model(model, weights, images, "cpu"))

    images = coloured()
    larger = dataclasses.replace(
        images, train=images.train.repeat(1, 1, 2, 2), test=images.test.repeat(1, 1, 2, 2)
    )
    assert "the images of `mine` are 3×16×16, and the weights were trained on 3×8×8" in told(larger)
    grey = dataclasses.replace(images, train=images.train[:, :1], test=images.test[:, :1])
    assert "are 1×8×8, and the weights were trained on 3×8×8" in told(grey)
    more = dataclasses.replace(images, classes=("ant", "bee", "cat", "dog"))
    assert "has other classes than the weights were trained on: 3 then, 4 here" in told(more)


def test_weights_of_another_width_are_refused(trained):
    message = refusal(lambda: evaluated(trained, coloured(), C=3))
    assert "holds the weights of another model" in message


@pytest.mark.parametrize(("data", "device", "message"), [
    ("digit", "cpu", "no data set `digit`"),
    ("digits", "cpu", "`channels` = 1"),
    ("digits", "gpu", "no device `gpu`"),
])  # fmt: skip
def test_mistakes_are_one_line(trained, data, device, message):
    weights = Weights.read(trained.last)
    model = model_of_run(trained.folder)
    assert message in refusal(lambda: evaluate_model(model, weights, data, device))


def test_latency_and_throughput_are_per_image_and_per_word(trained, words, monkeypatch):
    """Of half a second for a batch of any size, and for five words of each of its streams."""
    monkeypatch.setattr(evaluation, "seconds", lambda compute, device: 0.5)
    images = evaluated(trained, coloured())
    assert (images.latency, images.throughput) == pytest.approx((500, 16 / 0.5))
    read = evaluated(words, text())
    assert (read.latency, read.throughput) == pytest.approx((100, 4 * 5 / 0.5))


@pytest.mark.parametrize(("limit", "median"), [(1000.0, 3.0), (105.0, 2.5)])
def test_time_is_the_median_after_some_to_warm_up(monkeypatch, limit, median):
    """Of five, or of as many as fit into the time that there is."""
    clock, left = [0.0], [100.0, 1.0, 3.0, 2.0, 1.0, 9.0, 5.0]
    for name, value in (("WARM_UP", 2), ("REPEATS", 5), ("SECONDS", limit)):
        monkeypatch.setattr(evaluation, name, value)
    monkeypatch.setattr(evaluation.time, "perf_counter", lambda: clock[0])

    def compute():
        clock[0] += left.pop(0)

    assert seconds(compute, torch.device("cpu")) == median
