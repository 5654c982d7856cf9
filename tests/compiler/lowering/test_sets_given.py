"""Sets in lists: given to cells, and read by the number of an edge."""

from __future__ import annotations

from support import compiled


def test_a_cell_is_given_a_list_of_sets() -> None:
    """Edges are counted in the order written, and the body of another cell begins anew."""
    kinds = compiled("""
        cell u(sets, k = 1) from x {
            node n[2] = sum(x -> choose sets[edge], each earlier n -> choose sets[edge])
            return sum(n)
        }
        cell v = u(({ relu, tanh }, { silu, tanh }, { sin, tanh }))
        cell w = u(({ relu, gelu }, { silu, gelu }, { sin, gelu }), k: 2)
        network from x[5] to class[3] = x -> v -> w -> linear(3)
    """).program.kinds
    found = {k.name: [[label for label, _ in d.options] for d in k.decisions] for k in kinds}
    first = ("relu", "silu", "sin")
    assert found == {"v": [[f, "tanh"] for f in first], "w": [[f, "gelu"] for f in first]}
