"""Equal flows from one value are computed side by side, as lanes of larger tensors.

before   %5 = linear `a` <- %1, %6 = tanh <- %5, %7 = linear `b` <- %1, %8 = tanh <- %7
after    %5 = linear `a`, `b` <- %1, %6 = tanh <- %5, %7 = lane 0 <- %6, %8 = lane 1 <- %6

So a step of a recurrence is a few operations on much, where it was many operations on little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from compiler.expr import Const
from compiler.flat.nodes import (
    Lane,
    Loop,
    Mixture,
    SharedLayer,
    StackedLinear,
    mixture,
    numbers,
)
from compiler.flat.rewriting import emptied, moved, moved_terms, without_dead
from compiler.ir import Elementwise, Input, Node, Part, Region
from compiler.layers import ACTIVATIONS
from compiler.program import Program


@dataclass(frozen=True)
class Stack:
    name: str = "stack"

    def apply(self, program: Program) -> Program:
        return replace(program, network=_stacked(program.network))


def _stacked(region: Region) -> Region:
    inner = emptied(region)
    for _, node in region.nodes():
        inner.add(replace(node, region=_stacked(node.region)) if isinstance(node, Loop) else node)
    return _Stacking(inner).region_with_lanes()


class _Stacking:
    def __init__(self, region: Region) -> None:
        self.region = region
        self.lane_of: dict[int, tuple[int, int]] = {}
        """For every node in a group, the group by its number and the lane."""
        self.groups: list[tuple[int, ...]] = []
        """The nodes that become one, in the order of their lanes."""
        self.readers: dict[int, list[int]] = defaultdict(list)
        for number, node in region.nodes():
            for operand in dict.fromkeys(node.operands):
                self.readers[operand].append(number)

    def region_with_lanes(self) -> Region:
        for members in self.linear_maps():
            self.grow(members)
        return self.rebuilt() if self.groups else self.region

    def linear_maps(self) -> Iterator[tuple[int, ...]]:
        """Linear maps of one vector to equally many numbers, two or more."""
        found: dict[Hashable, list[int]] = defaultdict(list)
        for number, node in self.region.nodes():
            is_vector = len(node.shape) == 1
            if isinstance(node, SharedLayer) and node.layer == "linear" and is_vector:
                found[node.operands, node.arguments].append(number)
        yield from (tuple(members) for members in found.values() if len(members) > 1)

    def grow(self, members: tuple[int, ...]) -> None:
        """Makes a group, and groups of what reads it in the same way in all lanes."""
        group = len(self.groups)
        self.groups.append(members)
        self.lane_of.update({n: (group, lane) for lane, n in enumerate(members)})
        for reader in self.readers[members[0]]:
            alike = self.alike(reader, len(members))
            if alike is not None:
                self.grow(alike)

    def alike(self, first: int, lanes: int) -> tuple[int, ...] | None:
        """The nodes that do in the other lanes what `first` does in lane 0, if there are such."""
        if first in self.lane_of or self.signature(first, 0, lanes) is None:
            return None
        found = [first]
        for lane in range(1, lanes):
            wanted = self.signature(first, 0, lanes)
            operands = self.region.node(first).operands
            anchor = next(o for o in operands if o in self.lane_of)
            twin = self.groups[self.lane_of[anchor][0]][lane]
            matches = [
                reader
                for reader in self.readers[twin]
                if reader not in self.lane_of and self.signature(reader, lane, lanes) == wanted
            ]
            if len(matches) != 1:
                return None
            found.append(matches[0])
        return tuple(found)

    def signature(self, number: int, lane: int, lanes: int) -> Hashable | None:
        """What a node does in its lane: equal ones can be computed as one.

        None where it reads something of another lane, or cannot be computed with lanes.
        """
        node = self.region.node(number)
        operands: list[Hashable] = []
        values = node.values if isinstance(node, Mixture) else node.operands
        for operand in values:
            if operand in self.lane_of:
                group, own = self.lane_of[operand]
                if own != lane or len(self.groups[group]) != lanes:
                    return None
                operands.append(("lane", group))
            elif len(self.region.node(operand).shape) == 1:
                operands.append(operand)
            else:
                return None
        return (_kind(node), tuple(operands)) if _kind(node) is not None else None

    # -- writing

    def rebuilt(self) -> Region:
        """The region with one node for every group, where the first of its members was.

        What a group reads stands before it, as that is what its first member reads.
        """
        new, numbers = emptied(self.region), dict[int, int]()
        made: dict[int, int] = {}
        for number, node in self.region.inputs:
            numbers[number] = new.add(node)
        for number, node in self.region.nodes():
            if isinstance(node, Input):
                continue
            if number not in self.lane_of:
                numbers[number] = new.add(moved(node, numbers))
                continue
            group, lane = self.lane_of[number]
            if group not in made:
                made[group] = new.add(self.joined(group, made, numbers))
            numbers[number] = new.add(Lane(operands=(made[group],), index=lane, shape=node.shape))
        new.outputs = tuple(numbers[o] for o in self.region.outputs)
        return without_dead(new)

    def joined(self, group: int, made: Mapping[int, int], numbers: Mapping[int, int]) -> Node:
        """The node that computes all lanes of a group."""
        members = [self.region.node(n) for n in self.groups[group]]
        first = members[0]
        shape = (Const(len(members)), *first.shape)
        if isinstance(first, SharedLayer) and first.layer == "linear":
            read = (numbers[first.operands[0]],)
            return StackedLinear(operands=read, layers=tuple(members), shape=shape)
        values = first.values if isinstance(first, Mixture) else first.operands
        operands = tuple(
            made[self.lane_of[o][0]] if o in self.lane_of else numbers[o] for o in values
        )
        if isinstance(first, Mixture):
            lanes = tuple(moved_terms(member.terms, numbers) for member in members)
            return mixture(operands, lanes[0], shape, lanes)
        return replace(first, operands=operands, shape=shape)


def _kind(node: Any) -> Hashable | None:
    """What makes nodes of different lanes alike, besides their operands."""
    match node:
        case SharedLayer(layer=layer) if layer in ACTIVATIONS:
            return layer
        case SharedLayer(layer="apply"):
            return numbers(node)["f"]
        case Elementwise():
            return node.operator, node.number, node.swapped
        case Part():
            return "part", node.index, node.count
        case Mixture() if not node.lanes and all(term.norm is None for term in node.terms):
            return "mixture", len(node.terms)
    return None
