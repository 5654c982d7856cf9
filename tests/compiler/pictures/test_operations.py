"""Kinds of operation come from layers, whatever an option is called."""

from __future__ import annotations

import pytest
from support import CIFAR, RNN, compiled

from compiler.compile import compile_space
from compiler.ir import Choice, Region
from compiler.pictures.operations import OperationKind, kind_by_label, kind_of

PUBLISHED = {
    "none": OperationKind.ZEROS,
    "max_pool_3x3": OperationKind.POOLING,
    "avg_pool_3x3": OperationKind.POOLING,
    "skip_connect": OperationKind.SKIP,
    "sep_conv_3x3": OperationKind.SEPARABLE,
    "sep_conv_5x5": OperationKind.SEPARABLE,
    "dil_conv_3x3": OperationKind.DILATED,
    "dil_conv_5x5": OperationKind.DILATED,
}
RECURRENT = {
    "none": OperationKind.ZEROS,
    "tanh": OperationKind.ACTIVATION,
    "relu": OperationKind.ACTIVATION,
    "sigmoid": OperationKind.ACTIVATION,
    "identity": OperationKind.SKIP,
}


def kinds(region: Region) -> dict[str, OperationKind]:
    choices = [node for _, node in region.nodes() if isinstance(node, Choice)]
    return {option.label: kind_of(option.body) for c in choices for option in c.region.options}


def of_options(options: str, head: str = "", width: str = "image[4, 8, 8]") -> list[OperationKind]:
    tail = "global_pool(mean) -> " if width.startswith("image") else ""
    program = compiled(f"""
        {head}
        cell u from x {{ return x -> choose {{ {options} }} }}
        network from {width} to class[2] = {width.split("[")[0]} -> u -> {tail}linear(2)
    """).program
    return list(kinds(program.kinds[0]).values())


@pytest.mark.parametrize(("path", "expected"), [(CIFAR, PUBLISHED), (RNN, RECURRENT)])
def test_published_candidates(path: str, expected: dict[str, OperationKind]) -> None:
    for kind in compile_space(path).program.kinds:
        assert kinds(kind) == expected


def test_labels_do_not_matter() -> None:
    options = "skip as conv, conv(3) as skip, pool(max, 3) as tanh, relu as none"
    assert of_options(options) == [
        OperationKind.SKIP,
        OperationKind.CONVOLUTION,
        OperationKind.POOLING,
        OperationKind.ACTIVATION,
    ]


def test_dilation_is_found_through_calls() -> None:
    head = "op wide(d) = relu -> conv(3, dilation: d) -> bn\nop around(d) = wide(d) -> bn"
    assert of_options("around(1) as near, around(2) as far", head) == [
        OperationKind.CONVOLUTION,
        OperationKind.DILATED,
    ]


def test_a_skip_that_halves_where_it_must() -> None:
    head = "op through(s = 1) from x[c, _, _] = x -> (factorised_reduce(c) when s > 1)"
    program = compiled(f"""
        {head}
        set ops = {{ through, conv(3) }}
        cell u(s) from x {{ return x -> choose ops -> conv(1, stride: s) }}
        network from image[4, 8, 8] to class[2] =
            image -> u(1) -> u(2) -> global_pool(mean) -> linear(2)
    """).program
    assert list(kinds(program.kinds[0]).values()) == [OperationKind.SKIP, OperationKind.CONVOLUTION]


def test_what_an_op_is_given_to_apply_tells() -> None:
    head = "op gate(f) from x = x * (x -> sigmoid) + (x -> f)"
    assert of_options("gate(tanh) as t, gate(identity) as i", head, "x[4]") == [
        OperationKind.ACTIVATION,
        OperationKind.SKIP,
    ]


def test_matrices_and_norms_are_other_operations() -> None:
    options = "linear(4) -> tanh as a, bn as b, gelu as c"
    assert of_options(options, width="x[4]") == [
        OperationKind.OTHER,
        OperationKind.OTHER,
        OperationKind.ACTIVATION,
    ]


@pytest.mark.parametrize(("label", "kind"), {**PUBLISHED, **RECURRENT}.items())
def test_labels_of_the_literature(label: str, kind: OperationKind) -> None:
    assert kind_by_label(label) is kind


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("nor_conv_3x3", OperationKind.CONVOLUTION),
        ("DilConv5", OperationKind.DILATED),
        ("zero", OperationKind.ZEROS),
        ("id", OperationKind.SKIP),
        ("wide", OperationKind.OTHER),
        ("nonesuch", OperationKind.OTHER),
    ],
)
def test_other_labels(label: str, kind: OperationKind) -> None:
    assert kind_by_label(label) is kind
