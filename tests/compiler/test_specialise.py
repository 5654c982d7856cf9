"""The final program: winners in place of choices, and what that makes simple is simple."""

from __future__ import annotations

import pytest
from support import CIFAR, DARTS_V2, compiled, space

from compiler.codegen.module import generate
from compiler.compile import compile_space
from compiler.expr import Const
from compiler.genotype import CellGenotype, Genotype
from compiler.instantiate import instantiate
from compiler.ir import Call, Choice, Join, Layer, Region, Scan, is_open
from compiler.program import Program

CELL = """
    cell u from x {{
        y = x -> conv(3) -> bn
        node n[2] = sum(
            each (x, y) -> choose {{ none, skip, sep_conv(3), pool(max, 3) }} -> drop_path,
            each earlier n -> choose {{ none, skip, sep_conv(3), pool(max, 3) }} -> drop_path,
        )
        {keep}
        return {result}
    }}
    network(C = 3) from image[3, 8, 8] to class[2] = image -> u -> flatten -> linear(2)
"""


def final(*options: str, result: str = "sum(n)") -> Program:
    text = CELL.format(keep="", result=result)
    (kind,) = compiled(text).program.kinds
    cell = CellGenotype(
        tuple(zip((d.path for d in kind.decisions), options, strict=True)), kind.sources
    )
    return compile_space(space(text), genotype=Genotype({"u": cell})).program


def source(program: Program) -> str:
    return generate(program, instantiate(program), "A network.")


def layers(program: Program) -> list[str]:
    unit = next(r for r in program.regions() if r.name == "u")
    live = [node for number, node in unit.nodes() if number in unit.live()]
    return [n.layer if isinstance(n, Layer) else type(n).__name__ for n in live]


def test_no_choice_is_left() -> None:
    for program in (
        final("skip", "sep_conv_3", "skip", "skip", "pool_max_3"),
        compile_space(CIFAR, genotype=Genotype.parse(DARTS_V2)).program,
    ):
        assert not is_open(program.network)
        assert not any(isinstance(n, Choice) for r in program.regions() for _, n in r.nodes())


def test_an_identity_is_the_value_and_has_no_drop_path() -> None:
    found = layers(final("skip", "skip", "skip", "skip", "skip"))
    assert "drop_path" not in found
    assert found.count("Join") == 3


def test_what_has_weights_or_pools_keeps_its_drop_path() -> None:
    found = layers(final("sep_conv_3", "pool_max_3", "skip", "skip", "skip"))
    assert found.count("drop_path") == 2
    assert found.count("pool") == 1


def test_zeros_vanish_from_sums() -> None:
    found = layers(final("none", "skip", "skip", "none", "skip"))
    assert "zero" not in found
    assert "drop_path" not in found


@pytest.mark.parametrize("how", ["max", "product", "mean"])
def test_zeros_stay_in_other_joins(how: str) -> None:
    text = CELL.replace("node n[2] = sum(", f"node n[2] = {how}(")
    (kind,) = compiled(text.format(keep="", result="sum(n)")).program.kinds
    chosen = [(d.path, "none") for d in kind.decisions]
    genotype = Genotype({"u": CellGenotype(tuple(chosen), kind.sources)})
    program = compiled(text.format(keep="", result="sum(n)"), genotype).program
    assert layers(program).count("zero") == 5


@pytest.mark.parametrize("how", ["max", "product"])
def test_a_join_of_the_one_edge_that_is_kept_is_its_value(how: str) -> None:
    text = CELL.replace("node n[2] = sum(", f"node n[2] = {how}(")
    text = text.format(keep="keep 1 edge per node by alpha", result="sum(n)")
    (kind,) = compiled(text).program.kinds
    chosen = (("n[0] from x", "sep_conv_3"), ("n[1] from n[0]", "sep_conv_3"))
    genotype = Genotype({"u": CellGenotype(chosen, kind.sources)})
    unit = next(r for r in compiled(text, genotype).program.regions() if r.name == "u")
    assert [n.how for _, n in unit.nodes() if isinstance(n, Join)] == ["sum"]


def test_a_node_of_zeros_is_zeros() -> None:
    found = layers(final("none", "none", "skip", "skip", "none", result="concat(n)"))
    assert found.count("zero") == 1


