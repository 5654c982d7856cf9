"""Alphas to a genotype, by the rule that the file states, with an audit of every decision.

The strongest option of an edge is the selectable one with the largest alpha, whatever the rule, as
all strengths grow with it. A rule says which edges of a node are kept. By the first three, an edge
is as strong as its strongest option (Liu et al. 2019, section 2.4):

- `weight`: the softmax weight, with the mass of sinks counted;
- `weight without sinks`: the softmax weight among the options that may be selected;
- `alpha`: the raw parameter;
- `edge`: edges are ranked by a weight of their own. A space has no parameters for its edges, so the
  part of an edge's own weight is played by the total softmax weight of what may be selected on it,
  which is 1 less the mass of the sinks; the option on it is the strongest selectable one. Edges
  without a sink all weigh 1, so where a node has no sinks they tie, and the rule says nothing.

Ties go to what is written first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compiler.account import EdgeAudit, KindAudit, NodeAudit
from compiler.decision import Decision, together, winners
from compiler.fitting import cell_of
from compiler.genotype import Genotype
from compiler.ir import Region
from compiler.keeping import gap_of, ranked_of, selected, taken_of
from compiler.program import is_made, kept

Row = Sequence[float]
Alphas = Mapping[str, Sequence[Row]]
"""By kind, a row of finite numbers for each decision: one for each of its options."""

RULES = ("weight", "weight without sinks", "alpha", "edge")
"""All but the last can stand in a file's `keep`."""


@dataclass(frozen=True)
class Derivation:
    """A genotype, and by kind how it came about."""

    genotype: Genotype
    kinds: Mapping[str, KindAudit]

    @property
    def audit(self) -> dict[str, dict[str, Any]]:
        """The account of every node, by kind, as plain data; `genotype.yaml` holds it."""
        return {
            name: {node.name: _node_account(node, kind.rule) for node in kind.nodes}
            for name, kind in self.kinds.items()
        }


def derive(kinds: Iterable[Region], alphas: Alphas, rule: str | None = None) -> Derivation:
    """The genotype of a space, by `rule` or else by each kind's own.

    How many edges a node keeps is the file's to say under every rule.

    Raises:
        ValueError: for an unknown rule, or where alphas are not finite or not those of the kinds.
    """
    if rule is not None and rule not in RULES:
        raise ValueError(f"there is no rule `{rule}`, only {', '.join(RULES)}")
    cells, audits = {}, {}
    for kind in kinds:
        audit = _audited(kind, alphas[kind.name], rule or rule_of(kind))
        options = {edge.decision.path: edge.option for node in audit.nodes for edge in node.kept}
        cells[kind.name] = cell_of(kind, options)
        audits[kind.name] = audit
    return Derivation(Genotype(cells), audits)


def rule_of(kind: Region) -> str:
    """The rule in the file; where every edge is kept nothing depends on it, and it is `weight`."""
    return "weight" if kind.keep is None else kind.keep.strength


def strengths(decision: Decision, alphas: Row, rule: str) -> dict[str, float]:
    """The strength of every option that may be selected, by label; by `edge`, its weight.

    Weights that do not compete are sigmoids of the alphas.
    """
    if decision.above is not None and rule != "alpha":
        pairs = zip(decision.options, alphas, strict=True)
        return {label: _sigmoid(alpha) for (label, sink), alpha in pairs if not sink}
    if rule == "alpha":
        pairs = zip(decision.options, alphas, strict=True)
        return {label: alpha for (label, sink), alpha in pairs if not sink}
    masses = _masses(decision, alphas, counts_sinks=rule != "weight without sinks")
    total = math.fsum(masses.values())
    return {label: masses[label] / total for label in decision.selectable}


def edge_weight(decision: Decision, alphas: Row) -> float:
    """The softmax weight of all that may be selected: 1 exactly where there is no sink.

    Where weights do not compete, their sum.
    """
    if decision.above is not None:
        return math.fsum(strengths(decision, alphas, "weight").values())
    masses = _masses(decision, alphas, counts_sinks=True)
    return math.fsum(masses[label] for label in decision.selectable) / math.fsum(masses.values())


def _sigmoid(alpha: float) -> float:
    return 1 / (1 + math.exp(-alpha)) if alpha >= 0 else math.exp(alpha) / (1 + math.exp(alpha))


def _masses(decision: Decision, alphas: Row, counts_sinks: bool) -> dict[str, float]:
    """exp(alpha) of the options that count, by label, scaled so that the largest is 1."""
    pairs = zip(decision.options, alphas, strict=True)
    counted = {label: alpha for (label, sink), alpha in pairs if counts_sinks or not sink}
    top = max(counted.values())
    return {label: math.exp(alpha - top) for label, alpha in counted.items()}


