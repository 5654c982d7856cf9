"""A final program without what it need not compute: what nothing reads, and nothing but zeros.

`specialise` leaves layers whose output is never read, as published counts have them, and those that
make zeros of zeros. Here they go, from cells and from the network; what an op or a step holds is
as it was written. The function stays the same, in training and in evaluation, and so does the name
of every weight that is left; but what was drawn to drop zeros is not drawn any more.

before   n0 = conv(x)   n1 = zeros(x)   n2 = x + conv(n1)   return n2
after    return x
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from compiler.ir import Input, Region
from compiler.needed import needed
from compiler.program import Program, rewritten


def prune(program: Program) -> Program:
    """The same function of what is read, without layers that it does not need."""
    return replace(program, network=rewritten(program.network, _pruned))


def _pruned(region: Region) -> None:
    if region.kind not in ("cell", "network"):
        return
    left = needed(region)
    place: dict[int, int] = {}
    values: dict[int, Any] = {}
    for number, node in region.nodes():
        if isinstance(node, Input) or number in left.live:
            place[number] = len(values)
            operands = tuple(place[operand] for operand in left.reads[number])
            values[place[number]] = replace(node, operands=operands)
        elif node.bound is not None and left.same[number] in place:
            same = place[left.same[number]]
            if values[same].bound is None:
                values[same] = replace(values[same], bound=node.bound)
    region.values = values
    region.outputs = tuple(place[left.same[output]] for output in region.outputs)
    region.auxiliary = tuple(place[left.same[output]] for output in region.auxiliary)
    region.forget()
