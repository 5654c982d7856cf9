"""Flows of values: from step to step, along edges, and where they are joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compiler.builder import is_module
from compiler.decision import Condition
from compiler.expr import Const, InexactDivision, opens
from compiler.ir import Join
from compiler.layers import STATEFUL
from compiler.lowering import apply, choices, labels, widths
from compiler.lowering.values import (
    POISON,
    Chosen,
    Composed,
    Declared,
    LayerCall,
    LayerOperation,
    LooseValues,
    Poison,
    Ref,
    Repeated,
    Scanned,
    SetValue,
    Several,
    Shared,
    Value,
    as_operands,
    closes_over,
    is_operation,
    is_tied,
    joins,
    kind,
)
from dsl import ast
from dsl.diagnostics import DartsError, fault
from dsl.source import Span

MOST_PARTS = 1000

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def flow(body: Body, node: ast.Flow, whole: bool = False) -> Value:
    """`x -> f -> g`: an application where it starts with values, else an operation."""
    first = body.evaluate(node.steps[0])
    operations = [(step, body.evaluate(step)) for step in node.steps[1:]]
    if isinstance(first, Poison) or any(isinstance(o, Poison) for _, o in operations):
        return POISON
    for step, operation in operations:
        if isinstance(operation, SetValue):
            raise fault(
                "E0601", f"`{step.span.text}` is a set", step.span, f"choose {step.span.text}"
            )
        if not is_operation(operation):
            raise fault(
                "E0401",
                f"`{step.span.text}` is {kind(operation)}, not an operation",
                step.span,
                _way_out(operation, step),
            )
    rest = tuple(o for _, o in operations)
    if is_operation(first):
        return Composed((first, *rest), node.span)  # type: ignore[arg-type]
    operands = as_operands(first, node.steps[0].span)
    if whole and len(operands) == 1 and body.rank(operands[0]):  # words stay in the network
        shapes = [body.builder.shape(operands[0].number)]
        if sum(stateful(body, o) for o in rest) > 1:
            steps = Composed(rest, node.steps[1].span.to(node.span))  # type: ignore[arg-type]
            made = apply.branch(body, steps, shapes, "x", node.span)
            return body.ref(body.builder.branch(made, {}, (operands[0].number,), span=node.span))
    result: Value = operands
    for step, operation in operations:
        if isinstance(result, Poison):
            return result
        result = apply.apply(body, operation, as_operands(result, step.span), step.span)
    return _made_from(body, operands[0], result)


def _made_from(body: Body, source: Ref, result: Value) -> Value:
    """A value that knows what the file calls the one it was made from."""
    if not isinstance(result, Ref):
        return result
    origin = source.name or source.origin or body.region.node(source.number).bound
    return replace(result, origin=origin or "")


def _way_out(value: Value, step: ast.Expr) -> str | None:
    """What to do about a step that is no operation."""
    if isinstance(value, Ref):
        return "values stand at the start of a flow"
    if isinstance(value, tuple) and any(map(is_operation, value)):
        return f"`{step.span.text}[0]` is its first member"
    return None


def stateful(body: Body, operation: Value) -> int:
    """At least how many layers with weights an operation puts into a flow, as one module each.

    What makes no plain module (a choice, a cell, a repeat, something shared or tied) counts as none
    and keeps a flow open.
    """
    match operation:
        case LayerOperation():
            return -1000 if is_tied(operation) else int(operation.layer in STATEFUL)
        case Declared(declaration=ast.OpDecl() as op) if not body.nature.inlines(op):
            in_place = closes_over(operation) or body.nature.lists.given_by(op)
            return -1000 if in_place else 1
        case Composed():
            return sum(stateful(body, step) for step in operation.steps)
        case Chosen() | LayerCall() | Repeated() | Scanned() | Shared() | Declared():
            return -1000
    return 0


def each(body: Body, node: ast.Each) -> Iterator[Value]:
    """`each (a, b) -> f`: evaluates the steps anew for every value."""
    source = body.evaluate(node.source)
    if isinstance(source, Poison):
        raise DartsError(())
    if not isinstance(source, tuple):
        raise fault(
            "E0401",
            f"`each` goes over a list of values, this is {kind(source)}",
            node.source.span,
            f"({node.source.span.text}, …)" if isinstance(source, Ref) else joins(source),
        )
    for item in _flat(source, node.source.span):
        yield edge(body, item, node.steps)


def edge(body: Body, source: Ref, steps: tuple[ast.Expr, ...]) -> Value:
    """One value through operations; decisions made on the way stand on this edge."""
    outer, start, mark = body.edge_source, len(body.region.values), body.decisions.mark
    if not body.on_edge:
        body.edge_source = source.name or body.region.node(source.number).bound
    try:
        result: Value = source
        for step in steps:
            operation = body.evaluate(step)
            if isinstance(operation, SetValue):
                text = step.span.text
                raise fault("E0601", f"`{text}` is a set", step.span, f"`choose {text}`")
            if isinstance(operation, Poison) or isinstance(result, Poison):
                raise DartsError(())
            if not is_operation(operation):
                raise fault(
                    "E0401",
                    f"`{step.span.text}` is {kind(operation)}, not an operation",
                    step.span,
                    _way_out(operation, step),
                )
            result = apply.apply(body, operation, as_operands(result, step.span), step.span)
        new = range(start, len(body.region.values))
        if not body.on_edge:
            body.decisions.close_edge(mark, steps[0].span.to(steps[-1].span))
            _hang(body, new, body.decisions.since(mark))
            body.owner.edges += 1
        modules = [i for i in new if is_module(body.region.node(i))]
        if body.node is not None and "[" in body.node and len(modules) == 1:
            name = labels.attribute(f"{body.node}_from_{body.edge_source}")
            body.region.replace(modules[0], name=name)
        return _made_from(body, source, result)
    finally:
        body.edge_source = outer


def _hang(body: Body, numbers: range, condition: Condition) -> None:
    """Joins on an edge that decides go with it; what is not joined goes with what it reads."""
    for number in numbers if condition else ():
        node = body.region.node(number)
        if isinstance(node, Join):
            body.region.replace(number, under=(*condition, *node.under))


def join(body: Body, node: ast.Call) -> Value:
    """A join of values; in it every argument is an edge."""
    values: list[Ref] = []
    loose: list[int] = []
    how = node.callee.name  # type: ignore[union-attr]
    mark = body.decisions.mark
    for argument in node.arguments:
        if argument.name is not None:
            raise fault("E0301", f"`{how}` takes values, not named arguments", argument.span)
        syntax = _taken(body, argument.value)
        if isinstance(syntax, ast.Flow):
            first = body.evaluate(syntax.steps[0])
            if isinstance(first, Ref):
                value = edge(body, first, syntax.steps[1:])
            else:
                value = flow(body, syntax)
        else:
            value = body.evaluate(syntax)
        if isinstance(value, Poison):
            return POISON
        if isinstance(value, Several):
            value = choices.joined(body, value, how, argument.span)
        if isinstance(value, LooseValues):
            value = value.values
            loose += range(len(values), len(values) + len(value))
        values += _flat(value if isinstance(value, tuple) else (value,), argument.span)
    if not (body.on_edge or body.in_set or body.decisions.option):  # where edges are no edges
        body.decisions.close_join(mark, body.node, node.span)
    if not values:
        raise fault(
            "E0604",
            f"`{body.node or 'this'}` has nothing to {how}: no value reaches it",
            node.span,
            "let it read an input as well",
        )
    ranks = {body.rank(v) for v in values}
    if len(ranks) > 1 or 0 in ranks:
        found = " and ".join(apply.RANKS[rank] for rank in sorted(ranks))
        raise fault("E0501", f"{found} cannot be joined", node.span)
    if how == "concat":
        widths.check_concat(body, values, node.span)
    else:
        widths.check_alike(body, values, node.span)
    numbers = tuple(v.number for v in values)
    return body.ref(body.builder.join(how, numbers, node.span, tuple(loose)))


def loose(body: Body, node: ast.Loose) -> Value:
    """`loose n`: the members of a group that nothing reads.

    Which these are is known once everything is decided, so in a final network they wait for it.
    """
    group = body.evaluate(ast.Name(node.name_span, node.name))
    if isinstance(group, Poison):
        return POISON
    if not (isinstance(group, tuple) and all(isinstance(v, Ref) for v in group)):
        message = f"`loose` goes with a group, this is {kind(group)}"
        raise fault("E0401", message, node.span)
    if not body.owner.decisions.made:
        graph = body.region.graph
        return tuple(v for v in group if not graph.out_degree(v.number))
    if body.lowering.phase == "search":
        name = node.name
        raise fault(
            "E0613",
            f"which values of `{name}` are loose is unknown while choices are open",
            node.span,
            f"`concat({name}) when search else concat(loose {name})`",
        )
    return LooseValues(group)


def split(body: Body, node: ast.Call) -> Value:
    """`split(x, n)`: the channels of a value in n equal parts."""
    wrong = next((a for a in node.arguments if a.name is not None), None)
    if wrong is not None or len(node.arguments) != 2:
        raise fault("E0303", "`split` takes a value and how many parts", node.span, "`split(x, 2)`")
    value = body.evaluate(node.arguments[0].value)
    if isinstance(value, Poison):
        return POISON
    operand, *others = as_operands(value, node.arguments[0].span)
    if others:
        message = f"`split` takes one value, these are {len(others) + 1}"
        raise fault("E0401", message, node.arguments[0].span, "split them one by one")
    if body.rank(operand) == 0:
        raise fault("E0502", "words of a text have no channels", node.arguments[0].span)
    if opens(widths.width(body.builder.shape(operand.number))):
        message = "`split` goes by the position of channels, but the width is still open"
        raise fault("E0612", message, node.span, "split before the choice")
    count = body.constant(node.arguments[1].value)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_PARTS:
        message = f"a value is split in 1 to {MOST_PARTS} parts, this is {count}"
        raise fault("E0404", message, node.arguments[1].span)
    try:
        parts = [body.builder.part(operand.number, i, count, node.span) for i in range(count)]
    except InexactDivision as error:
        message = f"{error.left} channels cannot be split in {count}"
        raise fault("E0504", message, node.span, f"a width that {count} divides") from None
    return tuple(map(body.ref, parts))


def _taken(body: Body, syntax: ast.Expr) -> ast.Expr:
    """What a condition that has come out selects, so that it is an edge like any other."""
    while isinstance(syntax, ast.When) and syntax.otherwise is not None:
        condition = body.number(syntax.condition)
        if not isinstance(condition, Const):
            break
        syntax = syntax.value if condition.value else syntax.otherwise
    return syntax


def _flat(values: Any, span: Span) -> Iterator[Ref]:
    for value in values:
        if isinstance(value, tuple):
            yield from _flat(value, span)
        elif isinstance(value, Ref):
            yield value
        elif isinstance(value, Poison):
            raise DartsError(())
        else:
            help = "a flow starts with a value" if is_operation(value) else None
            raise fault("E0401", f"values are joined, this is {kind(value)}", span, help)
