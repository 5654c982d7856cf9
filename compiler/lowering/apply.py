"""What happens when values flow into an operation: layers, calls, choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.expr import Const, Expr, Symbol, const, substitute, symbols
from compiler.ir import (
    Arguments,
    Dims,
    Form,
    Region,
)
from compiler.layers import WINDOWED, window
from compiler.lowering import calls, choices, labels, lists, repeat, scan, sharing, widths
from compiler.lowering.inputs import bind_in_place
from compiler.lowering.values import (
    POISON,
    Chosen,
    ChosenNumber,
    Composed,
    Conditional,
    Declared,
    Frame,
    LayerCall,
    LayerOperation,
    Operation,
    OptionValue,
    Poison,
    Ref,
    Repeated,
    Scanned,
    Shared,
    StaticNeeded,
    Value,
    as_operands,
    closes_over,
    holds_numbers,
    is_chosen,
    is_tied,
    joins,
    kind,
)
from compiler.ways import origin
from dsl import ast
from dsl.calls import counted
from dsl.diagnostics import DartsError, Label, fault
from dsl.source import Span
from dsl.vocabulary import AUTO, LAYERS, SAME

if TYPE_CHECKING:
    from compiler.lowering.body import Body

RANKS = {0: "the words of a text", 1: "a vector", 2: "a sequence", 3: "an image"}
RANK_HELP = {
    "linear": "`flatten` or `global_pool(mean)` before it",
    "attention": "`tokens` makes a sequence of an image",
    "position": "`tokens` makes a sequence of an image",
    "embedding": "a network reads words as `word[T] below V`",
}


def apply(body: Body, operation: Value, operands: tuple[Ref, ...], span: Span) -> Value:
    """Lets values flow into an operation, adding its nodes to the region."""
    budget = body.lowering.budget
    budget.spend(span)
    budget.deeper(span)
    try:
        return _applied(body, operation, operands, span)
    finally:
        budget.depth -= 1


def _applied(body: Body, operation: Value, operands: tuple[Ref, ...], span: Span) -> Value:
    if not operands:
        help = "`each … -> …` goes over a list, and an empty one gives nothing"
        raise fault("E0402", f"nothing flows into `{span.text}`: this list is empty", span, help)
    match operation:
        case Declared():
            return _declared(body, operation, operands, span)
        case Repeated():
            check_numbers(body, operands, "repeat", span)
            return repeat.stack(body, operation, operands, span)
        case Scanned():
            return scan.run(body, operation, operands, span)
        case Shared():
            return sharing.use(body, operation, operands, span)
        case Chosen():
            return choices.applied(body, operation, operands, span)
        case LayerCall():
            numbers = [v for _, v in operation.given if isinstance(v, ChosenNumber)]
            if numbers:
                return choices.with_numbers(body, numbers, operation, operands, span)
            made = calls.layer_operation(body, operation.layer, operation.given, operation.span)
            return apply(body, made, operands, span)
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
            f"`{span.text}` reads one value, {counted(len(operands))} flow in",
            span,
            "`each (…) -> …`, or join them with `sum` or `concat`",
        )
    operand = operands[0].number
    match operation:
        case LayerOperation():
            return _layer(body, operation, operands[0])
        case Conditional():
            check_numbers(body, operands, "when", span)
            shapes = [body.builder.shape(operand)]
            then = branch(body, operation.then, shapes, "then", operation.span)
            otherwise = branch(body, operation.otherwise, shapes, "otherwise", operation.span)
            if Form.GRAPH in (then.form, otherwise.form):
                raise fault(
                    "E0405",
                    "this hangs on a number that is open here, so it can be nothing but modules",
                    operation.span,
                    "an op for each case, or nothing shared and no mask in it",
                )
            name = labels.name_of(operation.then) or labels.name_of(operation.otherwise) or "select"
            return body.ref(
                body.builder.select(
                    operation.condition, then, otherwise, operand, name, operation.span
                )
            )
    raise TypeError(f"not an operation: {operation!r}")


def check_numbers(body: Body, operands: tuple[Ref, ...], reader: str, span: Span) -> None:
    """Nothing but an `embedding` reads words."""
    if any(body.rank(operand) == 0 for operand in operands):
        message = f"`{reader}` cannot read the words of a text"
        raise fault("E0502", message, span, "an `embedding` makes numbers of words")


def wrong_count(name: str, wanted: int, given: int, span: Span) -> DartsError:
    """What is declared reads another number of values than flow into it."""
    flow_in = "one flows" if given == 1 else f"{counted(given)} flow"
    many = "one value" if wanted == 1 else f"{counted(wanted)} values"
    values = ", ".join("abcdefgh"[:wanted])
    help = f"`({values}) -> {name}`" if given == 1 < wanted < 9 else None
    return fault("E0402", f"`{name}` reads {many}, {flow_in} in", span, help)


def step_span(operation: Operation, default: Span) -> Span:
    return getattr(operation, "span", default)


def _layer(body: Body, operation: LayerOperation, operand: Ref) -> Ref:
    layer, arguments = operation.layer, dict(operation.arguments)
    if layer == "apply":
        made = body.ref(body.builder.layer(layer, operation.arguments, operand.number))
        return widths.narrowed(body, made, operation.span)
    rank = body.rank(operand)
    if rank not in LAYERS[layer].ranks:
        wanted = LAYERS[layer].reads if LAYERS[layer].ranks != (1, 2, 3) else "numbers"
        place = origin(body.region, operand.number)
        near = place is not None and place.source is operation.span.source
        labels = [Label(place, f"this is {RANKS[rank]}")] if place is not None and near else []
        raise fault(
            "E0502",
            f"`{layer}` reads {wanted}, this is {RANKS[rank]}",
            operation.span,
            "an `embedding` makes numbers of words" if rank == 0 else RANK_HELP.get(layer),
            *(label for label in labels if label.span != operation.span),
        )
    missing = [a.name for a in LAYERS[layer].required if a.name not in arguments]
    if missing:
        raise fault("E0302", f"`{layer}` needs `{missing[0]}`", operation.span)
    if layer == "drop_path" and body.lowering.phase == "search":
        return operand
    if layer in WINDOWED and arguments["padding"] == const(AUTO):
        for size in window(arguments):
            _kernel(body, size, operation.span)
    if arguments.get("per") == const("sequence"):
        sharing.check_mask(body, rank, operation.span)
    if is_tied(operation) and body.around is not None:
        message = "a `linear` that is tied stands in the network, not in a repeat or a condition"
        raise fault("E0403", message, operation.span, "apply it before or after")
    if widths.is_open(body, operation, operand):
        return widths.layer(body, operation, operand)
    number = body.builder.layer(layer, operation.arguments, operand.number, span=operation.span)
    return body.ref(number)


def _kernel(body: Body, size: Expr, span: Span) -> None:
    """Notes which parameter a window's size is, since padding hangs on whether it is odd.

    One that hangs on the size of a value is taken to be odd.

    Raises:
        StaticNeeded: where it is reckoned from parameters, which then must be known.
    """
    declared = body
    while declared.around is not None:
        declared = declared.around
    own = [name for name in symbols(size) if name in declared.region.parameters]
    if own and not isinstance(size, Symbol):
        raise StaticNeeded(tuple(own), span)
    body.region.kernels.update(own)


def _declared(body: Body, operation: Declared, operands: tuple[Ref, ...], span: Span) -> Value:
    with body.lowering.using(operation):
        return _called(body, operation, operands, span)


def _called(body: Body, operation: Declared, operands: tuple[Ref, ...], span: Span) -> Value:
    declaration = operation.declaration
    name = declaration.name.name
    chosen = [v for _, v in operation.given if isinstance(v, ChosenNumber)]
    if chosen:
        return choices.with_numbers(body, chosen, operation, operands, span)
    arguments = calls.complete(body, operation)
    wanted = body.nature.arity(declaration)
    if wanted != len(operands):
        error = wrong_count(name, wanted, len(operands), span)
        raise scan.without_over(body, operation, operands, span) or error
    check_numbers(body, operands, name, span)
    closing = any(closes_over(value) or holds_numbers(value) for value in arguments.values())
    closing = closing or body.is_open(operands)
    if isinstance(declaration, ast.OpDecl) and body.nature.lists.given_by(declaration):
        result = _inlined(body, declaration, arguments, operands)
        lists.check(declaration, result)
        return result
    if isinstance(declaration, ast.OpDecl) and (closing or body.nature.inlines(declaration)):
        return _inlined(body, declaration, arguments, operands)
    is_op = "make it an op"
    widths.check_known(body, operands, f"`{name}` is a cell, and reads", span, is_op)
    if any(is_chosen(value) for value in arguments.values()):
        message = f"`{name}` is a cell, and a number that it is given is still to be chosen"
        raise fault("E0612", message, span, "let the cell choose it, or make it an op")
    if closing:
        message = f"`{name}` is a cell, so nothing of this body can be given to it"
        raise fault("E0401", message, span, "let it flow in, or make it an op")
    shapes = [body.builder.shape(o.number) for o in operands]
    operation = body.lowering.staged(operation, body.stage)
    name = operation.name
    found = body.lowering.region(operation, arguments, shapes)
    if found is None:
        return POISON
    region, rest = _with_widths(body, operation, arguments, shapes, found)
    for kernel in sorted(region.kernels & dict(rest).keys()):
        size = dict(rest)[kernel]
        if isinstance(size, Const) and size.value % 2 == 0:
            region, rest = body.lowering.folded(operation, arguments, shapes, kernel)
        _kernel(body, size, span)
    body.lowering.one_kind(operation, region)
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
    return len(kept.values) == len(given.values) and all(
        type(a) is type(b) and a.shape == tuple(substitute(size, env) for size in b.shape)
        for (_, a), (_, b) in pairs
    )


def _inlined(
    body: Body, declaration: ast.OpDecl, arguments: dict[str, Value], operands: tuple[Ref, ...]
) -> Value:
    """An op whose body is evaluated in place: it holds decisions, of which each use makes its own,
    or gives back a list."""
    frame = Frame(dict(arguments), body.lowering.space.scope(declaration))
    with body.looking_up(frame), body.inlining(declaration.name.name):
        if declaration.inputs is None:
            operation = body.block(declaration.body)
            if isinstance(operation, Poison):
                return operation
            return apply(body, operation, operands, declaration.body.result.span)
        for syntax, operand in zip(declaration.inputs, operands, strict=True):
            bind_in_place(body, syntax, operand)
        return body.block(declaration.body)


def check_count(body: Body, option: OptionValue, given: int, span: Span) -> None:
    """An option reads as many values as flow into the choice."""
    match option.operation:
        case Declared(declaration=declaration):
            wanted = body.nature.arity(declaration)
        case LayerOperation():
            wanted = 1
        case _:
            return
    if wanted != given:
        (found,) = wrong_count(option.label, wanted, given, span).diagnostics
        help = f"`each (…) -> {span.text}`" if wanted == 1 else found.help
        near = option.span.source is span.source
        labels = (Label(option.span, "an option of the set"),) if near else ()
        raise fault("E0402", found.message, span, help, *labels)


def input_names(body: Body, operations: list[Operation], count: int) -> list[str]:
    """What values are called that flow into operations: as the inputs of those declared."""
    names = ["x"] if count == 1 else [f"x{i}" for i in range(count)]
    for operation in reversed(operations if count > 1 else []):
        inputs = isinstance(operation, Declared) and body.nature.inputs(operation.declaration)
        if inputs and len(inputs) == count:
            given = [i.name.name for i in inputs]
            names = [old if new == "_" else new for old, new in zip(names, given, strict=True)]
    return names


def branch(
    body: Body,
    operation: Value,
    shapes: list[Dims],
    name: str,
    span: Span,
    names: list[str] | None = None,
) -> Region:
    """An operation as a branch: a region inside this one, over values of `shapes`."""
    region = Region(name, "branch", span=span)
    inner = body.inside(region)
    names = names or input_names(body, [], len(shapes))
    inputs = [inner.builder.input(n, shape) for n, shape in zip(names, shapes, strict=True)]
    result = apply(inner, operation, tuple(map(inner.ref, inputs)), span)
    if isinstance(result, Poison):
        raise DartsError(())
    if not isinstance(result, Ref):
        raise fault("E0401", f"this gives {kind(result)}, not one value", span, joins(result))
    body.region.kernels |= region.kernels
    return inner.builder.finish((result.number,))
