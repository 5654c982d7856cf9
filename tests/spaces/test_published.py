"""Architectures of the shipped spaces cost what was published, or what a closed form says."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from support import SPACES

import compiler
from compiler import Genotype
from compiler.compile import specialised
from compiler.genotype import CellGenotype
from compiler.profile import values_of
from dsl import load

PROXYLESS = SPACES / "proxyless.darts"
SIZE = SPACES / "nats_size.darts"
VIT = SPACES / "vit.darts"


def network(decisions: dict[str, str]) -> Genotype:
    """The genotype of a network that decides by itself."""
    return Genotype({"network": CellGenotype(tuple(decisions.items()))})


# ---- ProxylessNAS --------------------------------------------------------------------------------


def chain(*stages: str) -> Genotype:
    """Layers as "5/3" (kernel and expansion) or "-" for one that is left out, stage by stage."""
    decisions = {}
    for number, stage in enumerate(stages, 1):
        for place, layer in enumerate(stage.split(), 1):
            path = f"stage{number} ({place})" if place > 1 else f"stage{number}"
            decisions[path] = "skip" if layer == "-" else f"mbconv_{layer.replace('/', '_')}"
    return network(decisions)


MOBILE = chain(
    "5/3 3/3 - -", "7/3 3/3 5/3 5/3", "7/6 5/3 5/3 5/3", "5/6 5/3 5/3 5/3", "7/6 7/6 7/3 7/3", "7/6"
)
GPU = chain("5/3 - - -", "7/3 - - 3/3", "7/6 - - 5/3", "5/6 - 3/3 5/3", "7/6 7/6 7/6 5/6", "7/6")
CPU = chain(
    "3/6 3/3 3/3 3/3", "3/6 3/3 3/3 5/3", "3/6 - - 3/3", "5/6 3/3 3/3 3/3", "5/6 5/3 5/3 3/3", "5/6"
)


@pytest.mark.parametrize(
    ("genotype", "profile", "parameters"),
    [(MOBILE, "final", 4_080_512), (GPU, "gpu", 7_119_848), (CPU, "cpu", 4_361_648)],
)
def test_the_networks_of_proxyless_nas_have_the_published_number_of_parameters(
    genotype: Genotype, profile: str, parameters: int
) -> None:
    assert compiler.cost(PROXYLESS, genotype, profile).parameters == parameters


def test_the_network_for_a_phone_has_the_published_320_million_multiplications() -> None:
    assert round(compiler.cost(PROXYLESS, MOBILE).macs / 1e6) == 320


def test_a_layer_may_be_left_out_where_it_keeps_the_shape() -> None:
    (kind,) = specialised(PROXYLESS)[1].kinds
    assert len(kind.decisions) == 21
    without = [d.path for d in kind.decisions if "skip" not in d.selectable]
    assert without == [f"stage{number}" for number in range(1, 7)]


# ---- sizes of NATS-Bench -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("widths", "parameters"),
    [
        ((8, 8, 8, 8, 8), 11_714),
        ((8, 8, 16, 40, 40), 107_826),
        ((64, 64, 64, 64, 64), 713_674),
    ],
)
def test_sizes_have_the_parameters_of_the_benchmark(
    widths: tuple[int, ...], parameters: int
) -> None:
    """And those of a convolution and its norm where a cell does not change the width: of the two
    that the benchmark's cells have only where it changes."""
    genotype = network({f"w{i}": str(width) for i, width in enumerate(widths, 1)})
    same = [c for c, d in (widths[1:3], widths[3:5]) if c == d]
    found = compiler.cost(SIZE, genotype).parameters
    assert found == parameters + sum(c * c + 2 * c for c in same)


def test_any_sizes_have_the_parameters_of_a_closed_form() -> None:
    lot = random.Random(0)
    for _ in range(20):
        widths = [8 * lot.randint(1, 8) for _ in range(5)]
        genotype = network({f"w{i}": str(width) for i, width in enumerate(widths, 1)})

        def conv(few: int, many: int, k: int = 3, norm: bool = True) -> int:
            return k * k * few * many + 2 * many * norm

        cells = [(widths[0], widths[0]), *pairwise(widths)]
        total = conv(3, widths[0]) + 2 * widths[-1] + 10 * widths[-1] + 10
        for place, (few, many) in enumerate(cells):
            if place % 2:  # from one stage to the next
                total += conv(few, many) + conv(many, many) + conv(few, many, 1, norm=False)
            else:
                total += 2 * conv(few, many) + 3 * conv(many, many)
                total += conv(few, many, 1) if place else 0
        assert compiler.cost(SIZE, genotype).parameters == total


