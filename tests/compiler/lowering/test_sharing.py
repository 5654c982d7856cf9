"""`shared`: uses of one module, or of one mask, bear its name, and its weights count once."""

from __future__ import annotations

import pytest
from support import space

from compiler.dump import dump
from compiler.facts import Facts
from compiler.ir import Layer, Region
from compiler.measure import measure
from compiler.program import Program
from compiler.verify import verify

AROUND = "network(H = 3) from x[3] to y[3] = x -> c\n"
OVER_TIME = "network(H = 3) from x[T, 3] to y[T, 3] = x -> c over T\n"


def lowered(text: str, phase: str = "search") -> tuple[Program, Facts]:
    _, program, facts = measure(space(text), phase, None, {})
    verify(program)
    return program, facts


def shared_names(program: Program, region: str) -> list[str]:
    """What is shared in a region and in the options of its choices, at each use in order."""

    def names(inner: Region) -> list[str]:
        found = []
        for _, node in inner.nodes():
            found += [node.shared] if node.shared else []
            for option in getattr(getattr(node, "region", None), "options", ()):
                found += names(option.body)
        return found

    return names(next(r for r in program.regions() if r.name == region))


def test_all_uses_are_one_module() -> None:
    program, facts = lowered("""
        cell c from x {
            shared W = linear(3)
            a = x -> W -> relu
            return sum(a, x -> W, a -> linear(3))
        }
    """ + AROUND)  # fmt: skip
    assert shared_names(program, "c") == ["W", "W"]
    assert facts.weights == 2 * (3 * 3 + 3)


def test_what_is_shared_may_be_several_layers() -> None:
    program, facts = lowered("""
        cell c from x {
            shared f = linear(3) -> relu -> bn -> linear(3)
            return x -> f -> f
        }
    """ + AROUND)  # fmt: skip
    assert shared_names(program, "c") == ["f_0", "f_1", "f_2"] * 2
    assert facts.weights == 2 * (3 * 3 + 3) + 6


def test_what_is_shared_may_be_an_op_a_cell_or_a_stack() -> None:
    program, facts = lowered("""
        op f = linear(3) -> bn
        cell c from x = x -> choose { tanh, linear(3) as own }
        network(H = 3) from x[3] to y[3] {
            shared one = f
            shared two = c
            shared three = repeat 2 { linear(3) }
            return x -> one -> two -> three -> one -> two -> three
        }
    """)
    assert shared_names(program, "network") == ["one", "two", "three"] * 2
    assert facts.weights == (12 + 6) + 12 + 2 * 12


def test_a_function_needs_no_sharing() -> None:
    program, _ = lowered("cell c from x { shared f = relu -> tanh  return x -> f -> f }" + AROUND)
    assert shared_names(program, "c") == []


def test_every_member_of_a_group_has_its_own() -> None:
    program, facts = lowered("""
        cell c from x {
            node a[2] {
                shared W = linear(3)
                return sum(x -> W, each earlier a -> W)
            }
            node b[2] {
                shared W = linear(3)
                return sum(a[1] -> W, each earlier b -> W)
            }
            return sum(b)
        }
    """ + AROUND)  # fmt: skip
    members = ["a0_W", "a1_W", "a1_W", "b0_W", "b1_W", "b1_W"]
    assert shared_names(program, "c") == members
    assert facts.weights == 4 * 12


def test_names_of_members_do_not_run_into_others() -> None:
    program, facts = lowered("""
        cell c from x {
            shared n0_W = linear(3)
            node n[1] { shared W = linear(3)  return x -> W -> n0_W }
            return n[0]
        }
    """ + AROUND)  # fmt: skip
    assert shared_names(program, "c") == ["n0_W_", "n0_W"]
    assert facts.weights == 2 * 12


def test_options_share_with_the_cell_around_them() -> None:
    program, facts = lowered("""
        cell c from x {
            shared W = linear(3)
            y = x -> choose { W as wide, W -> tanh as curved, linear(3) as own, relu }
            return y -> choose { W as wide, relu }
        }
    """ + AROUND)  # fmt: skip
    assert shared_names(program, "c") == ["W"] * 3
    assert facts.weights == 2 * 12


def test_an_op_uses_what_it_is_given() -> None:
    """It is evaluated in place, since its weights are those of the body that gives them."""
    program, facts = lowered("""
        op both(f, g) from x = x -> f -> g -> f
        cell c from x { shared W = linear(3)  return x -> both(W, tanh) -> both(relu, W) }
    """ + AROUND)  # fmt: skip
    assert shared_names(program, "c") == ["W"] * 3
    assert facts.weights == 12
    assert not any(r.name == "both" for r in program.regions())


def test_a_mask_is_shared_like_a_module() -> None:
    program, _ = lowered("""
        cell c from x, h[3] {
            shared m = dropout(0.5, per: sequence)
            shared W = m -> linear(3)
            return sum(h -> m, x -> m -> W, x -> dropout(0.5, per: sequence), h -> W)
        }
    """ + OVER_TIME)  # fmt: skip
    assert shared_names(program, "c") == ["m", "m", "m", "W", "m", "W"]
    cell = next(r for r in program.regions() if r.name == "c")
    masks = [n for _, n in cell.nodes() if isinstance(n, Layer) and n.layer == "dropout"]
    assert [mask.shared for mask in masks] == ["m", "m", "m", "", "m"]


@pytest.mark.parametrize("phase", ["search", "final"])
def test_what_comes_out_as_nothing_is_not_shared(phase: str) -> None:
    text = "cell c from x { shared f = bn when search  return x -> f -> linear(3) -> f }"
    program, facts = lowered(text + AROUND, phase)
    assert shared_names(program, "c") == ["f", "f"] * (phase == "search")
    assert facts.weights == 12 + 6 * (phase == "search")


def test_a_tied_layer_has_the_table_of_an_embedding() -> None:
    program, facts = lowered("""
        network(V = 7, H = 4) from word[T] below V to y[T, V] {
            shared table = embedding(V, H)
            y = word -> table -> linear(H) -> relu -> linear(V, tied: table)
            return y
        }
    """)
    assert facts.weights == 7 * 4 + (4 * 4 + 4) + 7
    assert "linear(out: V, bias: True, tied: 'table')" in dump(program)
