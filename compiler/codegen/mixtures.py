"""Mixtures written in place: a sum of terms, one for each candidate that is a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.codegen.layout import Call, Doc, Infix, ListOf, Text, Value, lines
from compiler.codegen.scope import passed
from compiler.ir import Choice, Input, Region

if TYPE_CHECKING:
    from compiler.codegen.forward import Forward


def mixed(forward: Forward, node: Choice, depth: int) -> Value:
    weights = forward.rows[node.decision]
    if not node.region.is_branch:
        docs = [forward.operand(o).doc for o in node.operands]
        own = passed(forward.context, node, forward.show)
        name = forward.context.names[id(node.region)]
        return Value(Call(name, *docs, weights, *own), depth + 1)
    for operand in node.operands:  # read by every candidate
        forward.simple(operand)
    operands = list(node.operands)
    if node.how == "concat":
        made = side_by_side(forward, node.region, operands, weights, len(node.shape))
    else:
        made = mixture(forward, node.region, operands, weights)
    if node.bound is None:  # it takes many lines, so it is a statement
        name = forward.variable(node.name)
        forward.statements += lines(made, forward.indent, f"{name} = ")
        return Value(Text(name))
    return Value(made, depth + 1)


def mixture(forward: Forward, choice: Region, operands: list[int], weights: str) -> Doc:
    """The candidates of a choice as terms, each times its weight."""
    forward.context.used.add("mixture")
    computed = [i for i, option in enumerate(choice.options) if not option.idle]
    if len(computed) < len(choice.options):
        first = computed[0]
        last = computed == list(range(first, len(choice.options)))
        weights = f"{weights}[{first}:]" if last else f"{weights}[{computed}]"
    terms = [_inlined(forward, choice.options[i].body, operands) for i in computed]
    return Call("mixture", weights, ListOf(*terms))


def side_by_side(
    forward: Forward, choice: Region, operands: list[int], weights: str, rank: int
) -> Doc:
    """The candidates of a choice, each times its weight, channel after channel."""
    terms = [
        Infix(Text(f"{weights}[{i}]"), "*", _inlined(forward, option.body, operands))
        for i, option in enumerate(choice.options)
    ]
    return Call("torch.cat", ListOf(*terms), "dim=1" if rank == 3 else "dim=-1")


def _inlined(forward: Forward, branch: Region, operands: list[int]) -> Doc:
    """A branch written in place."""
    inner = forward.inside(branch)
    for (number, _), operand in zip(branch.inputs, operands, strict=True):
        inner.values[number] = forward.values[operand]
    for number, node in branch.nodes():
        if not isinstance(node, Input) and number in inner.live:
            inner.add(number, node)
    return inner.values[branch.outputs[0]].doc
