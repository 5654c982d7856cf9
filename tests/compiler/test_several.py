"""Networks of several inputs and outputs: all writings agree, and an independent one in torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support import inputs, randomise, rows, space
from torch import Tensor, nn

import compiler
from compiler import Supernet
from compiler.compile import compile_space, execute
from compiler.flat.interpret import interpret_flat
from compiler.interpret import interpret
from compiler.passes import PIPELINES, pipeline
from dsl import DartsError

IMAGES = """
    set ops = { sink none, skip, sep_conv(3), max_pool(3) }
    cell unit(C) from x {
        a = x -> project(C)
        node n[2] = sum(a -> choose ops, each earlier n -> choose ops)
        keep 1 edge per node by weight
        return concat(n)
    }
    network(C = 4) from image[3, 8, 8], measured[5] to class[10], box[4] {
        gate = measured -> linear(C) -> sigmoid
        seen = (image -> conv(3, out: C) -> bn) * gate
        cells = seen -> repeat 2 { unit(C) }
        y = cells -> global_pool(mean)
        auxiliary cells[0] -> global_pool(max) -> linear(10)
        return (y -> linear(10), concat(y, gate) -> linear(4) -> tanh)
    }
    profile final { auxiliary_weight = 0.4 }
"""
WORDS = """
    cell unit(H) from x, h[H] = (concat(x, h) -> linear(H)) -> choose { tanh, relu }
    network(V = 7, H = 4)
    from image[3, 4, 4], word[T] below V, tag[S] below 3 to next[T, V], class[3], mark[S, 2] {
        look = image -> flatten -> linear(H)
        h = ((word -> embedding(V, H)) + look) -> unit(H) over T
        return (h -> linear(V), look -> linear(3), tag -> embedding(3, 2))
    }
"""
# outputs that are one value, an input, and what another output is made of
SAME = """
    cell unit from x = x -> choose { conv(3), relu }
    network from image[3, 4, 4], other[3, 4, 4] to a[4], b[4], c[3, 4, 4], d[4], e[3, 4, 4] {
        y = image -> unit -> bn
        p, q = (y + other) -> ends
        return (p, p, other, q, image -> conv(3))
    }
    op ends from x {
        z = x -> flatten -> linear(4)
        return (z, z -> relu -> linear(4))
    }
