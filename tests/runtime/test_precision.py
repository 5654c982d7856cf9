"""Losses in half precision: what stays in float32, and how far the gradients are off."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support import CIFAR, RNN, images
from torch import Tensor

import compiler
from runtime.bilevel import classification
from runtime.objective import Forward, Outcome
from runtime.precision import in_precision

CPU = torch.device("cpu")


def words(forward: Forward, batch: tuple[Tensor, Tensor]) -> Outcome:
    """As for text, with torch's own cross-entropy, which autocast knows."""
    logits, _ = forward(batch[0], None)
    return Outcome(F.cross_entropy(logits.flatten(0, 1), batch[1].flatten()), batch[1].numel())


def loss_of(space: Any, passes: str, precision: str) -> tuple[Any, Tensor]:
    """A network and its loss on a random batch; the same numbers for every precision."""
    torch.manual_seed(0)
    still = dict.fromkeys(("embedded_drop", "input_drop", "hidden_drop", "output_drop"), 0)
    small = {"C": 4, "N": 3, "size": 8} if space == CIFAR else {"H": 16, "V": 20, **still}
    net = compiler.build(space, passes=passes, **small)
    torch.manual_seed(1)
    for alphas in net.arch_parameters():
        alphas.data.normal_()
    x = images(net.program, 16)
    if space == CIFAR:
        loss, batch = classification, (x, torch.randint(10, (16,)))
    else:
        loss, batch = words, (x, torch.randint(20, x.shape))
    torch.manual_seed(2)
    return net, in_precision(loss, precision, CPU)(net, batch).loss


def gradients(space: Any, passes: str, precision: str) -> tuple[float, list[Tensor]]:
    net, loss = loss_of(space, passes, precision)
    assert loss.dtype == torch.float32
    by = [*net.arch_parameters(), *net.weight_parameters()]
    found = torch.autograd.grad(loss, by, allow_unused=True)
    return loss.item(), [g for g in found if g is not None]


@pytest.mark.parametrize("space", [CIFAR, RNN], ids=["cifar", "rnn"])
def test_gradients_are_close_to_those_in_full_precision(space: Any) -> None:
    full, expected = gradients(space, "fast", "float32")
    half, found = gradients(space, "fast", "bfloat16")
    assert half == pytest.approx(full, rel=0.02) and half != full
    assert all(g.dtype == torch.float32 for g in found)
    one, other = (torch.cat([g.flatten() for g in each]) for each in (found, expected))
    assert F.cosine_similarity(one, other, 0) > 0.98


def test_they_are_as_close_as_those_of_the_plain_network() -> None:
    """Alphas alone, on images: the optimised network's half precision is no worse than torch's."""
    off = {}
    for passes in ("none", "fast"):
        distances = []
        (_, expected), (_, found) = (gradients(CIFAR, passes, p) for p in ("float32", "bfloat16"))
        for one, other in zip(found[:2], expected[:2], strict=True):
            distances.append(float((one - other).norm() / other.norm()))
        off[passes] = max(distances)
    assert off["fast"] < 2 * off["none"] + 0.01, off


def test_float64_is_left_alone() -> None:
    torch.manual_seed(0)
    net = compiler.build(CIFAR, passes="fast", C=2, N=3, size=8).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(x).dtype == torch.float64
