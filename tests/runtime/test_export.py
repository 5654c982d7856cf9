"""Exported models: what is in the files computes what the torch model does, or there is no file."""

import os
import sys
import warnings
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from random_spaces import random_space
from safetensors import safe_open
from safetensors.torch import load_file
from support import CIFAR, DARTS_V2, PROGRAMS, RNN, randomise, space

import compiler
import dsl
from compiler import Genotype
from compiler.compile import compile_space
from runtime import export, staging
from runtime.errors import UserError
from runtime.export import FORMATS, export_model
from runtime.export_inputs import Inputs, Interface, interface_of
from runtime.final_model import FinalModel

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}
DARTS_V2_RNN = """Genotype(
    recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1), ('tanh', 2),
               ('sigmoid', 5), ('tanh', 3), ('relu', 5)],
    concat=range(1, 9))"""
BENCH = """
    set candidates = {
        none, skip as skip_connect, relu_conv_bn(1), relu_conv_bn(3), avg_pool(3) as avg_pool_3x3,
    }
    cell normal(C) from x {
        node n[3] = sum(each (x, earlier n) -> choose candidates)
        return n[-1]
    }
    op residual(C) from x =
        (x -> relu_conv_bn(3, out: C, stride: 2) -> relu_conv_bn(3))
        + (x -> pool(mean, 2, stride: 2) -> conv(1, out: C))
    network(C = 4, classes = 10) from image[3, 8, 8] to class[classes] {
        stem = image -> conv(3, out: C) -> bn
        first = stem -> repeat 2 { normal(C) }
        second = first -> residual(2 * C) -> repeat 2 { normal(2 * C) }
        return second -> bn -> relu -> global_pool(mean) -> linear(classes)
    }
"""
TWO_STATES = """
    cell lstm(H) from x, h[H], c[H] {
        i, f, o, z = split(concat(x, h) -> linear(4 * H), 4)
        new = (f -> sigmoid) * c + (i -> sigmoid) * (z -> tanh)
        y = new -> choose { tanh, relu6 -> relu6 as clipped }
        return ((o -> sigmoid) * y, new)
    }
    network(V = 7, H = 4) from word[T] below V to word[T, V] {
        return word -> embedding(V, H) -> lstm(H) over T -> linear(V)
    }
"""
SMALL = """
    network(classes = 3) from image[3, 4, 4] to class[classes] {
        y = image -> conv(3, out: 4)
        z = y -> bn
        twice = (z -> relu6 -> relu) + (z -> relu6 -> relu -> tanh)
        return twice -> global_pool(max) -> linear(classes)
    }
"""
SEVERAL = """
    cell unit(H) from x, h[H] = (concat(x, h) -> linear(H)) -> choose { tanh, relu }
    network(V = 7, H = 4) from image[3, 4, 4], state[T] below V to state[T, V], class[3] {
        look = image -> flatten -> linear(H)
        h = ((state -> embedding(V, H)) + look) -> unit(H) over T
        return (h -> linear(V), look -> linear(3))
    }
"""
LAYERS = """
    network(classes = 3) from image[3, 5, 4] to class[classes] {
        y = image -> conv(3, out: 8, across: 1) -> leaky_relu -> shuffle(2) -> elu -> pad(1)
        z = y -> conv_transpose(4, groups: 2) -> selu -> softplus
        w = y -> upsample(2) -> hardswish -> hardsigmoid -> mish -> square -> sin
        u = concat(z, w) -> conv_transpose(3, stride: 3, out: 6) -> pool(mean, 1, across: 3)
        return u -> shuffle(3) -> global_pool(max) -> linear(classes)
    }
"""
NOISE = """
    network(classes = 3) from image[3, 4, 4] to class[classes] {
        y = image -> conv(3, out: 4)
        return (y + (y -> gaussian)) -> global_pool(mean) -> linear(classes)
    }
"""


def model_of(space, genotype=None, **values):
    """A final model; where no genotype is given, that of a supernet with random alphas."""
    torch.manual_seed(0)
    if genotype is None:
        net = compiler.build(space, **values)
        randomise(net)
        genotype = net.genotype()
    return FinalModel(space, genotype, None, values)


