"""Which values of an open region are there, and read, once its decisions are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compiler.decision import holds, winners
from compiler.ir import Choice, Input, Join, Node, Region

Chosen = Mapping[str, str]
"""The options that a decision has come out with, by its path."""


def present(region: Region, chosen: Chosen) -> set[int]:
    """The values that are there: none on an edge that is not kept, and none behind one.

    A join has what is there of what it joins.
    """
    found: set[int] = set()
    for number, node in region.nodes():
        if holds(node.under, chosen) and _is_there(node, found, chosen):
            found.add(number)
    return found


def _is_there(node: Node, found: set[int], chosen: Chosen) -> bool:
    match node:
        case Input():
            return True
        case Choice():
            return bool(chosen.get(node.decision))
        case Join():
            return any(operand in found for operand in node.operands)
    return all(operand in found for operand in node.operands)


def read(region: Region, chosen: Chosen) -> set[int]:
    """The values that something else reads; not what a join reads that no other does.

    A choice reads what the options that are chosen read, or give back.
    """
    there = present(region, chosen)
    return {o for number in there for o in _reads(region.node(number), chosen)}


def _reads(node: Node, chosen: Chosen) -> Iterator[int]:
    if isinstance(node, Choice):
        labels = winners(chosen.get(node.decision, ""))
        taken = [option.body for option in node.region.options if option.label in labels]
        for place, operand in enumerate(node.operands):
            if any(_uses(body, place) for body in taken):
                yield operand
        return
    loose = node.loose if isinstance(node, Join) else ()
    yield from (operand for place, operand in enumerate(node.operands) if place not in loose)


def _uses(body: Region, place: int) -> bool:
    """Whether a branch reads or gives back the value at a place among its inputs."""
    number = body.inputs[place][0]
    return number in body.outputs or any(number in node.operands for _, node in body.nodes())
