"""Dropout by masks: of the words of a table, and of whole sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.codegen.layout import Call, Doc, Infix, Text, Value, lines
from compiler.expr import Const
from compiler.ir import Layer

if TYPE_CHECKING:
    from compiler.codegen.forward import Forward


def embedded(forward: Forward, node: Layer, name: str, made: Doc, word: Doc, depth: int) -> Value:
    """Rows of a table, some words of which are dropped while training."""
    drop = dict(node.arguments)["drop"]
    if drop == Const(0):
        return Value(made, depth + 1)
    forward.context.used.add("word_mask")
    mask = Call("word_mask", f"self.{name}", forward.show(drop), "self.training")
    return Value(Infix(made, "*", mask.then(f"[{word.flat()}]")), depth + 2)


def masked(forward: Forward, number: int, node: Layer) -> Value:
    """A value times its mask: one drawn before, or here for the whole of a sequence."""
    key = node.shared or (id(forward.region), number)
    if key not in forward.masks:
        made = _mask(forward, node, forward.simple(node.operands[0]))
        if not node.shared:
            return Value(Infix(forward.values[node.operands[0]].doc, "*", made), 1)
        name = forward.variable(node.shared)
        forward.statements += lines(made, forward.indent, f"{name} = ")
        forward.masks[key] = name
    value = forward.values[node.operands[0]]
    return Value(Infix(value.doc, "*", Text(forward.masks[key])), value.depth)


def _mask(forward: Forward, node: Layer, x: Doc) -> Doc:
    p = forward.show(dict(node.arguments)["p"])
    if dict(node.arguments)["per"] == Const("sequence"):
        forward.context.used.add("sequence_mask")
        step = x.then("[0]") if len(node.shape) == 2 else x
        return Call("sequence_mask", step, p, "self.training")
    return Call("F.dropout", Call("torch.ones_like", x), p, "self.training")
