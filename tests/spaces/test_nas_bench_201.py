"""The space of NAS-Bench-201: its macro network, what its cells compute, and what they cost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise, product

import pytest
import torch
import torch.nn.functional as F
from support import SPACES, carry_over, randomise
from torch import Tensor, nn

import compiler
from compiler import CostTable, Genotype
from compiler.compile import compile_space
from compiler.counting.architectures import architectures
from compiler.describe import check
from compiler.genotype import CellGenotype
from compiler.profile import PHASES, values_of
from dsl import load
from dsl.layout.format import formatted
from dsl.source import Source

NB201 = SPACES / "nas_bench_201.darts"
OPTIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = [(source, node) for node in (1, 2, 3) for source in range(node)]
"""Source and node of every edge, as a string lists them."""
STRING = "|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|"


def cell(*options: str) -> Genotype:
    """The cell that has these options on its edges, in the order of `EDGES`."""
    values = ["x", "n[0]", "n[1]", "n[2]"]
    paths = [f"{values[node]} from {values[source]}" for source, node in EDGES]
    return Genotype({"unit": CellGenotype(tuple(zip(paths, options, strict=True)))})


def test_the_file_has_no_warnings_and_is_laid_out() -> None:
    assert check(load(NB201)) == ()
    text = NB201.read_text()
    assert formatted(Source("nas_bench_201.darts", text)) == text


def test_there_are_15625_architectures() -> None:
    (kind,) = compile_space(NB201).program.kinds
    assert architectures([kind]) == 15_625
    assert {d.selectable for d in kind.decisions} == {OPTIONS}
    assert kind.sources == ("x", "n[0]", "n[1]", "n[2]")


@pytest.mark.parametrize(
    ("text", "parameters", "macs"),
    [
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 73_306, 7_783_040),
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
            "+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            1_531_546,
            220_119_680,
        ),
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
            "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            1_288_506,
            184_730_240,
        ),
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|"
            "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            1_073_466,
            153_272_960,
        ),
        (  # the benchmark's second: 0.802 M and 113.95 M
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|"
            "+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
            802_426,
            113_951_360,
        ),
    ],
)
def test_known_cells_cost_what_the_benchmark_says(text: str, parameters: int, macs: int) -> None:
    found = compiler.cost(NB201, Genotype.parse(text))
    assert (found.parameters, found.macs, found.auxiliary_parameters) == (parameters, macs, 0)


# ---- a closed form over all cells ----------------------------------------------------------------

STAGES = [(16, 32), (32, 16), (64, 8)]
"""Channels and size of the images in the three stages."""
CELLS = 5


def outside() -> tuple[int, int]:
    """Parameters and multiplications of all but the cells."""
    parameters, macs = 27 * 16 + 2 * 16, 27 * 16 * 32**2
    for (few, _), (many, size) in pairwise(STAGES):
        kernels = 9 * few * many + 9 * many * many + few * many
        parameters += kernels + 4 * many
        macs += kernels * size**2
    return parameters + 2 * 64 + 650, macs + 640


def convolutions(one: int, three: int) -> tuple[int, int]:
    """What the cells add that have so many convolutions of 1x1 and of 3x3."""
    parameters, macs = 0, 0
    for C, size in STAGES:
        kernels = CELLS * (one + 9 * three) * C * C
        parameters += kernels + CELLS * 2 * C * (one + three)
        macs += kernels * size**2
    return parameters, macs


def read_edges(options: tuple[str, ...]) -> set[int]:
    """The edges, by number, whose operation reaches the output, by going back from it.

    A value that is nothing but zeros adds nothing, where zeros are a sum of `none`, and of
    identities and pools of zeros; convolutions end in a norm, so they make something of zeros.
    """
    zeros = {}
    for node in (0, 1, 2, 3):
        into = [(s, o) for (s, n), o in zip(EDGES, options, strict=True) if n == node]
        zeros[node] = node > 0 and all(
            o == "none" or (zeros[s] and not o.startswith("nor")) for s, o in into
        )
    reached, found = {3}, set()
    for number in reversed(range(6)):
        (source, node), option = EDGES[number], options[number]
        adds = option != "none" and (option.startswith("nor") or not zeros[source])
        if node in reached and adds:
            found.add(number)
            reached.add(source)
    return found


def test_every_cell_costs_what_a_closed_form_says() -> None:
    table = CostTable(NB201)
    parameters, macs = outside()
    pruned_unlike = 0
    for options in product(OPTIONS, repeat=6):
        found = table.cost(Genotype.parse(STRING % options))
        count = Counter(options)
        more, multiplied = convolutions(count["nor_conv_1x1"], count["nor_conv_3x3"])
        assert (found.parameters, found.macs) == (parameters + more, macs + multiplied)
        left = Counter(options[number] for number in read_edges(options))
        more, multiplied = convolutions(left["nor_conv_1x1"], left["nor_conv_3x3"])
        expected = (parameters + more, macs + multiplied)
        assert (found.pruned_parameters, found.pruned_macs) == expected, options
        pruned_unlike += expected != (found.parameters, found.macs)
    assert pruned_unlike > 1000  # so that the second half says something


# ---- the network by hand -------------------------------------------------------------------------


def relu_conv_bn(few: int, many: int, k: int, stride: int, affine: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(few, many, k, stride, k // 2, bias=False),
        nn.BatchNorm2d(many, affine=affine),
    )


class Unit(nn.Module):
    """A cell; `weighed` are its edges' operations, or all of them with their weights."""

    def __init__(self, C: int, options: tuple[str, ...] | None) -> None:
        super().__init__()
        wanted = [OPTIONS if options is None else (option,) for option in options or EDGES]
        self.edges = nn.ModuleList(
            nn.ModuleDict(
                {
                    o: relu_conv_bn(C, C, int(o[-1]), 1, options is not None)
                    for o in own
                    if "v_" in o
                }
            )
            for own in wanted
        )
        self.options = wanted

    def forward(self, x: Tensor, weights: Tensor | None) -> Tensor:
        values = [x]
        for node in (1, 2, 3):
            total = torch.zeros_like(x)
            for number, (source, into) in enumerate(EDGES):
                if into == node:
                    total = total + self.edge(number, values[source], weights)
            values.append(total)
        return values[-1]

    def edge(self, number: int, x: Tensor, weights: Tensor | None) -> Tensor:
        made = {
            "none": torch.zeros_like,
            "skip_connect": lambda x: x,
            "avg_pool_3x3": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
            **self.edges[number],
        }
        own = self.options[number]
        shares = [1.0] if weights is None else weights[number].unbind()
        return sum(share * made[option](x) for share, option in zip(shares, own, strict=True))


