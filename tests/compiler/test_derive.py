"""Derivation against a plain writing of the rules, and the laws that hold between them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from random_spaces import random_space
from reference.darts import derive as reference_derive
from support import CIFAR, PROGRAMS, RNN, compiled, randomise, sources

import compiler
from compiler import Genotype
from compiler.account import NodeAudit
from compiler.compile import compile_space, specialised
from compiler.decision import Decision
from compiler.derive import RULES, Derivation, derive, edge_weight, strengths
from compiler.ir import Region
from compiler.program import is_fixed, stacks
from dsl import load_text

IN_FILES = RULES[:3]
Rows = list[list[float]]


def plain(kind: Region, alphas: Rows, rule: str, count: int | None) -> dict[str, str]:
    """What a kind decides: every edge's best option that is no sink, every node's `count` best
    edges (None is all of them), in a loop that compares and nothing else."""
    best = {}
    for decision, row in zip(kind.decisions, alphas, strict=True):
        sinks = [sink for _, sink in decision.options]
        if rule == "weight without sinks":
            total = sum(math.exp(a) for a, sink in zip(row, sinks, strict=True) if not sink)
        else:
            total = sum(math.exp(a) for a in row)
        strongest, lost = None, 0.0
        for (label, sink), alpha in zip(decision.options, row, strict=True):
            score = alpha if rule == "alpha" else math.exp(alpha) / total
            if sink:
                lost += score
            elif strongest is None or score > strongest[1]:
                strongest = label, score
        assert strongest is not None
        best[decision.path] = strongest[0], (1 - lost if rule == "edge" else strongest[1])
    chosen = {}
    for node in dict.fromkeys(d.place for d in kind.decisions):
        rest = [d.path for d in kind.decisions if d.place == node]
        for _ in range(len(rest) if count is None else min(count, len(rest))):
            winner = max(rest, key=lambda path: best[path][1])
            rest.remove(winner)
            chosen[winner] = best[winner][0]
    return {d.path: chosen[d.path] for d in kind.decisions if d.path in chosen}


def drawn(kind: Region, random: Random, spread: float = 2.0) -> Rows:
    return [[random.gauss(0, spread) for _ in d.options] for d in kind.decisions]


def spaces(tmp_path: Path, rule: str, count: int) -> Path:
    text = CIFAR.read_text(encoding="utf-8")
    line = "keep 2 edges per node by weight\n"
    assert line in text
    path = tmp_path / "space.darts"
    path.write_text(text.replace(line, f"keep {count} edges per node by {rule}\n"))
    return path


@pytest.fixture(scope="module")
def many() -> list[Region]:
    """Kinds of the shipped spaces, of programs and of random spaces."""
    kinds = [k for path in (CIFAR, RNN, *PROGRAMS) for k in compile_space(path).program.kinds]
    for number in range(60):
        kinds += specialised(load_text(random_space(number)))[1].kinds
    return [kind for kind in kinds if is_edge_by_edge(kind)]


def is_edge_by_edge(kind: Region) -> bool:
    """Whether a kind keeps edges with one option each, as the loop that is written out here."""
    return is_fixed(kind) and all(
        not d.within and (d.least, d.most, d.above) == (1, 1, None) for d in kind.decisions
    )


def nodes(derivation: Derivation) -> Iterator[NodeAudit]:
    return (node for kind in derivation.kinds.values() for node in kind.nodes)


# ---- against a plain loop ------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [None, *RULES])
def test_rules_are_those_of_a_plain_loop(rule: str | None, many: list[Region]) -> None:
    random = Random(0)
    for kind in many:
        count = None if kind.keep is None else kind.keep.count
        own = rule or ("weight" if kind.keep is None else kind.keep.strength)
        for _ in range(10):
            alphas = drawn(kind, random)
            derivation = derive([kind], {kind.name: alphas}, rule)
            decided = dict(derivation.genotype.cells[kind.name].decisions)
            expected = plain(kind, alphas, own, count)
            assert list(decided.items()) == list(expected.items())
            assert derivation.kinds[kind.name].rule == own


def test_the_kinds_tried_are_of_every_sort(many: list[Region]) -> None:
    def dropping(kind: Region) -> bool:
        audit = derive([kind], {kind.name: [[0.0] * len(d.options) for d in kind.decisions]})
        return any(node.dropped for node in nodes(audit))

    sorts = [
        (dropping(kind), any(sink for d in kind.decisions for _, sink in d.options))
        for kind in many
    ]
    assert min(sorts.count((drops, sinks)) for drops in (0, 1) for sinks in (0, 1)) >= 5
    assert {d.node is None for kind in many for d in kind.decisions} == {True, False}
    assert len({len(d.options) for kind in many for d in kind.decisions}) >= 4
    assert {kind.keep.strength for kind in many if kind.keep} == set(IN_FILES)
    assert {kind.keep.count for kind in many if kind.keep} >= {1, 2, 3}


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("rule", IN_FILES)
def test_a_rule_in_the_file_is_the_same_as_one_given(rule: str, count: int, tmp_path: Path) -> None:
    written = compile_space(spaces(tmp_path, rule, count)).program.kinds
    other = IN_FILES[IN_FILES.index(rule) - 1]
    overridden = compile_space(spaces(tmp_path, other, count)).program.kinds
    random = Random(count)
    for _ in range(20):
        alphas = {kind.name: drawn(kind, random) for kind in written}
        derivation = derive(written, alphas)
        assert derivation == derive(overridden, alphas, rule)
        for kind in written:
            decided = dict(derivation.genotype.cells[kind.name].decisions)
            assert decided == plain(kind, alphas[kind.name], rule, count)


def test_rules_differ() -> None:
    kinds = compile_space(CIFAR).program.kinds
    random = Random(0)
    different: set[tuple[str, str]] = set()
    for _ in range(20):
        alphas = {kind.name: drawn(kind, random, 3) for kind in kinds}
        found = {rule: derive(kinds, alphas, rule).genotype for rule in RULES}
        different |= {(a, b) for a in RULES for b in RULES if found[a] != found[b]}
    assert different == {(a, b) for a in RULES for b in RULES if a != b}


def test_the_rule_of_the_paper() -> None:
    kinds = compile_space(CIFAR).program.kinds
    for _ in range(20):
        alphas = {kind.name: 2 * torch.randn(14, 8) for kind in kinds}
        rows = {name: alpha.tolist() for name, alpha in alphas.items()}
        genotype = derive(kinds, rows).genotype
        for name, alpha in alphas.items():
            assert sources(genotype, name) == reference_derive(alpha)


@pytest.mark.parametrize("rule", RULES)
def test_ties_go_to_what_is_written_first(rule: str) -> None:
    kinds = compile_space(CIFAR).program.kinds
    genotype = derive(kinds, {kind.name: [[0.0] * 8] * 14 for kind in kinds}, rule).genotype
    for name in ("normal", "reduce"):
        assert sources(genotype, name) == (("max_pool_3x3", 0), ("max_pool_3x3", 1)) * 4


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_sinks_are_never_selected(path: Path) -> None:
    net = compiler.build(path)
    for _ in range(5):
        randomise(net)
        for kind in net.program.kinds:
            groups = stacks(kind.decisions)
            for alphas, group in zip(net._alphas_of(kind.name), groups, strict=True):
                for row, number in zip(alphas.data, group, strict=True):
                    for i, (_, sink) in enumerate(kind.decisions[number].options):
                        row[i] += 50 * sink
        selectable = {
            (kind.name, d.path): d.selectable for kind in net.program.kinds for d in kind.decisions
        }
        for rule in RULES:
            for kind, cell in net.derive(rule).genotype.cells.items():
                assert all(option in selectable[kind, path] for path, option in cell.decisions)


# ---- laws ----------------------------------------------------------------------------------------

KINDS = compiled("""
    cell edges from a, b {
        node n[3] = sum(
            each (a, b) -> choose { sink none, skip, relu, bn, sink zero as other },
            each earlier n -> choose { sink none, skip, relu, bn, sink zero as other },
        )
        keep 2 edges per node by weight
        return sum(n)
    }
    cell all_kept from a, b {
        y = sum(each (a, b) -> choose { sink none, relu, skip, bn, sink zero as other })
        return y
    }
    network(C = 2) from image[3, 4, 4] to out[3, 4, 4] {
        x = (image, image) -> edges
        return (x, x) -> all_kept
    }
