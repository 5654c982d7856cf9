"""Making a flat region anew, node by node: what the passes over flat regions are written with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from compiler.flat.nodes import Loop, Mixture, Sliced, Term
from compiler.ir import Input, Layer, Node, Region

Change = Callable[[Region, Any], int]
"""Adds a node, whose operands are in place, or what stands for it, and gives its number."""
Begin = Callable[[Region], Change]
"""How the nodes of a region are changed, which is given as it was."""


def rebuilt(region: Region, begin: Begin) -> Region:
    """A flat region whose nodes have been changed, all but its inputs; loops' bodies first."""
    change = begin(region)
    new, numbers = emptied(region), dict[int, int]()
    for number, node in region.nodes():
        if isinstance(node, Loop):
            node = replace(node, region=rebuilt(node.region, begin))
        node = moved(node, numbers)
        numbers[number] = new.add(node) if isinstance(node, Input) else change(new, node)
    new.outputs = tuple(numbers[o] for o in region.outputs)
    return new


def emptied(region: Region) -> Region:
    new = copy(region)
    new.values = {}
    new.forget()
    return new


def moved(node: Any, numbers: Mapping[int, int]) -> Any:
    """A node with other numbers for what it reads."""
    if not node.operands:
        return node
    changes: dict[str, Any] = {"operands": tuple(numbers[o] for o in node.operands)}
    if isinstance(node, Mixture):
        changes["terms"] = moved_terms(node.terms, numbers)
        changes["lanes"] = tuple(moved_terms(lane, numbers) for lane in node.lanes)
    if isinstance(node, Sliced):
        changes["terms"] = moved_terms(node.terms, numbers)
    return replace(node, **changes)


def moved_terms(terms: tuple[Term, ...], numbers: Mapping[int, int]) -> tuple[Term, ...]:
    return tuple(
        replace(t, weights=tuple(replace(w, tensor=numbers[w.tensor]) for w in t.weights))
        for t in terms
    )


def without_dead(region: Region) -> Region:
    """A flat region without what nothing reads; norms stay, as they move their statistics."""
    live = set(region.outputs)
    for number, node in reversed(list(region.nodes())):
        if number in live or isinstance(node, Input | Loop) or is_norm(node):
            live |= {number, *node.operands}
    new, numbers = emptied(region), dict[int, int]()
    for number, node in region.nodes():
        if number in live:
            if isinstance(node, Loop):
                node = replace(node, region=without_dead(node.region))
            numbers[number] = new.add(moved(node, numbers))
    new.outputs = tuple(numbers[o] for o in region.outputs)
    return new


def readers(region: Region) -> Counter[int]:
    """How often each value is read, as an output too."""
    counts = Counter(o for _, node in region.nodes() for o in node.operands)
    counts.update(region.outputs)
    return counts


def movable_norms(region: Region) -> set[int]:
    """Norms whose module is used but once, so that it does not matter when they are computed.

    A module that is used several times moves its statistics in the order of its uses.
    """
    uses = Counter(node.name for _, node in region.nodes() if is_norm(node))
    return {n for n, node in region.nodes() if is_norm(node) and uses[node.name] == 1}


def is_norm(node: Node) -> bool:
    return isinstance(node, Layer) and node.layer == "bn"
