"""Operations run along a dimension of a value: recurrences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.expr import Expr, show
from compiler.lowering import apply, calls, widths
from compiler.lowering.values import (
    Declared,
    Poison,
    Ref,
    Scanned,
    Value,
    is_chosen,
    is_operation,
    kind,
)
from dsl import ast
from dsl.diagnostics import DartsError, fault
from dsl.source import Span

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def scanned(body: Body, node: ast.Over) -> Value:
    """`f over T`."""
    operation = body.evaluate(node.operation)
    dimension = body.evaluate(node.dimension)
    if isinstance(operation, Poison) or isinstance(dimension, Poison):
        raise DartsError(())
    if not is_operation(operation):
        message = f"an operation runs over a dimension, this is {kind(operation)}"
        raise fault("E0401", message, node.operation.span)
    if not isinstance(dimension, Expr):
        message = f"`{node.dimension.name}` is {kind(dimension)}, not a dimension"
        raise fault("E0717", message, node.dimension.span, "`from word[T]` names one")
    return Scanned(operation, dimension, node.span)  # type: ignore[arg-type]


def without_over(
    body: Body, operation: Declared, operands: tuple[Ref, ...], span: Span
) -> DartsError | None:
    """What to say of a recurrence that is applied to a whole sequence, if it is one."""
    states = (body.nature.inputs(operation.declaration) or ())[len(operands) :]
    sequences = all(body.rank(operand) == 2 for operand in operands)
    if body.region.kind != "network" or not states or not sequences:
        return None
    if any(state.shape is None for state in states):
        return None
    shape = body.builder.shape(operands[0].number)
    message = f"`{states[0].name.name}` is a state, and nothing flows into it"
    help = f"`{span.text} over {show(shape[0])}` runs it step by step"
    return fault("E0402", message, span, help)


def run(body: Body, operation: Scanned, operands: tuple[Ref, ...], span: Span) -> Value:
    """Runs a recurrence along its operands; its states are inputs that nothing flows into."""
    if body.region.kind != "network":
        raise fault(
            "E0717",
            "what runs over a dimension stands in a network, not in an op, a cell, an option or a "
            "repeat",
            operation.span,
            "let the network run the cell",
        )
    inner = operation.operation
    inputs = body.nature.inputs(inner.declaration) if isinstance(inner, Declared) else None
    if not isinstance(inner, Declared) or inputs is None:
        raise fault(
            "E0717",
            "an op or a cell with `from` runs over a dimension",
            operation.span,
            "`cell NAME(H) from x, h[H] { … }` has a state `h`",
        )
    apply.check_numbers(body, operands, inner.declaration.name.name, span)
    if len(inputs) < len(operands):
        raise apply.wrong_count(inner.declaration.name.name, len(inputs), len(operands), span)
    for operand in operands:
        shape = body.builder.shape(operand.number)
        if len(shape) == 3:
            message = f"`{operation.span.text}` runs over time, and an image has none"
            raise fault("E0717", message, span)
        if len(shape) < 2 or shape[0] != operation.dimension:
            text = operation.span.text
            message = f"`{text.split()[-1]}` is not the first dimension of what flows into `{text}`"
            first = f"the first is `{show(shape[0])}`" if shape else None
            raise fault("E0717", message, span, first)
    name, known = inner.declaration.name.name, "a layer of a known width before it"
    widths.check_known(body, operands, f"`{name}` runs over time, and reads", span, known)
    arguments = calls.complete(body, inner)
    if any(is_chosen(value) for value in arguments.values()):
        message = f"`{name}` runs over time, and a number that it is given is still to be chosen"
        raise fault("E0612", message, span, "let the cell choose it")
    shapes = [body.builder.shape(o.number)[1:] for o in operands]
    found = body.lowering.region(inner, arguments, shapes, scanned=True)
    if found is None:
        raise DartsError(())
    region, rest = found
    body.lowering.one_kind(inner, region)
    return body.ref(body.builder.scan(region, rest, tuple(o.number for o in operands), span))
