"""The generated search network is that of the paper: an independent writing of it agrees."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from reference.darts import SearchNetwork
from support import CIFAR, PROGRAMS, carry_over, gradients, in_program_order, randomise, weights

import compiler
from compiler import Supernet
from compiler.passes import PIPELINES

SHAPES = [(4, 3, 16), (3, 4, 12), (2, 8, 8), (6, 2, 8), (2, 5, 20)]


def pair(C: int, N: int, size: int, passes: str) -> tuple[Supernet, SearchNetwork]:
    net = compiler.build(CIFAR, passes=passes, C=C, N=N, size=size)
    assert isinstance(net, Supernet)
    randomise(net)
    reference = SearchNetwork(C=C, N=N)
    carry_over(net.model, reference)
    return net, reference


@pytest.mark.parametrize("passes", PIPELINES)
@pytest.mark.parametrize(("C", "N", "size"), SHAPES)
def test_logits_gradients_and_statistics_are_those_of_the_reference(
    C: int, N: int, size: int, passes: str
) -> None:
    net, reference = pair(C, N, size, passes)
    alphas = {
        kind: alpha.detach().clone().requires_grad_()
        for kind, alpha in zip(("normal", "reduce"), net.arch_parameters(), strict=True)
    }
    x, targets = torch.randn(3, 3, size, size), torch.tensor([1, 0, 7])
    ours = net(x)
    theirs = reference(x, {kind: alpha.softmax(-1) for kind, alpha in alphas.items()})
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)

    loss, expected = F.cross_entropy(ours, targets), F.cross_entropy(theirs, targets)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    parameters = [*net.weight_parameters(), *net.arch_parameters()]
    others = [*reference.parameters(), *alphas.values()]
    for own, other in zip(gradients(loss, parameters), gradients(expected, others), strict=True):
        if own is None or other is None:  # a kind that the network does not use
            assert own is other
            continue
        torch.testing.assert_close(own, other, rtol=1e-7, atol=1e-9)

    pairs = zip(in_program_order(net.model), in_program_order(reference), strict=True)
    for (name, own), (_, other) in pairs:
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9, msg=name)

    net.eval(), reference.eval()
    mixing = {kind: alpha.softmax(-1) for kind, alpha in alphas.items()}
    torch.testing.assert_close(net(x), reference(x, mixing), rtol=1e-9, atol=1e-9)


def test_the_published_number_of_weights() -> None:
    net = compiler.build(CIFAR)
    assert isinstance(net, Supernet)
    assert sum(p.numel() for p in net.weight_parameters()) == 1_930_618


def test_alphas_start_small_and_random() -> None:
    net = compiler.build(CIFAR, C=2, N=3)
    assert isinstance(net, Supernet)
    alphas = torch.cat([a.detach().flatten() for a in net.arch_parameters()])
    assert [tuple(a.shape) for a in net.arch_parameters()] == [(14, 8), (14, 8)]
    assert 0.8e-3 < alphas.std() < 1.2e-3
    assert abs(alphas.mean()) < 3e-4


def test_one_seed_builds_one_network() -> None:
    nets = []
    for _ in range(2):
        torch.manual_seed(3)
        nets.append(compiler.build(CIFAR, C=2, N=3).state_dict())
    assert nets[0].keys() == nets[1].keys()
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_supernet_keeps_weights_and_alphas_apart(path) -> None:
    net = compiler.build(path)
    own = {id(p) for p in net.parameters()}
    first = {id(p) for p in net.weight_parameters()}
    second = {id(p) for p in net.arch_parameters()}
    assert first | second == own
    assert not first & second
    assert all(len(row) > 1 for alphas in net.arch_parameters() for row in alphas)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_copy_is_the_same_network_with_weights_of_its_own(path) -> None:
    net = compiler.build(path)
    copied = copy.deepcopy(net)
    assert weights(copied) == weights(net)
    assert copied.genotype() == net.genotype()
    next(iter(copied.arch_parameters())).data += 1
    first, second = next(iter(copied.arch_parameters())), next(iter(net.arch_parameters()))
    assert not torch.equal(first, second)


def test_a_network_without_a_choice_has_a_supernet_too(tmp_path) -> None:
    path = tmp_path / "plain.darts"
    path.write_text(
        "language 1\nnetwork(C = 4) from image[3, 8, 8] to class[2] =\n"
        "    image -> conv(3, out: C) -> repeat 2 { conv(3) } -> flatten -> linear(2)\n"
    )
    net = compiler.build(path)
    assert net(torch.randn(2, 3, 8, 8)).shape == (2, 2)
    assert list(net.arch_parameters()) == []
    assert net.genotype().cells == {}
