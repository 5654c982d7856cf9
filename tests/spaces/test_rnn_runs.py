"""The recurrent half from a text to a model that stands alone, by the calls of the command."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from support import RNN

import compiler
from runtime import Interrupted, Text, resume, search, train
from runtime.progress import Silent
from runtime.rundir import RunFolder
from runtime.streams import columns, word_loss

SEARCH = {
    "device": "cpu", "H": 6, "batch": 4, "evaluation_batch": 2, "bptt": 5, "epochs": 1, "order": 2,
}  # fmt: skip
TRAIN = {
    "device": "cpu", "H": 8, "batch": 4, "evaluation_batch": 2, "bptt": 8, "epochs": 4, "lr": 5.0,
    "accumulate": 2, "patience": 1, "word_drop": 0.1, "init_uniform": 0.3,
}  # fmt: skip
ALONE = """
import runpy, sys
import torch
from safetensors.torch import load_file
net = runpy.run_path("model.py")["Network"]()
net.load_state_dict(load_file("best.safetensors"))
words = torch.arange(40)[:, None] * 3 % 7
logits, _ = net.double().eval()(words[:-1], net.init_hidden(1))
print(torch.nn.functional.cross_entropy(logits[:, 0], words[1:, 0]).item())
assert not {"compiler", "dsl", "runtime", "lark", "networkx"} & set(sys.modules)
"""


@pytest.fixture
def text():
    parts = (torch.arange(size) * 3 % 7 for size in (90, 70, 40))
    return Text("made", *parts, tuple("abcdefg"))


class StopAt(Silent):
    def __init__(self, steps):
        self.left = steps

    def step(self, losses):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_search_train_and_run_alone(tmp_path, text):
    found = search(RNN, text, tmp_path / "search", **SEARCH)
    assert "H: int = 850" in found.model.read_text()  # the final profile's width
    trained = train(RNN, found.genotype, text, tmp_path / "train", **TRAIN)
    perplexities = [line["valid_perplexity"] for line in trained.history]
    assert trained.measured["valid_perplexity"] == min(perplexities) < perplexities[0]
    run = subprocess.run(
        [sys.executable, "-I", "-c", ALONE], cwd=trained.folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    test_loss = trained.measured["test_loss"]
    assert float(run.stdout) == pytest.approx(test_loss, abs=1e-5)
    net = compiler.build(RNN, genotype=found.genotype, V=7, H=8)
    net.load_state_dict(load_file(trained.best))
    assert word_loss(net, columns(text.test, 1), 3) == pytest.approx(test_loss, abs=1e-6)


def test_a_training_goes_on_as_if_it_had_never_stopped(tmp_path, text):
    """With dropout at every place, accumulated gradients and averaging after the interrupt."""
    genotype = compiler.build(RNN, H=2, V=7).genotype()
    whole = train(RNN, genotype, text, tmp_path / "whole", **TRAIN)
    with pytest.raises(Interrupted):
        train(RNN, genotype, text, tmp_path / "cut", progress=StopAt(8), **TRAIN)
    again = resume(tmp_path / "cut", data=text)
    folders = [RunFolder(tmp_path / name) for name in ("whole", "cut")]
    states = [folder.read_checkpoint().tensors for folder in folders]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert again.measured == whole.measured
    settings = json.loads((tmp_path / "cut" / "settings.json").read_text())
    assert settings["fitted"] == {"V": 7}
