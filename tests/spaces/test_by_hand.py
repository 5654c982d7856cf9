"""Final networks of the shipped spaces, written by hand in evaluation mode: the same logits."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support import SPACES, in_program_order, randomise
from torch import Tensor, nn

import compiler
from compiler import Genotype
from compiler.genotype import CellGenotype

Decided = dict[str, str]
"""What a cell has decided, by path."""


class Tape:
    """The weights of a network, to be used once each in the order of the program."""

    def __init__(self, net: nn.Module) -> None:
        self.left = [value for _, value in in_program_order(net)]

    def take(self) -> Tensor:
        return self.left.pop(0)

    def conv(self, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        weight = self.take()
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=groups)

    def norm(self, x: Tensor) -> Tensor:
        weight, bias, mean, variance, _ = (self.take() for _ in range(5))
        return F.batch_norm(x, mean, variance, weight, bias)

    def layer_norm(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.take(), self.take())

    def linear(self, x: Tensor) -> Tensor:
        return F.linear(x, self.take(), self.take())


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


@torch.no_grad()
def agree(
    name: str,
    kind: str,
    decided: Decided,
    by_hand: Callable[[Tape, Tensor, Decided], Tensor],
    **sizes: Any,
) -> None:
    genotype = Genotype({kind: CellGenotype(tuple(decided.items()))})
    net = compiler.build(SPACES / f"{name}.darts", genotype=genotype, classes=3, **sizes)
    randomise(net)
    x = torch.randn(2, 3, sizes["size"], sizes["size"])
    tape = Tape(net)
    torch.testing.assert_close(net.eval()(x), by_hand(tape, x, decided))
    assert not tape.left


def drawn(name: str, kind: str, seed: int, **sizes: Any) -> Decided:
    """What a supernet of random alphas decides."""
    torch.manual_seed(seed)
    net = compiler.build(SPACES / f"{name}.darts", classes=3, **sizes)
    for alphas in net.arch_parameters():
        alphas.data.normal_()
    return dict(net.genotype().cells[kind].decisions)


# ---- NAS-Bench-1Shot1 ----------------------------------------------------------------------------


def vertices(tape: Tape, x: Tensor, decided: Decided) -> Tensor:
    """A cell whose first two vertices read all there is, as those of space 1."""

    def conv_bn_relu(x: Tensor) -> Tensor:
        return F.relu(tape.norm(tape.conv(x)))

    def joined(names: str, known: dict[str, Tensor]) -> list[Tensor]:
        parents = names.split(" + ")
        return [conv_bn_relu(x) if name == "x" else known[name] for name in parents]

    known: dict[str, Tensor] = {}
    for number in range(4):
        every = " + ".join(["x", *known])
        summed = sum(joined(decided.get(f"v[{number}].parents", every), known))
        assert isinstance(summed, Tensor)
        is_pool = decided[f"v[{number}].f"].startswith("max")
        value = F.max_pool2d(summed, 3, 1, 1) if is_pool else conv_bn_relu(summed)
        known[f"v[{number}]"] = value
    return torch.cat(joined(decided["return"], known), 1)


def one_shot(tape: Tape, x: Tensor, decided: Decided) -> Tensor:
    x = F.relu(tape.norm(tape.conv(x)))
    for stage in range(3):
        x = F.max_pool2d(x, 2) if stage else x
        for _ in range(2):
            x = vertices(tape, x, decided)
    return tape.linear(x.mean((2, 3)))


@pytest.mark.parametrize("seed", range(3))
def test_cells_of_space_1(seed: int) -> None:
    sizes = {"C": 4, "N": 2, "size": 8}
    agree("one_shot_1", "unit", drawn("one_shot_1", "unit", seed, **sizes), one_shot, **sizes)


# ---- ProxylessNAS --------------------------------------------------------------------------------


def inverted(tape: Tape, x: Tensor, expand: bool, stride: int, adds: bool) -> Tensor:
    y = F.relu6(tape.norm(tape.conv(x))) if expand else x
    y = F.relu6(tape.norm(tape.conv(y, stride, groups=y.shape[1])))
    y = tape.norm(tape.conv(y))
    return x + y if adds else y


def chain(tape: Tape, x: Tensor, decided: Decided) -> Tensor:
    x = F.relu6(tape.norm(tape.conv(x, 2)))
    x = inverted(tape, x, False, 1, False)
    for stage, stride in enumerate((2, 2, 2, 1, 2, 1), 1):
        for layer in range(1 if stage == 6 else 4):
            option = decided[f"stage{stage} ({layer + 1})" if layer else f"stage{stage}"]
            if option != "skip":
                x = inverted(tape, x, True, 1 if layer else stride, layer > 0)
    return tape.linear(F.relu6(tape.norm(tape.conv(x))).mean((2, 3)))


@pytest.mark.parametrize("seed", range(2))
def test_chains_of_proxyless_nas(seed: int) -> None:
    widths = {"stem": 3, "first": 2, "w1": 4, "w2": 3, "w3": 5, "w4": 4, "w5": 3, "w6": 5}
    sizes = {**widths, "head": 6, "size": 32}
    decided = drawn("proxyless", "network", seed, **sizes)
    agree("proxyless", "network", decided, chain, **sizes)


# ---- sizes of NATS-Bench -------------------------------------------------------------------------


def widths(tape: Tape, x: Tensor, _: Decided) -> Tensor:
    def relu_conv_bn(x: Tensor, stride: int = 1) -> Tensor:
        return tape.norm(tape.conv(F.relu(x), stride))

    def unit(x: Tensor, first: bool) -> Tensor:
        a = relu_conv_bn(x)
        b = relu_conv_bn(x)
        b = b + relu_conv_bn(a)
        skip = x if first else tape.norm(tape.conv(x))
        skip = skip + relu_conv_bn(a)
        return skip + relu_conv_bn(b)

    x = unit(tape.norm(tape.conv(x)), True)
    for _ in range(2):
        y = relu_conv_bn(relu_conv_bn(x, 2))
        x = unit(y + tape.conv(F.avg_pool2d(x, 2)), False)
    return tape.linear(F.relu(tape.norm(x)).mean((2, 3)))


@pytest.mark.parametrize("seed", range(3))
def test_sizes_of_nats_bench(seed: int) -> None:
    lot = random.Random(seed)
    decided = {f"w{i}": str(lot.randrange(8, 65, 8)) for i in range(1, 6)}
    agree("nats_size", "network", decided, widths, size=8)


# ---- the vision transformer ----------------------------------------------------------------------


def transformer(tape: Tape, x: Tensor, decided: Decided) -> Tensor:
    x = F.conv2d(x, tape.take(), tape.take(), 4).flatten(2).transpose(1, 2)
    x = x + tape.take()
    for block in range(int(decided["depth"])):
        end = f" ({block + 1})" if block else ""
        y = tape.linear(tape.layer_norm(x))
        heads = int(decided[f"block.heads{end}"])
        shape = (len(y), y.shape[1], heads, 32)
        query, key, value = (part.reshape(shape).transpose(1, 2) for part in y.chunk(3, -1))
        weights = torch.softmax(query @ key.transpose(2, 3) / sqrt(32), -1)
        x = x + tape.linear((weights @ value).transpose(1, 2).flatten(2))
        y = F.gelu(tape.linear(tape.layer_norm(x)))
        assert y.shape[-1] == int(decided[f"block.ratio{end}"]) * x.shape[-1]
        x = x + tape.linear(y)
    return tape.linear(tape.layer_norm(x).mean(1))


@pytest.mark.parametrize("seed", range(2))
def test_vision_transformers(seed: int) -> None:
    agree("vit", "network", drawn("vit", "network", seed, size=8), transformer, size=8)


# ---- NASNet --------------------------------------------------------------------------------------


def test_a_cell_of_nasnet_gives_back_the_nodes_that_nothing_reads() -> None:
    """Pools and identities alone: a normal cell behind the projections of its inputs."""
    nodes = {  # (value, operation) of both arms
        0: ("a avg", "b skip"), 1: ("n[0] max", "a skip"), 2: ("b avg", "b max"),
        3: ("n[1] skip", "n[0] avg"), 4: ("a max", "n[2] skip"),
    }  # fmt: skip
    labels = {"avg": "avg_pool_3x3", "max": "max_pool_3x3", "skip": "skip_connect"}
    decided = {}
    for node, arms in nodes.items():
        for arm, (value, option) in enumerate(pair.split() for pair in arms):
            decided |= {f"n[{node}].arm[{arm}]": value, f"n[{node}].arm[{arm}].f": labels[option]}
    cell = CellGenotype(tuple(decided.items()))
    net = compiler.build(
        SPACES / "nasnet.darts",
        genotype=Genotype({"normal": cell, "reduce": cell}),
        C=3, N=3, size=8, auxiliary_weight=0,
    )  # fmt: skip
    randomise(net)
    seen: dict[str, Any] = {}
    net.cells[0].register_forward_hook(lambda cell, x, y: seen.update(cell=cell, x=x, y=y))
    with torch.no_grad():
        net.eval()(torch.randn(2, 3, 8, 8))
        cell_net: Any = seen["cell"]
        known = {"a": cell_net.a(seen["x"][0]), "b": cell_net.b(seen["x"][1])}
        compute = {
            "avg": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
            "max": lambda x: F.max_pool2d(x, 3, 1, 1),
            "skip": lambda x: x,
        }
        for node, arms in nodes.items():
            pairs = [pair.split() for pair in arms]
            known[f"n[{node}]"] = sum(compute[op](known[value]) for value, op in pairs)
        torch.testing.assert_close(seen["y"], torch.cat([known["n[3]"], known["n[4]"]], 1))
