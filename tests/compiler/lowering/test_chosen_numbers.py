"""Numbers chosen between calls: every combination has weights of its own, mixed by the product."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from slices import one_hot
from support import gradients, inputs, model_state, randomise, rows, space, weights
from torch import Tensor

import compiler
from compiler import Supernet, cost
from compiler.counting.architectures import architectures
from compiler.interpret import interpret
from compiler.passes import PIPELINES
from dsl.diagnostics import DartsError

TWO = """
    op f(k, out) = conv(k, out: out, bias: yes) -> bn -> relu -> conv(1, out: 2)
    network from image[2, 4, 4] to class[3]
        = image -> f(choose {3, 5}, choose {3, 6}) -> flatten -> linear(3)
"""
OPEN = """
    op f(k) from x[c, _, _] = x -> conv(k, out: 2 * c, bias: yes) -> conv(1, out: c)
    network from image[2, 4, 4] to class[3]
        = image -> conv(1, out: choose entangled {2, 3}) -> f(choose {1, 3}) -> flatten -> linear(3)
"""
CELL = """
    op f(k, m, C) = conv(k, out: m * C) -> bn -> conv(1, out: C)
    cell c(C) from x = x -> f(choose {1, 3}, choose {1, 2}, C) -> choose {relu, conv(3)}
    network from image[2, 4, 4] to class[3] = image -> c(2) -> c(3) -> flatten -> linear(3)
"""
NESTED = """
    cell c(C) from x
        = x -> choose {conv(choose {1, 3}, out: C) as one, conv(3, out: C) -> bn as two}
    network from image[2, 4, 4] to class[3] = image -> c(2) -> c(3) -> flatten -> linear(3)
"""
LAYER = """
    network from image[2, 4, 4] to class[3]
        = image -> conv(choose {1, 3}, out: 3) -> pool(max, choose {1, 3}) -> flatten -> linear(3)
"""
TIME = """
    op f(k, H) = linear(k) -> tanh -> linear(H)
    cell c(H) from x, h[H] = concat(x, h) -> f(choose {2, 4}, H)
    network(V = 7) from word[T] below V to word[T, V]
        = word -> embedding(V, 4) -> c(3) over T -> linear(V)
