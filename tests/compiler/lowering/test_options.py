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
                "    node n[1000] = sum(each (x, earlier n) -> relu)\n"
                "    return n[-1]\n}\n" + AROUND.format()
            )
        )
    assert [d.code for d in raised.value.diagnostics] == ["E0103"]


def options_of(program: str) -> list[list[str]]:
    """The labels of every decision of the one kind that a program has."""
    (kind,) = compiled(program + AROUND.format()).program.kinds
    return [[label for label, _ in decision.options] for decision in kind.decisions]


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ("g(f) for f in (tanh, relu) as f, gelu", ["tanh", "relu", "gelu"]),
        ("g(f) for f in (h(1), h(3)) as f", ["h_1", "h_3"]),
        ("g(f) for f in (tanh, relu)", ["g_tanh", "g_relu"]),
        ("g(f) for k in (1, 3) for f in (tanh, h(k)) if k > 1 as f", ["tanh", "h_3"]),
        ("g(tanh) as f, g(relu) as h_1", ["f", "h_1"]),
    ],
)
def test_labels_that_are_those_of_what_a_loop_goes_through(options: str, labels: list[str]) -> None:
    ops = "op h(k) = conv(k)\nop g(f) from x = x -> f\n"
    assert options_of(ops + f"cell c from x = x -> choose {{{options}}}\n") == [labels]


SEVERAL = """
op add from a, b = a + b
op left from a, _ = a
op blend(C) from a, b = concat(a, b) -> conv(1, out: C)
set ways = {sink left, add, blend(2) as blend}
"""


def test_a_decision_over_several_values() -> None:
    """Every option reads all of them; what is called `_` flows in and is not read."""
    net = build(
        SEVERAL + "cell c from x {\n    y = x -> conv(3)\n"
        "    z = (x, y) -> choose {add, left, blend(2) as blend}\n"
        "    node n[2] = sum(each (y, z, earlier n) -> relu)\n"
        "    return (n[1], x) -> choose ways\n}\n"
    )
    x = images(net.program)
    torch.testing.assert_close(net(x), interpret(net.program, [x], model_state(net), rows(net)))
    (kind,) = net.program.kinds
    assert [(d.path, d.selectable) for d in kind.decisions] == [
        ("z", ("add", "left", "blend")), ("return", ("add", "blend"))
    ]  # fmt: skip


def test_a_decision_over_several_values_stands_on_the_edge_of_the_first() -> None:
    """As an op lets it, which brings the others along."""
    program = SEVERAL + (
        "op beside(y) from x = (x, y -> relu) -> choose ways\n"
        "cell c from x {\n    y = x -> tanh\n"
        "    node n[2] = sum(each (x, earlier n) -> beside(y))\n"
        "    keep 1 edge per node by weight\n    return n[1]\n}\n"
    )
    (kind,) = compiled(program + AROUND.format()).program.kinds
    assert [d.path for d in kind.decisions] == ["n[0] from x", "n[1] from x", "n[1] from n[0]"]
