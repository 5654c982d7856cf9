"""Whatever a file calls things, the generated code runs and means the same."""

from __future__ import annotations

import builtins
import keyword
from pathlib import Path

import pytest
import torch
from support import images, model_state, randomise, rows
from torch import nn

import compiler
from compiler.codegen.names import camel, key, local, module_attributes
from compiler.compile import compile_space
from compiler.interpret import interpret
from dsl.vocabulary import BUILT_IN, RESERVED

PROGRAM = """\
language 1
import std

op {op}(k) = relu -> conv(k) -> bn
op {op}_2 from z_ {{
    {value} = z_ -> relu
    return sum({value}, z_ -> conv(3))
}}

cell {cell}({parameter}) from {input} {{
    {value} = {input} -> conv(1, out: {parameter}) -> bn
    node {node}[2] = sum(
        each ({value}, earlier {node}) -> choose {{ {op}(3) as {label}, {op}_2, skip }} -> drop_path
    )
    keep 1 edge per node by weight
    return concat({node})
}}

network({parameter} = 4, N_ = 2) from {input}[3, 6, 6] to class[3] {{
    {value} = {input} -> conv(3, out: {parameter})
    {node} = {value} -> repeat N_ {{ {cell}({parameter}) }}
    auxiliary {node}[0] -> {op}(3) -> global_pool(mean) -> linear(3)
    return concat({node}, {value} -> repeat 2 {{ {op}(3) }}) -> global_pool(mean) -> linear(3)
}}

profile final {{ auxiliary_weight = 1 }}
"""

HOSTILE = sorted(
    {
        "train", "eval", "half", "keys", "values", "items", "forward", "modules", "parameters",
        "print", "range", "sum_", "torch", "nn", "F", "Tensor", "self", "super", "Supernet",
        "Network", "MixedOp", "Zero", "DropPath", "dropped", "Shape", "Weights", "weights", "w",
        "x", "last", "layer", "cell_", "out", "tapped", "logits", "drop", "kind", "out_shape",
        "out_channels", "set_drop_path", "training", "state_dict", "None", "True", "__init__",
        "__class__", "_modules", "enumerate", "tuple", "int", "dict", "zip", "isinstance", "float",
        "bool", "C", "n", "lambda", "class", "def", "pass", "async", "is", "match", "type", "norm_",
        "channels", "in_channels", "tapped_step", "a_shape", "__x", "__x__",
        "stride", "p", "T_destination", "_apply", "features", "append",
    }
    - RESERVED
    - BUILT_IN
)  # fmt: skip


ROLES = ("op", "cell", "parameter", "input", "value", "node", "label")


@pytest.mark.parametrize("part", range(4))
def test_hostile_names(part: int, tmp_path: Path) -> None:
    """Every name in every role: program i gives role j the name i + 11 j."""
    for start in range(part, len(HOSTILE), 4):
        names = {role: HOSTILE[(start + 11 * j) % len(HOSTILE)] for j, role in enumerate(ROLES)}
        path = tmp_path / "names.darts"
        path.write_text(PROGRAM.format(**names), encoding="utf-8")
        net = compiler.build(path)
        randomise(net)
        state = {k: v.clone() for k, v in model_state(net).items()}
        x = images(net.program)
        expected = interpret(net.program, [x], state, rows(net), training=True)
        torch.testing.assert_close(net(x), expected, msg=str(names))
        genotype = net.genotype()
        final = compiler.build(path, genotype=genotype, auxiliary=True)
        program = compile_space(path, genotype=genotype).program
        expected = interpret(program, [x], final.state_dict(), None, training=True)
        torch.testing.assert_close(final(x)[0], expected, msg=str(names))


RECURRENT = """\
language 1
import std

op {op}(f_) from {input}, b_ {{
    {value}, {state} = split(b_, 2)
    return {input} + ({value} -> sigmoid) * ({state} -> f_)
}}
op {op}_2 from {input}, _ = {input}

cell {cell}({parameter}, p_ = 0) from {input}, {state}[{parameter}], c_[{parameter}] {{
    shared {mask} = dropout(p_, per: sequence)
    {value} = concat({input}, {state} -> {mask}) -> linear({parameter})
    node {node}[2] {{
        shared {shared} = {mask} -> linear(2 * {parameter})
        a_ = {value} -> {shared}
        return ({value}, a_) -> choose {{ {op}(f_) for f_ in (tanh, relu) as f_, {op}_2 }}
    }}
    return (sum({node}), {state} - c_)
}}

network(V_ = 5, {parameter} = 3) from {input}[T_] below V_ to {input}[T_, V_] {{
    shared {table} = embedding(V_, {parameter})
    {value} = {input} -> {table} -> dropout(0, per: sequence) -> {cell}({parameter}) over T_
    return {value} -> linear(V_, tied: {table})
}}
"""
HOSTILE_STATES = sorted(
    {*HOSTILE, "state", "init_hidden", "outputs", "x_t", "mask", "x_mask", "value_mask",
     "mixture", "weight", "sequence_mask", "word_mask", "identity_", "function", "Callable", "word",
     "table", "recurrence", "readout", "s0_W", "c_t", "in_features", "new_zeros", "shape"}
)  # fmt: skip
RECURRENT_ROLES = (
    "op", "cell", "parameter", "input", "state", "mask", "value", "node", "shared", "table"
)  # fmt: skip


@pytest.mark.parametrize("part", range(4))
def test_hostile_names_of_recurrences(part: int, tmp_path: Path) -> None:
    """As above, for what is shared, for states and for words."""
    count = len(HOSTILE_STATES)
    for start in range(part, count, 4):
        names = {
            role: HOSTILE_STATES[(start + 7 * j) % count] for j, role in enumerate(RECURRENT_ROLES)
        }
        path = tmp_path / "names.darts"
        path.write_text(RECURRENT.format(**names), encoding="utf-8")
        net = compiler.build(path)
        randomise(net)
        x = images(net.program)
        expected = interpret(net.program, [x], model_state(net), rows(net), training=True)
        torch.testing.assert_close(net(x), expected, msg=str(names))


def test_every_keyword_and_builtin_is_avoided() -> None:
    for name in [*keyword.kwlist, *dir(builtins), "torch", "nn", "F", "self"]:
        assert local(name) in (f"{name}_", f"x{name}")
        assert not keyword.iskeyword(local(name))
        assert not hasattr(builtins, local(name))
    assert local("width") == "width"


def test_every_attribute_of_a_module_is_avoided() -> None:
    assert module_attributes() >= set(dir(nn.Module())) | {"keys", "items", "values", "pop"}
    for name in module_attributes():
        assert key(name) == f"{name}_"
    assert key("sep_conv_3x3") == "sep_conv_3x3"


def test_classes() -> None:
    assert camel("factorised_reduce") == "FactorisedReduce"
    assert camel("_") != ""
    assert camel("normal") == "Normal"
