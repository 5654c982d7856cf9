"""The memory that a plan says it takes is what its tensors take."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from support import CIFAR, images, space
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import compiler
from compiler.engine.memory import Sizes, peak
from compiler.engine.network import Engine
from compiler.engine.recompute import Budget
from compiler.expr import Const
from compiler.facts import OpenSize
from compiler.flat.nodes import MixingWeights
from compiler.ir import Input


class Held(TorchDispatchMode):
    """Counts the bytes of the tensors that operators made and that are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        known = {t.untyped_storage().data_ptr() for t in tree_leaves(args) if torch.is_tensor(t)}
        for tensor in tree_leaves(result):
            if torch.is_tensor(tensor):
                self.note(tensor, known)
        return result

    def note(self, tensor: torch.Tensor, known: set[int]) -> None:
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key not in self.tensors:
            if key in known:
                return  # was there before
            self.tensors[key], self.sizes[key] = 0, storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
        self.tensors[key] += 1
        weakref.finalize(tensor, self.gone, key)

    def gone(self, key: int) -> None:
        self.tensors[key] -= 1
        if not self.tensors[key]:
            del self.tensors[key]
            self.now -= self.sizes.pop(key)


ATTENDING = """
    op block(heads) from x[_, h, _] {
        t = x -> tokens
        y = t + (t -> layer_norm -> attention(heads, width: 4))
        return (y + (y -> layer_norm -> linear(48) -> gelu -> linear(16))) -> as_image(h)
    }
    cell u from x = x -> choose { block(2), block(4), group_norm(2) -> conv(3), layer_norm }
    network from image[3, 8, 8] to class[3] =
        image -> conv(3, out: 16) -> repeat 2 { u } -> global_pool(mean) -> linear(3)
"""


@pytest.mark.parametrize(("asked", "price"), [("alphas", -1), ("weights", 4)])
@pytest.mark.parametrize("text", ["", ATTENDING], ids=["convolutions", "attention"])
def test_it_is_what_a_pass_takes(text: str, asked: str, price: int) -> None:
    small = {"C": 8, "N": 2, "size": 16}
    net = compiler.build(
        *[space(text)] if text else [CIFAR], passes="fast", **{} if text else small
    )
    engine = net.optimised.engine = Engine(
        net.optimised.engine.region, net.model, Budget(price=price)
    )
    wanted = list(net.arch_parameters() if asked == "alphas" else net.weight_parameters())
    net.requires_grad_(False)
    for parameter in wanted:
        parameter.requires_grad_(True)
    x = images(net.program, 16)
    with Held() as held:
        torch.autograd.grad(net(x).sum(), wanted, allow_unused=True)
    (plan,) = engine.plans.values()
    expected = peak(plan, engine.region, Sizes(16, width=8))
    assert 0.9 < expected / held.peak < 1.15, (expected, held.peak)


def test_sizes_of_values() -> None:
    sizes = Sizes(batch=3, length=5, width=8)
    image = Input(name="image", shape=(Const(2), Const(4), Const(4)))
    assert sizes.of(image) == 3 * 2 * 4 * 4 * 8
    series = Input(name="x", shape=(Const(OpenSize(1, "T")), Const(7)))
    assert sizes.of(series) == 5 * 3 * 7 * 8
    words = Input(name="word", shape=(Const(OpenSize(1, "T")),), below=Const(100))
    assert sizes.of(words) == 5 * 3 * 8  # a number of 64 bits for each
    assert Sizes(3, 5, 4).of(words) == 5 * 3 * 8
    weights = MixingWeights(name="w", kind="w", shape=(Const(6), Const(4)))
    assert sizes.of(weights) == 6 * 4 * 8


def test_memory_grows_with_the_batch_and_with_the_steps() -> None:
    net = compiler.build(space("""
        cell r(H) from x, h[H] = concat(x, h) -> linear(H) -> tanh -> linear(H) -> tanh
        network(H = 30) from x[T, 20] to y[T, 4] = x -> r(H) over T -> linear(4)
    """), passes="fast")  # fmt: skip
    engine = net.optimised.engine
    plan = engine.plan(frozenset(), frozenset(engine.weights), Sizes(1))
    found = {
        (batch, length): peak(plan, engine.region, Sizes(batch, length))
        for batch in (8, 16) for length in (10, 20)
    }  # fmt: skip
    assert found[16, 10] > 1.8 * found[8, 10]
    assert found[8, 20] > 1.6 * found[8, 10]
