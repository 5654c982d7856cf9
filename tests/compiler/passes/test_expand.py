"""A program laid out flat: its ops, cells, stacks and choices are the layers they come to.

That it computes the same is shown in tests/compiler/flat/test_interpret.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path

import pytest
from support import PROGRAMS, compiled

import compiler
from compiler.flat.nodes import Loop, SharedLayer, numbers
from compiler.ir import Region
from compiler.layers import STATEFUL
from compiler.passes.drop_zeros import DropZeros
from compiler.passes.expand import Expand

After = Callable[..., str]
NETWORK = "\nnetwork from image[2, 4, 4] to class[32] = image -> {} -> flatten"


def test_ops_and_stacks_become_layers_and_choices_mixtures(after: After) -> None:
    text = """
    op twice(k) = relu -> conv(k)
    cell u from x = x -> choose { twice(3), skip, bn }
    """
    assert after(text + NETWORK.format("repeat 2 { u }"), Expand()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = relu <- %0
        %3 = conv `us.0.return_.twice_3.1` <- %2
        %4 = bn `us.0.return_.bn` <- %0
        %5 = mixture(%1[0, 0] · %3 + %1[0, 1] · %0 + %1[0, 2] · %4)
        %6 = relu <- %5
        %7 = conv `us.1.return_.twice_3.1` <- %6
        %8 = bn `us.1.return_.bn` <- %5
        %9 = mixture(%1[0, 0] · %7 + %1[0, 1] · %5 + %1[0, 2] · %8)
        %10 = flatten <- %9
        return %10
    """)


def test_idle_options_are_left_out_and_keep_their_column(after: After) -> None:
    text = "cell u from x = x -> choose { none, skip, relu }" + NETWORK.format("u")
    assert after(text, DropZeros(), Expand()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = relu <- %0
        %3 = mixture(%1[0, 1] · %0 + %1[0, 2] · %2)
        %4 = flatten <- %3
        return %4
    """)
    assert "%2 = zero <- %0" in after(text, Expand())


def test_decisions_in_a_row_with_equally_many_options_share_an_input(after: After) -> None:
    text = """
    cell u from x {
        a = x -> choose { skip, relu }
        b = a -> choose { gelu, skip }
        return b -> choose { skip, relu, gelu }
    }
    """
    assert after(text + NETWORK.format("u"), Expand()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = u
        %3 = relu <- %0
        %4 = mixture(%1[0, 0] · %0 + %1[0, 1] · %3)
        %5 = gelu <- %4
        %6 = mixture(%1[1, 0] · %5 + %1[1, 1] · %4)
        %7 = relu <- %6
        %8 = gelu <- %6
        %9 = mixture(%2[0, 0] · %6 + %2[0, 1] · %7 + %2[0, 2] · %8)
        %10 = flatten <- %9
        return %10
    """)


def test_steps_taps_and_conditions_are_decided(after: After) -> None:
    text = """
    network(N = 3) from image[2, 4, 4] to class[32] {
        y = image -> repeat N {
            conv(1, out: 2 + step) -> (bn when step > 0)
            at 1: relu
        }
        return y[0] -> flatten
    }
    """
    assert after(text, Expand()) == cleandoc("""
        %0 = image
        %1 = conv `y.0.0` <- %0
        %2 = relu <- %1
        %3 = conv `y.2.0` <- %2
        %4 = bn `y.2.1` <- %3
        %5 = flatten <- %1
        return %5
    """)


def test_a_choice_of_several_values(after: After) -> None:
    text = """
    op first from a, _ = a
    op add from a, b = a + b
    cell u from x {
        y = x -> bn
        return (x, y) -> choose { first, add }
    }
    """
    assert after(text + NETWORK.format("u"), Expand()) == cleandoc("""
        %0 = image
        %1 = u
        %2 = bn `u.y` <- %0
        %3 = + <- %0, %2
        %4 = mixture(%1[0, 0] · %0 + %1[0, 1] · %3)
        %5 = flatten <- %4
        return %5
    """)


