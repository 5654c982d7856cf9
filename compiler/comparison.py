"""What other rules would have chosen from the same alphas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.derive import RULES, Alphas, Derivation, EdgeAudit, KindAudit, NodeAudit, derive
from compiler.genotype import Genotype
from compiler.ir import Decision, Region


@dataclass(frozen=True)
class Difference:
    """An edge of a node that another rule keeps, in place of one that it drops."""

    node: str
    chosen: EdgeAudit
    given_up: EdgeAudit

    def __str__(self) -> str:
        return f"{self.node}: {described(self.chosen)} in place of {described(self.given_up)}"


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
    return decision.path.partition(" from ")[2]


def speaks(rule: str, node: NodeAudit) -> bool:
    """Whether a rule can tell the edges of a node apart: `edge` does so by their sinks."""
    return rule != "edge" or any(sink for e in node.edges for _, sink in e.decision.options)


def _differences(own: KindAudit, other: KindAudit) -> tuple[Difference, ...] | None:
    """Both have the same nodes, and keep equally many edges of each."""
    pairs = [
        (mine, its)
        for mine, its in zip(own.nodes, other.nodes, strict=True)
        if speaks(other.rule, its)
    ]
    if not pairs:
        return None
    return tuple(
        Difference(mine.name, chosen, given_up)
        for mine, its in pairs
        for chosen, given_up in zip(_only(its, mine), _only(mine, its), strict=True)
    )


def _only(node: NodeAudit, other: NodeAudit) -> list[EdgeAudit]:
    """The edges that `node` keeps with another option than `other`, or that only it keeps."""
    kept = {(edge.decision.path, edge.option) for edge in other.kept}
    return [edge for edge in node.kept if (edge.decision.path, edge.option) not in kept]