""").program.kinds
NUMBERS = st.floats(-1e6, 1e6)
EXACT = st.integers(-500, 500).map(lambda number: number / 16)
"""Sums of these are not rounded."""


def alphas_of(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[dict[str, Rows]]:
    return st.fixed_dictionaries(
        {
            kind.name: st.tuples(
                *(
                    st.lists(numbers, min_size=len(d.options), max_size=len(d.options))
                    for d in kind.decisions
                )
            ).map(list)
            for kind in KINDS
        }
    )


@given(alphas_of(NUMBERS))
def test_all_rules_agree_on_an_edge_s_option(alphas: dict[str, Rows]) -> None:
    by_rule = [
        [(e.option, e.second) for node in nodes(derive(KINDS, alphas, rule)) for e in node.edges]
        for rule in RULES
    ]
    assert by_rule[1:] == by_rule[:1] * 3


@given(alphas_of(NUMBERS))
def test_where_all_edges_are_kept_rules_agree(alphas: dict[str, Rows]) -> None:
    genotypes = [derive(KINDS, alphas, rule).genotype.cells["all_kept"] for rule in RULES]
    assert genotypes[1:] == genotypes[:1] * 3


@given(alphas_of(NUMBERS))
def test_what_is_kept_is_at_least_as_strong_as_what_is_dropped(alphas: dict[str, Rows]) -> None:
    for rule in RULES:
        for node in nodes(derive(KINDS, alphas, rule)):
            assert all(k.rank >= d.rank for k in node.kept for d in node.dropped)
            assert node.margin is None or node.margin >= 0
            for edge in node.edges:
                assert edge.strength == max(edge.scores.values())
                assert edge.margin is not None and edge.margin >= 0


@given(alphas_of(EXACT), st.data())
def test_a_constant_on_a_row_changes_no_weight(
    alphas: dict[str, Rows], data: st.DataObject
) -> None:
    moved = {}
    for name, rows in alphas.items():
        by = [data.draw(EXACT) for _ in rows]
        moved[name] = [[a + c for a in row] for row, c in zip(rows, by, strict=True)]
    for rule in ("weight", "weight without sinks", "edge"):
        assert derive(KINDS, moved, rule) == derive(KINDS, alphas, rule)


@given(alphas_of(EXACT), EXACT)
def test_a_constant_on_all_rows_changes_no_genotype(alphas: dict[str, Rows], by: float) -> None:
    moved = {name: [[a + by for a in row] for row in rows] for name, rows in alphas.items()}
    for rule in RULES:
        assert derive(KINDS, moved, rule).genotype == derive(KINDS, alphas, rule).genotype


def test_a_constant_on_a_row_changes_what_alpha_keeps() -> None:
    kinds = [kind for kind in KINDS if kind.name == "edges"]
    rows = [[0.0, 2.0, 1.0, 0.0, 0.0] for _ in kinds[0].decisions]
    moved = [row if number != 4 else [a + 1 for a in row] for number, row in enumerate(rows)]
    assert kinds[0].decisions[4].path == "n[1] from n[0]"
    before, after = (
        dict(derive(kinds, {"edges": r}, "alpha").audit)["edges"] for r in (rows, moved)
    )
    assert [a["edge"] for a in before["n[1]"]["kept"]] == ["n[1] from a", "n[1] from b"]
    assert [a["edge"] for a in after["n[1]"]["kept"]] == ["n[1] from a", "n[1] from n[0]"]


@given(alphas_of(st.integers(-3, 3).map(float)), st.integers(1, 5))
def test_a_heavier_sink_weakens_an_edge_by_two_rules(alphas: dict[str, Rows], by: int) -> None:
    moved = {name: [[row[0] + by, *row[1:]] for row in rows] for name, rows in alphas.items()}
    for rule in ("weight without sinks", "alpha"):
        assert derive(KINDS, moved, rule) == derive(KINDS, alphas, rule)
    for rule in ("weight", "edge"):
        before, after = (nodes(derive(KINDS, each, rule)) for each in (alphas, moved))
        for node, other in zip(before, after, strict=True):
            assert all(b.rank > a.rank for b, a in zip(node.edges, other.edges, strict=True))


# ---- strengths -----------------------------------------------------------------------------------

NONE_A_B = Decision("n[0] from a", "n[0]", "a", (("none", True), ("a", False), ("b", False)))


def test_strengths_of_huge_alphas_are_finite() -> None:
    assert strengths(NONE_A_B, [1e4, 1e4, -1e4], "weight") == {"a": 0.5, "b": 0.0}
    assert strengths(NONE_A_B, [1e4, 0.0, 0.0], "alpha") == {"a": 0.0, "b": 0.0}
    assert strengths(NONE_A_B, [9.0, 0.0, 0.0], "weight without sinks") == {"a": 0.5, "b": 0.5}
    assert edge_weight(NONE_A_B, [1e4, 1e4, -1e4]) == 0.5


def test_a_sink_far_above_the_rest_leaves_a_decision() -> None:
    found = strengths(NONE_A_B, [2000.0, 0.0, 1.0], "weight without sinks")
    assert found["b"] > found["a"] > 0


def test_the_weight_of_an_edge_is_what_its_sinks_leave() -> None:
    random = Random(0)
    options = (("a", False), ("none", True), ("b", False), ("zero", True))
    decision = Decision("n[0] from a", "n[0]", "a", options)
    free = Decision("n[0] from a", "n[0]", "a", tuple((label, False) for label, _ in options))
    for _ in range(50):
        row = [random.gauss(0, 3) for _ in options]
        soft = torch.tensor(row).softmax(0)
        assert edge_weight(decision, row) == pytest.approx(1 - soft[1].item() - soft[3].item())
        assert edge_weight(free, row) == 1


def test_what_underflows_is_decided_by_alpha() -> None:
    kinds = [kind for kind in KINDS if kind.name == "all_kept"]
    row = [2000.0, 0.0, 2.0, 1.0, 0.0]
    for rule in RULES:
        (node,) = nodes(derive(kinds, {"all_kept": [row, row]}, rule))
        assert [(e.option, e.second) for e in node.edges] == [("skip", "bn")] * 2


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_alphas_are_finite(number: float) -> None:
    kinds = [kind for kind in KINDS if kind.name == "all_kept"]
    with pytest.raises(ValueError, match=r"the alphas of `y from b` are not finite"):
        derive(kinds, {"all_kept": [[0.0] * 5, [0.0, 0.0, number, 0.0, 0.0]]})


def test_unknown_rules_are_refused() -> None:
    message = "no rule `weigth`, only weight, weight without sinks, alpha, edge"
    with pytest.raises(ValueError, match=message):
        derive(KINDS, {}, "weigth")


# ---- the audit -----------------------------------------------------------------------------------


def test_the_audit_accounts_for_every_node() -> None:
    kinds = compile_space(CIFAR).program.kinds
    alphas = {kind.name: torch.randn(14, 8).tolist() for kind in kinds}
    derivation = derive(kinds, alphas)
    for kind in kinds:
        rows = dict(zip((d.path for d in kind.decisions), alphas[kind.name], strict=True))
        audit = derivation.audit[kind.name]
        assert list(audit) == ["n[0]", "n[1]", "n[2]", "n[3]"]
        assert ("runner_up" in audit["n[0]"], "runner_up" in audit["n[3]"]) == (False, True)
        decided = dict(derivation.genotype.cells[kind.name].decisions)
        accounts = [account for node in audit.values() for account in node["kept"]]
        assert {a["edge"]: a["option"] for a in accounts} == decided
        for name, node in audit.items():
            assert node["rule"] == "weight"
            dropped = node.get("dropped", [])
            weakest = min(a["strength"] for a in node["kept"])
            if dropped:
                assert node["runner_up"] == max(dropped, key=lambda a: a["strength"])
                assert node["margin"] == weakest - node["runner_up"]["strength"] >= 0
            for account in (*node["kept"], *dropped):
                soft = torch.tensor(rows.pop(account["edge"])).softmax(0)[1:].sort(descending=True)
                assert account["edge"].startswith(f"{name} from ")
                assert account["strength"] == pytest.approx(soft.values[0].item())
                assert account["second_strength"] == pytest.approx(soft.values[1].item())
                assert account["second_option"] != account["option"]
                assert ("margin" in account) == (not dropped)
        assert not rows


def test_scores_are_those_of_every_option_that_may_be_selected() -> None:
    kinds = compile_space(CIFAR).program.kinds
    alphas = {kind.name: torch.randn(14, 8).tolist() for kind in kinds}
    for kind in kinds:
        edges = [e for node in derive(kinds, alphas).kinds[kind.name].nodes for e in node.edges]
        for edge, decision, row in zip(edges, kind.decisions, alphas[kind.name], strict=True):
            soft = torch.tensor(row).softmax(0).tolist()[1:]
            assert edge.decision == decision
            assert list(edge.scores) == list(decision.selectable)
            assert list(edge.scores.values()) == pytest.approx(soft)


def test_where_all_edges_are_kept_options_have_margins() -> None:
    alphas = {"all_kept": [[0.0, 1.0, 2.0, 0.5, 0.0], [0.0, 3.0, 2.0, 3.0, 0.0]]}
    kinds = [kind for kind in KINDS if kind.name == "all_kept"]
    (account,) = derive(kinds, alphas, "alpha").audit["all_kept"].values()
    assert account == {
        "rule": "alpha",
        "kept": [
            {
                "edge": "y from a", "option": "skip", "strength": 2.0,
                "second_option": "relu", "second_strength": 1.0, "margin": 1.0,
            },
            {
                "edge": "y from b", "option": "relu", "strength": 3.0,
                "second_option": "bn", "second_strength": 3.0, "margin": 0.0,
            },
        ],
    }  # fmt: skip


def test_by_edge_the_account_has_the_weight_of_the_edge() -> None:
    kinds = compile_space(CIFAR).program.kinds
    alphas = {kind.name: torch.randn(14, 8).tolist() for kind in kinds}
    node = derive(kinds, alphas, "edge").audit["normal"]["n[3]"]
    rows = dict(zip((d.path for d in kinds[0].decisions), alphas["normal"], strict=True))
    for account in (*node["kept"], *node["dropped"]):
        none = torch.tensor(rows[account["edge"]]).softmax(0)[0].item()
        assert account["edge_weight"] == pytest.approx(1 - none)
    weakest = min(a["edge_weight"] for a in node["kept"])
    assert node["margin"] == weakest - node["runner_up"]["edge_weight"]


def test_the_audit_is_plain_data(tmp_path: Path, many: list[Region]) -> None:
    path, random = tmp_path / "genotype.yaml", Random(0)
    for kind in many[:20]:
        for rule in (None, "edge"):
            derivation = derive([kind], {kind.name: drawn(kind, random)}, rule)
            derivation.genotype.save(path, derivation.audit)
            text = path.read_text(encoding="utf-8")
            assert yaml.safe_load(text)["audit"] == derivation.audit
            assert "&id" not in text
            assert Genotype.load(path) == derivation.genotype


def test_a_supernet_derives_by_another_rule() -> None:
    net = compiler.build(CIFAR, C=2, N=2, size=8)
    randomise(net)
    rows = {name: net.alphas[f"{name}_0"].tolist() for name in ("normal", "reduce")}
    for rule in (None, *RULES):
        assert net.derive(rule) == derive(net.program.kinds, rows, rule)
