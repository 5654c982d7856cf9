"""What the command does with final models, on runs and on files with a genotype."""

import json
import re
import runpy

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import CIFAR
from tiny import GENOTYPE, WITH_DEMO, StopAt, space_in

import compiler
from compiler import Genotype
from compiler.audit import audit_dict, audit_text
from compiler.derive import derive
from compiler.pictures import together
from runtime import alphas, evaluation
from runtime.bilevel_search import search
from runtime.cli import OUR_FAULT, run
from runtime.evaluation import evaluate_model
from runtime.jobs import model_of_run
from runtime.state import host_copies
from runtime.training import train
from runtime.weights import Weights


@pytest.fixture(autouse=True)
def one_measurement_of_time(monkeypatch):
    monkeypatch.setattr(evaluation, "REPEATS", 2)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return space_in(tmp_path_factory.mktemp("space"), WITH_DEMO)


@pytest.fixture(scope="module")
def genotype(space):
    GENOTYPE.save(path := space.with_name("g.yaml"))
    return path


@pytest.fixture(scope="module")
def searched(space, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "searched"
    return search(space, None, out, device="cpu", epochs=3, alpha_lr=1.0)


@pytest.fixture(scope="module")
def trained(space, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "trained"
    return train(space, GENOTYPE, None, out, device="cpu", epochs=1, C=4)


def still_in(folder):
    """A network that decides nothing and has no cell to draw."""
    path = folder / "still.darts"
    path.write_text(
        "language 1\nnetwork(C = 2, classes = 10) from image[1, 8, 8] to class[classes] =\n"
        "    image -> conv(3, out: C) -> global_pool(mean) -> linear(classes)\n"
    )
    return path


def test_a_search_is_derived_from_after_any_epoch(dartsc, searched):
    lines = [json.loads(n) for n in (searched.folder / "metrics.jsonl").read_text().splitlines()]
    for epoch, line in enumerate(lines, 1):
        found = alphas.of_run(searched.folder, epoch)
        expected = audit_text(found.kinds, found.alphas, None)
        printed = dartsc(searched.folder, "--derive", "--epoch", epoch)
        assert printed == f"after epoch {epoch}\n{line['genotype']}\n\n{expected}"
    assert dartsc(searched.folder, "--derive") == printed
    told = json.loads(dartsc(searched.folder, "--derive", "--format", "json"))
    assert told["epoch"] == 3 and told["genotype"] == lines[-1]["genotype"]
    data = json.loads(json.dumps(audit_dict(found.kinds, found.alphas, None)))
    assert told["cells"] == data


@pytest.mark.parametrize("rule", ["weight", "weight without sinks", "alpha", "edge"])
def test_another_rule_derives_what_it_chooses(dartsc, searched, tmp_path, rule):
    found = alphas.of_run(searched.folder)
    expected = derive(found.kinds, found.alphas, rule)
    out = tmp_path / "other.yaml"
    printed = dartsc(searched.folder, "--derive", "--rule", rule, "--out", out)
    audit = audit_text(found.kinds, found.alphas, rule)
    assert f"{expected.genotype}\n\n{audit}" in printed
    assert printed.endswith(f"{out}: written\n")
    assert Genotype.load(out) == expected.genotype
    expected.genotype.save(tmp_path / "same.yaml", expected.audit)
    assert out.read_text() == (tmp_path / "same.yaml").read_text()
    dartsc(searched.folder, "--derive", "--rule", rule, "--out", out, "--format", "json")


def test_a_running_search_is_derived_from(dartsc, space, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        search(space, None, out, device="cpu", progress=StopAt(3))
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "epochs": 2, "lr')
    assert dartsc(out, "--derive").startswith("after epoch 1\n")


def test_a_file_with_alphas_is_derived_from(dartsc, space, tmp_path):
    net = compiler.build(space)
    for tensor in net.arch_parameters():
        tensor.data.normal_()
    save_file(host_copies(net.state_dict()), path := tmp_path / "net.safetensors")
    printed = dartsc(space, "--derive", "--alphas", path)
    assert printed.startswith(f"{net.genotype()}\n\n")
    assert json.loads(dartsc(space, "--derive", "--alphas", path, "--format", "json"))[
        "genotype"
    ] == str(net.genotype())


def test_what_cannot_be_derived_from_is_one_line(refused, space, searched, trained, tmp_path):
    assert "is a training: only a search has alphas" in refused(trained.folder, "--derive")
    assert "has no epoch 9: it has 1 to 3" in refused(searched.folder, "--derive", "--epoch", 9)
    assert "is no folder of a run" in refused(tmp_path, "--derive")
    assert "a search has its own: leave out --set" in refused(
        searched.folder, "--derive", "--set", "C=3"
    )
    assert "a search has its own: leave out --alphas" in refused(
        searched.folder, "--derive", "--alphas", trained.best
    )
    assert "has no alphas `normal_0`" in refused(space, "--derive", "--alphas", trained.best)


def test_a_training_is_evaluated_on_its_own_data(dartsc, trained):
    expected = evaluate_model(
        model_of_run(trained.folder), Weights.read(trained.last), "digits", "cpu"
    )
    told = json.loads(dartsc(trained.folder, "--evaluate", "--device", "cpu", "--format", "json"))
    assert told["measured"] == expected.measured
    assert (told["data"], told["size"], told["batch"]) == ("digits", 300, 16)
    assert (told["parameters"], told["macs"]) == (expected.parameters, expected.macs)
    lines = dartsc(trained.folder, "--evaluate", "--device", "cpu").splitlines()
    assert lines[0] == "digits: 300 images to test on"
    assert lines[1:6] == [
        f"  loss            {expected.measured['loss']:.4f}",
        f"  accuracy        {expected.measured['accuracy']:.2%}",
        f"  top-5 accuracy  {expected.measured['top5']:.2%}",
        f"  parameters      {trained.parameters:,}",
        f"  MACs            {expected.macs:,} per image",
    ]
    form = r"  latency         [\d.]+ ms for one image on cpu; [\d,]+ images/s in batches of 16"
    assert re.fullmatch(form, lines[6]) and len(lines) == 7


def test_weights_of_one_s_own_are_evaluated(dartsc, space, genotype, trained, searched):
    known = json.loads(dartsc(trained.folder, "--evaluate", "--format", "json"))["measured"]
    for weights in ("best", "last", trained.last):
        told = dartsc(trained.folder, "--evaluate", "--weights", weights, "--format", "json")
        assert json.loads(told)["measured"] == known  # of one epoch
    alone = (space, "--genotype", genotype, "--set", "C=4", "--data", "digits", "--evaluate")
    told = dartsc(*alone, "--weights", trained.best, "--format", "json")
    assert json.loads(told)["measured"] == known
    told = dartsc(
        searched.folder, "--genotype", genotype, "--set", "C=4", "--evaluate",
        "--weights", trained.best, "--format", "json",
    )  # fmt: skip
    assert json.loads(told)["measured"] == known


def test_what_cannot_be_evaluated_is_one_line(refused, space, genotype, searched, trained):
    assert "is no training, so it has no weights: give `--weights`" in refused(
        searched.folder, "--evaluate"
    )
    assert "there are no weights in nowhere" in refused(
        trained.folder, "--evaluate", "--weights", "nowhere"
    )
    assert "holds the weights of another model" in refused(
        space, "--genotype", genotype, "--evaluate", "--weights", trained.best
    )
    assert "there is no data set `digit`" in refused(
        trained.folder, "--evaluate", "--data", "digit"
    )
    assert "there is no device `gpu`" in refused(trained.folder, "--evaluate", "--device", "gpu")


def test_a_model_is_exported_with_its_weights_and_notes(dartsc, space, genotype, trained, tmp_path):
    text = trained.model.read_text()
    printed = dartsc(trained.folder, "--export", "safetensors")
    assert trained.model.read_text() == text  # which is written again
    path = trained.folder / "model.safetensors"
    form = rf"{path}: written; largest difference from torch \d\.\de[-+]\d\d, in batches of .*\n"
    assert re.fullmatch(form, printed)
    exported, last = load_file(path), load_file(trained.last)
    assert exported.keys() == last.keys()
    assert all(torch.equal(exported[name], last[name]) for name in last)
    assert Weights.read(path).about == Weights.read(trained.last).about
    told = json.loads(dartsc(trained.folder, "--evaluate", "--format", "json"))
    again = dartsc(trained.folder, "--evaluate", "--weights", path, "--format", "json")
    assert json.loads(again)["measured"] == told["measured"]
    out = tmp_path / "other.safetensors"
    alone = (space, "--genotype", genotype, "--set", "C=4", "--set", "channels=1")
    dartsc(*alone, "--export", "safetensors", "--weights", trained.best, "--out", out)
    assert load_file(out).keys() == last.keys()
    path.unlink()  # the fixture is others' too


def test_what_cannot_be_exported_is_one_line(refused, space, genotype, trained):
    alone = (space, "--genotype", genotype, "--set", "C=4", "--set", "channels=1")
    assert "where to? `--out model.onnx`" in refused(
        *alone, "--export", "onnx", "--weights", trained.best
    )
    for changes in (["--genotype", genotype], ["--set", "C=4"], ["--profile", "final"]):
        assert "where to? `--out model.safetensors`" in refused(
            trained.folder, *changes, "--export", "safetensors"
        )
    assert "trained weights are needed" in refused(*alone, "--export", "onnx", "--out", "m.onnx")
    assert "holds the weights of another model" in refused(
        space, "--genotype", genotype, "--export", "torch", "--weights", trained.best,
        "--out", "m.pt2",
    )  # fmt: skip


def test_a_final_model_is_counted(dartsc, space, genotype, trained):
    model = model_of_run(trained.folder)
    cost = compiler.cost(model.space, model.genotype, model.profile, **model.values)
    assert cost.parameters == trained.parameters
    lines = dartsc(trained.folder, "--count").splitlines()
    assert lines == list(cost.lines())
    told = json.loads(dartsc(trained.folder, "--count", "--format", "json"))
    assert (told["parameters"], told["macs"]) == (cost.parameters, cost.macs)
    alone = (space, "--genotype", genotype, "--set", "C=4", "--set", "channels=1", "--count")
    assert dartsc(*alone).splitlines() == lines
    demo = json.loads(
        dartsc(space, "--genotype", genotype, "--demo", "--count", "--format", "json")
    )
    net = compiler.build(space, genotype=GENOTYPE, profile="demo")
    assert demo["parameters"] == sum(p.numel() for p in net.parameters())


def test_a_space_is_counted_from_its_least_to_its_largest_model(dartsc, space):
    expected = compiler.cost_range(space, None, C=5)
    assert (
        dartsc(space, "--set", "C=5", "--count").splitlines()
        == "\n".join(expected.lines()).splitlines()
    )
    told = json.loads(dartsc(space, "--set", "C=5", "--count", "--format", "json"))
    assert told == expected.as_data()


@pytest.mark.parametrize(("suffix", "form"), [(".dot", "dot"), (".gv", "dot"), (".mmd", "mermaid")])
def test_cells_are_drawn_as_text(dartsc, space, genotype, tmp_path, suffix, form):
    path = tmp_path / f"cells{suffix}"
    assert dartsc(space, "--draw", path) == f"{path}: normal\n"
    assert path.read_text() == getattr(compiler.draw(space)["normal"], form)()
    dartsc(space, "--genotype", genotype, "--draw", path)
    assert path.read_text() == getattr(compiler.draw(space, GENOTYPE)["normal"], form)()


def test_cells_are_drawn_together(dartsc, trained, tmp_path):
    path = tmp_path / "cells.svg"
    assert dartsc(CIFAR, "--draw", path) == f"{path}: normal, reduce\n"
    assert path.read_text() == together(compiler.draw(CIFAR))
    dartsc(trained.folder, "--draw", path)
    model = model_of_run(trained.folder)
    assert path.read_text() == together(
        compiler.draw(model.space, model.genotype, model.profile, **model.values)
    )


def test_what_cannot_be_drawn_is_one_line(refused, space, tmp_path):
    still = still_in(tmp_path)
    assert "this space has no cell that decides anything" in refused(still, "--draw", "a.svg")
    assert "cannot write" in refused(space, "--draw", "nowhere/a.svg")
    assert "not `a`" in refused(space, "--draw", "a")


def test_a_run_s_model_is_written(dartsc, searched, trained, tmp_path):
    path = tmp_path / "m.py"
    for result in (searched, trained):
        assert dartsc(result.folder, "--emit", path) == f"{path}: written\n"
        assert path.read_text() == result.model.read_text()
    dartsc(trained.folder, "--emit", path, "--set", "C=9")
    assert path.read_text() != trained.model.read_text()


def test_a_pruned_model_lacks_what_nothing_depends_on(dartsc, space, tmp_path):
    """Here a node that is not read, with the weights on its edge."""
    dead = Genotype.parse(
        "cells:\n  normal:\n    decisions:\n      n[0] from x: conv_1x1\n"
        "      n[1] from x: skip_connect\n    sources: [x, 'n[0]', 'n[1]']\n    output: ['n[1]']\n"
    )
    dead.save(genotype := tmp_path / "dead.yaml")
    whole, pruned = tmp_path / "whole.py", tmp_path / "pruned.py"
    dartsc(space, "--genotype", genotype, "--emit", whole)
    dartsc(space, "--genotype", genotype, "--emit", pruned, "--prune")
    networks = [runpy.run_path(str(path))["Network"]() for path in (whole, pruned)]
    counts = [sum(p.numel() for p in net.parameters()) for net in networks]
    cost = compiler.cost(space, dead)
    assert counts == [cost.parameters, cost.pruned_parameters] and counts[0] > counts[1]


def test_a_fault_of_ours_is_not_told_as_the_user_s(searched, monkeypatch, capsys):
    def broken(*arguments):
        raise TypeError("ours")

    monkeypatch.setattr(alphas, "of_run", broken)
    assert run([str(searched.folder), "--derive"]) == OUR_FAULT
    assert "TypeError: ours" in capsys.readouterr().err
