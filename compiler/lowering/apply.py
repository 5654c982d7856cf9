"""What happens when values flow into an operation: layers, calls, choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.builder import Builder
from compiler.expr import Const, Expr, const, substitute, symbols
from compiler.ir import (
    Arguments,
    Decision,
    Dims,
    Option,
    Region,
)
from compiler.layers import SQUARE_WINDOW
from compiler.lowering import calls, labels, repeat
from compiler.lowering import options as sets
from compiler.lowering.values import (
    POISON,
    Chosen,
    Composed,
    Conditional,
    Declared,
    Frame,
    LayerOperation,
    Operation,
    Poison,
    Ref,
    Repeated,
    Value,
    as_operands,
    kind,
)
from dsl import ast
from dsl.diagnostics import DartsError, fault
from dsl.source import Span
from dsl.vocabulary import AUTO, LAYERS, SAME

if TYPE_CHECKING:
    from compiler.lowering.body import Body

RANK_HELP = {
    "linear": "`flatten` or `global_pool(mean)` before it",
}


def apply(body: Body, operation: Value, operands: tuple[Ref, ...], span: Span) -> Value:
    """Lets values flow into an operation, adding its nodes to the region."""
    match operation:
        case Declared():
            return _declared(body, operation, operands, span)
        case Repeated():
            return repeat.stack(body, operation, operands, span)
        case Composed():
            result: Value = operands if len(operands) > 1 else operands[0]
            for step in operation.steps:
                if isinstance(result, Poison):
                    return result
                result = apply(body, step, as_operands(result, step_span(step, span)), span)
            return result
    if len(operands) != 1:
        raise fault(
            "E0402",
            f"`{span.text}` reads one value, {len(operands)} flow in",
            span,
            "`each (…) -> …`, or join them with `sum` or `concat`",
        )
    operand = operands[0].number
    match operation:
        case LayerOperation():
            return _layer(body, operation, operand, span)
        case Conditional():
            shape = body.builder.shape(operand)
            then = branch(body, operation.then, shape, "then", operation.span)
            otherwise = branch(body, operation.otherwise, shape, "otherwise", operation.span)
            name = labels.name_of(operation.then) or labels.name_of(operation.otherwise) or "select"
            return body.ref(
                body.builder.select(
                    operation.condition, then, otherwise, operand, name, operation.span
                )
            )
        case Chosen():
            return _choice(body, operation, operand, span)
    raise TypeError(f"not an operation: {operation!r}")


def step_span(operation: Operation, default: Span) -> Span:
    return getattr(operation, "span", default)


def _layer(body: Body, operation: LayerOperation, operand: int, span: Span) -> Ref:
    layer, arguments = operation.layer, dict(operation.arguments)
    shape = body.builder.shape(operand)
    if len(shape) not in LAYERS[layer].ranks:
        reads = {(3,): "an image", (1, 2): "a vector or a sequence"}
        wanted = reads.get(LAYERS[layer].ranks, "a vector or an image")
        found = {1: "a vector", 2: "a sequence", 3: "an image"}[len(shape)]
        raise fault(
            "E0502", f"`{layer}` reads {wanted}, this is {found}", operation.span,
            RANK_HELP.get(layer),
        )  # fmt: skip
    missing = [a.name for a in LAYERS[layer].required if a.name not in arguments]
    if missing:
        raise fault("E0302", f"`{layer}` needs `{missing[0]}`", operation.span)
    if layer == "drop_path" and body.lowering.phase == "search":
        return body.ref(operand)
    if layer in SQUARE_WINDOW and arguments["padding"] == const(AUTO):
        body.region.kernels.update(symbols(arguments["k"]))
    number = body.builder.layer(layer, operation.arguments, operand, span=operation.span)
    return body.ref(number)


def _declared(body: Body, operation: Declared, operands: tuple[Ref, ...], span: Span) -> Value:
    declaration = operation.declaration
    name = declaration.name.name
    arguments = calls.complete(body, operation)
    wanted = body.lowering.arity(declaration)
    if wanted != len(operands):
        flow_in = "one flows" if len(operands) == 1 else f"{len(operands)} flow"
        many = "one value" if wanted == 1 else f"{wanted} values"
        raise fault("E0402", f"`{name}` reads {many}, {flow_in} in", span)
    if isinstance(declaration, ast.OpDecl) and body.lowering.decides(declaration):
        return _inlined(body, declaration, arguments, operands)
    shapes = [body.builder.shape(o.number) for o in operands]
    found = body.lowering.region(operation, arguments, shapes)
    if found is None:
        return POISON
    region, rest = _with_widths(body, operation, arguments, shapes, found)
    for kernel in sorted(region.kernels & dict(rest).keys()):
        size = dict(rest)[kernel]
        if isinstance(size, Const) and size.value % 2 == 0:
            region, rest = body.lowering.folded(operation, arguments, shapes, kernel)
        body.region.kernels.update(symbols(size))
    numbers = tuple(o.number for o in operands)
    return body.ref(body.builder.call(region, rest, numbers, name, span))


def _with_widths(
    body: Body,
    operation: Declared,
    arguments: dict[str, Value],
    shapes: list[Dims],
    found: tuple[Region, Arguments],
) -> tuple[Region, Arguments]:
    """`same` is written out by the caller, where that means the same throughout the op.

    So an op is one region whether its width is given or kept.
    """
    for name, value in arguments.items():
        if value != const(SAME) or len(shapes) != 1:
            continue
        width = found[0].inputs[0][1].shape[0]
        other = body.lowering.region(operation, {**arguments, name: shapes[0][0]}, shapes)
        if other is not None and _same_shapes(found[0], other[0], {name: width}):
            found = other
    return found


def _same_shapes(kept: Region, given: Region, env: dict[str, Expr]) -> bool:
    pairs = zip(kept.nodes(), given.nodes(), strict=False)
    return len(kept.graph) == len(given.graph) and all(
        type(a) is type(b) and a.shape == tuple(substitute(size, env) for size in b.shape)
        for (_, a), (_, b) in pairs
    )


def _inlined(
    body: Body, declaration: ast.OpDecl, arguments: dict[str, Value], operands: tuple[Ref, ...]
) -> Value:
    """An op that holds decisions: each use makes its own, so its body is evaluated in place."""
    frame = Frame(dict(arguments), body.lowering.space.scope(declaration))
    with body.looking_up(frame):
        if declaration.inputs is None:
            operation = body.block(declaration.body)
            if isinstance(operation, Poison):
                return operation
            return apply(body, operation, operands, declaration.body.result.span)
        for syntax, operand in zip(declaration.inputs, operands, strict=True):
            frame.names[syntax.name.name] = operand
            shape = body.builder.shape(operand.number)
            for entry, size in zip(syntax.shape or (), shape, strict=False):
                if isinstance(entry, ast.Name) and entry.name != "_":
                    frame.names.setdefault(entry.name, size)
        return body.block(declaration.body)


def _choice(body: Body, operation: Chosen, operand: int, span: Span) -> Ref:
    if body.region.kind != "cell":
        raise fault(
            "E0605",
            "a decision belongs to a cell",
            operation.span,
            "`cell NAME from x = x -> choose …`: all uses of it decide alike",
        )
    options = operation.options
    shape = body.builder.shape(operand)
    selectable = [o for o in options.options if not o.sink]
    if len(options.options) == 1 and selectable:
        made = branch(body, selectable[0].operation, shape, selectable[0].label, span)
        return body.ref(body.builder.branch(made, {}, operand, selectable[0].label, span))
    if options.declaration is not None:
        region, arguments = sets.set_region(body, options, len(shape))
    else:
        region, arguments = Region("choice", "branch", span=options.span), ()
        x = Builder(region).input("x", shape)
        region.options = tuple(
            Option(o.label, o.sink, branch(body, o.operation, shape, o.label, o.span))
            for o in options.options
        )
        region.outputs = (x,)
    source = body.edge_source
    path = f"{body.node or 'return'} from {source}" if source else (body.node or "return")
    unique, count = path, 2
    while unique in body.paths:
        unique, count = f"{path} ({count})", count + 1
    body.paths.add(unique)
    outcomes = tuple((o.label, o.sink) for o in options.options)
    body.decisions.append(Decision(unique, body.node if source else None, source, outcomes))
    name = labels.attribute(unique.replace(" from ", "_from_"))
    return body.ref(body.builder.choice(region, arguments, operand, unique, name, operation.span))


def branch(body: Body, operation: Value, shape: Dims, name: str, span: Span) -> Region:
    """An operation as a branch: a region inside this one, over a value of `shape`."""
    region = Region(name, "branch", span=span)
    inner = body.inside(region)
    x = inner.builder.input("x", shape)
    result = apply(inner, operation, (inner.ref(x),), span)
    if isinstance(result, Poison):
        raise DartsError(())
    if not isinstance(result, Ref):
        raise fault("E0401", f"this gives {kind(result)}, not one value", span)
    body.region.kernels |= region.kernels
    return inner.builder.finish((result.number,))
