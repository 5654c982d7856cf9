"""Values that are written in a set: the nodes they are made by belong to their option."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from compiler.builder import Builder
from compiler.ir import Node, Region, Tap
from compiler.lowering.values import Captured, Ref

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def captured(body: Body, start: int, values: list[Ref]) -> Iterator[Captured]:
    """Takes what some values alone are made of out of a region, from its node `start` on.

    What several of them read stays in the region, and so do steps of its repeats.
    """
    region = body.region
    tail = {number: node for number, node in region.nodes() if number >= start}
    makes = [_made_of(value.number, tail) for value in values]
    stays = [
        number
        for number, node in tail.items()
        if isinstance(node, Tap) or sum(number in numbers for numbers in makes) > 1
    ]
    place = {number: number for number in range(start)}
    for number in tail:
        del region.values[number]
    region.forget()
    for number in stays:
        node = tail[number]
        place[number] = region.add(replace(node, operands=tuple(place[o] for o in node.operands)))
    for value, numbers in zip(values, makes, strict=True):
        own = {n: tail[n] for n in sorted(numbers) if n not in place}
        moved = {
            n: replace(node, operands=tuple(place.get(o, o + _FAR) for o in node.operands))
            for n, node in own.items()
        }
        nodes = {n + _FAR: node for n, node in moved.items()}
        result = place.get(value.number, value.number + _FAR)
        name = value.name or value.origin or _source(region, nodes, result)
        yield Captured(nodes, result, name)


_FAR = 10**9
"""Added to the numbers of captured nodes, which so differ from those that stay in the region."""


def _made_of(number: int, tail: dict[int, Node]) -> set[int]:
    """The nodes of `tail` that a value is made of."""
    found: set[int] = set()
    waiting = [number]
    while waiting:
        number = waiting.pop()
        if number in tail and number not in found:
            found.add(number)
            waiting += tail[number].operands
    return found


def _source(region: Region, nodes: dict[int, Node], result: int) -> str:
    """What the value is called that a captured one is made from, or is itself."""
    while result in nodes:
        result = nodes[result].operands[0]
    return str(region.node(result).bound or "")


def operands_of(options: list[Captured]) -> list[int]:
    """The values of the region that some captured ones read or are, in order, each once."""
    found: dict[int, None] = {}
    for option in options:
        read = [o for node in option.nodes.values() for o in node.operands]
        found |= dict.fromkeys(o for o in (*read, option.result) if o not in option.nodes)
    return sorted(found)


def branch_of(body: Body, option: Captured, operands: list[int], label: str) -> Region:
    """A captured value as a branch that reads `operands`."""
    builder = Builder(Region(label, "branch"))
    place: dict[int, int] = {}
    for count, operand in enumerate(operands):
        outer = body.region.node(operand)
        name = "x" if len(operands) == 1 else f"x{count}"
        place[operand] = builder.input(name, outer.shape)
    for number, node in option.nodes.items():
        made = replace(node, operands=tuple(place[o] for o in node.operands), bound=None)
        place[number] = builder.region.add(made)
    return builder.finish((place[option.result],))
