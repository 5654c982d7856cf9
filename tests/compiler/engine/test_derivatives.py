"""An optimised supernet is differentiated once; what would be wrong is refused, not computed."""

from __future__ import annotations

import pytest
import torch
from support import images, space
from torch import Tensor

import compiler
from compiler import Supernet
from runtime.bilevel import BilevelStep

TEXT = """
    cell u from x = x -> choose { relu_conv_bn(3), max_pool(3), skip }
    network(C = 4) from image[3, 6, 6] to class[3] =
        image -> conv(3, out: C) -> repeat 2 { u } -> global_pool(mean) -> linear(3)
"""


def fast() -> tuple[Supernet, Tensor]:
    net = compiler.build(space(TEXT), passes="fast")
    assert isinstance(net, Supernet)
    return net, images(net.program, 3)


@pytest.mark.parametrize("options", [{}, {"allow_unused": True}, {"materialize_grads": True}])
def test_second_derivatives_are_refused(options: dict[str, bool]) -> None:
    net, x = fast()
    weights = list(net.parameters())
    with pytest.raises(RuntimeError, match="passes='simple'"):
        first = torch.autograd.grad(net(x).pow(2).sum(), weights, create_graph=True, **options)
        torch.autograd.grad(first[0].sum(), weights, **options)


def test_functional_derivatives_are_refused() -> None:
    net, x = fast()
    weights = dict(net.named_parameters())

    def loss(values: dict[str, Tensor]) -> Tensor:
        result: Tensor = torch.func.functional_call(net, values, (x,)).pow(2).sum()
        return result

    for transform in (torch.func.grad, torch.func.hessian, torch.func.jacfwd):
        with pytest.raises(RuntimeError):
            transform(loss)(weights)


def test_the_exact_hessian_is_refused_and_the_finite_difference_is_not() -> None:
    net, x = fast()
    before = {name: value.clone() for name, value in net.named_parameters()}
    for hessian in ("exact", "finite_difference"):
        weights = torch.optim.SGD(net.weight_parameters(), lr=0.1)
        alphas = torch.optim.Adam(net.arch_parameters())
        step = BilevelStep(net, weights, alphas, order=2, hessian=hessian)
        batch = x, torch.tensor([0, 1, 2])
        if hessian == "exact":
            with pytest.raises(RuntimeError, match="differentiated once"):
                step(batch, batch)
            assert all(torch.equal(before[n], p) for n, p in net.named_parameters())
        else:
            step(batch, batch)
            assert not any(torch.equal(before[n], p) for n, p in net.named_parameters())


def test_going_back_twice_is_refused() -> None:
    net, x = fast()
    loss = net(x).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="gone backward already"):
        loss.backward()


@pytest.mark.parametrize("asked", ["alphas", "weights", "everything"])
@pytest.mark.parametrize("changed", ["weight", "alphas", "input"])
def test_what_changed_since_the_pass_is_noticed(changed: str, asked: str) -> None:
    net, x = fast()
    alphas, weights = list(net.arch_parameters()), list(net.weight_parameters())
    by = {"alphas": alphas, "weights": weights, "everything": alphas + weights}[asked]
    for parameter in alphas + weights:
        parameter.requires_grad_(any(parameter is other for other in by))
    mixing = {"u": torch.softmax(alphas[0], -1)}
    output = net.optimised([x], [mixing])
    with torch.no_grad():
        {"weight": weights[0], "alphas": mixing["u"], "input": x}[changed].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(output.sum(), by)
