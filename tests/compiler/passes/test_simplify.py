"""What does nothing is left out: identities, zeros that are added, sums of sums, dead values.

That nothing else changes is shown in tests/compiler/flat/test_interpret.py.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc

import pytest
from support import compiled

from compiler.passes.expand import Expand
from compiler.passes.simplify import Simplify

After = Callable[..., str]
NETWORK = "\nnetwork from image[2, 4, 4] to class[32] = image -> u -> flatten"
IDENTITY = """
    %0 = image
    %1 = flatten <- %0
    return %1
"""
CASES = {
    "identities": (
        "x -> identity -> drop_path -> crop(0) -> dropout(0) -> (identity when 1 > 2)", IDENTITY,
    ),
    "neutral numbers": ("((x + 0) * 1 - 0) / 1", IDENTITY),
    "zeros in a sum": (
        "sum(x, x -> zero -> relu -> tanh, x -> relu)", """
            %0 = image
            %1 = relu <- %0
            %2 = sum <- %0, %1
            %3 = flatten <- %2
            return %3
        """,
    ),
    "a sum of nothing but zeros": (
        "sum(x -> zero, x -> zero)", """
            %0 = image
            %1 = zero <- %0
            %2 = flatten <- %1
            return %2
        """,
    ),
    "zeros in a mixture": (
        "x -> choose { zero, skip, relu }", """
            %0 = image
            %1 = u
            %2 = relu <- %0
            %3 = mixture(%1[0, 1] · %0 + %1[0, 2] · %2)
            %4 = flatten <- %3
            return %4
        """,
    ),
    "sums of sums": (
        "sum(sum(x, sum(x -> relu, x -> tanh)), x -> gelu)", """
            %0 = image
            %1 = relu <- %0
            %2 = tanh <- %0
            %3 = gelu <- %0
            %4 = sum <- %0, %1, %2, %3
            %5 = flatten <- %4
            return %5
        """,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_cases(after: After, case: str) -> None:
    body, expected = CASES[case]
    text = f"cell u from x = {body}{NETWORK}"
    assert after(text, Expand()) != cleandoc(expected)
    assert after(text, Expand(), Simplify()) == cleandoc(expected)


@pytest.mark.parametrize(
    "body",
    [
        "0 - (x * 0 + 1)",
        "1 / x",
        "mean(x, x -> zero)",
        "concat(x -> zero, x)",
        "sum(x -> zero -> sigmoid, x)",
        "x -> crop(1) -> dropout(0.5)",
    ],
)
def test_what_does_something_stays(after: After, body: str) -> None:
    text = f"cell u from x = {body}\nnetwork from image[2, 4, 4] to class[2] = "
    text += "image -> u -> flatten -> linear(2)"
    assert after(text, Expand(), Simplify()) == after(text, Expand())


def test_a_sum_that_others_read_too_stays(after: After) -> None:
    text = """
    cell u from x {
        y = sum(x, x -> relu)
        return sum(y, y -> tanh)
    }
    """
    assert after(text + NETWORK, Expand(), Simplify()) == cleandoc("""
        %0 = image
        %1 = relu <- %0
        %2 = sum <- %0, %1
        %3 = tanh <- %2
        %4 = sum <- %2, %3
        %5 = flatten <- %4
        return %5
    """)


def test_a_norm_of_zeros_stays(after: After) -> None:
    """It shifts them, and moves its statistics."""
    text = "cell u from x = x -> choose { zero -> bn as z, skip }" + NETWORK
    assert after(text, Expand(), Simplify()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = zero <- %0
        %3 = bn `u.return_.z.1` <- %2
        %4 = mixture(%1[0, 0] · %3 + %1[0, 1] · %0)
        %5 = flatten <- %4
        return %5
    """)


def test_loops_are_simplified_inside(after: After) -> None:
    text = """
    cell r(H) from x, h[H] = sum(x -> linear(H), h -> identity, h -> zero)
    network(H = 3) from x[T, 2] to y[T, 3] = x -> r(H) over T -> dropout(0)
    """
    assert after(text, Expand(), Simplify()) == cleandoc("""
        %0 = x
        %1 = state
        %2 = loop(1, 1) <- %0, %1
            %0 = x
            %1 = h
            %2 = linear `r.linear` <- %0
            %3 = sum <- %2, %1
            return %3
        %3 = item 1 <- %2
        %4 = item 0 <- %2
        return %4, %3, %4, %4
    """)


def test_what_nothing_reads_any_more_goes_but_for_norms(after: After) -> None:
    """A norm moves its statistics whether or not its values are read."""
    text = """
    op first from a, _ = a
    cell u from x {
        y = x -> conv(3) -> relu
        z = x -> conv(1) -> bn
        return sum((y, z) -> first -> zero, x, (z, y) -> first -> zero)
    }
    """
    assert after(text + NETWORK, Expand(), Simplify()) == cleandoc("""
        %0 = image
        %1 = conv `u.z.0` <- %0
        %2 = bn `u.z.1` <- %1
        %3 = flatten <- %0
        return %3
    """)


def test_the_program_is_not_changed_in_place() -> None:
    program = compiled(f"cell u from x = sum(x, x -> zero){NETWORK}").program
    flat = Expand().apply(program)
    before = list(flat.network.nodes()), flat.network.outputs
    Simplify().apply(flat)
    assert (list(flat.network.nodes()), flat.network.outputs) == before
