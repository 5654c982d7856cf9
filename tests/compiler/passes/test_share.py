"""Equal values are computed once.

That nothing else changes is shown in tests/compiler/flat/test_interpret.py.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc

from support import compiled

from compiler.passes.expand import Expand
from compiler.passes.share import Share

After = Callable[..., str]
NETWORK = "\nnetwork from image[2, 4, 4] to class[32] = image -> u -> flatten"


def test_what_edges_do_first_to_one_value_is_done_once(after: After) -> None:
    text = """
    op conv_of_relu(k) = relu -> conv(k)
    cell u from x = sum(x -> conv_of_relu(1), x -> conv_of_relu(3))
    """
    assert after(text + NETWORK, Expand()) == cleandoc("""
        %0 = image
        %1 = relu <- %0
        %2 = conv `u.conv_of_relu_0.1` <- %1
        %3 = relu <- %0
        %4 = conv `u.conv_of_relu_1.1` <- %3
        %5 = sum <- %2, %4
        %6 = flatten <- %5
        return %6
    """)
    assert after(text + NETWORK, Expand(), Share()) == cleandoc("""
        %0 = image
        %1 = relu <- %0
        %2 = conv `u.conv_of_relu_0.1` <- %1
        %3 = conv `u.conv_of_relu_1.1` <- %1
        %4 = sum <- %2, %3
        %5 = flatten <- %4
        return %5
    """)


def test_pools_and_arithmetic_of_equal_values_are_one_value(after: After) -> None:
    text = """
    cell u from x {
        a = (x + 1) * (x -> pool(mean, 3))
        b = (x + 1) * (x -> pool(mean, 3))
        return concat(a - (x -> pool(max, 3)), b - (x -> pool(mean, 3)))
    }
    network from image[2, 4, 4] to class[64] = image -> u -> flatten
    """
    assert after(text, Expand(), Share()) == cleandoc("""
        %0 = image
        %1 = + 1 <- %0
        %2 = pool <- %0
        %3 = * <- %1, %2
        %4 = pool <- %0
        %5 = - <- %3, %4
        %6 = - <- %3, %2
        %7 = concat <- %5, %6
        %8 = flatten <- %7
        return %8
    """)


def test_numbers_and_windows_tell_values_apart(after: After) -> None:
    text = """
    cell u from x = sum(x + 1, x + 2, 1 - x, x - 1, x -> pool(max, 3), x -> pool(max, 5))
    """
    assert after(text + NETWORK, Expand(), Share()) == after(text + NETWORK, Expand())


def test_a_layer_shared_in_the_file_is_run_once_on_one_value(after: After) -> None:
    text = """
    cell u from x {
        shared w = conv(3)
        return sum(x -> w, x -> w, x -> relu -> w, x -> conv(3))
    }
    """
    assert after(text + NETWORK, Expand(), Share()) == cleandoc("""
        %0 = image
        %1 = conv `u.w` <- %0
        %2 = relu <- %0
        %3 = conv `u.w` <- %2
        %4 = conv `u.conv` <- %0
        %5 = sum <- %1, %1, %3, %4
        %6 = flatten <- %5
        return %6
    """)


def test_norms_without_weights_become_one_and_keep_all_names(after: After) -> None:
    text = """
    cell u from x {
        y = x -> relu
        return sum(y -> bn(affine: no), x -> relu -> bn(affine: no), y -> bn, y -> bn)
    }
    """
    assert after(text + NETWORK, Expand(), Share()) == cleandoc("""
        %0 = image
        %1 = relu <- %0
        %2 = bn `u.bn_0, u.bn_1` <- %1
        %3 = bn `u.bn_2` <- %1
        %4 = bn `u.bn_3` <- %1
        %5 = sum <- %2, %2, %3, %4
        %6 = flatten <- %5
        return %6
    """)


def test_a_norm_used_twice_is_run_twice(after: After) -> None:
    """Its running statistics move once for each use."""
    text = """
    cell u from x {
        shared w = bn(affine: no)
        return sum(x -> w, x -> w, x -> bn(affine: no))
    }
    """
    assert after(text + NETWORK, Expand(), Share()) == cleandoc("""
        %0 = image
        %1 = bn `u.w` <- %0
        %2 = bn `u.w` <- %0
        %3 = bn `u.bn` <- %0
        %4 = sum <- %1, %2, %3
        %5 = flatten <- %4
        return %5
    """)


def test_masks_are_drawn_for_each_use(after: After) -> None:
    text = "cell u from x = sum(x -> dropout(0.5), x -> dropout(0.5))" + NETWORK
    assert after(text, Expand(), Share()) == after(text, Expand())
    text = """
    cell r(H) from x, h[H] {
        shared m = dropout(0.5, per: sequence)
        y = sum(h -> m, h -> m)
        return y + (x -> linear(H)) + (h -> dropout(0.5, per: sequence))
    }
    network(H = 3) from x[T, 2] to y[T, 3] = x -> r(H) over T
    """
    assert after(text, Expand(), Share()) == cleandoc("""
        %0 = x
        %1 = state
        %2 = mask <- %0
        %3 = mask <- %0
        %4 = loop(1, 1) <- %0, %1, %2, %3
            %0 = x
            %1 = h
            %2 = mask
            %3 = * <- %1, %2
            %4 = sum <- %3, %3
            %5 = linear `r.linear` <- %0
            %6 = + <- %4, %5
            %7 = mask
            %8 = * <- %1, %7
            %9 = + <- %6, %8
            return %9
        %5 = item 1 <- %4
        %6 = item 0 <- %4
        return %6, %5, %6, %0
    """)


def test_mixtures_are_one_where_their_weights_are(after: After) -> None:
    text = """
    cell u from x = x -> choose { skip, relu }
    network from image[2, 4, 4] to class[64] = concat(image -> u, image -> u) -> flatten
    """
    assert after(text, Expand(), Share()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = relu <- %0
        %3 = mixture(%1[0, 0] · %0 + %1[0, 1] · %2)
        %4 = concat <- %3, %3
        %5 = flatten <- %4
        return %5
    """)


def test_the_program_is_not_changed_in_place() -> None:
    text = "cell u from x = sum(x -> bn(affine: no), x -> bn(affine: no))" + NETWORK
    flat = Expand().apply(compiled(text).program)
    before = list(flat.network.nodes()), flat.network.outputs
    Share().apply(flat)
    assert (list(flat.network.nodes()), flat.network.outputs) == before
