"""How close every decision was, and what other rules would have chosen: as text and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compiler.account import EdgeAudit, KindAudit, NodeAudit
from compiler.builder import within
from compiler.comparison import Comparison, Difference, compare, described, source_of, speaks
from compiler.decision import Keep
from compiler.derive import Alphas
from compiler.ir import Call, Choice, Input, Option, Region, choices
from compiler.program import is_fixed

CLOSE = 1e-3
"""A margin below this is close; it is a softmax weight, or by `alpha` a difference of alphas, which
makes less than a quarter as much in weight."""

LEGEND = (
    "* is kept. The margin of a node is that of its weakest kept edge over its strongest dropped\n"
    "one; where none is dropped, every edge has a margin, that of its option over the second."
)
OF_WEIGHTS = (
    "Where a file keeps what is above a weight, or counts edges in all, the margin is by how much\n"
    "the next change would come about: to or over that weight, or the strongest edge of any node."
)
SILENT = "says nothing, for no option here is a sink"


@dataclass(frozen=True)
class Close:
    """A choice at `place` that was all but a tie."""

    place: str
    winner: str
    loser: str
    margin: float

    def __str__(self) -> str:
        return f"{self.place}: {self.winner} over {self.loser} by {self.margin:.2g}"


def audit_text(kinds: Sequence[Region], alphas: Alphas, rule: str | None = None) -> str:
    """A report for a terminal of 100 columns; the rule in force is `rule`, or each kind's own.

    Names are never cut, so long ones make long lines.

    Raises:
        ValueError: for an unknown rule, or where alphas are not finite or not those of the kinds.
    """
    comparison = compare(kinds, alphas, rule)
    if not kinds:
        return "no cell decides anything\n"
    lines = [line for kind in kinds for line in (*_kind(kind, comparison), "")]
    legend = [LEGEND, OF_WEIGHTS] if any(map(_is_by_weights, kinds)) else [LEGEND]
    return "\n".join([*lines, *legend]) + "\n"


def _is_by_weights(kind: Region) -> bool:
    thresholds = [decision.above for decision in kind.decisions]
    return not is_fixed(kind) or any(above is not None for above in thresholds)


def audit_dict(kinds: Sequence[Region], alphas: Alphas, rule: str | None = None) -> dict[str, Any]:
    """What the report says, and all scores, as plain data that JSON can hold.

    Raises:
        ValueError: for an unknown rule, or where alphas are not finite or not those of the kinds.
    """
    comparison = compare(kinds, alphas, rule)
    return {kind.name: _kind_data(kind, comparison) for kind in kinds}


# ---- what is worth a line ------------------------------------------------------------------------


def close_choices(kind: KindAudit) -> list[Close]:
    """Edges that were kept, and options of edges that were kept, by a margin below `CLOSE`.

    Edges that the rule cannot tell apart were not ranked by it, so they are not among them.
    """
    found = []
    for node in kind.nodes:
        gap = node.gap
        if gap is not None and gap.margin < CLOSE and speaks(kind.rule, node):
            winner, loser = _end(kind, gap.winner), _end(kind, gap.loser)
            found.append(Close(node.name, winner, loser, gap.margin))
        if kind.keep is not None and kind.keep.unit == "candidates":
            continue  # which options there are is what the node has decided
        for edge in node.kept:
            if edge.loser is not None and edge.margin is not None and edge.margin < CLOSE:
                place = edge.decision.path
                found.append(Close(place, edge.option or "nothing", edge.loser, edge.margin))
    return found


def _end(kind: KindAudit, edge: EdgeAudit | None) -> str:
    """One of the two that were close: an edge, or the threshold."""
    if edge is not None:
        return described(edge)
    assert kind.keep is not None, "only what `keep` says has a threshold"
    return f"{kind.keep.above:g}"


def skips(kind: Region, audit: KindAudit) -> int:
    """How many of the options that were kept hand on what they read and do nothing else.

    So does a `skip` that does not change the resolution; one that does has weights. A value that is
    chosen among others is no skip, nor is a number.
    """
    numbers = {decision.path for decision in kind.decisions if decision.numbers}
    idle = {
        (node.decision, option.label)
        for region, _, node in choices(kind)
        if node.decision not in numbers
        for option in node.region.options
        if _hands_on(region, node, option)
    }
    return sum(each in idle for each in _options(audit))


def _options(audit: KindAudit) -> list[tuple[str, str]]:
    """What was kept: the options of every decision."""
    edges = [edge for node in audit.nodes for edge in node.kept]
    return [(edge.decision.path, label) for edge in edges for label in edge.options]


def _hands_on(region: Region, choice: Choice, option: Option) -> bool:
    inputs = [number for number, _ in option.body.inputs]
    if len(inputs) > 1 and option.body.outputs[0] in inputs:
        return False
    shapes = [region.node(operand).shape for operand in choice.operands]
    env = {} if choice.region.is_branch else choice.region.bind(choice.arguments, shapes)
    body = within(option.body, env, shapes)
    return _given_back(body, body.outputs[0]) is not None


def _given_back(region: Region, number: int) -> int | None:
    """The input that a value is, be it through ops that give back what they read."""
    node = region.node(number)
    if isinstance(node, Input):
        return number
    if not isinstance(node, Call) or not node.region.is_pure:
        return None
    inner = _given_back(node.region, node.region.outputs[0])
    if inner is None:
        return None
    position = [i for i, _ in node.region.inputs].index(inner)
    return _given_back(region, node.operands[position])


# ---- as text -------------------------------------------------------------------------------------


def _kind(kind: Region, comparison: Comparison) -> Iterator[str]:
    audit = comparison.derivation.kinds[kind.name]
    yield f"{kind.name}: {_rule(audit)}"
    yield ""
    yield from _table(_rows(audit))
    yield ""
    yield from _other_rules(comparison.differences[kind.name])
    warnings = [*_warnings(kind, audit)]
    if warnings:
        yield ""
        yield from (f"  {warning}" for warning in warnings)


def _rule(audit: KindAudit) -> str:
    silent = not any(speaks(audit.rule, node) for node in audit.nodes)
    note = f", which {SILENT}" if silent else ""
    if audit.keep is None:
        return f"every edge is kept, strengths by {audit.rule}{note}"
    ranked = f", ranked by {audit.rule}" * (audit.keep.strength != audit.rule)
    return f"keep {audit.keep}{ranked}{note}"


def _warnings(kind: Region, audit: KindAudit) -> Iterator[str]:
    if audit.keep is not None and not any(speaks(audit.rule, node) for node in audit.nodes):
        yield f"{audit.rule} {SILENT}: what is written first is kept"
    for close in close_choices(audit):
        yield f"close: {close}"
    kept, found = len(_options(audit)), skips(kind, audit)
    if 2 * found > kept:
        yield f"skips without parameters: {found} of {kept} kept options"


def _rows(audit: KindAudit) -> Iterator[tuple[str, ...]]:
    """The lines of the table, its titles first."""
    weight = ("weight",) * (audit.rule == "edge")
    yield ("node", "", "edge", *weight, "option", "strength", "second", "strength", "margin")
    for node in audit.nodes:
        for edge in node.edges:
            yield (
                node.name * (edge is node.edges[0]),
                "*" * edge.kept,
                source_of(edge.decision),
                *[_number(edge.rank) for _ in weight],
                edge.option or "nothing",
                _number(edge.strength),
                edge.second or "",
                _number(edge.second_strength),
                _number(_margin(node, edge)),
            )


def _margin(node: NodeAudit, edge: EdgeAudit) -> float | None:
    """What stands at an edge: its own margin, or at the first edge the node's, if it has one."""
    if node.margin is None:
        return edge.margin
    return node.margin if edge is node.edges[0] else None