def conv():
    return model_of(dsl.load(CIFAR), Genotype.parse(DARTS_V2), C=2, N=3, size=8, auxiliary_weight=0)


def recurrent():
    genotype = Genotype.parse(DARTS_V2_RNN)
    return model_of(dsl.load(RNN), genotype, V=13, H=4, bptt=2)


def small():
    return model_of(space(SMALL))


def two_states():
    return model_of(space(TWO_STATES), bptt=2)


def several():
    return model_of(space(SEVERAL), bptt=2)


def built(model):
    """The network, its weights and statistics at random, and the text of it."""
    torch.manual_seed(1)
    network = model.build()
    randomise(network)
    source = compile_space(model.space, genotype=model.genotype, overrides=model.values).source
    return network, source


def written(model, folder, format, name="model"):
    network, source = built(model)
    path = folder / f"{name}{SUFFIXES[format]}"
    return network, export_model(network, source, interface_of(model), path, format)


def call(network, interface, batch):
    """What a network is called with, with random states."""
    draws = torch.Generator().manual_seed(5)
    read = tuple(each.draw(batch, draws) for each in interface.inputs)
    if not hasattr(network, "init_hidden"):
        return read
    start = network.init_hidden(batch)
    if isinstance(start, torch.Tensor):
        return *read, torch.randn(start.shape, generator=draws)
    return *read, tuple(torch.randn(part.shape, generator=draws) for part in start)


def flat(values):
    if isinstance(values, torch.Tensor):
        return [values]
    return [tensor for part in values for tensor in flat(part)]


def read_back(path, format):
    """What someone else makes of the files, as a function of the arguments."""
    if format == "onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]
        return lambda *given: [
            torch.from_numpy(values)
            for values in session.run(
                None, {n: t.numpy() for n, t in zip(names, flat(given), strict=True)}
            )
        ]
    if format == "torch":
        return torch.export.load(path).module()
    names = {"__name__": "model"}
    exec(path.with_suffix(".py").read_text(encoding="utf-8"), names)
    network = names["Network"]()
    network.load_state_dict(load_file(path))
    return network.eval()


