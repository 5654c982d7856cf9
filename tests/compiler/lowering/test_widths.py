"""Entangled numbers: what the search network computes, and what is left of it for each number.

Some programs are compared with a calculation written by hand for random mixing weights. With all
weight on one number the search network is the final model whose weights are slices of the largest
ones. All ways of running it agree, and so do the counted costs with those of the networks.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from entangled import BY_HAND, PIXELS, PROGRAMS
from slices import carried, one_hot
from support import gradients, inputs, model_state, randomise, rows, space, weights
from torch import Tensor, nn

import compiler
from compiler import Genotype, Supernet, cost
from compiler.counting.architectures import architectures
from compiler.instantiate import instantiate
from compiler.interpret import interpret
from compiler.passes import PIPELINES
from dsl.diagnostics import DartsError


def built(name: str, passes: str = "none") -> Supernet:
    torch.manual_seed(0)
    net = compiler.build(space(PROGRAMS[name][0]), passes=passes)
    assert isinstance(net, Supernet)
    randomise(net)
    for parameter in net.weight_parameters():
        if parameter.dim() == 1:
            parameter.data.normal_()
    return net


def first(result: Any) -> Tensor:
    """The output of a network, without its state."""
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", BY_HAND)
def test_the_search_network_is_what_is_calculated_by_hand(name: str) -> None:
    net = built(name).eval()
    (x,) = inputs(net.program, 3)
    by_hand = PROGRAMS[name][1]
    assert by_hand is not None
    (kind,) = net.program.kinds
    mixed = {d.path: row for d, row in zip(kind.decisions, rows(net)["network"], strict=True)}
    with torch.no_grad():
        torch.testing.assert_close(net(x), by_hand(x, model_state(net), mixed))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_with_one_number_alone_it_is_the_final_model_of_slices(name: str, training: bool) -> None:
    net, read = built(name), space(PROGRAMS[name][0])
    given = inputs(net.program, 3)
    state = model_state(net)
    for genotype in drawn_genotypes(net):
        final = compiler.build(read, genotype=genotype)
        carried(final, state, PIXELS.get(name))
        net.model.load_state_dict(state)
        net.train(training), final.train(training)
        chosen = one_hot(net.program.kinds, genotype)
        torch.testing.assert_close(first(net.model(*given, chosen)), first(final(*given)))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_all_ways_of_running_it_agree(name: str, training: bool) -> None:
    net = built(name)
    given, state, mixed = inputs(net.program, 3), model_state(net), rows(net)
    with torch.no_grad():
        plain = {n: value.clone() for n, value in state.items()}
        expected = first(interpret(net.program, given, plain, mixed, training))
    g, found = torch.randn_like(expected), []
    for passes in PIPELINES:
        each = built(name, passes)
        each.load_state_dict(net.state_dict())
        each.train(training)
        out = first(each(*given))
        torch.testing.assert_close(out, expected)
        found.append(gradients((out * g).sum(), list(each.parameters())))
    for other in found[1:]:
        for own, like in zip(found[0], other, strict=True):
            zeros = torch.zeros(())
            pair = torch.broadcast_tensors(*(zeros if v is None else v for v in (own, like)))
            torch.testing.assert_close(*pair, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", PROGRAMS)
def test_costs_are_those_of_the_networks(name: str) -> None:
    net, read = built(name), space(PROGRAMS[name][0])
    assert instantiate(net.program).weights == weights(net.model)
    for genotype in drawn_genotypes(net):
        final = compiler.build(read, genotype=genotype)
        found = cost(read, genotype)
        assert found.parameters == weights(final)
        assert found.macs == multiplications(final, inputs(net.program, 1, steps=1))


def multiplications(net: nn.Module, given: list[Tensor]) -> int:
    """What convolutions, matrices and attention multiply, counted while a sample goes through."""
    total = 0

    def count(module: nn.Module, read: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal total
        match module:
            case nn.ConvTranspose2d():
                total += read[0].numel() * module.weight[0].numel()
            case nn.Conv2d() | nn.Linear():
                total += out.numel() * module.weight[0].numel()
            case _ if type(module).__name__ in ("Attention", "PartialAttention"):
                inner = module.out.in_features  # type: ignore[union-attr]
                total += 2 * len(out) ** 2 * inner

    handles = [module.register_forward_hook(count) for module in net.modules()]
    with torch.no_grad():
        net.eval()(*given)
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize("name", PROGRAMS)
def test_architectures_are_the_numbers_that_can_be_chosen_together(name: str) -> None:
    assert architectures(built(name).program.kinds) == PROGRAMS[name][2]


def drawn_genotypes(net: Supernet) -> list[Genotype]:
    """What is derived of alphas drawn at random, each genotype once."""
    found: list[Genotype] = []
    for _ in range(24):
        for alphas in net.arch_parameters():
            alphas.data.normal_()
        genotype = net.genotype()
        found += [] if genotype in found else [genotype]
    return found


@pytest.mark.parametrize(("code", "where", "text"), [
    ("E0611", "conv(3, stride: w)", "conv(3, stride: w)"),
    ("E0611", "conv(3, dilation: w)", "conv(3, dilation: w)"),
    ("E0611", "conv(w, padding: 1)", "conv(w, padding: 1)"),
    ("E0611", "depthwise(w, across: 3)", "depthwise(w, across: 3)"),
    ("E0611", "conv(w + 1)", "conv(w + 1)"),
    ("E0611", "conv_transpose(w)", "conv_transpose(w)"),
    ("E0611", "dropout(w)", "dropout(w)"),
    ("E0611", "conv(1, out: 9 - w)", "9 - w"),
    ("E0611", "conv(1, out: -w)", "-w"),
    ("E0611", "conv(1, out: 8 // w)", "8 // w"),
    ("E0611", "conv(1, out: w % 2 + 1)", "w % 2"),
    ("E0611", "conv(1, out: 9 + (0 - 1) * w)", "conv(1, out: 9 + (0 - 1) * w)"),
    ("E0503", "conv(1, out: w - 1)", "conv(1, out: w - 1)"),
    ("E0503", "conv(1, out: w * 1.5)", "conv(1, out: w * 1.5)"),
    ("E0612", "(relu when w > 1)", "w > 1"),
    ("E0612", "(relu when not w)", "not w"),
    ("E0612", "conv(1, out: w) -> conv(1, groups: 1 + 1)", "conv(1, groups: 1 + 1)"),
    ("E0612", "conv(1, out: 2 * w, groups: 2)", "conv(1, out: 2 * w, groups: 2)"),
    ("E0612", "conv(1, out: w) -> group_norm(1)", "group_norm(1)"),
    ("E0612", "conv(1, out: w) -> shuffle(1)", "shuffle(1)"),
    ("E0612", "conv(1, out: w) -> tokens -> attention(1)", "attention(1)"),
    ("E0612", "tokens -> attention(w)", "attention(w)"),
    ("E0612", "conv(1, out: w) -> kind(3)", "kind(3)"),
    ("E0612", "kind(w)", "kind(w)"),
    ("E0612", "conv(1, out: w) -> demanding", "x[3, _, _]"),
    ("E0612", "leaves", "x -> conv(1, out: e)"),
    ("E0702", "repeat choose entangled {1, 1.5} { relu }", "choose entangled {1, 1.5}"),
    ("E0612", "repeat w + 1 { relu }", "w + 1"),
    ("E0611", "choose entangled {relu, tanh}", "choose entangled {relu, tanh}"),
])  # fmt: skip
def test_what_has_no_slices_is_refused_where_it_stands(code: str, where: str, text: str) -> None:
    program = f"""
        op demanding from x[3, _, _] = x -> relu
        cell kind(C) from x = x -> conv(1, out: C) -> choose {{relu, tanh}}
        cell leaves from x {{ e = choose entangled {{1, 2}}  return x -> conv(1, out: e) }}
        network from image[2, 4, 4] to class[3] {{
            w = choose entangled {{1, 3}}
            y = image -> {where}
            return y -> flatten -> linear(3)
        }}
    """
    assert refused(program) == (code, text)


@pytest.mark.parametrize(("code", "value", "text"), [
    ("E0612", "split(a, 1)[0]", "split(a, 1)"),
    ("E0612", "concat(a, image)", "concat(a, image)"),
    ("E0612", "sum(a, image)", "sum(a, image)"),
    ("E0612", "a * image", "a * image"),
    ("E0612", "1 / a", "a"),
    ("E0612", "image / a", "a"),
    ("E0611", "image * w", "image * w"),
    ("E0612", "choose {a, image}", "choose {a, image}"),
    ("E0612", "a -> choose {relu, conv(1, out: 2)}", "{relu, conv(1, out: 2)}"),
    ("E0612", "a -> repeat choose entangled {0, 1} { conv(1, out: 2) }",
     "repeat choose entangled {0, 1} { conv(1, out: 2) }"),
    ("E0612", "(image -> relu) when w > 1 else image", "w > 1"),
    ("E0611", "choose entangled {a, a -> relu}", "choose entangled {a, a -> relu}"),
])  # fmt: skip
def test_values_of_an_open_width_meet_only_what_is_as_wide(
    code: str, value: str, text: str
) -> None:
    program = f"""
        network from image[2, 4, 4] to class[3] {{
            w = choose entangled {{1, 2}}
            a = image -> conv(1, out: w)
            y = {value}
            return y -> flatten -> linear(3)
        }}
    """
    assert refused(program) == (code, text)


def refused(program: str) -> tuple[str, str]:
    """The code of the first fault of a program, and the text that it marks."""
    with pytest.raises(DartsError) as caught:
        compiler.build(space(program))
    fault = caught.value.diagnostics[0]
    assert fault.span is not None
    return fault.code, fault.span.text


def test_what_runs_over_time_or_leaves_the_network_is_of_a_known_width() -> None:
    cell = "cell c(H) from x, h[H] = concat(x, h) -> linear(H) -> choose {relu, tanh}\n"
    network = "network(V = 7) from word[T] below V to word[T, V] { e = choose entangled {2, 7}\n"
    given = cell + network + "return word -> embedding(V, 4) -> c(e) over T -> linear(V) }"
    assert refused(given) == ("E0612", "c(e) over T")
    flowing = cell + network + "return word -> embedding(V, e) -> c(4) over T -> linear(V) }"
    assert refused(flowing) == ("E0612", "c(4) over T")
    result = "word -> embedding(V, e)"
    assert refused(f"{network} return {result} }}") == ("E0612", result)


def test_a_slice_of_sizes_that_are_known_late_is_refused_too() -> None:
    """Where the largest number does not make the largest layer of a cell."""
    program = """
        cell c(C) from x {
            w = choose entangled {1, 2}
            return x -> conv(1, out: w * (C - 5) + 10) -> conv(1, out: C)
        }
        network from image[2, 4, 4] to class[3] = image -> c(3) -> flatten -> linear(3)
    """
    assert refused(program) == ("E0503", "conv(1, out: w * (C - 5) + 10)")


def test_numbers_on_which_nothing_hangs_are_no_decisions() -> None:
    net = compiler.build(
        space("""
        network from image[2, 4, 4] to class[3] {
            w = choose entangled {1, 2}  k = choose {3, 5}
            return image -> conv(3) -> flatten -> linear(3)
        }
    """)
    )
    assert isinstance(net, Supernet)
    assert not net.program.kinds
    net(inputs(net.program)[0])


def test_numbers_may_be_reckoned_from_parameters() -> None:
    """Whose labels hold in every profile, where `as` gives them."""
    text = space("""
        cell c(C) from x {
            w = choose entangled {C as narrow, 2 * C as wide}
            return x -> conv(1, out: w) -> conv(1, out: C)
        }
        network(C) from image[2, 4, 4] to class[3] = image -> c(C) -> flatten -> linear(3)
        profile search { C = 2 }
        profile final { C = 3 }
    """)
    net = compiler.build(text)
    assert isinstance(net, Supernet)
    assert net.model.get_parameter("c.conv_0.weight").shape[0] == 4
    next(net.arch_parameters()).data[0, 1] = 1
    genotype = net.genotype()
    assert dict(genotype.cells["c"].decisions) == {"w": "wide"}
    final = compiler.build(text, genotype=genotype)
    assert final.get_parameter("c.conv_0.weight").shape[0] == 6
