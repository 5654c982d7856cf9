"""From a space to IR: what a program says, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import CIFAR, DARTS_V2, PROGRAMS, ROOT, space

from compiler.compile import compile_space
from compiler.describe import check
from compiler.expr import show
from compiler.instantiate import instantiate
from compiler.ir import (
    Call,
    Choice,
    Form,
    Inline,
    Input,
    Join,
    Layer,
    Repeat,
    Select,
    expressions,
)
from compiler.lowering import lower
from compiler.profile import values_of
from compiler.program import Program
from compiler.verify import verify
from dsl import DartsError, Space, load


def lowered(text: str | Space, phase: str = "search") -> Program:
    loaded = space(text) if isinstance(text, str) else text
    values = values_of(loaded, phase, None, {})
    program = lower(loaded, phase, values.parameters, values.profile, values.has_auxiliary)
    verify(program)
    return program


def kinds_of(program: Program, region: str = "network") -> list[str]:
    found = next(r for r in program.regions() if r.name == region)
    return [type(node).__name__ for _, node in found.nodes()]


COUNTS = """\
import sys
from compiler.fitting import resolve
from compiler.genotype import Genotype
from compiler.instantiate import instantiate
from compiler.lowering import lower
from compiler.profile import values_of
from compiler.specialise import specialise
from dsl import load