class Residual(nn.Module):
    def __init__(self, few: int, many: int) -> None:
        super().__init__()
        self.first = relu_conv_bn(few, many, 3, 2, True)
        self.second = relu_conv_bn(many, many, 3, 1, True)
        self.shortcut = nn.Conv2d(few, many, 1, bias=False)

    def forward(self, x: Tensor, _: Tensor | None) -> Tensor:
        shortcut: Tensor = self.shortcut(F.avg_pool2d(x, 2))
        return self.second(self.first(x)) + shortcut


class Network(nn.Module):
    """The final network of a cell, or the supernet where no options are given."""

    def __init__(self, C: int, N: int, options: tuple[str, ...] | None = None) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, C, 3, 1, 1, bias=False), nn.BatchNorm2d(C))
        parts: list[nn.Module] = [Unit(C, options) for _ in range(N)]
        for few, many in ((C, 2 * C), (2 * C, 4 * C)):
            parts.append(Residual(few, many))
            parts += [Unit(many, options) for _ in range(N)]
        self.parts = nn.ModuleList(parts)
        self.norm = nn.BatchNorm2d(4 * C)
        self.head = nn.Linear(4 * C, 10)

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        x = self.stem(x)
        for part in self.parts:
            x = part(x, weights)
        logits: Tensor = self.head(F.relu(self.norm(x)).mean((2, 3)))
        return logits


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_final_networks_are_those_by_hand(seed: int, training: bool) -> None:
    lot = random.Random(seed)
    options = tuple(lot.choice(OPTIONS) for _ in EDGES)
    net = compiler.build(NB201, genotype=cell(*options), C=4, N=2)
    reference = Network(4, 2, options)
    randomise(net)
    carry_over(net, reference)
    net.train(training), reference.train(training)
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(net(x), reference(x))


@pytest.mark.parametrize("training", [True, False])
def test_the_supernet_is_that_by_hand(training: bool) -> None:
    net = compiler.build(NB201, C=4, N=1)
    reference = Network(4, 1)
    randomise(net)
    carry_over(net.model, reference)
    net.train(training), reference.train(training)
    (weights,) = (torch.softmax(alphas, -1) for alphas in net.arch_parameters())
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(net(x), reference(x, weights.detach()))


def test_zeros_may_be_chosen_by_a_search() -> None:
    net = compiler.build(NB201, C=4, N=1)
    for alphas in net.arch_parameters():
        alphas.data.zero_()
        alphas.data[:, 0] = 1
    assert net.genotype().arch_string() == "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def test_the_recipes() -> None:
    """The search and the final training of the benchmark, without Nesterov's momentum."""
    space = load(NB201)
    search, final = (values_of(space, phase, None, {}).settings for phase in PHASES)
    assert (search.epochs, search.batch, search.lr, search.lr_end) == (50, 64, 0.025, 0.001)
    assert (search.decay, search.alpha_lr, search.alpha_decay) == (5e-4, 3e-4, 1e-3)
    assert (final.epochs, final.batch, final.lr, final.lr_end) == (200, 256, 0.1, 0)
    assert (final.decay, final.clip, final.cutout, final.crop) == (5e-4, 0, 0, 4)
    assert final.flip and not final.drop_path and not final.auxiliary_weight


def test_the_demo_fits_small_images() -> None:
    net = compiler.build(NB201, profile="demo", channels=1, size=8)
    assert net(torch.randn(2, 1, 8, 8)).shape == (2, 10)