@torch.no_grad()
def agrees(network, run, inputs, batches):
    network.eval()
    for batch in batches:
        arguments = call(network, inputs, batch)
        wanted, given = flat(network(*arguments)), flat(run(*arguments))
        assert [t.shape for t in given] == [t.shape for t in wanted]
        for one, other in zip(given, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
        first, second = wanted[0].topk(2, dim=-1).values.unbind(-1)
        clear = first - second > 1e-3
        assert clear.any()
        assert torch.equal(given[0].argmax(-1)[clear], wanted[0].argmax(-1)[clear])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("make", [conv, recurrent])
def test_a_file_computes_what_the_model_does(tmp_path, make, format):
    model = make()
    network, exported = written(model, tmp_path, format)
    assert exported.path == tmp_path / f"model{SUFFIXES[format]}"
    assert exported.batches == (1, 3)
    assert 0 <= exported.difference <= 1e-4
    assert exported.difference == 0 or format != "safetensors"  # the same code
    if (make, format) == (recurrent, "onnx"):
        graph = onnx.load(exported.path).graph
        assert [each.name for each in graph.input] == ["words", "state"]
        assert [each.name for each in graph.output] == ["logits", "state_after"]
    expected = {exported.path.name} | ({"model.py"} if format == "safetensors" else set())
    assert {path.name for path in tmp_path.iterdir()} == expected
    agrees(network, read_back(exported.path, format), interface_of(model), (1, 2, 5))


def bench():
    return model_of(space(BENCH))


def vision():
    return model_of(dsl.load(next(path for path in PROGRAMS if path.stem == "vision")))


def layers():
    return model_of(space(LAYERS))


@pytest.mark.parametrize("make", [bench, two_states, small, several, vision, layers])
@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_other_families(tmp_path, make, format):
    """Residual blocks, a state of two parts, relus that onnxscript would fold wrongly, inputs and
    outputs that are several, attention, and layers that make images larger or windows that are no
    squares."""
    model = make()
    network, exported = written(model, tmp_path, format)
    agrees(network, read_back(exported.path, format), interface_of(model), (1, 4))


@pytest.mark.parametrize("number", [1, 4, 7, 9, 10, 15, 18, 19, 24, 27])
def test_random_spaces(tmp_path, number):
    """Images, vectors, series of numbers and of words."""
    model = model_of(dsl.load_text(random_space(number)))
    model = FinalModel(model.space, model.genotype, None, {"bptt": 2})
    _, exported = written(model, tmp_path, "onnx")
    assert exported.difference < 1e-5
    onnx.checker.check_model(onnx.load(exported.path), full_check=True)


@pytest.mark.parametrize("format", FORMATS)
def test_a_model_that_draws_noise_is_not_exported(tmp_path, format):
    with pytest.raises(UserError, match="draws random numbers"):
        written(model_of(space(NOISE)), tmp_path, format)
    assert not list(tmp_path.iterdir())


def test_names_and_sizes_in_an_onnx_file(tmp_path):
    def shown(values):
        return {
            each.name: [d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim]
            for each in values
        }

    _, exported = written(small(), tmp_path, "onnx")
    graph = onnx.load(exported.path).graph
    assert shown(graph.input) == {"image": ["batch", 3, 4, 4]}
    assert shown(graph.output) == {"logits": ["batch", 3]}
    _, exported = written(two_states(), tmp_path, "onnx")
    graph = onnx.load(exported.path).graph
    state = ["batch", 4]
    assert shown(graph.input) == {"words": [2, "batch"], "state_0": state, "state_1": state}
    assert shown(graph.output) == {
        "logits": [2, "batch", 7],
        "state_0_after": state,
        "state_1_after": state,
    }


def test_several_are_called_as_in_the_space_and_each_name_stands_once(tmp_path):
    model = several()
    assert interface_of(model) == Interface(
        (Inputs("image", (3, 4, 4)), Inputs("state", (2,), 1, 7)), ("state", "class")
    )
    graph = onnx.load(written(model, tmp_path, "onnx")[1].path).graph
    assert [each.name for each in graph.input] == ["image", "state", "state_"]
    assert [each.name for each in graph.output] == ["state__", "class", "state_after"]


def test_weights_are_written_under_every_name(tmp_path):
    network, exported = written(recurrent(), tmp_path, "safetensors")
    tensors = load_file(exported.path)
    assert tensors.keys() == network.state_dict().keys()
    assert all(torch.equal(tensors[name], t) for name, t in network.state_dict().items())
    assert torch.equal(tensors["linear.weight"], tensors["table.weight"])  # tied
    assert exported.path.with_suffix(".py").read_text(encoding="utf-8") == built(recurrent())[1]


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_model_gives_the_same_bytes(tmp_path, format):
    files = [
        written(two_states(), tmp_path, format, name)[1].path.read_bytes() for name in ("a", "b")
    ]
    assert files[0] == files[1]
    assert str(Path(torch.__file__).parent).encode() not in files[0]  # nor of the machine


@pytest.mark.parametrize("format", FORMATS)
def test_the_network_is_left_as_it_was(tmp_path, format):
    model = small()
    network, source = built(model)
    network.double().train()
    before = {name: t.clone() for name, t in network.state_dict().items()}
    state = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = tmp_path / f"model{SUFFIXES[format]}"
        export_model(network, source, interface_of(model), path, format)
    assert network.training and all(module.training for module in network.modules())
    assert all(p.requires_grad and p.dtype == torch.float64 for p in network.parameters())
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_what_models_read():
    assert interface_of(conv()) == Interface((Inputs("image", (3, 8, 8)),))
    assert interface_of(recurrent()) == Interface((Inputs("words", (2,), 1, 13),))
    draws = torch.Generator().manual_seed(0)
    assert Inputs("image", (3, 8, 6)).draw(5, draws).shape == (5, 3, 8, 6)
    words = Inputs("words", (40,), 1, 4).draw(5, draws)
    assert words.shape == (40, 5) and words.dtype == torch.int64
    assert words.unique().tolist() == [0, 1, 2, 3]


# -- what is refused leaves nothing behind


def refused(model, network, source, folder, format, match):
    with pytest.raises(UserError, match=match) as raised:
        export_model(network, source, interface_of(model), folder / f"m{SUFFIXES[format]}", format)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_not_finite(tmp_path, format, number):
    """Also those that are finite in float64 alone, and statistics."""
    model = small()
    network, source = built(model)
    network.double().get_buffer("z.running_mean")[1] = number
    refused(model, network, source, tmp_path, format, r"`z.running_mean` holds numbers")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_outputs_that_are_not_finite(tmp_path, format):
    model = small()
    network, source = built(model)
    network.get_buffer("z.running_var").fill_(-1)
    refused(model, network, source, tmp_path, format, "what the model gives is not finite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_computes_something_else(tmp_path, monkeypatch, format):
    """The files are read back: what another model is written as is not let pass."""
    model = recurrent()
    network, source = built(model)
    if format == "safetensors":
        source = source.replace("torch.tanh", "torch.sigmoid")
    elif format == "torch":
        save = torch.export.save

        def other(program, file, **rest):
            program.state_dict["linear.bias"].add_(1e-3)
            save(program, file, **rest)
            program.state_dict["linear.bias"].sub_(1e-3)

        monkeypatch.setattr(torch.export, "save", other)
    else:
        graph = export._onnx_graph

        def other(subject, names, outputs):
            subject.model.linear.bias.add_(1e-3)
            given = graph(subject, names, outputs)
            subject.model.linear.bias.sub_(1e-3)
            return given

        monkeypatch.setattr(export, "_onnx_graph", other)
    (tmp_path / f"m{SUFFIXES[format]}").write_text("old")
    refused(model, network, source, tmp_path, format, r"m\.\w+ was not written: its outputs")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    model = small()
    network, source = built(model)
    refused(model, network, source, tmp_path, "onnx", r"pip install 'dartsc\[onnx\]'$")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_no_onnx_file_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "ONNX_BYTES", 100)
    model = small()
    network, source = built(model)
    refused(model, network, source, tmp_path, "onnx", "use the format `torch`")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_disk_that_refuses(tmp_path, monkeypatch, format):
    model = small()
    network, source = built(model)
    refused(model, network, source, tmp_path / "no", format, r"cannot write \S+/no/m\.\w+: No such")
    (tmp_path / f"m{SUFFIXES[format]}").mkdir()
    refused(model, network, source, tmp_path, format, r"cannot write \S+/m\.\w+: it is a folder")
    (tmp_path / f"m{SUFFIXES[format]}").rmdir()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging.os, "fsync", full)
    refused(model, network, source, tmp_path, format, r"cannot write \S+/m\.\w+: No space left")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("dies_at", [0, 1])
