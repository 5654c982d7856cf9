"""What `keep` leaves by its ranks, and that a margin is what it takes to change that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from costly_spaces import GENERAL
from hypothesis import given
from hypothesis import strategies as st
from random_genotypes import every_genotype
from support import compiled

from compiler.account import EdgeAudit, Gap
from compiler.audit import audit_dict, audit_text
from compiler.decision import Decision, Keep
from compiler.derive import RULES, derive
from compiler.fitting import resolve
from compiler.genotype import Genotype
from compiler.keeping import gap_of, taken_of

KEEPS = [
    Keep(2, "weight"),
    Keep(4, "weight", in_all=True),
    Keep(4, "weight", in_all=True, above=0.4),
    Keep(2, "weight", above=0.4),
    Keep(None, "weight", above=0.4),
]
NODES = ("n", "n", "m", "m", "m", "k")
RANKS = st.lists(
    st.integers(1, 99).map(lambda n: n / 100 + 0.0001), min_size=6, max_size=6, unique=True
)


def edges(ranks: list[float]) -> list[EdgeAudit]:
    """Edges into three nodes, of these ranks."""
    found = []
    for number, (node, rank) in enumerate(zip(NODES, ranks, strict=True)):
        decision = Decision(f"{node} from {number}", node, str(number), (("f", False),))
        found.append(EdgeAudit(decision, {"f": rank}, "f", None, rank, kept=False))
    return found


def kept(ranks: list[float], keep: Keep) -> frozenset[int]:
    return taken_of(edges(ranks), above(ranks, keep), keep)


def above(ranks: list[float], keep: Keep) -> list[float]:
    return [] if keep.above is None else [rank - keep.above for rank in ranks]


def gap(node: str, ranks: list[float], keep: Keep) -> Gap | None:
    taken = kept(ranks, keep)
    return gap_of(node, edges(ranks), above(ranks, keep), taken, keep)


def moved(ranks: list[float], found: Gap, by: float) -> Iterator[list[float]]:
    """The ranks with a weaker winner, and with a stronger loser."""
    for edge, step in ((found.winner, -by), (found.loser, by)):
        if edge is not None:
            number = int(edge.decision.source or "")
            yield [rank + step * (place == number) for place, rank in enumerate(ranks)]


def of_node(numbers: frozenset[int], node: str) -> set[int]:
    return {number for number in numbers if NODES[number] == node}


@pytest.mark.parametrize("keep", KEEPS, ids=str)
@given(RANKS)
def test_a_margin_is_what_it_takes(keep: Keep, ranks: list[float]) -> None:
    before = kept(ranks, keep)
    for node in dict.fromkeys(NODES):
        found = gap(node, ranks, keep)
        if found is None:
            assert of_node(before, node) == {n for n, own in enumerate(NODES) if own == node}
            continue
        assert found.margin > 0
        beyond = [kept(others, keep) for others in moved(ranks, found, found.margin + 1e-5)]
        assert any(of_node(others, node) != of_node(before, node) for others in beyond)


@pytest.mark.parametrize("keep", KEEPS, ids=str)
@given(RANKS)
def test_nothing_less_changes_a_node(keep: Keep, ranks: list[float]) -> None:
    before = kept(ranks, keep)
    for node in dict.fromkeys(NODES):
        found = gap(node, ranks, keep)
        by = 1.0 if found is None else found.margin - 1e-5
        for number in range(len(ranks)):
            for sign in (1, -1):
                if found is None and sign * by + ranks[number] < 0.4:
                    continue  # below the threshold, where there is one
                others = [r + sign * by * (i == number) for i, r in enumerate(ranks)]
                assert of_node(kept(others, keep), node) == of_node(before, node)


def test_words() -> None:
    assert [str(keep) for keep in (*KEEPS, Keep(1, "alpha", unit="candidates"))] == [
        "2 edges per node by weight",
        "4 edges in all by weight",
        "4 edges in all by weight above 0.4",
        "2 edges per node by weight above 0.4",
        "edges by weight above 0.4",
        "1 candidate per node by alpha",
    ]


@pytest.mark.parametrize("rule", [None, *RULES])
@pytest.mark.parametrize("name", GENERAL)
def test_every_rule_gives_a_genotype_of_the_space(name: str, rule: str | None) -> None:
    """It is one of those that are counted, its tuple form says the same, and it is told."""
    kinds = compiled(GENERAL[name]).program.kinds
    alphas = {
        kind.name: [
            [((7 * number + 5 * place) % 11) / 5 - 1 for place, _ in enumerate(decision.options)]
            for number, decision in enumerate(kind.decisions)
        ]
        for kind in kinds
    }
    derived = derive(kinds, alphas, rule)
    assert any(derived.genotype == known for known in every_genotype(kinds))
    chosen = resolve(derived.genotype, kinds)
    assert resolve(Genotype.parse(str(derived.genotype)), kinds) == chosen
    assert set(audit_dict(kinds, alphas, rule)) == set(derived.audit) == set(chosen)
    text = audit_text(kinds, alphas, rule)
    assert all(label in text for own in chosen.values() for label in own.values())


def test_a_threshold_of_options() -> None:
    """Sigmoids of 0.5 and above; the third alpha is short of it."""
    (kind,) = compiled("""
        cell u from x = x -> choose 1..2 of { conv(1), conv(3), skip } above 0.5
        network(C = 3) from image[3, 4, 4] to out[3, 4, 4] = image -> u
    """).program.kinds
    (node,) = derive([kind], {"u": [[2.0, -0.1, -3.0]]}, "alpha").kinds["u"].nodes
    (edge,) = node.edges
    assert (edge.option, edge.second, edge.loser) == ("conv_1", "conv_3", "conv_3")
    assert edge.margin == pytest.approx(0.1)
    (node,) = derive([kind], {"u": [[2.0, 0.1, -3.0]]}, "alpha").kinds["u"].nodes
    assert (node.edges[0].option, node.edges[0].loser) == ("conv_1 + conv_3", "0.5")
    assert node.edges[0].margin == pytest.approx(0.1)
    (node,) = derive([kind], {"u": [[2.0, 1.0, 0.9]]}, "alpha").kinds["u"].nodes
    assert (node.edges[0].option, node.edges[0].loser) == ("conv_1 + conv_3", "skip")
    assert node.edges[0].margin == pytest.approx(0.1)