# ---- the vision transformer ----------------------------------------------------------------------


def test_transformers_have_the_parameters_of_a_closed_form() -> None:
    lot = random.Random(0)
    for _ in range(10):
        e, depth = lot.choice((96, 128, 160)), lot.choice((4, 5, 6))
        decisions = {"width": str(e), "depth": str(depth)}
        total = (3 * 16 * e + e) + 64 * e + 2 * e + 10 * e + 10
        for block in range(6):
            heads, ratio = lot.choice((2, 3, 4)), lot.choice((2, 3, 4))
            end = f" ({block + 1})" if block else ""
            if block < depth:
                decisions |= {f"block.heads{end}": str(heads), f"block.ratio{end}": str(ratio)}
                attention = 3 * 32 * heads * (e + 1) + e * (32 * heads + 1)
                perceptron = ratio * e * (e + 1) + e * (ratio * e + 1)
                total += 4 * e + attention + perceptron
        assert compiler.cost(VIT, network(decisions)).parameters == total


# ---- cells ---------------------------------------------------------------------------------------


def vertices(operations: str, parents: str) -> Genotype:
    """A cell of space 1: `1`, `3` or `m` for its vertices, and parents as in "xa xc bd"."""
    names = {"1": "conv1x1_bn_relu", "3": "conv3x3_bn_relu", "m": "maxpool3x3"}
    values = {"x": "x", **{letter: f"v[{i}]" for i, letter in enumerate("abcd")}}
    decisions = {f"v[{i}].f": names[op] for i, op in enumerate(operations)}
    places = ("v[2].parents", "v[3].parents", "return")
    for place, pair in zip(places, parents.split(), strict=True):
        decisions[place] = " + ".join(values[letter] for letter in pair)
    return Genotype({"unit": CellGenotype(tuple(decisions.items()))})


@pytest.mark.parametrize("operations", ["1111", "3m31", "mmmm"])
@pytest.mark.parametrize("parents", ["ab bc cd", "xa xb xd", "xb ac bd"])
def test_cells_of_space_1_have_the_parameters_of_a_closed_form(
    operations: str, parents: str
) -> None:
    """All edges from the input are convolutions of 1 x 1, and both first vertices have one."""

    def conv(few: int, many: int, k: int) -> int:
        return k * k * few * many + 2 * many

    projections = 2 + parents.count("x")
    total, few = conv(3, 128, 3), 128
    for C in (128, 256, 512):
        for _ in range(3):
            total += projections * conv(few, C // 2, 1)
            total += sum(conv(C // 2, C // 2, int(k)) for k in operations if k != "m")
            few = C
    total += 512 * 10 + 10
    genotype = vertices(operations, parents)
    assert compiler.cost(SPACES / "one_shot_1.darts", genotype).parameters == total


def test_nodes_that_are_read_are_no_output_of_the_cells_of_nasnet() -> None:
    """Two cells that differ in what the last node reads differ in their widths."""
    found = []
    for last in ("a", "n[0]"):
        sources = ["a", "a", "a", "a", last]
        pairs = {
            f"n[{n}].arm[{arm}]": value for n, value in enumerate(sources) for arm in (0, 1)
        } | {f"n[{n}].arm[{arm}].f": "skip_connect" for n in range(5) for arm in (0, 1)}
        cell = CellGenotype(tuple(pairs.items()))
        genotype = Genotype({"normal": cell, "reduce": cell})
        net = compiler.build(
            SPACES / "nasnet.darts", genotype=genotype, C=4, N=3, auxiliary_weight=0
        )
        found.append(net.state_dict()["linear.weight"].shape[1])
    assert found == [5 * 16, 4 * 16]


# ---- recipes -------------------------------------------------------------------------------------


def test_the_recipe_of_proxyless_nas_is_the_published_one() -> None:
    search = values_of(load(PROXYLESS), "search", None, {}).settings
    assert (search.epochs, search.batch, search.lr, search.decay) == (120, 256, 0.025, 4e-5)
    assert (search.alpha_lr, search.alpha_betas, search.alpha_decay) == (1e-3, (0, 0.999), 0)
