"""Comparisons against derivations by every rule, and the cases that are no difference."""

from __future__ import annotations

from random import Random

import pytest
from random_spaces import random_space
from support import CIFAR, PROGRAMS, RNN, compiled

from compiler.comparison import compare
from compiler.compile import compile_space, specialised
from compiler.derive import RULES, Alphas, derive
from compiler.fitting import resolve
from compiler.genotype import Genotype
from compiler.ir import Region
from compiler.program import is_fixed
from dsl import load_text


def drawn(kinds: list[Region], random: Random, spread: float = 2.0) -> Alphas:
    return {
        k.name: [[random.gauss(0, spread) for _ in d.options] for d in k.decisions] for k in kinds
    }


def spaces() -> list[list[Region]]:
    """The kinds of many programs, those of one program together."""
    made = [compile_space(path).program.kinds for path in (CIFAR, RNN, *PROGRAMS)]
    made += [specialised(load_text(random_space(i)))[1].kinds for i in range(40)]
    return [kinds for kinds in made if all(map(is_edge_by_edge, kinds))]


def is_edge_by_edge(kind: Region) -> bool:
    """Whether the rules differ in edges alone: one option each, and so many to a node."""
    return is_fixed(kind) and all(
        not d.within and (d.least, d.most, d.above) == (1, 1, None) for d in kind.decisions
    )


def without_sinks(kind: Region) -> set[str]:
    """The nodes of a kind that have no sink."""
    sinks: dict[str, bool] = {}
    for d in kind.decisions:
        node = d.place
        sinks[node] = sinks.get(node, False) or any(sink for _, sink in d.options)
    return {node for node, any_sink in sinks.items() if not any_sink}


def test_differences_are_those_of_the_genotypes() -> None:
    random, seen = Random(0), dict.fromkeys([*RULES, "nothing said"], 0)
    for kinds in spaces():
        alphas = drawn(kinds, random)
        comparison = compare(kinds, alphas)
        own = derive(kinds, alphas)
        assert comparison.derivation == own
        assert comparison.genotypes == {r: derive(kinds, alphas, r).genotype for r in RULES}
        for kind in kinds:
            differences = comparison.differences[kind.name]
            assert list(differences) == [r for r in RULES if r != own.kinds[kind.name].rule]
            nodes = {d.path: d.place for d in kind.decisions}
            for rule, found in differences.items():
                silent = without_sinks(kind) if rule == "edge" else set()
                if found is None:
                    assert silent == set(nodes.values())
                    seen["nothing said"] += 1
                    continue
                mine, its = (
                    {(p, o) for p, o in g.cells[kind.name].decisions if nodes[p] not in silent}
                    for g in (own.genotype, comparison.genotypes[rule])
                )
                chosen = [(d.chosen.decision.path, d.chosen.option) for d in found]
                given_up = [(d.given_up.decision.path, d.given_up.option) for d in found]
                assert (set(chosen), set(given_up)) == (its - mine, mine - its)
                assert len(chosen) == len(given_up) == len(its - mine)
                for difference, (path, _), (other, _) in zip(found, chosen, given_up, strict=True):
                    assert difference.node == nodes[path] == nodes[other]
                seen[rule] += bool(found)
    assert min(seen.values()) >= 3, seen


def test_every_rule_gives_a_genotype_of_the_space() -> None:
    random = Random(1)
    for kinds in spaces():
        for genotype in compare(kinds, drawn(kinds, random)).genotypes.values():
            resolve(genotype, kinds)


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_in_force_may_be_given(rule: str) -> None:
    kinds = compile_space(CIFAR).program.kinds
    alphas = drawn(kinds, Random(2), 3)
    comparison = compare(kinds, alphas, rule)
    assert comparison.derivation == derive(kinds, alphas, rule)
    for kind in kinds:
        assert list(comparison.differences[kind.name]) == [r for r in RULES if r != rule]
    back = compare(kinds, alphas)
    if rule != "weight":
        for kind in kinds:
            one, other = comparison.differences[kind.name]["weight"], back.differences[kind.name]
            assert one is not None
            swapped = [(d.node, described(d.given_up), described(d.chosen)) for d in one]
            found = other[rule] or ()
            assert swapped == [(d.node, described(d.chosen), described(d.given_up)) for d in found]


