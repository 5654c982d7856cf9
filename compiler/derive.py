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
from typing import Any, NamedTuple

from compiler.fitting import output_of
from compiler.genotype import CellGenotype, Genotype
from compiler.ir import Decision, Region, together, winners
from compiler.program import is_made, kept

Row = Sequence[float]
Alphas = Mapping[str, Sequence[Row]]
"""By kind, a row of finite numbers for each decision: one for each of its options."""

RULES = ("weight", "weight without sinks", "alpha", "edge")
"""All but the last can stand in a file's `keep`."""


@dataclass(frozen=True)
class EdgeAudit:
    """A decision: what its options score, the best of them and the one after, and its fate.

    `scores` has the strength of every option that may be selected, in the order of the file, and
    `rank` is what the edges of a node are ranked by: the strength of the best option, except by
    `edge`.
    """

    decision: Decision
    scores: Mapping[str, float]
    option: str
    second: str | None
    rank: float
    kept: bool

    @property
    def options(self) -> tuple[str, ...]:
        """What is selected: one option, or several where the file chooses several."""
        return winners(self.option)

    @property
    def strength(self) -> float:
        """The score of what is selected; of several, the weakest."""
        return min((self.scores[label] for label in self.options), default=0.0)

    @property
    def second_strength(self) -> float | None:
        return None if self.second is None else self.scores[self.second]

    @property
    def margin(self) -> float | None:
        """By how much the best option is ahead of the second; None where it is the only one."""
        return None if self.second_strength is None else self.strength - self.second_strength


@dataclass(frozen=True)
class NodeAudit:
    """The edges of a node in the order of the program, or one decision that stands on no edge."""

    name: str
    edges: tuple[EdgeAudit, ...]

    @property
    def kept(self) -> tuple[EdgeAudit, ...]:
        return tuple(edge for edge in self.edges if edge.kept)

    @property
    def dropped(self) -> tuple[EdgeAudit, ...]:
        return tuple(edge for edge in self.edges if not edge.kept)

    @property
    def weakest(self) -> EdgeAudit:
        """The weakest edge that is kept, of several the last."""
        return min(reversed(self.kept), key=lambda edge: edge.rank)

    @property
    def runner_up(self) -> EdgeAudit | None:
        """The strongest edge that is dropped, if any is."""
        return max(self.dropped, key=lambda edge: edge.rank, default=None)

    @property
    def margin(self) -> float | None:
        """By how much the weakest kept edge is ahead of the runner-up; None where none is dropped.

        There each decision is one of its own, with a margin of its own.
        """
        return None if self.runner_up is None else self.weakest.rank - self.runner_up.rank


@dataclass(frozen=True)
class KindAudit:
    """How a cell kind decided; `keep` is how many edges a node keeps, None where that is all."""

    name: str
    rule: str
    keep: int | None
    nodes: tuple[NodeAudit, ...]


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
        decisions = tuple(
            (path, options[path]) for path in (d.path for d in kind.decisions) if path in options
        )
        cells[kind.name] = CellGenotype(decisions, kind.sources, output_of(kind))
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
    """The softmax weight of all that may be selected: 1 exactly where there is no sink."""
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
    selected = _selected(kind, outer)
    chosen = dict(selected)
    nodes: list[NodeAudit] = []
    for node in kept(kind):
        edges = (
            replace(edge, option=selected.get(edge.decision.path, edge.option), kept=is_kept)
            for edge in outer
            if edge.decision.place == node
            for is_kept in [edge.decision.path in selected]
        )
        nodes.append(NodeAudit(node, tuple(edges)))
    for edge in scored:  # what hangs on a decision comes after it
        if edge.decision.within and is_made(edge.decision, chosen):
            chosen[edge.decision.path] = edge.option
            nodes.append(NodeAudit(edge.decision.path, (replace(edge, kept=True),)))
    return KindAudit(kind.name, rule, None if kind.keep is None else kind.keep.count, tuple(nodes))


def _selected(kind: Region, edges: Sequence[EdgeAudit]) -> dict[str, str]:
    """The options of the edges that are kept, by path, in the order of the program.

    Every node keeps its strongest edge, whatever else the file says.
    """
    keep = kind.keep
    if keep is None:
        return {edge.decision.path: edge.option for edge in edges}
    ranked = [
        ranked
        for edge in edges
        for ranked in _ranked(edge, "edges" if edge.decision.node is None else keep.unit)
    ]
    order = sorted(range(len(ranked)), key=lambda number: -ranked[number].rank)
    first: dict[str, int] = {}
    for number in order:
        first.setdefault(ranked[number].place, number)
    strong = [n for n in order if keep.above is None or ranked[n].rank > keep.above]
    taken = set(first.values())
    edges = {edge.decision.path for edge in edges if edge.decision.node is not None}
    for number in strong:
        place = ranked[number].place
        among = (
            sum(ranked[n].path in edges for n in taken)
            if keep.in_all
            else _count(taken, ranked, place)
        )
        if number not in taken and (keep.count is None or among < keep.count):
            taken.add(number)
    found: dict[str, list[str]] = {}
    for number in sorted(taken):
        found.setdefault(ranked[number].path, []).append(ranked[number].option)
    return {path: together(options) for path, options in found.items()}


class _Ranked(NamedTuple):
    place: str
    path: str
    option: str
    rank: float


def _ranked(edge: EdgeAudit, unit: str) -> list[_Ranked]:
    """What `keep` ranks of an edge: itself, or every option that may be selected."""
    place, path = edge.decision.place, edge.decision.path
    if unit == "edges":
        return [_Ranked(place, path, edge.option, edge.rank)]
    return [_Ranked(place, path, label, score) for label, score in edge.scores.items()]


def _count(taken: set[int], ranked: Sequence[_Ranked], place: str) -> int:
    return sum(ranked[number].place == place for number in taken)


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
    number = decision.most
    if decision.above is not None:
        weights = strengths(decision, row, "weight")
        strong = sum(weights[label] > decision.above for label in ranked)
        number = min(max(strong, decision.least), decision.most)
    selected = ranked[:number]
    option = together(label for label in decision.selectable if label in selected)
    second = ranked[number] if number < len(ranked) else None
    rank = edge_weight(decision, row) if rule == "edge" else scores[ranked[0]]
    return EdgeAudit(decision, scores, option, second, rank, kept=False)


def _node_account(node: NodeAudit, rule: str) -> dict[str, Any]:
    account: dict[str, Any] = {"rule": rule}
    account["kept"] = [_edge_account(edge, rule) for edge in node.kept]
    if node.runner_up is None:
        for edge, own in zip(node.kept, account["kept"], strict=True):
            if edge.margin is not None:
                own["margin"] = edge.margin
    else:
        account["dropped"] = [_edge_account(edge, rule) for edge in node.dropped]
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
