"""Equal values are computed once: what all edges that leave a value do to it first.

before   %3 = relu <- %1, %4 = relu <- %1, %5 = conv `x` <- %3, %6 = conv `y` <- %4
after    %3 = relu <- %1, %5 = conv `x` <- %3, %6 = conv `y` <- %3

Norms without weights of their own are equal where they read one value: their statistics are the
same, and are written under all of their names.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

from compiler.flat.nodes import Item, Mixture, SharedLayer, numbers
from compiler.flat.rewriting import is_norm, movable_norms, rebuilt, without_dead
from compiler.ir import Elementwise, Join, Part, Region
from compiler.layers import RANDOM, STATEFUL
from compiler.program import Program


@dataclass(frozen=True)
class Share:
    name: str = "share"

    def apply(self, program: Program) -> Program:
        shared = rebuilt(program.network, _Sharing)
        return replace(program, network=without_dead(shared))


class _Sharing:
    def __init__(self, region: Region) -> None:
        self.movable = {region.node(n).name for n in movable_norms(region)}
        self.known: dict[Hashable, int] = {}

    def __call__(self, new: Region, node: Any) -> int:
        key = _key(node)
        if key is None or (is_norm(node) and node.name not in self.movable):
            return new.add(node)
        if key not in self.known:
            self.known[key] = new.add(node)
        elif is_norm(node):
            first = new.node(self.known[key])
            new.replace(self.known[key], also=(*first.also, *node.paths))
        return self.known[key]


def _key(node: Any) -> Hashable:
    """What makes two nodes one value; None for a node that is like no other."""
    match node:
        case SharedLayer(layer=layer) if layer in RANDOM or numbers(node).get("drop"):
            return None
        case SharedLayer(layer="bn"):
            return None if numbers(node)["affine"] else ("bn", node.operands)
        case SharedLayer(layer="layer_norm") if not numbers(node)["affine"]:
            return "layer_norm", numbers(node).get("active"), node.operands
        case SharedLayer():
            path = node.name if node.layer in STATEFUL else ""
            return node.layer, path, node.arguments, node.operands
        case Join():
            return "join", node.how, node.operands
        case Elementwise():
            return node.operator, node.number, node.swapped, node.operands
        case Part():
            return "part", node.index, node.count, node.operands
        case Item():
            return "item", node.index, node.operands
        case Mixture():
            return node.terms, node.operands
    return None
