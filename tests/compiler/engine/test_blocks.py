"""Blocks of published networks, as candidates in a cell: the engine runs them, they are derived,
and the final model computes what its program says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import compiled, images, randomise, space

import compiler
from compiler.interpret import interpret

NETWORK = """
    network(C = 4, classes = 3) from image[2, 8, 8] to class[classes] =
        image -> conv(1, out: C) -> u -> u -> global_pool(mean) -> linear(classes)
"""
BLOCKS = {
    "squeeze and excitation": """
        cell u from x = x -> choose { se(2), conv(3) -> bn -> se(4) as convolved, skip }
    """,
    "inverted residuals": """
        cell u from x[c, _, _] {
            y = x -> mbconv(3, 2, out: 2 * c) -> mbconv(3, 1, out: c, stride: 2)
            return y -> choose { mbconv(3, 1), mbconv(5, 3), mbconv(3, 2, out: same), skip }
        }
    """,
    "inverted residuals with groups": """
        op grouped(k, expand, g) from x[c, _, _] = x + (
            x -> conv(1, out: expand * c, groups: g) -> bn -> hardswish -> shuffle(g)
            -> depthwise(k) -> bn -> hardswish -> conv(1, out: c, groups: g) -> bn
        )
        cell u from x = x -> choose { grouped(3, 2, 2), grouped(5, 3, 4), noise }
    """,
    "units of ShuffleNet": """
        op unit(k) from x {
            a, b = split(x, 2)
            y = b -> conv(1) -> bn -> relu -> depthwise(k) -> bn -> conv(1) -> bn -> relu
            return concat(a, y) -> shuffle(2)
        }
        cell u from x {
            node n[2] = sum(each (x, earlier n) -> choose { unit(3), unit(5), skip })
            keep 1 edge per node by weight
            return max(n)
        }
    """,
    "an hourglass": """
        op up(k) from x[c, _, _] = x -> conv_transpose(k, out: c / 2) -> bn -> relu
        op larger from x[c, _, _] = x -> upsample(2) -> conv(1, out: c / 2)
        cell u from x[c, _, _] {
            low = x -> pool(max, 2, stride: 2) -> conv(3, out: 2 * c) -> bn -> relu
            lowest = low -> pool(mean, 2, stride: 2) -> conv(3, out: 4 * c) -> bn -> relu
            more = concat(low, lowest -> choose { up(2), up(3), up(4), larger })
            all = concat(x, more -> conv(1, out: 2 * c) -> choose { up(2), larger })
            return all -> conv(1, out: c)
        }
    """,
    "windows of NASNet": """
        op factorised(k) = relu -> conv(1, across: k) -> conv(k, across: 1) -> bn
        op wide(k) = depthwise(1, across: k) -> pool(mean, k, across: 1) -> bn
        cell u from x {
            a = x -> choose { factorised(5), factorised(7), wide(3) }
            return product(a, x -> choose { pool(max, 1, across: 3), sigmoid, square })
        }
    """,
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_the_engine_computes_what_the_module_does(name: str, pair: Any, check: Any) -> None:
    check(pair(space(BLOCKS[name] + NETWORK), 3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", BLOCKS)
def test_the_final_model_computes_what_its_program_says(name: str, training: bool) -> None:
    text = BLOCKS[name] + NETWORK
    net = compiler.build(space(text))
    for seed in range(3):
        torch.manual_seed(seed)
        randomise(net)
        genotype = net.genotype()
        final = compiler.build(space(text), genotype=genotype).train(training)
        randomise(final)
        program = compiled(text, genotype).program
        state = {path: value.clone() for path, value in final.state_dict().items()}
        x = images(program, 3)
        torch.manual_seed(1)
        expected = interpret(program, [x], state, None, training)
        torch.manual_seed(1)
        torch.testing.assert_close(final(x), expected, rtol=1e-9, atol=1e-9)
