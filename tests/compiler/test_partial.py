"""Layers of which a part takes part, as no file can say it: `active` is put into the IR by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import compiled, images, model_state, randomise, rows

from compiler import Supernet
from compiler.builder import Builder
from compiler.codegen.module import generate
from compiler.compile import execute
from compiler.expr import Const, Expr, Symbol
from compiler.flat.interpret import interpret_flat
from compiler.flat.nodes import FLAT
from compiler.instantiate import instantiate
from compiler.interpret import interpret
from compiler.ir import Choice, Layer, Region
from compiler.passes import pipeline
from compiler.program import Program
from compiler.verify import verify

MIXED = """
    op cut(k) from x = x -> layer_norm -> linear(k)
    op halved = layer_norm -> gelu
    cell u(C) from x {
        shared pixelwise = layer_norm
        shared stepwise = layer_norm
        shared heads = attention(4, width: 3)
        y = x -> conv(1, out: C) -> choose { pixelwise as all, pixelwise as part_3, relu }
        t = y -> tokens -> choose { stepwise as part_1, stepwise as all, stepwise as part_2 }
        z = t -> choose { heads as part_1, heads as part_2, heads as all }
        return z -> stepwise -> heads -> as_image(3)
    }
    network(C = 4) from image[2, 3, 4] to class[3] {
        y = image -> u(C) -> tokens
        return ((y -> cut(3) -> attention(3)) + (y -> halved -> linear(3))) -> global_pool(max)
    }
"""


def with_parts(program: Program) -> Program:
    """The program in which options called `part_n` use so much, and ops some of their norms."""
    parts: dict[str, Expr] = {"cut": Symbol("k"), "halved": Const(2)}
    for region in program.regions():
        for _, node in region.nodes():
            if isinstance(node, Choice):
                for option in node.region.options:
                    if option.label.startswith("part"):
                        let_take_part(option.body, Const(int(option.label[-1])))
        if region.name in parts:
            let_take_part(region, parts[region.name])
    return program


def let_take_part(region: Region, active: Expr) -> None:
    for number, node in region.nodes():
        if isinstance(node, Layer) and node.layer in ("layer_norm", "attention"):
            region.replace(number, arguments=(*node.arguments, ("active", active)))


def built(program: Program) -> tuple[Supernet, str]:
    """A supernet as module and engine, and the text of its module."""
    verify(program, after="hand")
    flat = program
    for each in pipeline("fast"):
        flat = each.apply(flat)
        verify(flat, after=each.name)
    source = generate(program, instantiate(program), "A network.")
    net = Supernet(execute(source, "<parts>")["Supernet"](), program, flat)
    randomise(net)
    for parameter in net.weight_parameters():
        if parameter.dim() == 1:
            parameter.data.normal_()
    return net, source


@pytest.fixture
def mixed() -> tuple[Supernet, str]:
    return built(with_parts(compiled(MIXED).program))


def test_shared_modules_are_called_with_what_takes_part(mixed: tuple[Supernet, str]) -> None:
    _, source = mixed
    for made in (
        "pixelwise = PartialLayerNorm(C)",
        "stepwise = PartialLayerNorm(C)",
        "heads = PartialAttention(C, 4, 3)",
        "attention = Attention(3, 3, 1)",
    ):
        assert source.count(f"self.{made}\n") == 1
    assert "[self.heads(t, 1), self.heads(t, 2), self.heads(t)]" in source
    assert "self.layer_norm(x, self.k)" in source


def test_weights_are_those_of_the_whole_layers(mixed: tuple[Supernet, str]) -> None:
    net, _ = mixed
    expected = instantiate(compiled(MIXED).program).weights
    assert instantiate(net.program).weights == expected
    assert sum(p.numel() for p in net.model.parameters()) == expected


def test_all_ways_of_running_agree(mixed: tuple[Supernet, str]) -> None:
    net, _ = mixed
    x, state = images(net.program, 3), model_state(net)
    with torch.no_grad():
        expected = interpret(net.program, [x], state, rows(net))
        torch.testing.assert_close(net.model(x, net.mixing_weights()), expected)
        program = net.program
        for each in pipeline("fast"):
            program = each.apply(program)
            if program.network.kind == FLAT:
                found = interpret_flat(program, [x], state, rows(net))
                torch.testing.assert_close(found, expected)
    torch.testing.assert_close(net(x), expected)


def test_gradients_of_the_engine_are_those_of_autograd(mixed: tuple[Supernet, str]) -> None:
    net, _ = mixed
    x = images(net.program, 3).requires_grad_()
    by = [x, *net.parameters()]
    g = torch.randn(3, 3)
    outputs = net(x), net.model(x, net.mixing_weights())
    assert type(outputs[0].grad_fn) is not type(outputs[1].grad_fn)
    found, expected = (torch.autograd.grad((out * g).sum(), by) for out in outputs)
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


def test_what_takes_no_part_changes_nothing() -> None:
    """Neither the other channels nor the rows and columns of weights that belong to them."""
    net, _ = built(with_parts(compiled(MIXED).program))
    norm = next(module for name, module in net.named_modules() if name.endswith("stepwise"))
    x = torch.randn(5, 2, 4)
    expected = norm(x, 2)
    x[..., 2:] += 7
    norm.weight.data[2:] += 7
    torch.testing.assert_close(norm(x, 2), expected)
    assert not expected[..., 2:].any()
    first = x[..., :2]
    centred = first - first.mean(-1, keepdim=True)
    by_hand = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(expected[..., :2], by_hand * norm.weight[:2] + norm.bias[:2])


def test_heads_that_take_no_part_are_as_if_their_columns_were_zero() -> None:
    net, _ = built(with_parts(compiled(MIXED).program))
    heads = next(module for name, module in net.named_modules() if name.endswith("heads"))
    x = torch.randn(6, 2, 4)
    expected = heads(x, 3)
    heads.out.weight.data[:, 9:] = 0
    torch.testing.assert_close(heads(x), expected)


@pytest.mark.parametrize(("layer", "given", "whole"), [
    ("layer_norm", {"affine": True}, 6), ("attention", {"heads": 2, "width": 3, "bias": True}, 2),
])  # fmt: skip
def test_a_part_that_is_everything_is_dropped_as_a_region_is_built(
    layer: str, given: dict[str, Any], whole: int
) -> None:
    builder = Builder(Region("r", "network"))
    x = builder.input("x", (Const(5), Const(6)))
    plain = tuple((name, Const(value)) for name, value in given.items())
    made = [
        builder.region.node(builder.layer(layer, (*plain, ("active", Const(active))), x))
        for active in (whole, 1)
    ]
    assert [dict(node.arguments).get("active") for node in made] == [None, Const(1)]
    assert made[0].arguments == plain
