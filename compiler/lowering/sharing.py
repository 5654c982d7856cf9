"""`shared`: one module for all uses of an operation; and masks, drawn once per sequence."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from compiler.builder import is_module
from compiler.ir import Choice, Layer, Node
from compiler.lowering import apply
from compiler.lowering.values import Ref, Shared, Value
from dsl.diagnostics import fault
from dsl.source import Span

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def use(body: Body, operation: Shared, operands: tuple[Ref, ...], span: Span) -> Value:
    """Applies what is shared: the same operation once more, its modules marked as the same."""
    within = body
    while within.region is not operation.owner:
        is_step = within.region.name == "step"
        if within.around is None or not within.region.is_branch or is_step:
            where = "repeat" if is_step else "declaration"
            raise fault(
                "E0403",
                f"`{operation.name}` is shared outside this {where} and cannot be used in it",
                span,
                "write the steps out" if is_step else None,
            )
        within = within.around
    start, mark = len(body.region.values), body.decisions.mark
    owner = body.owner
    around = owner.sharing, owner.shared_parts
    owner.sharing, owner.shared_parts = operation.name, count()
    try:
        result = apply.apply(body, operation.operation, operands, span)
    finally:
        owner.sharing, owner.shared_parts = around
    if body.decisions.mark != mark:
        help = "what its options do can be shared: `choose { W, … }`"
        raise fault("E0605", "a decision cannot be shared", operation.span, help)
    added = range(start, len(body.region.values))
    marked = [i for i in added if _is_shared(body.region.node(i))]
    for place, number in enumerate(marked):
        name = operation.name if len(marked) == 1 else within.part_name(operation.name, place)
        is_mask = not is_module(body.region.node(number))
        body.region.replace(number, name="" if is_mask else name, shared=name, span=span)
    return result


def _is_shared(node: Node) -> bool:
    """Whether a node holds weights or draws a mask, and is not shared by another name already.

    A mixture of a number that is to be chosen has its own names for what its options share.
    """
    draws = isinstance(node, Layer) and node.layer == "dropout"
    return not node.shared and not isinstance(node, Choice) and (draws or is_module(node))


def check_mask(body: Body, rank: int, span: Span) -> None:
    """A mask for a whole sequence needs one: a value over time, or a body that runs over time."""
    within = body
    while within.around is not None and within.region.is_branch:
        within = within.around
    if rank == 2 or (rank == 1 and within.region.states is not None):
        return
    raise fault(
        "E0502",
        "a mask per sequence is drawn for a sequence, or in what runs over one",
        span,
        "`per: element`, or run this `over` time",
    )
