"""Warnings that only the program shows: choices that are none, and rules that never bite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from compiler.ir import Node, Region, expressions, regions_of
from compiler.program import Program
from dsl import ast
from dsl.diagnostics import Diagnostic, Label
from dsl.source import Span
from dsl.space import Space


def suspects(space: Space, programs: Sequence[Program]) -> tuple[Diagnostic, ...]:
    """What holds in every one of a space's search programs, as far as its own file says it."""
    found = [{(d.code, d.span): d for d in _suspects(space, program)} for program in programs]
    if not found:
        return ()
    return tuple(
        diagnostic
        for place, diagnostic in found[0].items()
        if all(place in other for other in found)
        and diagnostic.span is not None
        and diagnostic.span.source is space.source
    )


def _suspects(space: Space, program: Program) -> Iterator[Diagnostic]:
    yield from program.warnings
    for region in program.regions():
        yield from _equal_options(region)
        yield from _useless_keep(region)
    for cell in _undecided(space, program):
        message = f"`{cell.name.name}` decides nothing"
        yield Diagnostic("W0604", message, cell.name.span, "make it an `op`")


def _useless_keep(region: Region) -> Iterator[Diagnostic]:
    """A `keep` that ranks no edges, or keeps all of them whatever the search finds."""
    keep = region.keep
    if keep is None:
        return
    edges = [d for d in region.decisions if d.node is not None and not d.within]
    ranked: Counter[str | None] = Counter()
    for edge in edges:
        selectable = sum(not sink for _, sink in edge.options)
        ranked[edge.node] += 1 if keep.unit == "edges" else selectable
    most = ranked.total() if keep.in_all else max(ranked.values(), default=0)
    if not edges:
        message = "no edge of a node that has a name has a choice, so this keeps nothing"
        help = "bind the join, as in `y = sum(…)`, or remove this line"
        yield Diagnostic("W0605", message, keep.span, help)
    elif keep.count is not None and not keep.above and most <= keep.count:
        where = "there are no more than" if keep.in_all else "no node has more than"
        message = f"{where} {most} of these {keep.unit}, so this keeps all"
        yield Diagnostic("W0605", message, keep.span, "a smaller number")
    elif keep.count is None and keep.above == 0 and keep.strength != "alpha":
        message = "every weight is above 0, so this keeps all"
        yield Diagnostic("W0605", message, keep.span, "a larger number")


def _undecided(space: Space, program: Program) -> Iterator[ast.CellDecl]:
    """Cells that decide nothing and say nothing of choosing.

    Where a cell chooses from a single option, that choice is the fault, and where it is another
    cell with arguments, that one's.
    """
    kinds = {region.span: region for region in program.regions() if region.kind == "cell"}
    for declaration in space.file.declarations:
        region = kinds.get(declaration.span)
        if not isinstance(declaration, ast.CellDecl) or region is None or region.decisions:
            continue
        scope = space.scope(declaration)
        if not any(
            isinstance(node, ast.Choose)
            or (isinstance(node, ast.Name) and isinstance(scope.get(node.name), ast.CellDecl))
            for node in declaration.body.walk()
        ):
            yield declaration


def _equal_options(region: Region) -> Iterator[Diagnostic]:
    first: dict[Any, str] = {}
    spans: dict[str, Span] = {}
    for option in region.options:
        key, span = _key(option.body), option.body.span
        other = first.setdefault(key, option.label)
        if span is not None:
            spans[option.label] = span
        if other != option.label and span is not None:
            message = f"`{option.label}` and `{other}` are the same operation"
            labels = (Label(spans[other], "the first"),) if other in spans else ()
            yield Diagnostic("W0603", message, span, "leave one of them out", labels)


def _key(region: Region) -> Any:
    """What a branch computes; equal keys compute the same, whatever they are called."""
    nodes = tuple((type(n).__name__, n.operands, _made_with(n)) for _, n in region.nodes())
    return region.outputs, nodes, tuple(_key(option.body) for option in region.options)


def _made_with(node: Node) -> Any:
    inner = getattr(node, "region", None)
    declared = inner is not None and not inner.is_branch
    return (
        getattr(node, "layer", getattr(node, "how", getattr(node, "operator", None))),
        tuple(map(str, getattr(node, "arguments", ()))),
        tuple(map(str, expressions(node))),
        node.shared,
        id(inner) if declared else tuple(map(_key, regions_of(node))),
    )