def described(edge) -> tuple[str, str]:
    return edge.decision.path, edge.option


THREE = """
    cell u from a, b, c {
        node n[2] = sum(each (a, b, c) -> choose { %s }, each earlier n -> choose { %s })
        %s
        return sum(n)
    }
    network(C = 2) from image[3, 4, 4] to out[3, 4, 4] = (image, image, image) -> u
"""


def three(first: str, second: str, keep: str) -> list[Region]:
    return compiled(THREE % (first, second, keep)).program.kinds


def test_a_difference_reads_as_one_edge_in_place_of_another() -> None:
    kinds = three("sink none, skip, relu", "skip, relu", "keep 1 edge per node by alpha")
    rows = [[3.0, 1.0, 0.0], [0.0, 0.5, 0.9], [0.0, 0.0, 0.0]]
    comparison = compare(kinds, {"u": [*rows, *rows, [0.0, 1.5]]})
    found = {
        rule: None if d is None else [*map(str, d)]
        for rule, d in comparison.differences["u"].items()
    }
    assert found == {
        "weight": ["n[0]: b -> relu in place of a -> skip"],
        "weight without sinks": [],
        "edge": ["n[0]: b -> relu in place of a -> skip"],
    }
    assert comparison.genotypes["edge"] == Genotype(
        {"u": comparison.genotypes["weight"].cells["u"]}
    )


def test_a_further_edge_of_one_source_is_told_apart() -> None:
    text = THREE.replace("each (a, b, c)", "each (a, a, b)")
    rule = "keep 1 edge per node by alpha"
    kinds = compiled(text % ("sink none, skip, relu", "skip, relu", rule)).program.kinds
    rows = [[3.0, 1.0, 0.0], [0.0, 0.0, 0.9], [0.0, 0.0, 0.0]]
    comparison = compare(kinds, {"u": [*rows, *rows, [0.0, 1.5]]})
    (difference,) = comparison.differences["u"]["weight"] or ()
    assert str(difference) == "n[0]: a (2) -> relu in place of a -> skip"


def test_without_sinks_edges_have_no_weight_to_differ_by() -> None:
    kinds = three("skip, relu", "skip, relu", "keep 1 edge per node by weight")
    alphas = {"u": [[0.0, 0.0]] * 6 + [[0.0, 5.0]]}
    comparison = compare(kinds, alphas)
    assert comparison.differences["u"]["edge"] is None
    assert comparison.genotypes["edge"] != comparison.derivation.genotype
    assert comparison.differences["u"]["alpha"] == ()


def test_a_node_without_sinks_is_no_difference_where_another_has_one() -> None:
    (kind,) = kinds = compiled("""
        cell u from a, b {
            m = sum(each (a, b) -> choose { skip, relu })
            n = sum(each (a, b) -> choose { sink none, skip, relu })
            keep 1 edge per node by weight
            return m + n
        }
        network(C = 2) from image[3, 4, 4] to out[3, 4, 4] = (image, image) -> u
    """).program.kinds
    rows = [[0.0, 0.0], [0.0, 5.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    comparison = compare(kinds, {"u": rows})
    assert [d.path for d in kind.decisions] == ["m from a", "m from b", "n from a", "n from b"]
    assert dict(comparison.genotypes["edge"].cells["u"].decisions) == {
        "m from a": "skip", "n from b": "skip",
    }  # fmt: skip
    assert comparison.differences["u"]["edge"] == ()


def test_where_all_is_kept_rules_agree() -> None:
    kinds = three("sink none, skip, relu", "sink none, skip, relu", "")
    differences = compare(kinds, drawn(kinds, Random(0))).differences["u"]
    assert set(differences.values()) == {()}
