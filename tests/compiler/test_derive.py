"""Derivation against a plain writing of the rules."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from reference.darts import derive as reference_derive
from support import CIFAR, PROGRAMS, randomise, sources

import compiler
from compiler.compile import compile_space
from compiler.derive import derive, strengths
from compiler.ir import Decision, Region
from compiler.program import stacks

RULES = ("weight", "weight without sinks", "alpha")


def plain(kind: Region, alphas: list[list[float]], rule: str, count: int) -> dict[str, str]:
    """What a kind decides: every edge's strongest option that is no sink, every node's strongest
    `count` edges, in a loop that compares and nothing else."""
    best = {}
    for decision, row in zip(kind.decisions, alphas, strict=True):
        sinks = [sink for _, sink in decision.options]
        if rule == "weight without sinks":
            total = sum(math.exp(a) for a, sink in zip(row, sinks, strict=True) if not sink)
        else:
            total = sum(math.exp(a) for a in row)
        strongest = None
        for (label, sink), alpha in zip(decision.options, row, strict=True):
            score = alpha if rule == "alpha" else math.exp(alpha) / total
            if not sink and (strongest is None or score > strongest[1]):
                strongest = label, score
        best[decision.path] = strongest
    chosen = {}
    for node in dict.fromkeys(d.node for d in kind.decisions):
        rest = [d.path for d in kind.decisions if d.node == node]
        for _ in range(min(count, len(rest))):
            winner = max(rest, key=lambda path: best[path][1])
            rest.remove(winner)
            chosen[winner] = best[winner][0]
    return {d.path: chosen[d.path] for d in kind.decisions if d.path in chosen}


def spaces(tmp_path: Path, rule: str, count: int) -> Path:
    text = CIFAR.read_text(encoding="utf-8")
    line = "keep 2 edges per node by weight\n"
    assert line in text
    path = tmp_path / "space.darts"
    path.write_text(text.replace(line, f"keep {count} edges per node by {rule}\n"))
    return path


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("rule", RULES)
def test_rules_are_those_of_a_plain_loop(rule: str, count: int, tmp_path: Path) -> None:
    kinds = compile_space(spaces(tmp_path, rule, count)).program.kinds
    for _ in range(20):
        alphas = {kind.name: (2 * torch.randn(14, 8)).tolist() for kind in kinds}
        genotype = derive(kinds, alphas).genotype
        for kind in kinds:
            decided = dict(genotype.cells[kind.name].decisions)
            assert decided == plain(kind, alphas[kind.name], rule, count)
            assert list(decided) == list(plain(kind, alphas[kind.name], rule, count))


def test_rules_differ(tmp_path: Path) -> None:
    spaced = {r: compile_space(spaces(tmp_path, r, 2)).program.kinds for r in RULES}
    different: set[str] = set()
    for _ in range(20):
        alphas = {k: (3 * torch.randn(14, 8)).tolist() for k in ("normal", "reduce")}
        found = {rule: derive(kinds, alphas).genotype for rule, kinds in spaced.items()}
        different |= {rule for rule in RULES if found[rule] != found["weight"]}
    assert different == {"weight without sinks", "alpha"}


def test_the_rule_of_the_paper() -> None:
    kinds = compile_space(CIFAR).program.kinds
    for _ in range(20):
        alphas = {kind.name: 2 * torch.randn(14, 8) for kind in kinds}
        rows = {name: alpha.tolist() for name, alpha in alphas.items()}
        genotype = derive(kinds, rows).genotype
        for name, alpha in alphas.items():
            assert sources(genotype, name) == reference_derive(alpha)


def test_ties_go_to_what_is_written_first() -> None:
    kinds = compile_space(CIFAR).program.kinds
    genotype = derive(kinds, {kind.name: [[0.0] * 8] * 14 for kind in kinds}).genotype
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
        for kind, cell in net.genotype().cells.items():
            assert all(option in selectable[kind, path] for path, option in cell.decisions)


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
        for node in audit.values():
            weakest = min(a["strength"] for a in node["kept"])
            if "runner_up" in node:
                assert node["margin"] == pytest.approx(weakest - node["runner_up"]["strength"])
                assert node["margin"] >= 0
            for account in node["kept"]:
                soft = torch.tensor(rows[account["edge"]]).softmax(0)[1:].sort(descending=True)
                assert account["strength"] == pytest.approx(soft.values[0].item())
                assert account["second_strength"] == pytest.approx(soft.values[1].item())
                assert account["second_option"] != account["option"]


def test_strengths_of_huge_alphas_are_finite() -> None:
    decision = Decision("n[0] from a", "n[0]", "a", (("none", True), ("a", False), ("b", False)))
    assert strengths(decision, [1e4, 1e4, -1e4], "weight") == {"a": 0.5, "b": 0.0}
    assert strengths(decision, [1e4, 0.0, 0.0], "alpha") == {"a": 0.0, "b": 0.0}
    assert strengths(decision, [9.0, 0.0, 0.0], "weight without sinks") == {"a": 0.5, "b": 0.5}


def test_a_sink_far_above_the_rest_leaves_a_decision() -> None:
    decision = Decision("n[0] from a", "n[0]", "a", (("none", True), ("a", False), ("b", False)))
    found = strengths(decision, [2000.0, 0.0, 1.0], "weight without sinks")
    assert found["b"] > found["a"] > 0