space = load("spaces/cifar_cell.darts")
values = values_of(space, "search", None, {})
print(instantiate(lower(space, "search", values.parameters, values.profile)).weights)
values = values_of(space, "final", None, {})
program = lower(space, "final", values.parameters, values.profile)
genotype = Genotype.parse(sys.stdin.read())
print(instantiate(specialise(program, resolve(genotype, program.kinds))).weights)
assert not {"torch", "numpy"} & set(sys.modules)
"""


def test_the_published_counts_come_without_torch() -> None:
    result = subprocess.run(
        [sys.executable, "-c", COUNTS], cwd=ROOT, input=DARTS_V2, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["1930618", "3349342"]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_counted_weights_are_those_of_the_networks(path: Path) -> None:
    import compiler

    net = compiler.build(path)
    found = compile_space(path)
    assert instantiate(found.program).weights == sum(p.numel() for p in net.weight_parameters())
    genotype = net.genotype()
    final = compiler.build(path, genotype=genotype)
    program = compile_space(path, genotype=genotype).program
    assert instantiate(program).weights == sum(p.numel() for p in final.parameters())


def test_a_cell_is_one_region_for_all_its_uses() -> None:
    program = lowered(load(CIFAR))
    cells = [r for r in program.regions() if r.kind == "cell"]
    assert [r.name for r in cells] == ["normal", "reduce"]
    assert [len(r.decisions) for r in cells] == [14, 14]
    assert list(cells[0].parameters) == ["C"]
    assert {r.name for r in program.regions() if r.kind == "set"} == {"candidates"}


def test_decisions_are_named_by_node_and_source() -> None:
    normal, _ = lowered(load(CIFAR)).kinds
    paths = [d.path for d in normal.decisions]
    assert paths[:3] == ["n[0] from a", "n[0] from b", "n[1] from a"]
    assert paths[-1] == "n[3] from n[2]"
    assert normal.sources == ("a", "b", "n[0]", "n[1]", "n[2]", "n[3]")
    assert normal.decisions[0].options[0] == ("none", True)
    assert "none" not in normal.decisions[0].selectable


def test_labels_of_options() -> None:
    program = lowered("""
        op f(k, n = 1) = conv(k) -> bn
        cell u(size) from x = x -> choose {
            f(3), f(5, n: 2), f(size), conv(3), relu, conv(3) -> relu, skip as other,
            pool(mean, 3), sep_conv(k) for k in (7, 9),
        }
        network(C = 3) from image[3, 8, 8] to class[192] = image -> u(3) -> flatten
    """)
    (unit,) = program.kinds
    assert [label for label, _ in unit.decisions[0].options] == [
        "f_3", "f_5", "f_number", "conv_3", "relu", "conv_3_relu", "other", "pool_mean_3",
        "sep_conv_7", "sep_conv_9",
    ]  # fmt: skip


def test_the_phase_is_a_flag() -> None:
    text = """
        network(C = 3) from image[3, 8, 8] to class[2] =
            image -> (conv(3) -> bn when search else conv(5)) -> (relu when final)
            -> flatten -> linear(2)
    """
    search, final = lowered(text), lowered(text, "final")
    layers = [
        [n.layer for _, n in p.network.nodes() if isinstance(n, Layer)] for p in (search, final)
    ]
    assert layers == [["conv", "bn", "flatten", "linear"], ["conv", "relu", "flatten", "linear"]]


def test_a_condition_on_a_parameter_stays_open() -> None:
    program = lowered("""
        op f(s = 1) from x = x -> (conv(3, stride: s) -> relu -> bn when s > 1 else bn) -> relu
        network(C = 1) from image[3, 8, 8] to class[2] =
            image -> f(s: C) -> f(s: C + 1) -> flatten -> linear(2)
    """)
    assert "Select" in kinds_of(program, "f")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("image -> identity", [Input]),
        ("sum(image)", [Input]),
        ("image -> (relu when 1 > 2)", [Input]),
        ("image -> skip", [Input]),
        ("image -> skip(stride: 1) -> relu", [Input, Layer]),
        ("sum(image, image -> relu)", [Input, Layer, Join]),
        ("image -> drop_path", [Input]),
        ("image -> norm", [Input, Layer]),
        ("image -> sep_conv(3)", [Input, Call]),
        ("image -> repeat 2 { relu }", [Input, Repeat]),
    ],
)
def test_what_is_simple_becomes_simple(body: str, expected: list[type]) -> None:
    program = lowered(f"network(C = 3) from image[3, 8, 8] to out[3, 8, 8] = {body}")
    assert kinds_of(program) == [kind.__name__ for kind in expected]
    assert instantiate(program).output == (3, 8, 8)


def test_an_op_that_decides_makes_a_decision_at_each_use() -> None:
    (unit,) = lowered("""
        op link = choose { skip, sep_conv(3) }
        cell u from x { y = x -> link -> link  return sum(y, x -> link) }
        network(C = 3) from image[3, 8, 8] to out[3, 8, 8] = image -> u
    """).kinds
    assert [d.path for d in unit.decisions] == ["y", "y (2)", "return from x"]


def test_a_number_of_members_that_hangs_on_a_parameter_is_folded() -> None:
    program = lowered("""
        cell u(M) from x { node n[M] = sum(each (x, earlier n) -> choose { skip, sep_conv(3) })
                           return n[-1] }
        network(C = 3, M = 2) from image[3, 8, 8] to out[3, 8, 8] = image -> repeat 3 { u(M) }
    """)
    (unit,) = program.kinds
    assert [d.path for d in unit.decisions] == ["n[0] from x", "n[1] from x", "n[1] from n[0]"]
    assert unit.parameters == {}


def test_a_choice_of_one_is_none() -> None:
    program = lowered("""
        cell u from x = x -> choose { sep_conv(3) }
        network(C = 3) from image[3, 8, 8] to out[3, 8, 8] = image -> u
    """)
    assert program.kinds == []
    assert not any(isinstance(n, Choice) for r in program.regions() for _, n in r.nodes())


def test_auxiliary_heads_belong_to_the_final_network() -> None:
    loaded = load(CIFAR)
    assert lowered(loaded).network.auxiliary == ()
    final = lowered(loaded, "final").network
    assert len(final.auxiliary) == 1
    assert final.heads() == set(final.auxiliary) | {
        n for n, node in final.nodes() if type(node).__name__ == "Tap"
    }


def test_forms_of_regions() -> None:
    program = lowered("""
        op chain = relu -> conv(3) -> bn
        op branching from x = sum(x, x -> conv(3))
        op one_of(s) = chain when s > 1 else branching
        network(C = 3) from image[3, 8, 8] to out[3, 8, 8] =
            image -> chain -> branching -> one_of(C) -> one_of(1)
    """)
    forms = {r.name: r.form for r in program.regions() if not r.is_branch}
    assert forms == {
        "chain": Form.CHAIN, "branching": Form.GRAPH, "one_of": Form.SINGLE,
        "network": Form.GRAPH,
    }  # fmt: skip


def test_flows_of_several_layers_are_one_module() -> None:
    program = lowered("""
        network(C = 3) from image[3, 8, 8] to out[3, 8, 8] {
            stem = image -> conv(3) -> bn
            return stem -> relu
        }
    """)
    stem = program.network.node(1)
    assert isinstance(stem, Inline)
    assert (stem.name, stem.bound) == ("stem", "stem")


@pytest.mark.parametrize(
    "pattern", ["x[8, _, _]", "x[c, n, n]", "x[c, 2 * c, _]"], ids=["number", "square", "product"]
)
def test_the_sizes_an_op_demands_are_checked_in_an_op_of_one_layer_too(pattern: str) -> None:
    with pytest.raises(DartsError) as raised:
        check(
            space(f"""
            op f from {pattern} = x -> relu
            network(C = 3) from image[3, 8, 7] to out[3, 8, 7] = image -> f
        """)
        )
    assert [d.code for d in raised.value.diagnostics] == ["E0505"]


@pytest.mark.parametrize(("place", "fits"), [(0, True), (2, True), (3, False), (-1, False)])
def test_places_of_a_repeat(place: int, fits: bool) -> None:
    text = f"""
        network(C = 3) from image[3, 8, 8] to out[3, 8, 8] =
            image -> repeat 3 {{ conv(3) at {place}: conv(5) }}
    """
    if fits:
        check(space(text))
        return
    with pytest.raises(DartsError) as raised:
        check(space(text))
    assert [d.code for d in raised.value.diagnostics] == ["E0703"]


def test_steps_and_stages_are_counted() -> None:
    program = lowered("""
        network(C = 4) from image[3, 8, 8] to class[9] =
            image -> repeat 4 {
                conv(1, out: C * 2^stage + step)
                at 1, 3: conv(1, out: 100 * stage + step)
            } -> global_pool(mean) -> linear(9)
    """)
    widths = [4, 101, 4 * 2 + 2, 203]
    expected = sum(a * b for a, b in zip([3, *widths], widths, strict=False)) + 203 * 9 + 9
    assert instantiate(program).weights == expected


def test_a_number_is_no_word() -> None:
    """What is a word has been folded, so what is still open comes out as something else."""
    program = lowered("""
        op f(out = same) from x[c, _, _] =
            x -> relu -> conv(1, out: 2 * c when out == same else out)
        network(C = 3) from image[3, 8, 8] to out[6, 8, 8] = image -> f(out: C) -> f
    """)
    assert instantiate(program).weights == 3 * 3 + 3 * 6
    texts = [show(v) for r in program.regions() for _, n in r.nodes() for v in expressions(n)]
    assert not any("same" in text and "==" in text for text in texts)


def test_even_kernels_are_not_padded() -> None:
    program = lowered("""
        op f(k) = relu -> conv(k)
        network(k = 2) from image[3, 8, 8] to out[3, 6, 6] = image -> f(2) -> f(2) -> f(3)
    """)
    assert instantiate(program).output == (3, 6, 6)


def test_lowering_twice_gives_the_same_program() -> None:
    from compiler.dump import dump

    for path in PROGRAMS:
        assert dump(lowered(load(path))) == dump(lowered(load(path)))


def test_a_select_is_walked_where_it_leads() -> None:
    program = lowered("""
        op f(s) from x = x -> (conv(3, stride: s) -> bn when s > 1 else relu)
        network(C = 3) from image[3, 8, 8] to out[3, 4, 4] = image -> f(1) -> f(C - 1)
    """)
    assert instantiate(program).weights == 3 * 3 * 9 + 6
    assert any(isinstance(n, Select) for r in program.regions() for _, n in r.nodes())


def test_chosen_values_that_are_joined_twice_alike_are_one_value() -> None:
    """Their weights are made once, whether a choice is left or not."""
    (unit,) = lowered("""
        cell u from x {
            y = choose 1 of { x -> conv(3), x -> conv(5) }
            return sum(y) * sum(y)
        }
        network from image[3, 8, 8] to out[3, 8, 8] = image -> u
    """).kinds
    assert sum(isinstance(node, Choice) for _, node in unit.nodes()) == 1


def test_what_is_chosen_behind_a_bound_choice_does_not_hang_on_it() -> None:
    (network,) = lowered("""
        network from image[3, 8, 8] to out[3, 8, 8] {
            f = choose { grown, active }
            width = choose entangled { 4, 8 }
            return image -> f(out: width) -> conv(1, out: 3)
        }
        op grown(out = 4) = conv(3, out: out)
        op active(out = 4) = relu -> conv(1, out: out)
    """).kinds
    assert {d.path: d.within for d in network.decisions} == {"f": (), "width": ()}


def test_what_hangs_on_an_argument_of_a_set_is_found_out_where_it_is_given() -> None:
    (unit,) = lowered("""
        op either(k, stride = 1) from x[c, _, _] {
            y = x -> conv(k, stride: stride)
            return x + y when stride == 1 else y
        }
        set ops = { either(3), either(5) }
        cell u from x = x -> choose ops(stride: 2)
        network(C = 3) from image[3, 8, 8] to out[3, 4, 4] = image -> u
    """).kinds
    assert [label for label, _ in unit.decisions[0].options] == ["either_3", "either_5"]
