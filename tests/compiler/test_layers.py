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
from compiler.ir import Layer
from compiler.layers import ACTIVATIONS, complaint, dimensions, out_shape, weights
from dsl.vocabulary import LAYERS

IMAGES = [(4, 9, 9), (4, 8, 6)]


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
    *(("global_pool", shape, {"of": of}) for shape in IMAGES for of in ("max", "mean")),
    *(("flatten", shape, {}) for shape in [*IMAGES, (7,)]),
    *(("linear", (7,), {"out": 3, "bias": bias}) for bias in (True, False)),
    *(("linear", (5, 7), {"out": 3, "bias": bias}) for bias in (True, False)),
    *(("embedding", (5,), {"n": 9, "d": d, "drop": drop}) for d in (1, 3) for drop in (0, 0.5)),
    *(("bn", shape, {"affine": a}) for shape in [*IMAGES, (7,)] for a in (True, False)),
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
    """Something for a layer to read, a batch of two."""
    if layer == "embedding":
        return torch.randint(given["n"], (2, *shape))
    return torch.randn(2, *shape)


@pytest.mark.parametrize("layer", sorted({layer for layer, _, _ in CASES}))
def test_shapes_and_weights_are_those_of_torch(layer: str) -> None:
    for name, shape, given in CASES:
        if name != layer:
            continue
        known = arguments(name, given)
        assert complaint(name, shape, known) is None, (shape, given)
        net = made(name, shape, known)
        out = net(value(name, shape, known))
        assert out_shape(name, shape, known) == tuple(out.shape[1:]), (shape, given)
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