"""
PROGRAMS = {"two": TWO, "open": OPEN, "cell": CELL, "nested": NESTED, "layer": LAYER, "time": TIME}
ARCHITECTURES = {"two": 4, "open": 4, "cell": 8, "nested": 3, "layer": 4, "time": 2}


def built(name: str, passes: str = "none") -> Supernet:
    torch.manual_seed(0)
    net = compiler.build(space(PROGRAMS[name]), passes=passes)
    assert isinstance(net, Supernet)
    randomise(net)
    return net


def first(result: Tensor | tuple[Tensor, ...]) -> Tensor:
    return result[0] if isinstance(result, tuple) else result


def test_each_combination_is_weighed_by_the_product() -> None:
    net = built("two").eval()
    (x,) = inputs(net.program)
    state = model_state(net)
    of_k, of_out = rows(net)["network"]
    total = torch.zeros(())
    for (m, (at, k)), (n, out) in product(
        zip(of_k, (("f_k", 3), ("f_k_", 5)), strict=True), zip(of_out, (3, 6), strict=True)
    ):
        own = {
            name.removeprefix(f"{at}.{out}."): v
            for name, v in state.items()
            if name.startswith(f"{at}.{out}.")
        }
        y = F.conv2d(x, own["0.weight"], own["0.bias"], padding=k // 2)
        assert own["0.weight"].shape == (out, 2, k, k)
        moments = own["1.running_mean"], own["1.running_var"]
        y = F.batch_norm(y, *moments, own["1.weight"], own["1.bias"]).relu()
        total = total + m * n * F.conv2d(y, own["3.weight"])
    expected = F.linear(total.flatten(1), state["linear.weight"], state["linear.bias"])
    torch.testing.assert_close(net(x), expected)


def test_a_layer_may_be_given_such_numbers() -> None:
    net = built("layer").eval()
    (x,) = inputs(net.program)
    state = model_state(net)
    of_conv, of_pool = rows(net)["network"]
    one, three = state["conv_k.1.weight"], state["conv_k.3.weight"]
    y = of_conv[0] * F.conv2d(x, one) + of_conv[1] * F.conv2d(x, three, padding=1)
    y = of_pool[0] * y + of_pool[1] * F.max_pool2d(y, 3, 1, 1)
    expected = F.linear(y.flatten(1), state["linear.weight"], state["linear.bias"])
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize("name", PROGRAMS)
def test_all_ways_of_running_it_agree(name: str) -> None:
    net = built(name)
    given, state, mixed = inputs(net.program), model_state(net), rows(net)
    with torch.no_grad():
        plain = {n: value.clone() for n, value in state.items()}
        expected = first(interpret(net.program, given, plain, mixed, True))
    g, found = torch.randn_like(expected), []
    for passes in PIPELINES:
        each = built(name, passes)
        each.load_state_dict(net.state_dict())
        out = first(each(*given))
        torch.testing.assert_close(out, expected)
        found.append(gradients((out * g).sum(), list(each.parameters())))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", PROGRAMS)
def test_costs_and_counts_are_those_of_what_can_be_derived(name: str) -> None:
    net, read = built(name), space(PROGRAMS[name])
    found = set()
    for _ in range(24):
        for alphas in net.arch_parameters():
            alphas.data.normal_()
        genotype = net.genotype()
        final = compiler.build(read, genotype=genotype)
        assert cost(read, genotype).parameters == weights(final)
        found.add(str(genotype))
    assert architectures(net.program.kinds) == ARCHITECTURES[name] == len(found)


def test_with_one_combination_alone_it_is_the_final_model() -> None:
    net, read = built("two").eval(), space(TWO)
    (x,) = inputs(net.program)
    state = model_state(net)
    for _ in range(12):
        for alphas in net.arch_parameters():
            alphas.data.normal_()
        genotype = net.genotype()
        k, out = (label for _, label in genotype.cells["network"].decisions)
        at = f"{'f_k' if k == '3' else 'f_k_'}.{out}."
        final = compiler.build(read, genotype=genotype).eval()
        own = {n.replace(at, "f_k."): v for n, v in state.items() if n.startswith((at, "linear"))}
        final.load_state_dict(own)
        chosen = one_hot(net.program.kinds, genotype)
        torch.testing.assert_close(net.model(x, chosen), final(x))


@pytest.mark.parametrize(("code", "statement", "text"), [
    ("E0611", "y = image -> conv(k) -> conv(k)", "choose {1, 3}"),
    ("E0611", "y = image -> repeat 2 { conv(k) }", "choose {1, 3}"),
    ("E0611", "y = image -> repeat k { relu }", "k"),
    ("E0611", "y = image -> conv(2 * k - 1)", "k"),
    ("E0611", "y = image -> conv(-k)", "k"),
    ("E0611", "y = image -> (relu when k > 1)", "k"),
    ("E0611", "y = image * k", "k"),
    ("E0611", "node y[k] = image -> relu", "k"),
    ("E0601", "y = image -> conv(choose 2 of {1, 3, 5})", "choose 2 of {1, 3, 5}"),
    ("E0601", "y = image -> conv(choose {1, yes})", "yes"),
    ("E0501", "y = image -> conv(1, out: choose {1, 2})", "conv(1, out: choose {1, 2})"),
])  # fmt: skip
def test_such_a_number_stays_within_one_call(code: str, statement: str, text: str) -> None:
    program = f"""
        network from image[2, 4, 4] to class[3] {{
            k = choose {{1, 3}}
            {statement}
            z = image
            return z -> flatten -> linear(3)
        }}
    """
    with pytest.raises(DartsError) as caught:
        compiler.build(space(program))
    fault = caught.value.diagnostics[0]
    assert fault.span is not None
    assert (fault.code, fault.span.text) == (code, text)
