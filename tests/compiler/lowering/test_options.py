"""Sets pass their arguments on, whatever kind they are of, and edges hold one decision each."""

from __future__ import annotations

import pytest
import torch
from support import compiled, images, model_state, rows, space
from torch import nn

import compiler
from compiler.describe import check
from compiler.interpret import interpret
from dsl import DartsError

AROUND = """
network(C = 2) from image[2, 4, 4] to class[2] =
    image -> repeat 2 {{ c }} -> global_pool(mean) -> linear(2)
profile search {{ batch = 2 }}
profile final {{ batch = 2 }}
"""


def build(program: str, passes: str = "none") -> nn.Module:
    return compiler.build(space(program + AROUND.format()), passes=passes)


@pytest.mark.parametrize("act", ["tanh", "sigmoid", "relu"])
def test_an_operation_as_an_argument_of_a_set(act: str) -> None:
    """`choose s(act: tanh)` has tanh in every option, and not the options' default."""
    net = build(
        "op f(k, act = relu) = conv(k) -> act\n"
        f"set s = {{f(1), f(3)}}\ncell c from x = x -> choose s(act: {act})\n"
    )
    kinds = {type(module) for module in net.modules()}
    wanted = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}
    assert wanted[act] in kinds and not kinds & (set(wanted.values()) - {wanted[act]})


def test_a_flag_as_an_argument_of_a_set() -> None:
    net = build(
        "op f(k, b = no) = conv(k, bias: b)\n"
        "set s = {f(1), f(3)}\ncell c from x = x -> choose s(b: yes)\n"
    )
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert convs and all(conv.bias is not None for conv in convs)


def test_a_cell_with_an_operation_as_an_argument_is_used_twice() -> None:
    """Two uses of a cell with the same operation are uses of one structure."""
    check(
        space(
            "cell d(f) from x = x -> choose {conv(3), identity} -> f\n"
            "op c = d(relu) -> d(relu)\n" + AROUND.format()
        )
    )


def test_one_edge_one_decision_where_edges_are_kept() -> None:
    with pytest.raises(DartsError) as raised:
        check(
            space(
                "set s = {conv(3), identity}\ncell c from x {\n"
                "    node n[2] = sum(each (x, earlier n) -> choose s -> choose s)\n"
                "    keep 1 edge per node by weight\n    return n[-1]\n}\n" + AROUND.format()
            )
        )
    (found,) = raised.value.diagnostics
    assert found.code == "E0609" and found.span is not None
    assert found.span.text == "choose s -> choose s"


def test_a_condition_in_a_join_is_an_edge_like_any_other() -> None:
    made = compiled(
        "cell c from x {\n    node n[2] = sum(x -> relu when index > 5 "
        "else x -> choose {conv(3), identity}, each earlier n -> choose {conv(3), identity})\n"
        "    keep 1 edge per node by weight\n    return n[-1]\n}\n" + AROUND.format()
    )
    (kind,) = made.program.kinds
    assert [d.path for d in kind.decisions] == ["n[0] from x", "n[1] from x", "n[1] from n[0]"]


def test_mixtures_of_zeros_alone_beside_others() -> None:
    """Without its zeros the supernet computes the same, also where nothing but zeros is chosen."""
    program = (
        "cell c from x {\n    a = x -> choose {zero, zero(stride: 1) as other}\n"
        "    b = x -> choose {zero, conv(3)}\n    return sum(a -> relu, b)\n}\n"
    )
    net = build(program, passes="simple")
    x = images(net.program)
    torch.testing.assert_close(net(x), interpret(net.program, [x], model_state(net), rows(net)))


def test_cells_keep_their_names() -> None:
    """An op of the same name elsewhere is the one that is numbered."""
    net = build("cell c from x = x -> choose {conv(3), identity}\n")
    assert list(net.genotype().cells) == ["c"]


def test_large_groups_end_in_a_diagnostic() -> None:
    with pytest.raises(DartsError) as raised:
        check(
            space(
                "cell c from x {\n"
                "    node n[1000] = sum(each (x, earlier n) -> choose {conv(3), identity})\n"
                "    return n[-1]\n}\n" + AROUND.format()
            )
        )
    assert raised.value.diagnostics[0].code == "E0404"
