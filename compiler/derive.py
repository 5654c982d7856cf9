"""Alphas to a genotype, by the rule that the file states, with an audit of every decision.

An edge is as strong as its strongest option that may be selected (Liu et al. 2019, section 2.4). By
`weight`, a strength is the softmax weight with the mass of sinks counted; by `weight without
sinks`, renormalised over what may be selected; by `alpha`, the raw parameter. Ties go to what is
written first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compiler.genotype import CellGenotype, Genotype, output_of
from compiler.ir import Decision, Region
from compiler.program import kept

Row = Sequence[float]


@dataclass(frozen=True)
class Derivation:
    genotype: Genotype
    audit: Mapping[str, Any]


@dataclass(frozen=True)
class _Candidate:
    """A decision with its best option and the one after."""

    decision: Decision
    option: str
    strength: float
    second: str | None
    second_strength: float | None


def derive(kinds: list[Region], alphas: Mapping[str, Sequence[Row]]) -> Derivation:
    """The genotype of a space; `alphas[kind]` has a row of numbers for each decision."""
    cells, audit = {}, {}
    for kind in kinds:
        rule = "weight" if kind.keep is None else kind.keep.strength
        candidates = [
            _candidate(decision, row, rule)
            for decision, row in zip(kind.decisions, alphas[kind.name], strict=True)
        ]
        chosen, audit[kind.name] = _choose(kind, candidates)
        decisions = tuple((c.decision.path, c.option) for c in candidates if c in chosen)
        cells[kind.name] = CellGenotype(decisions, kind.sources, output_of(kind))
    return Derivation(Genotype(cells), audit)


def strengths(decision: Decision, alphas: Row, rule: str) -> dict[str, float]:
    """The strength of every option that may be selected, by label."""
    if rule == "alpha":
        return {
            label: alpha
            for (label, sink), alpha in zip(decision.options, alphas, strict=True)
            if not sink
        }
    pairs = list(zip(decision.options, alphas, strict=True))
    counted = [alpha for (_, sink), alpha in pairs if rule == "weight" or not sink]
    top = max(counted)
    total = math.fsum(math.exp(alpha - top) for alpha in counted)
    return {label: math.exp(alpha - top) / total for (label, sink), alpha in pairs if not sink}


def _candidate(decision: Decision, alphas: Row, rule: str) -> _Candidate:
    scores = sorted(strengths(decision, alphas, rule).items(), key=lambda item: -item[1])
    (option, strength), *rest = scores
    second, second_strength = rest[0] if rest else (None, None)
    return _Candidate(decision, option, strength, second, second_strength)


def _choose(kind: Region, candidates: list[_Candidate]) -> tuple[list[_Candidate], dict[str, Any]]:
    """Each node's strongest edges, and the account of how they were chosen."""
    chosen: list[_Candidate] = []
    audit: dict[str, Any] = {}
    for node, count in kept(kind).items():
        own = [c for c in candidates if (c.decision.node or c.decision.path) == node]
        ranked = sorted(own, key=lambda c: -c.strength)
        winners, losers = ranked[:count], ranked[count:]
        chosen += winners
        audit[node] = {"kept": [_account(c) for c in own if c in winners]}
        if losers:
            audit[node]["runner_up"] = _account(losers[0])
            audit[node]["margin"] = winners[-1].strength - losers[0].strength
    return chosen, audit


def _account(candidate: _Candidate) -> dict[str, Any]:
    account: dict[str, Any] = {
        "edge": candidate.decision.path,
        "option": candidate.option,
        "strength": candidate.strength,
    }
    if candidate.second is not None and candidate.second_strength is not None:
        account["second_option"] = candidate.second
        account["second_strength"] = candidate.second_strength
    return account
