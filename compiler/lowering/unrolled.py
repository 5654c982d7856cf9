"""Repeats that are written out step by step: those whose steps decide, or stand in a body that is
no network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compiler.builder import Builder
from compiler.decision import Condition
from compiler.expr import Const, Open, opens, substitute, symbols
from compiler.ir import Option, Region
from compiler.lowering import apply, choices, labels, widths
from compiler.lowering.values import (
    Composed,
    Declared,
    Poison,
    Ref,
    Repeated,
    StaticNeeded,
    Value,
    as_operands,
    is_operation,
    joins,
    kind,
)
from compiler.steps import MOST_STEPS
from dsl import ast
from dsl.diagnostics import DartsError, Label, fault
from dsl.source import Span

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def is_unrolled(body: Body, operation: Repeated, operands: tuple[Ref, ...]) -> bool:
    """Whether the steps of a repeat must be written out."""
    syntax, scope = operation.syntax, operation.frame.scope
    if body.region.kind != "network" or opens(operation.count) or body.is_open(operands):
        return True
    if body.in_set:
        return True
    known = {name: value for name, value in body.region.parameters.items() if value is not None}
    if substitute(operation.count, known) == Const(0):
        body.constant(syntax.count)
        return True
    read = {node.name for node in syntax.walk() if isinstance(node, ast.Name)}
    used = (scope[name] for name in read if name in scope)
    if any(isinstance(op, ast.OpDecl) and body.nature.lists.given_by(op) for op in used):
        return True
    bound = (operation.frame.names[name] for name in read if name in operation.frame.names)
    return body.nature.settles(syntax, scope) or any(
        isinstance(value, tuple) or choices.decides_here(body, value) for value in bound
    )


def stack(body: Body, operation: Repeated, operands: tuple[Ref, ...], span: Span) -> Value:
    """The output of the last step; of a depth that is chosen, of each that may be the last."""
    syntax = operation.syntax
    steps, depths = _counted(body, operation)
    places = _places(body, operation, steps)
    window: tuple[Ref, ...] = operands
    outputs: list[Value] = []
    stage, around = 0, body.stage
    body.lowering.repeats += 1
    repeat = body.lowering.repeats
    for index in range(steps):
        stage += index in places
        inner = places.get(index, syntax.body)
        frame = operation.frame.extended(step=Const(index), stage=Const(stage))
        body.stage = (repeat, stage)
        start, clock = len(body.region.values), body.decisions.clock
        with body.looking_up(frame):
            result = _step(body, inner, window, span)
        window = _moved(window, result, inner.span)
        outputs.append(result)
        if depths is not None:
            _mark(body, depths, index, start, clock)
    body.stage = around
    if not outputs:
        return operands[-1]
    if depths is not None:
        ends = [operands[-1], *(_single(output, span) for output in outputs)]
        return _deep(body, depths, ends, syntax.span)
    last = outputs[-1]
    if not isinstance(last, Ref):
        return last
    refs = tuple(output for output in outputs if isinstance(output, Ref))
    return replace(last, steps=refs)


def _counted(body: Body, operation: Repeated) -> tuple[int, Open | None]:
    """How many steps there are, and the number that is chosen if it is open."""
    count, span = operation.count, operation.syntax.count.span
    if isinstance(count, Open):
        choices.check_owner(body, span)
        wrong = [n for n in count.values if not isinstance(n, int) or not 0 <= n <= MOST_STEPS]
        if wrong:
            message = f"a repeat has up to {MOST_STEPS} steps, this is {wrong[0]}"
            raise fault("E0702", message, span)
        return int(max(count.values)), count
    body.check_decided(count, span)
    if not isinstance(count, Const):
        raise StaticNeeded(symbols(count), span)
    steps = count.value
    if not isinstance(steps, int) or isinstance(steps, bool) or not 0 <= steps <= MOST_STEPS:
        raise fault("E0702", f"a repeat has 0 to {MOST_STEPS} steps, this is {steps}", span)
    return steps, None


def _places(body: Body, operation: Repeated, count: int) -> dict[int, ast.Expr]:
    """What is done at the places that are named."""
    found: dict[int, ast.Expr] = {}
    written: dict[int, Span] = {}
    with body.looking_up(operation.frame):
        for exception in operation.syntax.exceptions:
            for place in exception.places:
                index = body.constant(place)
                if not isinstance(index, int) or not 0 <= index < count:
                    message = f"step {index} of a repeat of {count} steps"
                    help = f"steps are numbered from 0 to {count - 1}"
                    raise fault("E0703", message, place.span, help)
                if index in found:
                    label = Label(written[index], "first named here")
                    message = f"step {index} of this repeat is named twice"
                    help = "a longer repeat, or other places"
                    raise fault("E0704", message, place.span, help, label)
                found[index], written[index] = exception.body, place.span
    return found


def _step(body: Body, inner: ast.Expr, window: tuple[Ref, ...], span: Span) -> Value:
    step = body.evaluate(inner)
    if isinstance(step, Poison):
        raise DartsError(())
    if not is_operation(step):
        raise fault("E0401", f"a step is an operation, this is {kind(step)}", inner.span)
    first = step.steps[0] if isinstance(step, Composed) and step.steps else step
    reads = body.nature.arity(first.declaration) if isinstance(first, Declared) else 1
    if reads > len(window):
        raise fault(
            "E0402",
            f"`{inner.span.text}` reads {reads} values, the repeat begins with {len(window)}",
            inner.span,
            "(" + ", ".join(["x"] * reads) + ") -> repeat …",
        )
    result = apply.apply(body, step, window[len(window) - reads :], inner.span)
    if isinstance(result, Poison):
        raise DartsError(())
    return result


def _moved(window: tuple[Ref, ...], result: Value, span: Span) -> tuple[Ref, ...]:
    """The window after a step: its output enters at the end; a whole window replaces it."""
    if not isinstance(result, tuple):
        return (*window[1:], _single(result, span))
    values = as_operands(result, span)
    if len(values) != len(window):
        message = f"this step gives back {len(values)} values, the window has {len(window)}"
        raise fault("E0401", message, span, "one value, or a whole window")
    return values


def _single(value: Value, span: Span) -> Ref:
    if not isinstance(value, Ref):
        message = f"a step gives one value here, this gives {kind(value)}"
        raise fault("E0401", message, span, joins(value))
    return value


def _mark(body: Body, depths: Open, index: int, start: int, clock: int) -> None:
    """What a step adds goes where the depth that is chosen does not reach it."""
    reaching = frozenset(str(n) for n in depths.values if n > index)  # type: ignore[operator]
    if len(reaching) == len(depths.values):
        return
    condition: Condition = ((depths.decision, reaching),)
    for number in range(start, len(body.region.values)):
        node = body.region.node(number)
        body.region.replace(number, under=(*condition, *node.under))
    body.decisions.condition(condition, clock, body.decisions.clock)


def _deep(body: Body, depths: Open, outputs: list[Ref], span: Span) -> Ref:
    """The mixture of what the steps give that may be the last; `outputs` begins with what flows
    in."""
    decision = body.decisions.known(depths.decision)
    assert decision is not None
    body.lowering.budget.spend(span, len(depths.values) ** 2 // 10)
    values = [outputs[int(n)] for n in depths.values]
    shapes = [body.builder.shape(value.number) for value in values]
    region = Region("choice", "branch", span=span)
    made = []
    for place, (label, sink) in enumerate(decision.options):
        builder = Builder(Region(label, "branch", span=span))
        inputs = [builder.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
        made.append(Option(label, sink, builder.finish((inputs[place],))))
    widths.check_options(made, span)
    region.options = tuple(made)
    builder = Builder(region)
    region.outputs = tuple(builder.input(f"x{i}", s) for i, s in enumerate(shapes))[:1]
    numbers = tuple(value.number for value in values)
    name = labels.attribute(depths.decision)
    number = body.builder.choice(region, (), numbers, depths.decision, name, span)
    return body.ref(number)
