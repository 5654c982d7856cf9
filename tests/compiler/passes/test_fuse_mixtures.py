"""A node's choices, their sum and the norms before it become one mixture.

That it computes the same is shown in tests/compiler/flat/test_interpret.py.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc

from support import compiled

from compiler.passes.expand import Expand
from compiler.passes.fuse_mixtures import FuseMixtures
from compiler.passes.share import Share

After = Callable[..., str]
NETWORK = "\nnetwork from image[2, 4, 4] to class[32] = image -> u -> flatten"


def test_choices_their_sum_and_the_norms_before(after: After) -> None:
    text = """
    cell u from x {
        y = x -> relu
        return sum(y -> choose { skip, bn }, y -> choose { conv(1) -> bn(affine: no) as c, gelu })
    }
    """
    assert after(text + NETWORK, Expand()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = relu <- %0
        %3 = bn `u.return_from_y.bn` <- %2
        %4 = mixture(%1[0, 0] · %2 + %1[0, 1] · %3)
        %5 = conv `u.return_from_y_2.c.0` <- %2
        %6 = bn `u.return_from_y_2.c.1` <- %5
        %7 = gelu <- %2
        %8 = mixture(%1[1, 0] · %6 + %1[1, 1] · %7)
        %9 = sum <- %4, %8
        %10 = flatten <- %9
        return %10
    """)
    assert after(text + NETWORK, Expand(), FuseMixtures()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = relu <- %0
        %3 = conv `u.return_from_y_2.c.0` <- %2
        %4 = gelu <- %2
        %5 = mixture({})
        %6 = flatten <- %5
        return %6
    """).format(
        "%1[0, 0] · %2 + %1[0, 1] · u.return_from_y.bn(%2)"
        " + %1[1, 0] · u.return_from_y_2.c.1(%3) + %1[1, 1] · %4"
    )


def test_what_is_added_as_it_is_has_a_weight_of_one(after: After) -> None:
    text = "cell u from x = sum(x -> choose { skip, relu }, x, x -> bn)" + NETWORK
    assert after(text, Expand(), FuseMixtures()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = relu <- %0
        %3 = mixture(%1[0, 0] · %0 + %1[0, 1] · %2 + %0 + u.bn(%0))
        %4 = flatten <- %3
        return %4
    """)


def test_a_sum_without_a_choice_stays(after: After) -> None:
    text = "cell u from x = sum(x, x -> bn)" + NETWORK
    assert after(text, Expand(), FuseMixtures()) == after(text, Expand())


def test_a_mean_stays_and_its_choices_take_in_their_norms(after: After) -> None:
    text = "cell u from x = mean(x -> choose { skip, bn }, x)" + NETWORK
    assert after(text, Expand(), FuseMixtures()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = mixture(%1[0, 0] · %0 + %1[0, 1] · u.return_from_x.bn(%0))
        %3 = mean <- %2, %0
        %4 = flatten <- %3
        return %4
    """)


def test_what_others_read_too_stays_apart(after: After) -> None:
    """A norm's value and a choice's, each with another reader."""
    text = """
    op first from a, _ = a
    op last from _, b = b
    cell u from x {
        n = x -> bn
        y = (x, n) -> choose { first, last }
        return sum(y -> choose { skip, relu }, y, n)
    }
    """
    assert after(text + NETWORK, Expand(), FuseMixtures()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = bn `u.n` <- %0
        %3 = mixture(%1[0, 0] · %0 + %1[0, 1] · %2)
        %4 = relu <- %3
        %5 = mixture(%1[1, 0] · %3 + %1[1, 1] · %4 + %3 + %2)
        %6 = flatten <- %5
        return %6
    """)


def test_a_norm_used_twice_stays(after: After) -> None:
    """The statistics of a module move in the order of its uses."""
    text = """
    cell u from x {
        shared w = bn
        return sum(x -> choose { w as w, skip }, x -> relu -> w)
    }
    """
    assert after(text + NETWORK, Expand(), FuseMixtures()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = bn `u.w` <- %0
        %3 = relu <- %0
        %4 = bn `u.w` <- %3
        %5 = mixture(%1[0, 0] · %2 + %1[0, 1] · %0 + %4)
        %6 = flatten <- %5
        return %6
    """)


def test_norms_that_were_shared_keep_all_names(after: After) -> None:
    text = """
    cell u from x = x -> choose { bn(affine: no), skip }
    network from image[2, 4, 4] to class[64] = concat(image -> u, image -> u -> relu) -> flatten
    """
    assert after(text, Expand(), Share(), FuseMixtures()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = mixture(%1[0, 0] · u_0.return_.bn, u_1.return_.bn(%0) + %1[0, 1] · %0)
        %3 = relu <- %2
        %4 = concat <- %2, %3
        %5 = flatten <- %4
        return %5
    """)


def test_loops_are_fused_inside(after: After) -> None:
    text = """
    cell r(H) from x, h[H] = sum((x -> linear(H)) -> choose { bn, tanh }, h)
    network(H = 3) from x[T, 2] to y[T, 3] = x -> r(H) over T
    """
    assert after(text, Expand(), FuseMixtures()) == cleandoc("""
        %0 = x
        %1 = r
        %2 = state
        %3 = loop(1, 1) <- %0, %2, %1
            %0 = x
            %1 = h
            %2 = linear `r.linear` <- %0
            %3 = r
            %4 = tanh <- %2
            %5 = mixture(%3[0, 0] · r.return_.bn(%2) + %3[0, 1] · %4 + %1)
            return %5
        %4 = item 1 <- %3
        %5 = item 0 <- %3
        return %5, %4, %5, %0
    """)


def test_the_program_is_not_changed_in_place() -> None:
    flat = Expand().apply(compiled(f"cell u from x = x -> choose {{ bn, skip }}{NETWORK}").program)
    before = list(flat.network.nodes()), flat.network.outputs
    FuseMixtures().apply(flat)
    assert (list(flat.network.nodes()), flat.network.outputs) == before
