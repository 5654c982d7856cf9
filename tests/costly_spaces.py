"""Small spaces whose costs do not simply add up over all options that there are."""

from __future__ import annotations

CONCAT = """
    cell u(C) from x {
        y = x -> conv(1)
        node n[2] = concat(
            each (x, y) -> choose { conv(3), conv(5), zero },
            each earlier n -> choose { conv(3), skip } -> conv(1, out: C),
        ) -> conv(1, out: C)
        keep 1 edge per node by weight
        return n[-1]
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u(C)
"""
"""A node that keeps one of its edges is as wide as that one."""

NESTED = """
    cell motif(C) from x {
        node m[2] = sum(each (x, earlier m) -> choose { conv(1), conv(3), zero })
        return m[-1]
    }
    cell u(C) from x {
        node n[2] = sum(
            each (x, x -> motif(C)) -> choose { conv(3), skip } -> motif(C) -> conv(1, out: C),
            each earlier n -> choose { conv(5), skip },
        )
        keep 1 edge per node by weight
        return n[-1]
    }
    network(C = 2) from image[2, 4, 4] to out[2, 4, 4] =
        image -> u(C) -> conv(1, out: 2 * C) -> u(2 * C) -> conv(1, out: C)
"""
"""How often a cell is there that decides for itself hangs on which edges are kept."""

SHARED = """
    cell u(C) from x {
        shared W = conv(3)
        shared V = conv(5) -> bn
        node n[2] = sum(
            each (x, x) -> choose { W as w, V as v, conv(1), relu },
            each earlier n -> choose { W as w, conv(7), zero } -> V,
        )
        keep 2 edges per node by weight
        return n[-1]
    }
    network(C = 2) from image[2, 4, 4] to out[2, 4, 4] = image -> u(C) -> u(C)
"""
"""What several options share is made once."""

PARTS = """
    cell u(C) from x {
        shared W = conv(3)
        node n[2] = sum(
            x -> choose {
                W -> zero as a, W -> conv(1) as b,
                conv(5) -> bn -> zero as c, zero -> conv(7) -> W as d,
            },
            each earlier n -> conv(1) -> choose { W as w, zero -> W -> bn as z, skip },
        )
        keep 1 edge per node by weight
        return sum(n)
    }
    network(C = 2) from image[2, 4, 4] to out[2, 4, 4] = image -> u(C)
"""
"""Pruning leaves some of the layers that an option is a flow of."""

HAND_MADE = {"concat": CONCAT, "nested": NESTED, "shared": SHARED, "parts": PARTS}
