"""What other rules would have chosen from the same alphas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from compiler.account import EdgeAudit, KindAudit, NodeAudit
from compiler.decision import Decision
from compiler.derive import RULES, Alphas, Derivation, derive
from compiler.genotype import Genotype
from compiler.ir import Region


@dataclass(frozen=True)
class Difference:
    """An edge of a node that another rule keeps, in place of one that it drops.

    One of the two is None where a rule keeps more edges, or fewer.
    """

    node: str
    chosen: EdgeAudit | None
    given_up: EdgeAudit | None

    def __str__(self) -> str:
        match self.chosen, self.given_up:
            case EdgeAudit() as chosen, EdgeAudit() as given_up:
                return f"{self.node}: {described(chosen)} in place of {described(given_up)}"
            case EdgeAudit() as chosen, None:
                return f"{self.node}: {described(chosen)} as well"
            case None, EdgeAudit() as given_up:
                return f"{self.node}: without {described(given_up)}"
        raise AssertionError("a difference has an edge")


@dataclass(frozen=True)
class Comparison:
    """The genotype by the rule in force, and by every rule.

    `differences[kind][rule]` is where the rule's genotype differs from the one in force: nowhere
    where it is empty, and None where the rule says nothing of this kind. The rule in force, which
    `derivation` tells of every kind, is left out.
    """

    derivation: Derivation
    genotypes: Mapping[str, Genotype]
    differences: Mapping[str, Mapping[str, tuple[Difference, ...] | None]]


def compare(kinds: Sequence[Region], alphas: Alphas, rule: str | None = None) -> Comparison:
    """Derives by every rule; the one in force is `rule`, or else each kind's own.

    By `edge`, nodes that have no sink are decided by what is written first. That is no opinion, so
    it is in the genotype of the rule and not among the differences.

    Raises:
        ValueError: for an unknown rule, or where alphas are not finite or not those of the kinds.
    """
    derivation = derive(kinds, alphas, rule)
    others = {other: derive(kinds, alphas, other) for other in RULES}
    return Comparison(
        derivation,
        {other: found.genotype for other, found in others.items()},
        {
            name: {
                other: _differences(own, found.kinds[name])
                for other, found in others.items()
                if other != own.rule
            }
            for name, own in derivation.kinds.items()
        },
    )


def described(edge: EdgeAudit) -> str:
    """An edge with its option: `a -> skip_connect`; the option alone where it is on no edge."""
    source = source_of(edge.decision)
    return f"{source} -> {edge.option}" if source else edge.option


def source_of(decision: Decision) -> str:
    """The source of a decision's edge; on a further edge of one source as `a (2)`."""
    return "" if decision.within else decision.path.partition(" from ")[2]


def speaks(rule: str, node: NodeAudit) -> bool:
    """Whether a rule can tell the edges of a node apart: `edge` does so by their sinks, and by
    weights that do not compete."""
    decisions = [edge.decision for edge in node.edges]
    sums = any(d.above is not None or any(sink for _, sink in d.options) for d in decisions)
    return rule != "edge" or sums


def _differences(own: KindAudit, other: KindAudit) -> tuple[Difference, ...] | None:
    """What is decided only where a rule decides otherwise before follows from that, and is left
    out."""
    others = {node.name: node for node in other.nodes}
    pairs = [
        (mine, others[mine.name])
        for mine in own.nodes
        if mine.name in others and speaks(other.rule, others[mine.name])
    ]
    if not pairs:
        return None
    return tuple(
        Difference(mine.name, chosen, given_up)
        for mine, its in pairs
        for chosen, given_up in zip_longest(_only(its, mine), _only(mine, its))
    )


def _only(node: NodeAudit, other: NodeAudit) -> list[EdgeAudit]:
    """The edges that `node` keeps with another option than `other`, or that only it keeps."""
    kept = {(edge.decision.path, edge.option) for edge in other.kept}
    return [edge for edge in node.kept if (edge.decision.path, edge.option) not in kept]
