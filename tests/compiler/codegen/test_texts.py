"""What a file says in comments and headers stays text in the generated source."""

from __future__ import annotations

import pytest
import torch
from support import compiled

import compiler
from compiler.compile import execute
from dsl import load_text

PROGRAM = """
{comment}
op twice(k) from x {{
    y = x -> conv(k)
    return sum(x, y)
}}

cell c(
    C  {inline}
) from x = x -> choose {{twice(3), conv(3), identity}}

network(C = 2) from image[2, 4, 4] to class[2] =
    image -> repeat 2 {{ c(C) }} -> global_pool(mean) -> linear(2)
profile search {{ batch = 2 }}
profile final {{ batch = 2 }}
"""
HOSTILE = (
    '# ends a string """; raise SystemExit("ran") #',
    r"# a path C:\N\new, and \x",
    '# ends with a quote "',
    "# ends with a backslash \\",
    "# '''",
)


@pytest.mark.parametrize("comment", HOSTILE)
def test_comments_cannot_run(comment: str) -> None:
    """Nothing that a comment holds is executed or breaks the source, in either network."""
    text = "language 1\n" + PROGRAM.format(comment=comment, inline=comment)
    net = compiler.build(load_text(text, 'quo"""te.darts'))
    assert net(torch.zeros(1, 2, 4, 4)).shape == (1, 2)
    final = compiler.build(load_text(text), genotype=net.genotype())
    assert final(torch.zeros(1, 2, 4, 4)).shape == (1, 2)


def test_headers_are_without_comments() -> None:
    source = compiled(PROGRAM.format(comment="# Twice", inline="# the width")).source
    assert '"""cell c( C ) from x"""' in source and '"""Twice."""' in source


HEADS = """
network(C = 2) from image[2, 8, 8] to class[2] {{
    a = image -> conv(3, out: C)
    auxiliary {head}
    return a -> global_pool(mean) -> linear(2)
}}
profile search {{ batch = 2 }}
profile final {{ batch = 2  auxiliary_weight = 0.4 }}
"""


@pytest.mark.parametrize(
    "head",
    [
        "a -> global_pool(mean)",
        "a -> relu -> global_pool(mean) -> linear(2)",
        "sum(a -> conv(3), a -> conv(1)) -> global_pool(mean)",
    ],
)
def test_an_auxiliary_head_of_any_make(head: str) -> None:
    """A head without weights, with one module or with several is built when asked for."""
    made = compiled(HEADS.format(head=head), genotype=compiler.Genotype({}))
    network = execute(made.source, "<head>")["Network"]
    image = torch.randn(2, 2, 8, 8)
    logits, head_logits = network(auxiliary=True)(image)
    assert logits.shape == head_logits.shape == (2, 2)
    assert network()(image).shape == (2, 2)
    assert network(auxiliary=True).eval()(image).shape == (2, 2)
