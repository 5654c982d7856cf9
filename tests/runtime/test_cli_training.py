"""Training by the command line: what a run has found, with one seed or several."""

import json
import re

import pytest
from safetensors.torch import load_file
from tiny import WITH_DEMO, StopAt, space_in

from runtime import progress
from runtime.bilevel_search import search
from runtime.cli import STOPPED, run
from runtime.jobs import model_of_run


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return search(space_in(folder, WITH_DEMO), None, folder / "run", device="cpu", epochs=1)


def test_what_a_search_has_found_is_trained(dartsc, searched, tmp_path):
    out = tmp_path / "trained"
    printed = dartsc(searched.folder, "--train", "--out", out, "--epochs", 1, "--device", "cpu")
    assert re.search(
        r"^test loss [\d.]+, test accuracy [\d.]+%, test top-5 accuracy ", printed, re.M
    )
    assert printed.endswith(
        f"{out}: genotype.yaml, metrics.jsonl, model.py, best.safetensors, last.safetensors, "
        "result.json\n"
    )
    model = model_of_run(out)
    assert model.genotype == searched.genotype and model.values["channels"] == 1
    assert json.loads((out / "settings.json").read_text())["data"] == "digits"
    again = tmp_path / "again"
    dartsc(out, "--train", "--out", again, "--device", "cpu")
    assert (again / "model.py").read_text() == (out / "model.py").read_text()
    assert (
        load_file(again / "last.safetensors").keys() == load_file(out / "last.safetensors").keys()
    )


def test_several_seeds_are_trained_and_told_together(dartsc, searched, tmp_path):
    out = tmp_path / "seeds"
    printed = dartsc(
        searched.folder, "--train", "--seeds", "2,0", "--out", out, "--epochs", 1, "--demo",
        "--device", "cpu",
    )  # fmt: skip
    told = json.loads((out / "result.json").read_text())
    lines = printed.splitlines()
    mean, deviation = (told[name]["test_accuracy"] for name in ("mean", "deviation"))
    assert f"test accuracy {mean:.2%} ± {deviation:.2%}" in lines
    mean, deviation = (told[name]["test_loss"] for name in ("mean", "deviation"))
    assert f"test loss {mean:.4f} ± {deviation:.4f}" in lines
    assert lines[-1] == f"{out}: genotype.yaml, seed-2, seed-0, result.json"
    assert told["seeds"] == [2, 0]
    assert json.loads((out / "seed-0" / "settings.json").read_text())["profile"] == "demo"
    # Going on with what is finished only says it again.
    again = dartsc("--resume", out).splitlines()
    assert again[-1] == lines[-1] and f"test loss {mean:.4f} ± {deviation:.4f}" in again


def test_ctrl_c_names_the_folder_of_all_seeds(searched, tmp_path, capsys, monkeypatch):
    out = tmp_path / "seeds"
    monkeypatch.setattr(progress, "Terminal", lambda: StopAt(6))
    how = ["--seeds", "0,1", "--epochs", "1", "--device", "cpu", "--out", str(out)]
    assert run([str(searched.folder), "--train", *how]) == STOPPED
    told = capsys.readouterr().err
    assert told == f"dartsc: stopped: `--resume {out}` goes on from the last finished epoch\n"
    assert sorted(p.name for p in out.glob("seed-*")) == ["seed-0", "seed-1"]


def test_several_runs_are_not_one(refused, dartsc, searched, tmp_path):
    out = tmp_path / "seeds"
    dartsc(
        searched.folder, "--train", "--seeds", "5", "--out", out, "--epochs", 1, "--device", "cpu"
    )
    for job in (["--evaluate"], ["--count"], ["--emit", "m.py"], ["--export", "onnx"]):
        assert f"holds several runs: name one, as {out / 'seed-5'}" in refused(out, *job)
    assert "is no search" in refused(out, "--derive")
