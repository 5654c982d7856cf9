"""Equal flows from one vector become lanes of larger tensors.

That nothing else changes is shown in tests/compiler/flat/test_interpret.py.
"""

from __future__ import annotations

from inspect import cleandoc

from support import compiled

from compiler.flat.nodes import Loop, Mixture, StackedLinear
from compiler.ir import Input, Region
from compiler.passes.expand import Expand
from compiler.passes.share import Share
from compiler.passes.simplify import Simplify
from compiler.passes.stack import Stack
from compiler.verify import verify

NETWORK = "\nnetwork(H = 4) from x[3] to y[4] = x -> u(H)"


def flat(text: str) -> Region:
    program = compiled(text).program
    for each in (Expand(), Simplify(), Share(), Stack()):
        program = each.apply(program)
        verify(program, after=each.name)
    return program.network


def lines(region: Region) -> str:
    """`%number what <- operands : shape` of all nodes but inputs."""
    found = []
    for number, node in region.nodes():
        if isinstance(node, Input):
            continue
        what = type(node).__name__
        if isinstance(node, StackedLinear):
            what = "linear " + " ".join(layer.name for layer in node.layers)
        elif hasattr(node, "layer"):
            what = node.layer + (f" {node.name}" if node.layer == "linear" else "")
        elif hasattr(node, "operator"):
            what = node.operator
        elif hasattr(node, "index"):
            what += f" {node.index}"
        shape = ", ".join(str(size.value) for size in node.shape)
        reads = ", ".join(f"%{o}" for o in node.operands)
        found.append(f"%{number} {what} <- {reads} : [{shape}]")
    return "\n".join(found)


def test_maps_of_one_vector_and_what_reads_them_alike() -> None:
    text = """
    cell u(H) from x {
        a = x -> linear(H) -> tanh
        b = x -> linear(H) -> tanh
        return a - b
    }
    """
    assert lines(flat(text + NETWORK)) == cleandoc("""
        %1 linear u.a u.b <- %0 : [2, 4]
        %2 tanh <- %1 : [2, 4]
        %3 Lane 0 <- %2 : [4]
        %4 Lane 1 <- %2 : [4]
        %5 - <- %3, %4 : [4]
    """)


def test_a_value_that_all_lanes_read_is_read_by_the_lanes() -> None:
    text = """
    cell u(H) from x {
        s = x -> linear(H, bias: no)
        return concat((x -> linear(H)) * s, (x -> linear(H)) * s) -> linear(H)
    }
    """
    assert lines(flat(text + NETWORK)) == cleandoc("""
        %1 linear u.s <- %0 : [4]
        %2 linear u.linear_0 u.linear_1 <- %0 : [2, 4]
        %3 * <- %2, %1 : [2, 4]
        %4 Lane 0 <- %3 : [4]
        %5 Lane 1 <- %3 : [4]
        %6 Join <- %4, %5 : [8]
        %7 linear u.linear_2 <- %6 : [4]
    """)


def test_lanes_end_where_their_readers_differ() -> None:
    text = """
    cell u(H) from x {
        a = x -> linear(H)
        b = x -> linear(H)
        return (a -> tanh) + (b -> relu)
    }
    """
    assert "tanh <- %2 : [4]" in lines(flat(text + NETWORK))


def test_maps_to_other_widths_stay_alone() -> None:
    text = """
    cell u(H) from x = concat(x -> linear(H), x -> linear(2 * H), x -> linear(H, bias: no))
    network(H = 4) from x[3] to y[16] = x -> u(H)
    """
    assert not any(isinstance(node, StackedLinear) for _, node in flat(text).nodes())


def test_mixtures_keep_the_rows_of_each_lane() -> None:
    text = """
    op link(W) from x = x -> W -> choose { tanh, relu }
    cell u(H) from x {
        node n[2] {
            shared W = linear(H)
            return sum(x -> link(W))
        }
        return sum(n)
    }
    """
    (mixture,) = (n for _, n in flat(text + NETWORK).nodes() if isinstance(n, Mixture))
    rows = [[term.weights[0].row for term in lane] for lane in mixture.all_lanes]
    columns = [[term.weights[0].column for term in lane] for lane in mixture.all_lanes]
    assert (rows, columns) == ([[0, 0], [1, 1]], [[0, 1], [0, 1]])


def test_a_step_of_the_recurrent_cell_maps_each_state_once() -> None:
    """Its 36 edges have 8 matrices; each of 8 states goes through those of all later nodes."""
    from support import RNN

    from compiler.compile import compile_space

    program = compile_space(RNN).program
    for each in (Expand(), Simplify(), Share(), Stack()):
        program = each.apply(program)
    (loop,) = (node for _, node in program.network.nodes() if isinstance(node, Loop))
    maps = [n for _, n in loop.region.nodes() if isinstance(n, StackedLinear)]
    assert [len(node.layers) for node in maps] == [8, 7, 6, 5, 4, 3, 2]
