"""Edges: which decisions stand on them, and what goes with an edge that is not kept."""

from __future__ import annotations

import pytest
from support import compiled, space

from compiler.compile import compile_space
from compiler.genotype import CellGenotype, Genotype
from compiler.instantiate import instantiate
from compiler.ir import Join, Region
from dsl import DartsError

PARTIAL = """
    op partial from x {{
        a, b = split(x, 2)
        {body}
    }}
    cell u from x {{
        a = x -> relu
        b = x -> tanh
        node n[2] = sum(each (a, b) -> partial, each earlier n -> partial)
        keep 2 edges per node by weight
        return sum(n)
    }}
    network from image[4, 8, 8] to out[4, 8, 8] = image -> u
"""
BODIES = [
    "return concat(a -> choose { sin, square }, b) -> shuffle(2)",
    "y = a -> choose { sin, square }  return concat(y, b) -> shuffle(2)",
]


def kind(text: str) -> Region:
    (found,) = compiled(text).program.kinds
    return found


@pytest.mark.parametrize("body", BODIES)
def test_what_an_op_decides_stands_on_the_edge_that_it_is_used_on(body: str) -> None:
    """Its own names, which are those of the cell here, tell nothing of the edge."""
    unit = kind(PARTIAL.format(body=body))
    assert [(d.node, d.source) for d in unit.decisions] == [
        ("n[0]", "a"),
        ("n[0]", "b"),
        ("n[1]", "a"),
        ("n[1]", "b"),
        ("n[1]", "n[0]"),
    ]
    assert unit.sources == ("a", "b", "n[0]", "n[1]")


@pytest.mark.parametrize("body", BODIES)
def test_a_join_in_an_op_goes_with_its_edge(body: str) -> None:
    """The edge from `a` into `n[1]` is left out as a whole, and the others are whole."""
    text = PARTIAL.format(body=body)
    edges = [d for d in kind(text).decisions if (d.node, d.source) != ("n[1]", "a")]
    kept = tuple((d.path, "sin") for d in edges)
    program = compile_space(space(text), genotype=Genotype({"u": CellGenotype(kept)})).program
    assert instantiate(program).output == (4, 8, 8)
    (unit,) = (region for region in program.regions() if region.name == "u")
    joins = [node for _, node in unit.nodes() if isinstance(node, Join)]
    assert [len(j.operands) for j in joins if j.how == "concat"] == [2] * 4
    assert [len(j.operands) for j in joins if j.how == "sum"] == [2, 2, 2]


def test_an_op_with_two_decisions_is_no_edge_to_rank() -> None:
    body = "return concat(a -> choose { sin, square }, b -> choose { sin, square })"
    with pytest.raises(DartsError, match="this edge holds several decisions"):
        kind(PARTIAL.format(body=body))
