"""What is loose, and what is kept, where values are chosen."""

from __future__ import annotations

import pytest
from support import compiled, space

from compiler import build
from compiler.genotype import CellGenotype, Genotype
from compiler.ir import Join


@pytest.mark.parametrize(("last", "joined"), [("a", 2), ("n[0]", 1)])
def test_a_value_that_is_given_back_by_another_is_not_loose(last: str, joined: int) -> None:
    text = """
        cell u from x {
            a = x -> linear(4)
            node n[2] = choose { a, earlier n, a -> relu as b }
            return (concat(n) when search else concat(loose n)) -> linear(4)
        }
        network from x[4] to class[3] = x -> u -> linear(3)
    """
    cell = CellGenotype((("n[0]", "a"), ("n[1]", last)))
    program = compiled(text, Genotype({"u": cell})).program
    unit = next(region for region in program.regions() if region.name == "u")
    joins = [node for _, node in unit.nodes() if isinstance(node, Join)]
    assert sum(len(join.operands) for join in joins) == (joined if joined > 1 else 0)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_keep_in_all_counts_edges_alone(count: int) -> None:
    """A node never loses its last edge, and what stands on no edge is no edge."""
    text = f"""
        cell u from x {{
            y = x -> choose {{ relu, tanh }}
            node n[2] = sum(each (x, y) -> choose {{ relu, tanh }})
            keep {count} edges in all by weight
            return sum(n)
        }}
        network from x[4] to class[3] = x -> u -> linear(3)
    """
    genotype = build(space(text)).derive().genotype
    assert len(genotype.cells["u"].decisions) == 1 + min(max(count, 2), 4)