"""


def supernet(text: str, passes: str) -> Supernet:
    torch.manual_seed(0)
    net = compiler.build(space(text), passes=passes)
    assert isinstance(net, Supernet)
    randomise(net)
    return net


def flat(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    else:
        for part in result:
            yield from flat(part)


def loss_of(values: Sequence[Tensor]) -> Tensor:
    """A loss on which all values act, each number by another weight."""
    torch.manual_seed(2)
    return torch.stack([(torch.randn(value.shape) * value).sum() for value in values]).sum()


def gradients(values: Sequence[Tensor], by: Sequence[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(loss_of(values), by, allow_unused=True)
    return [torch.zeros_like(b) if g is None else g for g, b in zip(found, by, strict=True)]


def close(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for value, other in zip(found, expected, strict=True):
        torch.testing.assert_close(value, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("text", [IMAGES, WORDS, SAME])
def test_pipelines_give_the_same_values_gradients_and_statistics(text: str) -> None:
    plain = supernet(text, "none")
    read = [x.requires_grad_(x.is_floating_point()) for x in inputs(plain.program, 3)]
    leaves = [x for x in read if x.requires_grad]
    state = {name: value.clone() for name, value in plain.state_dict().items()}
    expected = list(flat(plain(*read)))
    by = gradients(expected, [*plain.parameters(), *leaves])
    for passes in PIPELINES:
        net = supernet(text, passes)
        net.load_state_dict(state)
        assert net.optimised is None or net.optimised.stands_for(*read)
        values = list(flat(net(*read)))
        close(values, expected)
        close(gradients(values, [*net.parameters(), *leaves]), by)
        close([b.double() for b in net.buffers()], [b.double() for b in plain.buffers()])


@pytest.mark.parametrize("text", [IMAGES, WORDS, SAME])
@torch.no_grad()
def test_interpreters_say_the_same(text: str) -> None:
    net = supernet(text, "none")
    read, weights = inputs(net.program, 3), rows(net)
    state = {name: value.clone() for name, value in net.model.state_dict().items()}
    expected = list(flat(net(*read)))
    close(list(flat(interpret(net.program, read, state, weights))), expected)
    program = net.program
    for each in pipeline("fast"):
        program = each.apply(program)
    close(list(flat(interpret_flat(program, read, state, weights))), expected)


@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("passes", PIPELINES)
def test_gradients_of_some_outputs_alone(used: tuple[int, ...], passes: str) -> None:
    found = []
    for chosen in ("none", passes):
        net = supernet(IMAGES, chosen)
        torch.manual_seed(1)
        outputs = net(*inputs(net.program, 3))
        found.append(gradients([outputs[i] for i in used], list(net.parameters())))
    close(found[1], found[0])


def test_an_independent_writing_in_torch() -> None:
    """The network of the page on the language, its choice decided."""
    net = compiler.build(
        space("""
            network(C = 8) from image[3, 6, 6], measured[5] to class[10], box[4] {
                gate = measured -> linear(C) -> sigmoid
                seen = (image -> conv(3, out: C)) * gate
                y = seen -> global_pool(mean)
                return (y -> linear(10), concat(y, gate) -> linear(4))
            }
        """)
    )
    gate, conv, first, second = (module for module in net.model.children())
    image, measured = torch.randn(2, 3, 6, 6), torch.randn(2, 5)
    g = torch.sigmoid(measured @ gate.weight.T + gate.bias)
    y = (F.conv2d(image, conv.weight, padding=1) * g[:, :, None, None]).mean((2, 3))
    logits, box = net(image, measured)
    close([logits], [y @ first.weight.T + first.bias])
    close([box], [torch.cat([y, g], 1) @ second.weight.T + second.bias])


def test_final_models_and_their_auxiliary_head() -> None:
    """In training the head comes last; in evaluation it does not."""
    net = supernet(IMAGES, "none")
    genotype, read = net.genotype(), inputs(net.program, 3)
    plain = compiler.build(space(IMAGES), genotype=genotype)
    headed = compiler.build(space(IMAGES), genotype=genotype, auxiliary=True)
    headed.load_state_dict(plain.state_dict(), strict=False)
    outputs = plain(*read)
    assert [tuple(o.shape) for o in outputs] == [(3, 10), (3, 4)]
    *same, head = headed(*read)
    close(same, outputs)
    assert head.shape == (3, 10)
    close(headed.eval()(*read), plain.eval()(*read))
    assert headed.auxiliary_modules == ("auxiliary",)


def test_an_emitted_file_is_what_is_built(tmp_path: Path) -> None:
    genotype = supernet(IMAGES, "none").genotype()
    net = compiler.build(space(IMAGES), genotype=genotype)
    compiler.emit(space(IMAGES), genotype=genotype, path=tmp_path / "model.py")
    made = execute((tmp_path / "model.py").read_text(encoding="utf-8"), "<model>")["Network"]()
    made.load_state_dict(net.state_dict())
    read = inputs(supernet(IMAGES, "none").program, 3)
    close(list(made(*read)), list(net(*read)))


def test_values_that_are_given_back_and_read_are_computed_once() -> None:
    source = compile_space(space(SAME)).source
    assert source.count("self.z(") == 1


def test_states_follow_the_outputs() -> None:
    net = supernet(WORDS, "fast")
    read = inputs(net.program, 3)
    (following, _, _), state = net(*read)
    assert following.shape == (5, 3, 7) and state.shape == (3, 4)
    again, _ = net(*read, state)
    assert not torch.equal(again[0], following)
    close(list(flat(net(*read, None))), list(flat(net(*read))))


def test_another_number_of_tensors() -> None:
    net = supernet(IMAGES, "fast")
    image, measured = inputs(net.program, 2)
    for given in ((image,), (image, measured, None, None)):
        with pytest.raises(TypeError, match="reads image, measured, and was given"):
            net(*given)


def test_batches_that_differ_are_left_to_torch() -> None:
    net = supernet(IMAGES, "fast")
    image, _ = inputs(net.program, 2)
    assert not net.optimised.stands_for(image, torch.randn(3, 5))
    with pytest.raises(RuntimeError, match="must match"):
        net(image, torch.randn(3, 5))


def test_each_input_of_words_has_its_own_number() -> None:
    text = """
        network from word[T] below 5, other[S] below 7 to a[T, 4], b[S, 3] =
            (word -> embedding(5, 4), other -> embedding({}, 3))
    """
    net = compiler.build(space(text.format(7)))
    assert [type(m) for m in net.model.children()] == [nn.Embedding, nn.Embedding]
    with pytest.raises(DartsError, match="5 rows, the words are below 7"):
        compiler.build(space(text.format(5)))


def test_costs_of_both_heads() -> None:
    found = compiler.cost(space(IMAGES), supernet(IMAGES, "none").genotype())
    net = compiler.build(space(IMAGES), genotype=supernet(IMAGES, "none").genotype())
    assert found.parameters == sum(p.numel() for p in net.parameters())
    assert found.auxiliary_parameters == 8 * 10 + 10