def _number(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:.4f}" if abs(number) < 1e5 else f"{number:.4g}"


def _table(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    columns = []
    for cells in zip(*rows, strict=True):
        width = max(map(len, cells))
        right = cells[0] in ("weight", "strength", "margin")
        columns.append([c.rjust(width) if right else c.ljust(width) for c in cells])
    for line in zip(*columns, strict=True):
        yield f"  {'  '.join(line)}".rstrip()


def _other_rules(differences: Mapping[str, tuple[Difference, ...] | None]) -> Iterator[str]:
    width = max(map(len, differences))
    for rule, found in differences.items():
        lines = [SILENT] if found is None else [str(each) for each in found] or ["agrees"]
        for number, line in enumerate(lines):
            yield f"  {rule if number == 0 else '':{width}}  {line}"


# ---- as data -------------------------------------------------------------------------------------


def _kind_data(kind: Region, comparison: Comparison) -> dict[str, Any]:
    audit = comparison.derivation.kinds[kind.name]
    return {
        "rule": audit.rule,
        "keep": None if audit.keep is None else audit.keep.count,
        **_limits(audit.keep),
        "nodes": {node.name: _node_data(node) for node in audit.nodes},
        "kept": len(_options(audit)),
        "skips": skips(kind, audit),
        "close": [
            {"place": c.place, "winner": c.winner, "loser": c.loser, "margin": c.margin}
            for c in close_choices(audit)
        ],
        "rules": {
            rule: {
                "decisions": dict(comparison.genotypes[rule].cells[kind.name].decisions),
                "differences": None if found is None else [_difference_data(d) for d in found],
            }
            for rule, found in comparison.differences[kind.name].items()
        },
    }


def _limits(keep: Keep | None) -> dict[str, Any]:
    """What else a file says of what is kept."""
    if keep is None:
        return {}
    return {"unit": str(keep.unit), "in_all": keep.in_all, "above": keep.above}


def _node_data(node: NodeAudit) -> dict[str, Any]:
    return {
        "edges": [_edge_data(edge) for edge in node.edges],
        "runner_up": None if node.runner_up is None else node.runner_up.decision.path,
        "margin": node.margin,
    }


def _edge_data(edge: EdgeAudit) -> dict[str, Any]:
    return {
        "edge": edge.decision.path,
        "kept": edge.kept,
        "rank": edge.rank,
        "option": edge.option,
        "strength": edge.strength,
        "second_option": edge.second,
        "second_strength": edge.second_strength,
        "margin": edge.margin,
        "scores": dict(edge.scores),
    }


def _difference_data(difference: Difference) -> dict[str, Any]:
    chosen, given_up = (_end_data(e) for e in (difference.chosen, difference.given_up))
    return {"node": difference.node, **(chosen or {}), "in_place_of": given_up}


def _end_data(edge: EdgeAudit | None) -> dict[str, str] | None:
    return None if edge is None else {"edge": edge.decision.path, "option": edge.option}
