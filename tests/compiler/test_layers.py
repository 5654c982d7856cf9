"""Shape rules and weight counts against the torch modules that are generated."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support import weights as count
from torch import nn

from compiler.codegen.layout import Text
from compiler.codegen.prelude import PRELUDE
from compiler.codegen.torch_layers import function, is_function, module
from compiler.expr import Const, Symbol, evaluate, show
from compiler.facts import OpenSize
from compiler.ir import Layer
from compiler.layers import (
    ACTIVATIONS,
    complaint,
    dimensions,
    macs,
    out_shape,
    settled,
    weights,
)
from dsl.vocabulary import LAYERS

IMAGES = [(4, 9, 9), (4, 8, 6)]
SEQUENCES = [(6, 4), (1, 8)]


def arguments(layer: str, given: dict[str, Any]) -> dict[str, Any]:
    return {a.name: given.get(a.name, a.default) for a in LAYERS[layer].arguments}


def grid(**values: list[Any]) -> list[dict[str, Any]]:
    return [
        dict(zip(values, combination, strict=True)) for combination in product(*values.values())
    ]


WINDOWS = [
    *grid(k=[1, 2, 3, 5], stride=[1, 2, 3]),
    *grid(k=[3], stride=[1, 2], padding=[0, 1]),
    *grid(k=[1, 2, 3], across=[1, 2, 3], stride=[1, 2]),
    {"k": 2, "across": 3, "padding": 1},
]
CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    *(
        ("conv", shape, {**window, **more})
        for shape in IMAGES
        for window in WINDOWS
        for more in ({}, {"out": 8, "groups": 2, "bias": True}, {"dilation": 2, "out": 3})
        if (window["k"] - 1) * more.get("dilation", 1) < 6
    ),
    *(
        ("depthwise", shape, {**window, **more})
        for shape in IMAGES
        for window in WINDOWS
        for more in ({}, {"bias": True}, {"dilation": 2})
        if (window["k"] - 1) * more.get("dilation", 1) < 6
    ),
    *(
        ("pool", shape, {**window, "of": of})
        for shape in IMAGES
        for window in WINDOWS
        for of in ("max", "mean")
    ),
    *(("zero", shape, {"stride": s}) for shape in [*IMAGES, (7,)] for s in (1, 2, 3)),
    *(("crop", shape, {"n": n}) for shape in IMAGES for n in (0, 1, 3)),
    *(
        ("conv_transpose", shape, {"k": k, "stride": stride, **more})
        for shape in IMAGES
        for k in (1, 2, 3, 4, 5)
        for stride in (1, 2, 3)
        for more in ({"padding": 0}, {"padding": 1, "groups": 2}, {"out": 6, "bias": True})
        if stride > 1 or k % 2 or "padding" in more
    ),
    *(("pad", shape, {"n": n}) for shape in IMAGES for n in (0, 1, 3)),
    *(("upsample", shape, {"n": n}) for shape in IMAGES for n in (1, 2, 3)),
    *(("shuffle", (12, 4, 3), {"groups": groups}) for groups in (1, 2, 3, 6, 12)),
    *(("gaussian", shape, {}) for shape in [*IMAGES, (7,), (5, 7)]),
    *(
        ("global_pool", shape, {"of": of})
        for shape in [*IMAGES, *SEQUENCES]
        for of in ("max", "mean")
    ),
    *(("flatten", shape, {}) for shape in [*IMAGES, (7,)]),
    *(("linear", (7,), {"out": 3, "bias": bias}) for bias in (True, False)),
    *(("linear", (5, 7), {"out": 3, "bias": bias}) for bias in (True, False)),
    *(("embedding", (5,), {"n": 9, "d": d, "drop": drop}) for d in (1, 3) for drop in (0, 0.5)),
    *(("bn", shape, {"affine": a}) for shape in [*IMAGES, (7,)] for a in (True, False)),
    *(
        ("layer_norm", shape, {"affine": affine})
        for shape in [*IMAGES, *SEQUENCES, (7,)]
        for affine in (True, False)
    ),
    *(("group_norm", shape, {"groups": n}) for shape in [*IMAGES, (8,)] for n in (1, 2, 4)),
    *(
        ("attention", shape, {"heads": heads, **more})
        for shape in SEQUENCES
        for heads in (1, 2, 4)
        for more in ({}, {"width": 3}, {"bias": False})
    ),
    *(("position", shape, {}) for shape in SEQUENCES),
    *(("tokens", shape, {}) for shape in IMAGES),
    *(("as_image", (6, 4), {"rows": rows}) for rows in (1, 2, 6)),
    *(("softmax", shape, {}) for shape in [IMAGES[1], *SEQUENCES, (7,)]),
    *(
        (layer, shape, {"p": 0.5} if layer == "dropout" else {})
        for layer in (*sorted(ACTIVATIONS - {"identity"}), "dropout", "drop_path")
        for shape in (IMAGES[0], (7,))
    ),
]


def made(layer: str, shape: tuple[int, ...], given: dict[str, Any]) -> nn.Module:
    """The module whose constructor the compiler writes."""
    node = Layer(shape=(), layer=layer, arguments=tuple((n, Const(v)) for n, v in given.items()))
    used: set[str] = set()
    doc = module(node, tuple(map(Const, shape)), show, used)
    scope = {"torch": torch, "nn": nn, "F": F, "Tensor": torch.Tensor}
    for name in used:
        exec(PRELUDE[name], scope)
    result = eval(doc.flat(), scope)
    assert isinstance(result, nn.Module)
    return result


def value(layer: str, shape: tuple[int, ...], given: dict[str, Any]) -> torch.Tensor:
    """Something for a layer to read, a batch of two; in a sequence it comes second."""
    if layer == "embedding":
        return torch.randint(given["n"], (2, *shape))
    return torch.randn(2, *shape) if len(shape) != 2 else torch.randn(shape[0], 2, shape[1])


def sizes_of(x: torch.Tensor) -> tuple[int, ...]:
    """The sizes of a value without its batch."""
    return (x.shape[0], *x.shape[2:]) if x.dim() == 3 else tuple(x.shape[1:])


@pytest.mark.parametrize("layer", sorted({layer for layer, _, _ in CASES}))
def test_shapes_and_weights_are_those_of_torch(layer: str) -> None:
    for name, shape, given in CASES:
        if name != layer:
            continue
        known = arguments(name, given)
        assert complaint(name, shape, known) is None, (shape, given)
        net = made(name, shape, known)
        out = net(value(name, shape, known))
        sizes = out.shape[1:] if layer == "embedding" else sizes_of(out)
        assert out_shape(name, shape, known) == tuple(sizes), (shape, given)
        assert weights(name, shape, known) == count(net), (shape, given)


@pytest.mark.parametrize("layer", sorted({layer for layer, _, _ in CASES}))
def test_the_shape_over_symbols_has_the_value_of_the_shape_over_numbers(layer: str) -> None:
    names = ("c", "h", "w")
    for name, shape, given in CASES:
        if name == layer:
            known = arguments(name, given)
            symbols = out_shape(
                name,
                tuple(map(Symbol, names[: len(shape)])),
                {n: Const(v) for n, v in known.items()},
            )
            env = dict(zip(names, shape, strict=False))
            assert tuple(evaluate(s, env) for s in symbols) == out_shape(name, shape, known)


@pytest.mark.parametrize("layer", sorted({layer for layer, _, _ in CASES}))
def test_the_function_of_a_layer_does_what_its_module_does(layer: str) -> None:
    for name, shape, given in CASES:
        known = arguments(name, given)
        node = Layer(shape=(), layer=name, arguments=tuple((n, Const(v)) for n, v in known.items()))
        if name != layer or not is_function(node):
            continue
        net = made(name, shape, known).eval()
        x = value(name, shape, known)
        scope = {"torch": torch, "F": F, "x": x, "self": net}
        used: set[str] = set()
        doc = function(node, len(shape), Text("x"), show, used)
        for item in used:
            exec(PRELUDE[item], scope)
        torch.manual_seed(1)
        result = eval(doc.flat(), scope)
        torch.manual_seed(1)
        assert torch.equal(result, net(x)), (shape, given)


def test_every_layer_of_the_language_is_tried() -> None:
    assert {layer for layer, _, _ in CASES} == LAYERS.keys() - {"identity"}


@pytest.mark.parametrize(
    ("layer", "shape", "given", "words"),
    [
        ("conv", (4, 8, 8), {"k": 0}, "`k` is 0"),
        ("conv", (4, 8, 8), {"k": 2.5}, "`k` is 2.5"),
        ("conv", (4, 8, 8), {"k": 3, "stride": 0}, "`stride` is 0"),
        ("conv", (4, 8, 8), {"k": 3, "groups": 3}, "3 groups do not divide"),
        ("conv", (4, 8, 8), {"k": 3, "groups": 10**9}, "groups do not divide"),
        ("conv", (4, 8, 8), {"k": 9, "padding": 0}, "a window of 9 does not fit into 8 x 8"),
        ("conv", (4, 8, 8), {"k": 3, "padding": -1}, "`padding` is -1"),
        ("conv", (4, 8, 8), {"k": 1, "across": 0}, "`across` is 0"),
        ("conv", (4, 8, 8), {"k": 1, "across": 9, "padding": 0}, "a window of 1 x 9 does not fit"),
        ("pool", (4, 8, 8), {"k": 3, "padding": 2}, "at most 1 of padding"),
        ("pool", (4, 8, 8), {"k": 3, "across": 1, "padding": 1}, "a pool of 1 takes at most 0"),
        ("crop", (4, 8, 8), {"n": 8}, "nothing is left"),
        ("upsample", (4, 8, 8), {"n": 0}, "`n` is 0"),
        ("shuffle", (4, 8, 8), {"groups": 3}, "3 groups do not divide 4 channels"),
        ("conv_transpose", (4, 8, 8), {"k": 4, "stride": 1}, "only an odd window keeps the size"),
        ("conv_transpose", (4, 8, 8), {"k": 3, "padding": -1}, "`padding` is -1"),
        ("conv_transpose", (4, 1, 1), {"k": 3, "padding": 2}, "nothing is left of 4 x 1 x 1"),
        ("conv_transpose", (4, 8, 8), {"k": 3, "groups": 3}, "3 groups do not divide"),
        ("dropout", (4,), {"p": 1.5}, "`p` is 1.5"),
        ("group_norm", (6, 8, 8), {"groups": 4}, "4 groups do not divide 6 channels"),
        ("group_norm", (6,), {"groups": 0}, "`groups` is 0"),
        ("attention", (9, 6), {"heads": 4}, "4 heads do not divide 6 channels"),
        ("attention", (9, 6), {"heads": 0}, "`heads` is 0"),
        ("attention", (9, 6), {"heads": 4, "width": 0}, "`width` is 0"),
        ("attention", (OpenSize(48, "T"), 6), {"heads": 2}, "`T` is open until the network runs"),
        ("position", (OpenSize(48, "T"), 6), {}, "`T` is open until the network runs"),
        ("as_image", (OpenSize(48, "T"), 6), {"rows": 2}, "`T` is open until the network runs"),
        ("as_image", (9, 6), {"rows": 2}, "2 rows do not divide 9 steps"),
        ("linear", (4,), {"out": 0}, "`out` is 0"),
        ("embedding", (4,), {"n": 0, "d": 2}, "`n` is 0"),
        ("embedding", (4,), {"n": 2, "d": 0.5}, "`d` is 0.5"),
        ("embedding", (4,), {"n": 2, "d": 2, "drop": -1}, "`drop` is -1"),
    ],
)
def test_what_is_impossible(
    layer: str, shape: tuple[int, ...], given: dict[str, Any], words: str
) -> None:
    said = complaint(layer, shape, arguments(layer, given))
    assert said is not None
    assert words in said


def test_shapes_read_as_people_write_them() -> None:
    assert dimensions((16, 32, 32)) == "16 x 32 x 32"


def test_a_tied_layer_has_no_matrix_of_its_own() -> None:
    tied = arguments("linear", {"out": 9, "tied": "table"})
    assert weights("linear", (5, 4), tied) == 9
    assert weights("linear", (5, 4), {**tied, "bias": False}) == 0


def test_the_mean_pool_does_not_count_its_padding() -> None:
    net = made("pool", (1, 4, 4), arguments("pool", {"of": "mean", "k": 3}))
    assert torch.equal(net(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))


def test_all_steps_of_a_known_length_are_counted_and_one_of_an_open_length() -> None:
    known = arguments("linear", {"out": 3})
    assert macs("linear", (7,), (3,), known) == 21
    assert macs("linear", (5, 7), (5, 3), known) == 5 * 21
    assert macs("linear", (OpenSize(48, "T"), 7), (OpenSize(48, "T"), 3), known) == 21


def test_attention_counts_its_matrices_and_what_a_step_takes_of_all_steps() -> None:
    """Of 5 steps of 6 channels, with 2 heads of 4 numbers: 8 numbers in all."""
    known = arguments("attention", {"heads": 2, "width": 4})
    matrices = 6 * 3 * 8 + 8 * 6
    assert macs("attention", (5, 6), (5, 6), known) == 5 * (matrices + 5 * 8 + 5 * 8)
    assert weights("attention", (5, 6), known) == matrices + 3 * 8 + 6


@pytest.mark.parametrize(
    ("layer", "given", "whole"),
    [("layer_norm", {}, 6), ("attention", {"heads": 3}, 3)],
)
def test_a_part_that_is_everything_is_not_said(
    layer: str, given: dict[str, Any], whole: int
) -> None:
    plain = arguments(layer, given)
    assert settled(layer, (5, 6), {**plain, "active": whole}) == plain
    part = {**plain, "active": whole - 1}
    assert settled(layer, (5, 6), part) == part
    constant = {name: Const(value) for name, value in plain.items()}
    dims = (Const(5), Const(6))
    assert settled(layer, dims, {**constant, "active": Const(whole)}) == constant
    assert "active" in settled(layer, dims, {**constant, "active": Symbol("n")})


def test_norms_take_the_statistics_that_they_say() -> None:
    """Over the channels of a pixel, whatever its neighbours are, and over a whole group."""
    x = 5 + 3 * torch.randn(2, 8, 3, 3)
    normed = made("layer_norm", (8, 3, 3), arguments("layer_norm", {}))(x)
    torch.testing.assert_close(normed.mean(1), torch.zeros(2, 3, 3), atol=1e-9, rtol=0)
    grouped = made("group_norm", (8, 3, 3), arguments("group_norm", {"groups": 4}))(x)
    means = grouped.unflatten(1, (4, 2)).mean((2, 3, 4))
    torch.testing.assert_close(means, torch.zeros(2, 4), atol=1e-9, rtol=0)


def test_as_image_undoes_tokens() -> None:
    x = torch.randn(2, 3, 4, 5)
    steps = made("tokens", (3, 4, 5), {})(x)
    assert torch.equal(steps[5], x[:, :, 1, 0])
    assert torch.equal(made("as_image", (20, 3), {"rows": 4})(steps), x)
