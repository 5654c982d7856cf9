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

NETWORK = """
    network(C = 2) from image[3, 8, 8] to out[3, 4, 4] {
        x = image -> choose { conv(3, out: C) as small, conv(1, out: C) -> relu -> conv(5) as big }
        y = x -> choose { skip, sep_conv(3) } -> choose { pool(mean, 2, stride: 2), crop(4) }
        return y -> conv(1, out: 3)
    }
"""
"""What the network decides itself."""

SEVERAL = """
    cell u(C) from x {
        a = x -> conv(1)
        b = choose 2 of { x -> conv(3) as p, a, a -> conv(5) as q }
        c = choose 1..2 of { x, x -> conv(3) -> relu as s } above 0.5
        y = concat(choose 2 of { x, a -> conv(1), x -> conv(5) }) -> conv(1, out: C)
        z = y -> choose 1..2 of { conv(3), conv(1), skip } above 0.4
        return sum(sum(b), sum(c), z)
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u(C)
"""
"""Several of some values and operations, a fixed number or those above a weight."""

WITHIN = """
    op block(k) = conv(k) -> choose { relu, conv(1), conv(3) -> choose { tanh, conv(5) } }
    cell motif from x[c, _, _] = x -> choose { conv(1), depthwise(3) } -> bn
    cell u(C) from x {
        y = x -> choose { block(3), block(5), motif }
        return sum(x, y -> choose { motif, skip })
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] =
        image -> u(C) -> conv(1, out: 2 * C) -> motif -> u(2 * C) -> conv(1, out: 3)
"""
"""Options that decide themselves, and one that is a cell which does."""

NUMBERS = """
    op sep(k) = depthwise(k) -> conv(1)
    op mb(k, e) from x[c, _, _] = x -> conv(1, out: e * c) -> depthwise(k) -> conv(1, out: c)
    cell u(C) from x {
        y = x -> mb(choose { 3, 5 }, choose { 1, 2, 4 })
        return y -> sep(choose { 1, 3 })
    }
    network(C = 2) from image[3, 4, 4] to out[4, 4, 4] =
        image -> conv(1, out: C) -> u(C) -> conv(1, out: 2 * C) -> u(2 * C)
"""
"""Numbers chosen between calls."""

ENTANGLED = """
    network(C = 2) from image[3, 4, 4] to class[2] {
        w = choose entangled { 2, 4, 6 }
        x = image -> conv(choose entangled { 1, 3 }, out: w) -> bn
        y = sum(x, x -> conv(3, out: choose entangled { 3, 5 }) -> relu -> conv(1, out: w))
        return y -> conv(3, out: choose entangled { 1, 4 })
            -> repeat choose entangled { 1, 2 } { conv(3) } -> global_pool(mean) -> linear(2)
    }
"""
"""Widths, kernels and a depth, the smaller ones slices of the largest."""

DEPTH = """
    op block(heads, ratio) from x[_, e] {
        y = sum(x, x -> layer_norm -> attention(heads, width: 2))
        return sum(y, y -> linear(ratio * e) -> gelu -> linear(e))
    }
    network from image[3, 4, 4] to class[2] {
        e = choose entangled { 4, 6 }
        x = image -> conv(2, out: e, stride: 2) -> tokens -> position
        y = x -> repeat choose entangled { 1, 2, 3 } {
            block(choose entangled { 1, 2 }, choose entangled { 2, 3 })
        }
        return y -> layer_norm -> global_pool(mean) -> linear(2)
    }
"""
"""A chain of blocks, all as wide as one decision says."""

IN_ALL = """
    cell u(C) from x {
        y = x -> conv(1)
        node n[3] = sum(
            each (x, y) -> choose { conv(3), skip },
            each earlier n -> choose { conv(5), conv(1) },
        )
        keep 5 edges in all by weight
        return n[-1]
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u(C) -> u(C)
"""
"""Edges kept over all nodes."""

ALL_ABOVE = """
    cell u(C) from x {
        y = x -> conv(1)
        node n[2] = sum(
            each (x, y) -> choose { conv(3), skip },
            each earlier n -> conv(3) -> choose { conv(5), conv(1) },
        )
        keep 4 edges in all by weight above 0.3
        return n[-1]
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u(C) -> u(C)
"""
"""As many edges as are above a weight, over all nodes."""

ABOVE = """
    cell u(C) from x {
        shared W = conv(3)
        node n[2] = sum(
            each (x, x) -> choose { W as w, skip, zero },
            each earlier n -> conv(3) -> choose { W as w, conv(1) },
        )
        keep edges by weight above 0.3
        return n[-1]
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u(C) -> u(C)
"""
"""As many edges as are above a weight, with what some of them share."""

CANDIDATES = """
    cell u(C) from x {
        node n[2] = sum(
            each (x, x) -> choose { conv(1), conv(3), skip },
            each earlier n -> conv(3) -> choose { conv(5), conv(1) },
        )
        keep 2 candidates per node by alpha
        return n[-1]
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u(C) -> u(C)
"""
"""Options kept over the edges of a node."""

LOOSE = """
    cell u(C) from x {
        node n[3] {
            node arm[2] {
                f = choose { conv(1), skip }
                return choose { x -> f, each earlier n -> f }
            }
            return sum(arm)
        }
        return concat(n) -> conv(1, out: C) when search else concat(loose n) -> conv(1, out: C)
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u(C) -> u(C)
"""
"""A cell as wide as many of its nodes as nothing reads."""

SHARED_CHOICE = """
    cell u(C) from x {
        f = choose { conv(3), skip, conv(1) -> relu }
        g = choose { tanh, relu }
        return x -> f -> g -> f -> g
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u(C) -> u(C)
"""
"""Decisions that are obeyed in several places."""

STAGES = """
    cell unit(C) from x[c, _, _] per stage =
        x -> choose { conv(3, out: C), conv(1, out: C) -> relu } -> choose { skip, conv(3) }
    network(C = 2) from image[3, 8, 8] to out[4, 8, 8] =
        image -> repeat 4 {
            unit(C * 2^stage)
            at 2: conv(1, out: C * 2^stage)
        }
"""
"""A kind for each stage of a repeat."""

BESIDE = """
    cell u(C) from x {
        y = x -> choose { conv(1), gelu } -> choose { conv(1) -> choose { relu, tanh } as c, skip }
        node n[2] = sum(
            each (x, y) -> choose { conv(3), skip },
            each earlier n -> choose { conv(5) -> choose { relu, conv(1) } as d, conv(1) },
        )
        keep 3 edges in all by weight
        return n[-1]
    }
    network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u(C) -> choose { relu, conv(1) }
"""
"""Decisions beside edges that are kept, and within options of them."""

GENERAL = {
    "beside": BESIDE,
    "network": NETWORK,
    "several": SEVERAL,
    "within": WITHIN,
    "numbers": NUMBERS,
    "entangled": ENTANGLED,
    "depth": DEPTH,
    "in_all": IN_ALL,
    "all_above": ALL_ABOVE,
    "above": ABOVE,
    "candidates": CANDIDATES,
    "loose": LOOSE,
    "shared_choice": SHARED_CHOICE,
    "stages": STAGES,
}