def _audited(kind: Region, alphas: Sequence[Row], rule: str) -> KindAudit:
    scored = [_scored(d, row, rule) for d, row in zip(kind.decisions, alphas, strict=True)]
    outer = [edge for edge in scored if not edge.decision.within]
    ranked = [each for edge in outer for each in ranked_of(edge, kind.keep)]
    above = _margins(kind, alphas)
    taken = taken_of(ranked, above, kind.keep)
    left = selected(ranked, taken)
    chosen = dict(left)
    nodes: list[NodeAudit] = []
    for node in kept(kind):
        edges = (
            replace(edge, **_fate(edge, left)) for edge in outer if edge.decision.place == node
        )
        nodes.append(NodeAudit(node, tuple(edges), gap_of(node, ranked, above, taken, kind.keep)))
    for edge in scored:  # what hangs on a decision comes after it
        if edge.decision.within and is_made(edge.decision, chosen):
            chosen[edge.decision.path] = edge.option
            nodes.append(NodeAudit(edge.decision.path, (replace(edge, kept=True),)))
    keep = kind.keep
    if keep is not None and keep.above is None:
        keep = replace(keep, strength=rule)
    return KindAudit(kind.name, rule, keep, tuple(nodes))


def _margins(kind: Region, alphas: Sequence[Row]) -> list[float]:
    """By how much everything that `keep` ranks is above its threshold, if it has one.

    The threshold is of the strength in the file, also where another rule ranks.
    """
    keep = kind.keep
    if keep is None or keep.above is None:
        return []
    pairs = zip(kind.decisions, alphas, strict=True)
    scored = [_scored(d, row, keep.strength) for d, row in pairs if not d.within]
    return [each.rank - keep.above for edge in scored for each in ranked_of(edge, keep)]


def _fate(edge: EdgeAudit, left: Mapping[str, str]) -> dict[str, Any]:
    """What has become of an edge; of one that keeps some of its options, the next of them too."""
    option = left.get(edge.decision.path)
    if option is None or option == edge.option:
        return {"kept": option is not None}
    rest = [label for label in edge.scores if label not in winners(option)]
    second = max(rest, key=lambda label: edge.scores[label], default=None)
    return {"kept": True, "option": option, "second": second}


def _scored(decision: Decision, row: Row, rule: str) -> EdgeAudit:
    """A decision with its options ranked, not kept yet.

    They are ranked by alpha, since two alphas may be so close, or so far below a third, that their
    strengths round to the same.
    """
    if not all(map(math.isfinite, row)):
        raise ValueError(f"the alphas of `{decision.path}` are not finite")
    scores = strengths(decision, row, rule)
    alphas = strengths(decision, row, "alpha")
    ranked = sorted(alphas, key=lambda label: -alphas[label])
    number, threshold = decision.most, None
    if decision.above is not None:
        weights = strengths(decision, row, "weight")
        strong = sum(weights[label] > decision.above for label in ranked)
        number = min(max(strong, decision.least), decision.most)
        threshold = _logit(decision.above) if rule == "alpha" else decision.above
    selected = ranked[:number]
    option = together(label for label in decision.selectable if label in selected)
    second = ranked[number] if number < len(ranked) else None
    rank = edge_weight(decision, row) if rule == "edge" else scores[ranked[0]]
    return EdgeAudit(decision, scores, option, second, rank, kept=False, threshold=threshold)


def _logit(weight: float) -> float:
    """The alpha whose sigmoid is a weight."""
    return math.log(weight / (1 - weight)) if weight > 0 else -math.inf


def _node_account(node: NodeAudit, rule: str) -> dict[str, Any]:
    account: dict[str, Any] = {"rule": rule}
    account["kept"] = [_edge_account(edge, rule) for edge in node.kept]
    if node.gap is None:
        for edge, own in zip(node.kept, account["kept"], strict=True):
            if edge.margin is not None:
                own["margin"] = edge.margin
        return account
    if node.dropped:
        account["dropped"] = [_edge_account(edge, rule) for edge in node.dropped]
    if node.runner_up is not None:
        account["runner_up"] = _edge_account(node.runner_up, rule)
    account["margin"] = node.margin
    return account


def _edge_account(edge: EdgeAudit, rule: str) -> dict[str, Any]:
    account: dict[str, Any] = {"edge": edge.decision.path}
    if rule == "edge":
        account["edge_weight"] = edge.rank
    account |= {"option": edge.option, "strength": edge.strength}
    if edge.second is not None:
        account |= {"second_option": edge.second, "second_strength": edge.second_strength}
    return account