def test_what_is_shared_has_one_path(after: After) -> None:
    text = """
    cell u from x {
        shared w = conv(3)
        a = x -> w -> relu
        return (a -> w) + 1
    }
    """
    assert after(text + NETWORK.format("u"), Expand()) == cleandoc("""
        %0 = image
        %1 = conv `u.w` <- %0
        %2 = relu <- %1
        %3 = conv `u.w` <- %2
        %4 = + 1 <- %3
        %5 = flatten <- %4
        return %5
    """)


def test_a_recurrence_is_a_loop_and_its_masks_stand_before_it(after: After) -> None:
    """Inputs of the body are a step of the sequence, the state, then what is the same throughout.

    After the output and the state come what the recurrence gives and what the last layer reads.
    """
    text = """
    cell r(H) from x, h[H] {
        shared held = dropout(0.5, per: sequence)
        return concat(x, h -> held) -> linear(H) -> choose { tanh, relu }
    }
    network(H = 3) from x[T, 2] to y[T, 1] = x -> r(H) over T -> dropout(0.2) -> linear(1)
    """
    assert after(text, Expand()) == cleandoc("""
        %0 = x
        %1 = r
        %2 = state
        %3 = mask <- %0
        %4 = loop(1, 1) <- %0, %2, %3, %1
            %0 = x
            %1 = h
            %2 = mask
            %3 = * <- %1, %2
            %4 = concat <- %0, %3
            %5 = linear `r.linear` <- %4
            %6 = tanh <- %5
            %7 = r
            %8 = relu <- %5
            %9 = mixture(%7[0, 0] · %6 + %7[0, 1] · %8)
            return %9
        %5 = item 1 <- %4
        %6 = item 0 <- %4
        %7 = dropout <- %6
        %8 = linear `linear` <- %7
        return %8, %5, %6, %7
    """)


def test_a_recurrence_with_two_states(after: After) -> None:
    text = """
    cell r(H) from x, h[H], c[H] {
        y = x -> linear(H)
        return (y + h, y * c)
    }
    network(H = 3) from x[T, 2] to y[T, 1] = x -> r(H) over T -> linear(1)
    """
    assert after(text, Expand()) == cleandoc("""
        %0 = x
        %1 = state
        %2 = state
        %3 = loop(1, 2) <- %0, %1, %2
            %0 = x
            %1 = h
            %2 = c
            %3 = linear `r.y` <- %0
            %4 = + <- %3, %1
            %5 = * <- %3, %2
            return %4, %5
        %4 = item 1 <- %3
        %5 = item 2 <- %3
        %6 = item 0 <- %3
        %7 = linear `linear` <- %6
        return %7, %4, %5, %6, %6
    """)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_paths_are_those_of_the_generated_modules(path: Path) -> None:
    """Nothing that holds weights is missing, besides what only an auxiliary head reads."""
    net = compiler.build(path, passes="none")
    flat = set(paths(Expand().apply(net.program).network))
    heads = tuple(f"{name}." for name in net.model.auxiliary_modules)
    names = (
        (n for n in net.model.state_dict() if not n.startswith(heads))
        if heads
        else (net.model.state_dict())
    )
    assert flat == {name.rpartition(".")[0] for name in names}


def paths(region: Region) -> Iterator[str]:
    for _, node in region.nodes():
        if isinstance(node, Loop):
            yield from paths(node.region)
        elif isinstance(node, SharedLayer) and node.layer == "attention":
            yield from (f"{node.name}.qkv", f"{node.name}.out")
        elif isinstance(node, SharedLayer) and node.layer in STATEFUL:
            has_weights = node.layer != "layer_norm" or numbers(node)["affine"]
            yield from [node.name] * has_weights


def test_the_program_is_not_changed_in_place() -> None:
    program = compiled("cell u from x = x -> choose { skip, relu }" + NETWORK.format("u")).program
    before = program.network.kind, list(program.network.nodes())
    Expand().apply(program)
    assert (program.network.kind, list(program.network.nodes())) == before
