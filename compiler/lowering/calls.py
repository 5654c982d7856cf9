"""What is called with which arguments: sets, ops, cells and layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compiler.expr import (
    Const,
    Expr,
    const,
)
from compiler.lowering import choices, flow, labels, options
from compiler.lowering.values import (
    POISON,
    Chosen,
    ChosenNumber,
    Composed,
    Declared,
    Frame,
    LayerCall,
    LayerOperation,
    Poison,
    SetValue,
    Shared,
    Value,
    kind,
)
from dsl import ast
from dsl.calls import counted
from dsl.diagnostics import fault
from dsl.source import Span
from dsl.vocabulary import JOINS, LAYERS, SPLIT

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def call(body: Body, node: ast.Call) -> Value:
    if isinstance(node.callee, ast.Name) and node.callee.name in JOINS:
        return flow.join(body, node)
    if isinstance(node.callee, ast.Name) and node.callee.name == SPLIT:
        return flow.split(body, node)
    callee = body.evaluate(node.callee)
    arguments = list(_evaluated(body, callee, node))
    if isinstance(callee, Poison) or any(isinstance(v, Poison) for _, v in arguments):
        return POISON
    if isinstance(callee, SetValue | Chosen) and any(name is None for name, _ in arguments):
        text = node.callee.span.text
        message = f"`{text}` passes its arguments on to every option, so they have names"
        raise fault("E0306", message, node.span)
    if isinstance(callee, SetValue):
        given = tuple((n or "", v) for n, v in arguments)
        return SetValue(
            tuple(options.passed_on(body, o, given, node.span) for o in callee.options),
            node.span,
            callee.declaration,
            callee.given + given,
        )
    if isinstance(callee, Chosen):
        given = tuple((n or "", v) for n, v in arguments)
        passed = (options.passed_on(body, o, given, node.span) for o in callee.options.options)
        known = callee.options
        found = SetValue(tuple(passed), node.span, known.declaration, known.given + given)
        return replace(callee, options=found, span=node.span)
    if isinstance(callee, Declared):
        given = callee.given + _placed(body, callee, arguments, node)
        return replace(callee, given=given, span=node.span)
    if isinstance(callee, LayerOperation):
        return _layer_called(body, callee, arguments, node)
    raise fault("E0401", f"{kind(callee)} takes no arguments", node.callee.span)


def _evaluated(body: Body, callee: Value, node: ast.Call) -> Iterator[tuple[str | None, Value]]:
    """The arguments of a call; numbers chosen among them are called after their parameters."""
    free: list[str] = []
    if isinstance(callee, Declared):
        free = [p.name for p in callee.declaration.parameters if p.default is None]
    elif isinstance(callee, LayerOperation) and callee.layer in LAYERS:
        free = [a.name for a in LAYERS[callee.layer].required]
    named = {a.name for a in node.arguments}
    places = iter([name for name in free if name not in named])
    for argument in node.arguments:
        name = argument.name or next(places, "value")
        if isinstance(argument.value, ast.Choose):
            title = callee.name if isinstance(callee, Declared) else labels.name_of(callee)
            around = f"{body.node or body.user}." if body.node or body.user else ""
            yield argument.name, choices.choose(body, argument.value, f"{around}{title}.{name}")
        else:
            value = body.evaluate(argument.value)
            yield argument.name, value


def _layer_called(
    body: Body,
    callee: LayerOperation,
    arguments: list[tuple[str | None, Value]],
    node: ast.Call,
) -> LayerOperation | LayerCall:
    """A layer with arguments, more of them if it had some already."""
    if callee.layer not in LAYERS:
        text = node.callee.span.text
        raise fault(
            "E0303", f"`{text}` stands for an operation, which has its arguments", node.span
        )
    before = () if isinstance(node.callee, ast.Name) else callee.arguments
    required = [a.name for a in LAYERS[callee.layer].required]
    free = [n for n in required if n not in dict(before) and n not in dict(arguments)]
    given: list[tuple[str, Value]] = list(before)
    for name, value in arguments:
        if name is None and not free:
            count = counted(len(required))
            message = f"`{callee.layer}` takes {count} by position, this is one more"
            raise fault("E0303", message, node.span)
        given.append((name or free.pop(0), value))
    if any(isinstance(value, ChosenNumber) for _, value in given):
        return LayerCall(callee.layer, tuple(given), node.span)
    return layer_operation(body, callee.layer, tuple(given), node.span)


def _placed(
    body: Body, callee: Declared, arguments: list[tuple[str | None, Value]], node: ast.Call
) -> tuple[tuple[str, Value], ...]:
    """Arguments with the names of the parameters they stand for."""
    parameters = callee.declaration.parameters
    free = [
        p.name
        for p in parameters
        if p.default is None
        and p.name not in dict(callee.given)
        and p.name not in [n for n, _ in arguments]
    ]
    known = {p.name for p in parameters}
    result = []
    for name, value in arguments:
        if (name is None and not free) or (name is not None and name not in known):
            raise fault(
                "E0301",
                f"`{callee.declaration.name.name}` has no such argument",
                node.span,
            )
        result.append((name or free.pop(0), value))
    return tuple(result)


def complete(body: Body, operation: Declared) -> dict[str, Value]:
    """All arguments of an op or cell in the order of its parameters, defaults filled in."""
    declaration = operation.declaration
    given = dict(operation.given)
    frame = Frame({}, body.lowering.space.scope(declaration))
    for parameter in declaration.parameters:
        name = parameter.name
        if name in given:
            frame.names[name] = given[name]
        elif parameter.default is not None:
            with body.looking_up(frame):
                frame.names[name] = body.evaluate(parameter.default)
        else:
            raise fault(
                "E0302",
                f"`{declaration.name.name}` needs `{name}`",
                operation.span,
            )
    return dict(frame.names)


def layer_operation(
    body: Body, layer: str, given: tuple[tuple[str, Value], ...], span: Span
) -> LayerOperation:
    values = dict(given)
    arguments = []
    for argument in LAYERS[layer].arguments:
        value = values.get(argument.name)
        if value is None and argument in LAYERS[layer].optional:
            value = const(argument.default)  # type: ignore[arg-type]
        if argument.kind == "operation" and value != const(argument.default):  # type: ignore[arg-type]
            value = const(tied_name(value, span))
        if value is not None and not isinstance(value, Expr):
            raise fault(
                "E0401",
                f"`{layer}` needs a {argument.kind} for `{argument.name}`, this is {kind(value)}",
                span,
            )
        if value is not None:
            _check_kind(body, layer, argument, value, span)
            arguments.append((argument.name, value))
    return LayerOperation(layer, tuple(arguments), span)


def tied_name(value: Value | None, span: Span) -> str:
    """The module whose table a `linear` is tied to: a shared embedding.

    Raises:
        DartsError: when what is shared is something else.
    """
    operation = value.operation if isinstance(value, Shared) else None
    steps = operation.steps if isinstance(operation, Composed) else (operation,)
    if not (len(steps) == 1 and getattr(steps[0], "layer", "") == "embedding"):
        help = "`shared table = embedding(V, H)`, and `tied: table`"
        raise fault("E0305", "a `linear` is tied to a shared `embedding`", span, help)
    assert isinstance(value, Shared)
    return value.name


def _check_kind(body: Body, layer: str, argument: Any, value: Expr, span: Span) -> None:
    if not isinstance(value, Const):
        return
    plain = value.value
    if argument.kind == "operation":
        return
    fits = {
        "flag": isinstance(plain, bool),
        "word": plain in argument.words,
        "number": not isinstance(plain, bool | str) or plain == argument.default,
    }[argument.kind]
    if not fits:
        shown = {True: "yes", False: "no"}.get(plain, plain) if isinstance(plain, bool) else plain
        raise fault(
            "E0305",
            f"`{layer}` needs a {argument.kind} for `{argument.name}`, this is `{shown}`",
            span,
            "one of " + ", ".join(argument.words) if argument.words else None,
        )
