"""Batch norms and mixtures: against the plain module, and a mixture against its formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support import space
from torch import nn

import compiler
from compiler.engine.mixing import BatchNorm, Mixture
from compiler.engine.network import Engine
from compiler.expr import Const
from compiler.flat.nodes import FLAT, MixingWeights, Norm, Term, Weight, mixture
from compiler.ir import Input, Region

IMAGES = "network from image[2, 4, 4] to class[3] = image -> conv(1, out: 4) -> u -> {}\n"
FLATTENED = IMAGES.format("flatten -> linear(3)")


@pytest.mark.parametrize("norm", ["bn", "bn(affine: no)"])
def test_norms(norm: str, on_images: Any, runs: Any) -> None:
    on_images(norm, BatchNorm)
    on_images(f"{norm} -> relu -> {norm}", BatchNorm)
    runs(f"network from x[5] to class[3] = x -> linear(4) -> {norm} -> tanh -> linear(3)",
         BatchNorm)  # fmt: skip


def test_a_norm_used_several_times(runs: Any) -> None:
    """Its statistics move once for every use, in order; its gradients add up."""
    for affine in ("yes", "no"):
        runs(f"""
            cell u from x {{
                shared w = bn(affine: {affine})
                y = x -> w -> conv(3)
                return sum(y -> w, x -> w, x -> w -> gelu)
            }}
            {FLATTENED}
        """, BatchNorm)  # fmt: skip


def test_norms_that_became_one_move_the_statistics_of_all(runs: Any) -> None:
    runs(f"""
        cell u from x = sum(x -> bn(affine: no), x -> bn(affine: no) -> relu, x -> bn(affine: no))
        {FLATTENED}
    """, BatchNorm)  # fmt: skip


OPTIONS = {
    "plain": "skip, relu, conv(3)",
    "norms": "conv(3) -> bn as a, max_pool(3) as b, conv(1) -> bn as c",
    "norms without weights": "conv(3) -> bn(affine: no) as a, pool(mean, 3) -> bn(affine: no) as b",
    "both": "skip, bn, conv(3) -> bn as a, conv(1), depthwise(3) -> bn(affine: no) as b",
    "one value in several": "skip, bn as a, identity, bn as b, relu -> bn as c",
    "zeros among them": "none, skip, conv(3) -> bn as a",
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_mixtures(options: str, runs: Any) -> None:
    """Of one choice; of two of one value; and with values that are added as they are."""
    choice = f"choose {{ {options} }}"
    for body in (
        f"x -> {choice}",
        f"sum(x -> {choice}, x -> relu -> {choice})",
        f"sum(x, x -> {choice}, x -> conv(1) -> bn, x -> tanh) -> {choice} -> {choice}",
    ):
        runs(f"cell u from x = {body}\n{FLATTENED}", Mixture)


def test_mixtures_of_vectors(runs: Any) -> None:
    options = "linear(4), bn, linear(4) -> bn as a, tanh, identity"
    for body in (f"x -> choose {{ {options} }}", f"sum(x, x -> choose {{ {options} }}, x -> bn)"):
        runs(f"cell u from x = {body}\nnetwork from x[5] to class[3] = x -> linear(4) -> u"
             " -> linear(3)", Mixture)  # fmt: skip


def test_one_row_of_weights_in_several_mixtures(runs: Any) -> None:
    """Cells of a kind share their alphas: gradients by them add up."""
    runs("""
        cell u from x = sum(x -> choose { skip, conv(3) -> bn as a, relu }, x)
        network from image[2, 4, 4] to class[3] =
            image -> conv(1, out: 4) -> repeat 3 { u } -> flatten -> linear(3)
    """, Mixture)  # fmt: skip


def test_by_the_formula() -> None:
    """Σ (constant + Σ ± w) · γ · (z − mean) / √(variance + ε) + β, differentiated by torch."""
    shape = tuple(map(Const, (3, 5, 5)))
    region = Region("formula", FLAT)
    values = [region.add(Input(name=name, shape=shape)) for name in "abc"]
    tensor = region.add(MixingWeights(name="w", kind="w", shape=(Const(2), Const(3))))
    terms = (
        Term((Weight(tensor, 0, 1),), norm=Norm(("affine",), True)),
        Term((Weight(tensor, 1, 2), Weight(tensor, 0, 0, -1)), 1, Norm(("bare", "other"), False)),
        Term((Weight(tensor, 1, 0), Weight(tensor, 0, 1, -1)), 0),
    )
    region.outputs = (region.add(mixture(tuple(values), terms, shape)),)
    norms = nn.ModuleDict({
        "affine": nn.BatchNorm2d(3), "bare": nn.BatchNorm2d(3, affine=False),
        "other": nn.BatchNorm2d(3, affine=False),
    })  # fmt: skip
    gamma, beta = norms["affine"].parameters()
    gamma.data.copy_(torch.tensor([-1.5, 0.0, 2.0]))
    beta.data.normal_()
    a, b, c = (torch.randn(4, 3, 5, 5).mul(2).add(3).requires_grad_() for _ in range(3))
    w = torch.randn(2, 3, requires_grad=True)
    by = [a, b, c, w, gamma, beta]
    expected = (
        w[0, 1] * F.batch_norm(a, None, None, gamma, beta, True)
        + (1 + w[1, 2] - w[0, 0]) * F.batch_norm(b, None, None, training=True)
        + (w[1, 0] - w[0, 1]) * c
    )
    (found,) = Engine(region, norms)(a, b, c, w)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    g = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, by, g), torch.autograd.grad(expected, by, g),
        rtol=1e-9, atol=1e-10,
    )  # fmt: skip
    for name, value in (("affine", a), ("bare", b), ("other", b)):
        mean, variance = value.mean((0, 2, 3)), value.transpose(0, 1).flatten(1).var(1)
        torch.testing.assert_close(norms[name].running_mean, 0.1 * mean)
        torch.testing.assert_close(norms[name].running_var, 0.9 + 0.1 * variance)
        assert norms[name].num_batches_tracked == 1


@pytest.mark.parametrize("frozen", ["u", "v"])
def test_alphas_of_one_kind_alone(frozen: str) -> None:
    text = """
        cell u from x = sum(x -> choose { skip, conv(3) -> bn as a }, x -> choose { relu, bn })
        cell v from x = x -> choose { skip, bn, tanh }
        network from image[2, 4, 4] to class[3] = image -> u -> v -> u -> flatten -> linear(3)
    """
    plain, fast = (compiler.build(space(text), passes=passes) for passes in ("none", "fast"))
    fast.load_state_dict(plain.state_dict())
    x = torch.randn(3, 2, 4, 4)
    found = []
    for net in (plain, fast):
        net.requires_grad_(False)
        asked = [p for name, p in net.alphas.items() if not name.startswith(frozen)]
        for parameter in asked:
            parameter.requires_grad_(True)
        found.append(torch.autograd.grad(net(x).pow(2).sum(), asked))
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-12)