def test_of_two_files_both_are_moved_or_none(tmp_path, monkeypatch, old, dies_at):
    model = small()
    network, source = built(model)
    if old is not None:
        for name in ("m.py", "m.safetensors"):
            (tmp_path / name).write_text(old)
    replace, calls = os.replace, []

    def dying(source, target):
        calls.append(target)
        if len(calls) > dies_at:
            raise OSError(5, "Input/output error", source)
        replace(source, target)

    monkeypatch.setattr(staging.os, "replace", dying)
    refused(model, network, source, tmp_path, "safetensors", "Input/output error")
    left = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert left == ({} if old is None else {"m.py": old, "m.safetensors": old})
    monkeypatch.undo()
    export_model(network, source, interface_of(model), tmp_path / "m.safetensors", "safetensors")
    assert {path.name for path in tmp_path.iterdir()} == {"m.py", "m.safetensors"}
    assert (tmp_path / "m.py").read_text(encoding="utf-8") == source


def test_weights_are_not_written_over_the_emitted_file(tmp_path):
    model = small()
    network, source = built(model)
    with pytest.raises(UserError, match=r"m\.py is for the emitted file"):
        export_model(network, source, interface_of(model), tmp_path / "m.py", "safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_notes_travel_with_the_model(tmp_path, format):
    about = {"classes": '["cat", "dog"]', "mean": "[0.5]"}
    network, source = built(small())
    path = tmp_path / f"model{SUFFIXES[format]}"
    export_model(network, source, interface_of(small()), path, format, about)
    if format == "onnx":
        found = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    elif format == "torch":
        found = dict.fromkeys(about, "")
        torch.export.load(path, extra_files=found)
    else:
        with safe_open(path, "pt") as file:
            found = file.metadata()
    assert found == about
