"""The report of a derivation: its text, the same as data, and what it warns of."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from random_spaces import random_space
from support import CIFAR, RNN, compiled

from compiler.audit import CLOSE, Close, audit_dict, audit_text, close_choices, skips
from compiler.comparison import compare
from compiler.compile import compile_space, specialised
from compiler.derive import RULES, Alphas, derive
from compiler.ir import Region
from compiler.program import kept
from dsl import load_text

GOLDEN = Path(__file__).with_name("golden")

SEVERAL = """
    op left from x, _ = x
    op right from _, x = x -> relu
    cell sparse from a, b {
        node n[2] = sum(
            each (a, b) -> choose { sink none, skip, relu },
            each earlier n -> choose { skip, relu },
        )
        keep 1 edge per node by weight
        return sum(n)
    }
    cell dense from a, b {
        y = a -> choose { skip, conv(3) as three, relu }
        node m[2] = sum((y, b) -> choose { left, right }, y -> choose { sink none, relu, skip })
        return (m[0] + m[1]) -> choose { skip, relu }
    }
    network(C = 2) from image[3, 4, 4] to out[3, 4, 4] {
        x = (image, image) -> sparse
        return (x, x) -> dense
    }
"""
ROWS: Alphas = {
    "sparse": [[3, 1, 0], [0, 0.5, 0.9], [0, 1, 0.9995], [0, 2, 1], [0, 2.25]],
    "dense": [[0.5, 0, 0], [1, 0.5], [-9, 0.25, 0.75], [0, 0], [9, 0, -1], [1234567, 0]],
}


def drawn(kinds: list[Region], random: Random, spread: float = 0.3) -> Alphas:
    return {
        k.name: [[random.gauss(0, spread) for _ in d.options] for d in k.decisions] for k in kinds
    }


def several() -> list[Region]:
    return compiled(SEVERAL).program.kinds


def texts() -> dict[str, str]:
    cifar, rnn = (compile_space(path).program.kinds for path in (CIFAR, RNN))
    return {
        "audit_cifar": audit_text(cifar, drawn(cifar, Random(1))),
        "audit_rnn_alpha": audit_text(rnn, drawn(rnn, Random(2)), "alpha"),
        "audit_several": audit_text(several(), ROWS),
        "audit_several_edge": audit_text(several(), ROWS, "edge"),
    }


@pytest.mark.parametrize(
    "name", ["audit_cifar", "audit_rnn_alpha", "audit_several", "audit_several_edge"]
)
def test_golden(name: str, request: pytest.FixtureRequest) -> None:
    path, text = GOLDEN / f"{name}.txt", texts()[name]
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 100


def test_the_report_fits_a_terminal_and_is_a_function_of_what_it_reads() -> None:
    for number in range(30):
        kinds = specialised(load_text(random_space(number)))[1].kinds
        alphas = drawn(kinds, Random(number), 3)
        for rule in (None, *RULES):
            text = audit_text(kinds, alphas, rule)
            assert text == audit_text(kinds, alphas, rule)
            assert text.endswith("\n") and not text.endswith("\n\n")
            assert all(line == line.rstrip() and len(line) <= 100 for line in text.splitlines())


def test_the_table_has_every_decision_and_a_star_for_what_is_kept() -> None:
    kinds = compile_space(CIFAR).program.kinds
    alphas = drawn(kinds, Random(3))
    lines = audit_text(kinds, alphas).splitlines()
    start = 0
    for kind in kinds:
        start = lines.index(f"{kind.name}: keep 2 edges per node by weight", start) + 3
        table = [line.split() for line in lines[start : start + len(kind.decisions)]]
        decided = dict(derive(kinds, alphas).genotype.cells[kind.name].decisions)
        node = ""
        for cells, decision in zip(table, kind.decisions, strict=True):
            if cells[0] == decision.node != node:
                node = cells.pop(0)
            assert node == decision.node
            if decision.path in decided:
                assert cells.pop(0) == "*"
                assert cells[1] == decided[decision.path]
            assert cells[0] == decision.source


def test_where_nothing_is_decided_the_report_says_so() -> None:
    assert audit_text([], {}) == "no cell decides anything\n"
    assert audit_dict([], {}) == {}


# ---- as data -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [None, "alpha", "edge"])
def test_the_data_are_those_of_the_derivation(rule: str | None) -> None:
    for kinds in (several(), compile_space(CIFAR).program.kinds):
        alphas = drawn(kinds, Random(4))
        data = audit_dict(kinds, alphas, rule)
        assert json.loads(json.dumps(data, allow_nan=False)) == data
        derivation = derive(kinds, alphas, rule)
        comparison = compare(kinds, alphas, rule)
        for kind in kinds:
            own: dict[str, Any] = data[kind.name]
            decided = {
                edge["edge"]: edge["option"]
                for node in own["nodes"].values()
                for edge in node["edges"]
                if edge["kept"]
            }
            assert decided == dict(derivation.genotype.cells[kind.name].decisions)
            assert own["kept"] == len(decided) == sum(kept(kind).values())
            assert own["rule"] == derivation.kinds[kind.name].rule
            edges = [edge for node in own["nodes"].values() for edge in node["edges"]]
            by_path = {edge["edge"]: edge["scores"] for edge in edges}
            assert by_path.keys() == {d.path for d in kind.decisions}
            assert all(list(by_path[d.path]) == list(d.selectable) for d in kind.decisions)
            for other, found in own["rules"].items():
                genotype = comparison.genotypes[other].cells[kind.name]
                assert found["decisions"] == dict(genotype.decisions)
                moved = dict(decided)
                for difference in found["differences"] or ():
                    given_up = difference["in_place_of"]
                    assert moved.pop(given_up["edge"]) == given_up["option"]
                    moved[difference["edge"]] = difference["option"]
                assert other == "edge" or moved == found["decisions"]


def test_what_a_kind_s_data_look_like() -> None:
    data = audit_dict(several(), ROWS, "alpha")["sparse"]
    assert data["nodes"]["n[1]"]["edges"][2] == {
        "edge": "n[1] from n[0]",
        "kept": True,
        "rank": 2.25,
        "option": "relu",
        "strength": 2.25,
        "second_option": "skip",
        "second_strength": 0,
        "margin": 2.25,
        "scores": {"skip": 0, "relu": 2.25},
    }
    assert data["nodes"]["n[1]"]["runner_up"] == "n[1] from b"
    assert data["nodes"]["n[1]"]["margin"] == 0.25
    assert data["rules"]["weight without sinks"]["differences"] == []
    assert data["rules"]["weight"] == {
        "decisions": {"n[0] from b": "relu", "n[1] from n[0]": "relu"},
        "differences": [
            {
                "node": "n[0]",
                "edge": "n[0] from b",
                "option": "relu",
                "in_place_of": {"edge": "n[0] from a", "option": "skip"},
            }
        ],
    }
    assert (data["rule"], data["keep"], data["kept"], data["skips"]) == ("alpha", 1, 2, 1)
    assert data["close"] == []
    (first, _) = audit_dict(several(), ROWS)["dense"]["close"]
    assert first == {"place": "m[1]", "winner": "left", "loser": "right", "margin": 0}


# ---- close, and skips ----------------------------------------------------------------------------


def closest(rows: list[list[float]], rule: str) -> list[str]:
    (sparse, _) = several()
    return [*map(str, close_choices(derive([sparse], {"sparse": rows}, rule).kinds["sparse"]))]


def test_a_margin_below_a_thousandth_is_close() -> None:
    far = [[0.0, 1, 0], [0.0, 0.5, 0], [0.0, 5, 0], [0.0, 1, 0], [0.0, 1]]
    assert closest(far, "alpha") == []
    near = [[0.0, 1, 0.9995], [0.0, 0.5, 0.4999], [0.0, 1, 0], [0.0, 1.0005, 0], [0.0, 1.0001]]
    assert closest(near, "alpha") == [
        "n[0] from a: skip over relu by 0.0005",
        "n[1]: b -> skip over n[0] -> relu by 0.0004",
    ]


def test_close_is_close_at_the_border_and_apart_beyond() -> None:
    rows = [[0.0, CLOSE, 0], [0.0, -1, -2], [0.0, 5, 0], [0.0, 1, 0], [0.0, 1]]
    assert closest(rows, "alpha") == []
    rows[0][1] /= 1.01
    assert closest(rows, "alpha") == ["n[0] from a: skip over relu by 0.00099"]


def test_edges_that_tie_for_want_of_a_sink_are_not_close() -> None:
    (sparse,) = compiled("""
        cell sparse from a, b {
            n = sum(each (a, b) -> choose { skip, relu })
            keep 1 edge per node by weight
            return n
        }
        network(C = 2) from image[3, 4, 4] to out[3, 4, 4] = (image, image) -> sparse
    """).program.kinds
    alphas = {"sparse": [[0.0, 1], [0.0, 1]]}
    silent = "  edge says nothing, for no option here is a sink: what is written first is kept\n"
    assert silent in audit_text([sparse], alphas, "edge")
    assert silent not in audit_text([sparse], alphas)
    assert close_choices(derive([sparse], alphas, "edge").kinds["sparse"]) == []
    assert close_choices(derive([sparse], alphas).kinds["sparse"]) == [
        Close("n", "a -> relu", "b -> relu", 0.0)
    ]


def preferring(kind: Region, label: str, paths: tuple[str, ...]) -> list[list[float]]:
    """Alphas by which `label` is best everywhere, and edges of these paths are kept."""
    return [
        [3.0 * (option == label) + (d.path in paths) * (option == label) for option, _ in d.options]
        for d in kind.decisions
    ]


def test_a_skip_that_changes_the_resolution_has_weights() -> None:
    normal, reduce = compile_space(CIFAR).program.kinds
    earlier = ("n[1] from n[0]", "n[2] from n[0]", "n[2] from n[1]", "n[3] from n[0]")
    found = []
    for kind, paths in ((normal, ()), (reduce, ()), (reduce, earlier)):
        alphas = {kind.name: preferring(kind, "skip_connect", paths)}
        audit = derive([kind], alphas).kinds[kind.name]
        found.append(skips(kind, audit))
        assert ("skips without parameters" in audit_text([kind], alphas)) == (2 * found[-1] > 8)
    assert found == [8, 0, 4]


def test_more_than_half_of_the_options_are_skips() -> None:
    kinds = compile_space(CIFAR).program.kinds
    alphas = {kind.name: preferring(kind, "skip_connect", ()) for kind in kinds}
    lines = audit_text(kinds, alphas).splitlines()
    assert lines.count("  skips without parameters: 8 of 8 kept options") == 1


def test_identity_after_a_gate_is_no_skip() -> None:
    (kind,) = compile_space(RNN).program.kinds
    audit = derive([kind], {kind.name: preferring(kind, "identity", ())}).kinds[kind.name]
    assert {e.option for node in audit.nodes for e in node.kept} == {"identity"}
    assert skips(kind, audit) == 0


def test_what_gives_back_one_of_its_values_is_a_skip() -> None:
    (_, dense) = several()
    assert [d.path for d in dense.decisions] == [
        "y", "m[0]", "m[0] from y", "m[1]", "m[1] from y", "return",
    ]  # fmt: skip
    rows = [[0.0, 1, 0], [1.0, 0], [0.0, 1, 0], [0.0, 1], [0.0, 0, 1], [0.0, 1]]
    audit = derive([dense], {"dense": rows}).kinds["dense"]
    options = [edge.option for node in audit.nodes for edge in node.kept]
    assert options == ["three", "left", "relu", "right", "skip", "relu"]
    assert skips(dense, audit) == 2
