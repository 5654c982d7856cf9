"""What the terms of a mixture have in common is taken out of it.

That nothing else changes is shown in tests/compiler/flat/test_interpret.py.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc

from compiler.passes.expand import Expand
from compiler.passes.factor import Factor
from compiler.passes.share import Share

After = Callable[..., str]
NETWORK = "\nnetwork from image[2, 4, 4] to class[32] = image -> u -> flatten"
GATED = """
op gate(f) from x { return x + (x -> sigmoid) * ((x -> f) - x) }
cell u from x = x -> choose { gate(tanh), gate(relu) }
"""


def test_a_gate_is_multiplied_once(after: After) -> None:
    assert after(GATED + NETWORK, Expand(), Share(), Factor()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = sigmoid <- %0
        %3 = tanh <- %0
        %4 = relu <- %0
        %5 = mixture(%1[0, 0] · %3 + (-%1[0, 0] + -%1[0, 1]) · %0 + %1[0, 1] · %4)
        %6 = * <- %2, %5
        %7 = mixture((%1[0, 0] + %1[0, 1]) · %0 + %6)
        %8 = flatten <- %7
        return %8
    """)


def test_terms_with_nothing_in_common_stay_as_they_are(after: After) -> None:
    text = """
    cell u from x {
        a = (x -> tanh) * (x -> relu)
        b = (x -> sigmoid) + (x -> gelu)
        return a -> choose { relu, silu }
    }
    """
    assert after(text + NETWORK, Expand(), Factor()) == after(
        text + NETWORK, Expand(), Factor(), Factor()
    )
    assert "mixture(%1[0, 0] · %" in after(text + NETWORK, Expand(), Factor())


def test_what_others_read_too_is_not_taken_apart(after: After) -> None:
    """The sum has to be computed for them anyway."""
    text = """
    op both(f) from x = x + (x -> f)
    cell u from x {
        y = x -> both(tanh)
        return y + (x -> choose { both(tanh), both(relu), both(sigmoid) })
    }
    """
    assert after(text + NETWORK, Expand(), Share(), Factor()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = tanh <- %0
        %3 = + <- %0, %2
        %4 = relu <- %0
        %5 = sigmoid <- %0
        %6 = mixture(%1[0, 0] · %3 + (%1[0, 1] + %1[0, 2]) · %0 + %1[0, 1] · %4 + %1[0, 2] · %5)
        %7 = + <- %3, %6
        %8 = flatten <- %7
        return %8
    """)


def test_a_vector_spread_over_an_image_is_no_common_factor(after: After) -> None:
    text = """
    op scaled(f) from x { return (x -> global_pool(mean)) * (x -> f) }
    cell u from x = x -> choose { scaled(tanh), scaled(relu) }
    """
    assert after(text + NETWORK, Expand(), Share(), Factor()).count("* <- ") == 2