def test_layers_with_weights_stay_though_nothing_reads_them() -> None:
    program = final("skip", "none", "skip", "none", "skip")
    assert "Inline" not in layers(program)
    conv, norm, linear = 9 * 9, 6, 2 * (3 * 8 * 8 + 1)
    assert instantiate(program).weights == conv + norm + linear
    assert "self.y = nn.Sequential(" in source(program)


def test_what_was_decided_is_kept_in_words() -> None:
    program = final("skip", "sep_conv_3", "skip", "none", "pool_max_3")
    unit = next(r for r in program.regions() if r.name == "u")
    assert unit.decided == (
        "n[0] = sum(x -> skip, y -> sep_conv_3)",
        "n[1] = sum(x -> skip, y -> none, n[0] -> pool_max_3)",
    )


def test_edges_not_kept_leave_a_smaller_join() -> None:
    text = CELL.format(keep="keep 1 edge per node by weight", result="concat(n)")
    cell = CellGenotype((("n[0] from y", "sep_conv_3"), ("n[1] from n[0]", "skip")))
    program = compile_space(space(text), genotype=Genotype({"u": cell})).program
    unit = next(r for r in program.regions() if r.name == "u")
    assert sum(isinstance(n, Join) for _, n in unit.nodes()) == 1


@pytest.mark.parametrize("strided", [True, False])
def test_a_strided_skip_is_dropped_and_an_identity_is_not(strided: bool) -> None:
    text = """
        cell u from x {
            node n[1] = sum(each (x,) -> choose { skip, sep_conv(3) } -> drop_path)
            return concat(n)
        }
    """.replace("skip,", f"skip(stride: {1 + strided}) as skip, ")
    text = text.replace("sep_conv(3) }", f"sep_conv(3, stride: {1 + strided}) }}")
    text = text.replace("each (x,)", "each (x, x)")
    text += "network(C = 4) from image[4, 8, 8] to class[2] = image -> u -> flatten -> linear(2)"
    loaded = space(text)
    cell = CellGenotype((("n[0] from x", "skip"), ("n[0] from x (2)", "sep_conv_3")))
    program = compile_space(loaded, genotype=Genotype({"u": cell})).program
    assert layers(program).count("drop_path") == 1 + strided


RECURRENT = """
    op left from a, _ = a
    op gated(f) from a, b = a * (b -> f)
    cell u(H) from x, h[H], c[H] {
        shared m = dropout(0.5, per: sequence)
        shared W = m -> linear(H)
        shared V = linear(H)
        y = (x -> linear(H)) + (h -> W)
        z = y -> choose { W as W, V as V, relu }
        t = (z, y) -> choose { left, gated(f) for f in (tanh, relu) as f }
        return (t, c - z)
    }
    network(H = 3) from x[T, 4] to out[T, 3] = x -> u(H) over T
"""


def recurrent(z: str, t: str) -> tuple[Program, Region]:
    genotype = Genotype({"u": CellGenotype((("z", z), ("t", t)))})
    program = compile_space(space(RECURRENT), genotype=genotype).program
    return program, next(r for r in program.regions() if r.name == "u")


@pytest.mark.parametrize(
    ("z", "shared"), [("W", ["m", "W", "m", "W"]), ("V", ["m", "W", "V"]), ("relu", ["m", "W"])]
)
def test_what_is_shared_stays_shared(z: str, shared: list[str]) -> None:
    program, unit = recurrent(z, "left")
    assert [n.shared for _, n in unit.nodes() if n.shared] == shared
    assert instantiate(program).weights == (4 * 3 + 3) + 12 * len(set(shared) - {"m"})


def test_an_option_that_gives_back_one_of_its_values_is_that_value() -> None:
    _, unit = recurrent("relu", "left")
    assert not any(isinstance(n, Call) for _, n in unit.nodes())
    assert unit.node(unit.outputs[0]).bound == "z"


@pytest.mark.parametrize("t", ["tanh", "relu"])
def test_states_are_given_back_by_the_final_cell(t: str) -> None:
    program, unit = recurrent("relu", t)
    assert (unit.states, len(unit.outputs)) == (2, 2)
    assert not is_open(program.network)
    assert [n.region for _, n in program.network.nodes() if isinstance(n, Scan)] == [unit]
    ((number, call),) = [(i, n) for i, n in unit.nodes() if isinstance(n, Call)]
    assert unit.outputs[0] == number
    assert dict(call.arguments) == {"f": Const(t)}
