"""Random programs with chosen numbers: all ways of running them agree, and so do what they come to.

With all weight on what a genotype chooses, a search network computes what its final model does, and
its gradients are the final model's where that has weights and zeros elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from constructs import NUMBERS, of_numbers
from random_numbers import random_numbers
from slices import one_hot, sliced
from support import gradients, inputs, model_state, randomise, rows, weights
from torch import Tensor, nn

import compiler
from compiler import Supernet, cost
from compiler.counting.architectures import architectures
from compiler.instantiate import instantiate
from compiler.interpret import interpret
from compiler.passes import PIPELINES
from dsl import Space, load_text
from dsl.parse import parse
from dsl.source import Source

CHUNK, COUNT = 5, 40


@pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
def test_all_writings_of_a_program_agree(first: int) -> None:
    for number in range(first, first + CHUNK):
        text = random_numbers(number)
        try:
            check(number, load_text(text))
        except Exception as error:
            error.add_note(f"program {number}:\n{text}")
            raise


def test_every_use_of_numbers_occurs_in_ten_programs_of_200() -> None:
    texts = [parse(Source(f"<numbers {i}>", random_numbers(i))) for i in range(200)]
    found = [frozenset(of_numbers(text)) for text in texts]
    counts = {name: sum(name in one for one in found) for name in NUMBERS}
    assert {name: count for name, count in counts.items() if count < 10} == {}


def test_a_program_is_a_function_of_its_number() -> None:
    assert random_numbers(7) == random_numbers(7) != random_numbers(8)


def check(number: int, space: Space) -> None:
    torch.manual_seed(number)
    nets: dict[str, Supernet] = {}
    for passes in PIPELINES:
        net = compiler.build(space, passes=passes)
        assert isinstance(net, Supernet)
        nets[passes] = net
    net = nets["none"]
    randomise(net)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    given = inputs(net.program, 3)
    assert instantiate(net.program).weights == weights(net.model)
    for training in (True, False):
        agree(nets, state, given, training)
    for _ in range(3):
        for alphas in net.arch_parameters():
            alphas.data.normal_()
        net.load_state_dict(
            {n: v for n, v in state.items() if n.startswith("model.")}, strict=False
        )
        derived(space, net.train(), given)
    assert architectures(net.program.kinds) >= 2


def agree(
    nets: dict[str, Supernet], state: dict[str, Tensor], given: list[Tensor], training: bool
) -> None:
    """Interpreted, as modules and by the engine, with random mixing weights."""
    net = nets["none"]
    net.load_state_dict(state)
    mixed = rows(net)
    with torch.no_grad():
        plain = {n: value.clone() for n, value in model_state(net).items()}
        expected = interpret(net.program, given, plain, mixed, training)
    g, found = torch.randn_like(expected), []
    for each in nets.values():
        each.load_state_dict(state)
        each.train(training)
        out = each(*given)
        torch.testing.assert_close(out, expected)
        found.append(gradients((out * g).sum(), list(each.parameters())))
    for other in found[1:]:
        for own, like in zip(other, found[0], strict=True):
            zeros = torch.zeros(())
            pair = torch.broadcast_tensors(*(zeros if v is None else v for v in (own, like)))
            torch.testing.assert_close(*pair, rtol=1e-8, atol=1e-8)


def derived(space: Space, net: Supernet, given: list[Tensor]) -> None:
    """A final model has its weights in the order of those that the search network uses."""
    genotype = net.genotype()
    final = compiler.build(space, genotype=genotype).train()
    assert cost(space, genotype).parameters == weights(final)
    out = net.model(*given, one_hot(net.program.kinds, genotype))
    g = torch.randn_like(out)
    used = list(with_gradients((out * g).sum(), net.model))
    names = [name for name, _ in final.named_parameters()]
    assert len(used) == len(names)
    own = dict(final.named_parameters())
    with torch.no_grad():
        for name, (whole, _) in zip(names, used, strict=True):
            own[name].copy_(sliced(name, whole, own[name].shape))
    made = final(*given)
    torch.testing.assert_close(made, out)
    found = torch.autograd.grad((made * g).sum(), list(own.values()))
    for name, gradient, (_, whole) in zip(names, found, used, strict=True):
        torch.testing.assert_close(gradient, sliced(name, whole, gradient.shape))
        torch.testing.assert_close(gradient.abs().sum(), whole.abs().sum())  # elsewhere it is zero


def with_gradients(loss: Tensor, net: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """The weights on which a loss hangs, with its gradients, in the order of the modules."""
    parameters = list(net.parameters())
    for parameter, gradient in zip(parameters, gradients(loss, parameters), strict=True):
        if gradient is not None and gradient.any():
            yield parameter.detach(), gradient
