"""Weights in a file: they go into their own model alone, and their notes are read or refused."""

import json

import pytest
import torch
from safetensors.torch import save_file
from tiny import GENOTYPE, space_in

import compiler
from runtime.errors import UserError
from runtime.weights import Weights

NOTES = {
    "shape": [3, 8, 8], "classes": ["ant", "bee"], "mean": [0.1, 0.2, 0.3],
    "deviation": [1.0, 2.0, 0.5],
}  # fmt: skip


def saved(path, tensors, **notes):
    noted = {name: n if isinstance(n, str) else json.dumps(n) for name, n in notes.items()}
    save_file(tensors, path, noted or None)
    return path


@pytest.fixture
def space(tmp_path):
    return space_in(tmp_path)


def built(space, **values):
    return compiler.build(space, genotype=GENOTYPE, **values)


def refusal(action):
    with pytest.raises(UserError) as found:
        action()
    message = str(found.value)
    assert "\n" not in message
    return message


def test_weights_come_back_with_their_notes(tmp_path, space):
    source, target = built(space), built(space)
    weights = Weights.read(saved(tmp_path / "w.safetensors", source.state_dict(), **NOTES))
    weights.put_into(target)
    state = source.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in target.state_dict().items())
    assert (weights.shape, weights.labels) == ([3, 8, 8], ["ant", "bee"])
    normalise = weights.normalisation
    assert normalise.mean.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert normalise.deviation.tolist() == [1.0, 2.0, 0.5]
    bytes_ = torch.full((1, 3, 1, 1), 51, dtype=torch.uint8)
    assert normalise(bytes_).flatten().tolist() == pytest.approx([0.1, 0.0, -0.2], abs=1e-6)


def test_weights_without_notes_are_weights_too(tmp_path):
    weights = Weights.read(saved(tmp_path / "w.safetensors", {"a": torch.zeros(1)}, format="pt"))
    assert (weights.shape, weights.labels, weights.normalisation) == (None, None, None)
    words = Weights.read(saved(tmp_path / "v.safetensors", {"a": torch.zeros(1)}, words=["a"]))
    assert words.labels == ["a"]


def test_weights_of_another_model_are_told_apart(tmp_path, space):
    net = built(space)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    def told(tensors):
        weights = Weights.read(saved(tmp_path / "w.safetensors", tensors))
        message = refusal(lambda: weights.put_into(net))
        assert f"{tmp_path / 'w.safetensors'} holds the weights of another model: " in message
        assert "give the genotype, profile and sizes that they were trained with" in message
        return message

    names = list(state)
    assert len(names) > 4
    fewer = {name: state[name] for name in names[1:]}
    assert f"they lack `{names[0]}`;" in told(fewer)
    shown = ", ".join(f"`{name}`" for name in names[:3])
    assert f"they lack {shown} and {len(names) - 3} more, and it has no `other`" in told(
        {"other": torch.zeros(1)}
    )
    assert "they lack" not in told({**state, "other": torch.zeros(1)})
    wider = told(built(space, C=3).state_dict())
    assert "is [3, 3, 3, 3] there and [2, 3, 3, 3] here" in wider
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x10" + b"\0" * 7 + b"{" * 16])
def test_what_is_not_safetensors_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    assert f"{path} is no safetensors file that can be read" in refusal(lambda: Weights.read(path))


def test_weights_that_are_not_there_are_named(tmp_path):
    message = refusal(lambda: Weights.read(tmp_path / "w.safetensors"))
    assert f"there are no weights in {tmp_path / 'w.safetensors'}" in message
    assert "there are no weights" in refusal(lambda: Weights.read(str(tmp_path)))


@pytest.mark.parametrize(
    "damage",
    [
        {"mean": "[0.1, 0.2"}, {"mean": "dark"}, {"mean": '"dark"'}, {"mean": "0.5"},
        {"mean": "[]"}, {"mean": '["a", "b", "c"]'}, {"mean": "[0.1]"}, {"mean": "[0.1, 0.2, NaN]"},
        {"deviation": "[1, 1, 0]"}, {"deviation": "[1, 1, -1]"}, {"deviation": "[1, 1]"},
        {"deviation": "[1, 1, Infinity]"}, {"mean": "[0.1, -Infinity, 0]"},
        {"mean": "[0.1]", "deviation": "[1]"}, {"shape": "8"}, {"shape": '"3×8×8"'},
        {"shape": "[3.5, 8, 8]"}, {"shape": "{}"}, {"classes": "5"}, {"classes": "[1, 2]"},
        {"classes": '"ant"'}, {"classes": "[null]"},
    ],
)  # fmt: skip
def test_a_damaged_note_is_named(tmp_path, damage):
    weights = Weights.read(
        saved(tmp_path / "w.safetensors", {"a": torch.zeros(1)}, **NOTES | damage)
    )
    message = refusal(lambda: (weights.labels, weights.shape, weights.normalisation))
    assert (
        f"{tmp_path / 'w.safetensors'} is damaged: its note `{next(iter(damage))}" in message
        or ("`mean` or `deviation`" in message)
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path, space, number):
    state = built(space).state_dict()
    state["linear.bias"][0] = number
    weights = Weights.read(saved(tmp_path / "w.safetensors", state))
    message = refusal(lambda: weights.put_into(built(space)))
    assert message == f"`linear.bias` in {weights.path} holds numbers that are not finite"


@pytest.mark.parametrize("kind", [torch.int32, torch.bool])
def test_numbers_of_another_kind_are_refused(tmp_path, space, kind):
    state = built(space).state_dict()
    state["linear.bias"] = state["linear.bias"].to(kind)
    weights = Weights.read(saved(tmp_path / "w.safetensors", state))
    message = refusal(lambda: weights.put_into(built(space)))
    assert "`linear.bias` holds another kind of numbers" in message
