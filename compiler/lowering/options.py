"""Sets: the options of a decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compiler.builder import Builder
from compiler.expr import Const, Expr, Symbol, symbols
from compiler.ir import (
    DIMENSIONS,
    Arguments,
    Dims,
    Option,
    Region,
    is_in_place,
    is_module,
)
from compiler.lowering import apply, calls, capture, labels
from compiler.lowering.usage import common_default
from compiler.lowering.values import (
    Captured,
    Declared,
    Frame,
    LayerOperation,
    Operation,
    OptionValue,
    Poison,
    Ref,
    Repeated,
    SetValue,
    StaticNeeded,
    Value,
    is_operation,
    is_word,
    joins,
    kind,
)
from dsl import ast
from dsl.diagnostics import DartsError, did_you_mean, fault
from dsl.source import Span
from dsl.vocabulary import LAYERS

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def options(body: Body, node: ast.Expr) -> SetValue:
    value = body.evaluate(node)
    if isinstance(value, SetValue):
        return value
    if isinstance(value, Poison):
        raise DartsError(())
    raise fault("E0601", f"`choose` needs a set, this is {kind(value)}", node.span)


def declared_set(body: Body, declaration: ast.SetDecl) -> SetValue:
    """A set that has a name; it is the same wherever it is read."""
    known = body.lowering.sets
    if id(declaration) in known:
        return known[id(declaration)]
    with body.looking_up(Frame({}, body.lowering.space.scope(declaration))):
        made = set_value(body, declaration.value, declaration)
    if not any(isinstance(node, ast.Choose) for node in declaration.walk()):
        known[id(declaration)] = made  # what is decided in it is decided anew at each use
    return made


def set_value(body: Body, node: ast.Expr, declaration: ast.SetDecl | None = None) -> SetValue:
    if not isinstance(node, ast.SetExpr):
        value = options(body, node)
        return SetValue(value.options, node.span, declaration or value.declaration, value.given)
    found: list[OptionValue] = []
    items = body.lowering.items
    for item in node.items:
        own = list(_items(body, item, list(item.loops)))
        items[item.span] = max(items.get(item.span, 0), len(own))
        found += own
    if not found:
        raise fault("E0601", "this set has no option left", node.span)
    _check_alike(found)
    if all(option.sink for option in found):
        raise fault("E0602", "every option is a sink, so none could be selected", node.span)
    return SetValue(tuple(_told_apart(found)), node.span, declaration)


def _first_name(written: ast.Expr) -> str | None:
    """What the value is called that an option starts from, if it has a name of its own."""
    first = written.steps[0] if isinstance(written, ast.Flow) else written
    return first.name if isinstance(first, ast.Name) else None


def _told_apart(found: list[OptionValue]) -> Iterator[OptionValue]:
    """Options with labels of their own; values that bear one name are numbered.

    Raises:
        DartsError: where operations or numbers bear one label.
    """
    taken: set[str] = set()
    for option in found:
        label, count = option.label, 2
        while label in taken and isinstance(option.operation, Captured):
            label, count = f"{option.label} ({count})", count + 1
        if label in taken:
            message = f"two options are called `{label}`"
            help = "give one of them another name with `as`"
            raise fault("E0603", message, option.span, help)
        taken.add(label)
        yield replace(option, label=label)


def _items(body: Body, item: ast.Item, loops: list[ast.For]) -> Iterator[OptionValue]:
    """The options that an item of a set stands for."""
    if loops:
        first, *rest = loops
        values = body.evaluate(first.source)
        if not isinstance(values, tuple):
            message = f"`for` goes over a list, this is {kind(values)}"
            raise fault("E0401", message, first.source.span)
        for value in values:
            body.lowering.budget.spend(first.span)
            with body.looking_up(body.frame.extended(**{first.name: value})):
                yield from list(_items(body, item, rest))
        return
    if item.condition is not None:
        holds = body.constant(item.condition)
        if not body.flag(item.condition, Const(holds)):
            return
    start = len(body.region.values)
    with body.in_option():
        value = body.evaluate(item.value)
    members: list[Any] = [value]
    while any(isinstance(v, tuple | SetValue) for v in members):  # lists and sets spread
        members = [inner for v in members for inner in _spread(v)]
    places = {number: v for number, v in enumerate(members) if isinstance(v, Ref)}
    captured = capture.captured(body, start, list(places.values()))
    for number, v in enumerate(members):
        if isinstance(v, Poison):
            raise DartsError(())
        if isinstance(v, OptionValue):
            yield v
            continue
        if not (is_operation(v) or isinstance(v, Ref | Expr)):
            message = f"an option is an operation, a value or a number, this is {kind(v)}"
            raise fault("E0601", message, item.span, joins(v))
        if isinstance(v, Expr) and symbols(v):  # genotypes call it by what it comes to
            raise StaticNeeded(symbols(v), item.value.span)
        made = next(captured) if number in places else v
        label = _label(body, item, made, len(members))
        yield OptionValue(made, label, item.sink, item.value.span)


def _spread(value: Value) -> tuple[Any, ...]:
    """The members of a list, the options of a set, or the value alone."""
    if isinstance(value, SetValue):
        return value.options
    return value if isinstance(value, tuple) else (value,)


def _check_alike(found: list[OptionValue]) -> None:
    """Options of a set are all operations, all values or all numbers."""
    kinds = {_kind_of(option): option for option in reversed(found)}
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        message = f"`{second.span.text}` is {other} and `{first.span.text}` {one}"
        raise fault("E0601", f"{message}: options must be alike", first.span)


def _kind_of(option: OptionValue) -> str:
    if isinstance(option.operation, Captured):
        return "a value"
    return kind(option.operation)


def _label(body: Body, item: ast.Item, value: Value | Captured, count: int) -> str:
    """An option's name; in `gate(f) for f in (tanh, relu) as f`, that of each `f`."""
    if item.label is None or count > 1:
        named = _first_name(item.value) if isinstance(value, Captured) and count == 1 else None
        return named or labels.label(value)
    if item.label not in [loop.name for loop in item.loops]:
        return item.label
    stands_for = body.frame.names[item.label]
    if not is_operation(stands_for):
        message = f"an option is called after an operation, `{item.label}` is {kind(stands_for)}"
        raise fault("E0603", message, item.label_span, "leave out `as`, or write the options out")
    return labels.label(stands_for)


def passed_on(
    body: Body, option: OptionValue, given: tuple[tuple[str, Value], ...], span: Span
) -> OptionValue:
    """An option with the arguments that its set is given."""
    operation = option.operation
    for name, value in given:
        operation = _with_argument(body, operation, name, value, span)
    return OptionValue(operation, option.label, option.sink, option.span)


def option(
    body: Body,
    option: OptionValue,
    given: tuple[tuple[str, Value], ...],
    shapes: list[Dims],
    names: list[str],
) -> Region:
    """An option as a branch that reads values of `shapes`."""
    passed = passed_on(body, option, given, option.span)
    return apply.branch(body, passed.operation, shapes, option.label, option.span, names)


def _with_argument(
    body: Body, operation: Operation, name: str, value: Value, span: Span
) -> Operation:
    """An option given an argument by its set.

    Raises:
        DartsError: when the option does not take it.
    """
    match operation:
        case Declared():
            names = [p.name for p in operation.declaration.parameters]
            if name in names:
                return replace(operation, given=(*operation.given, (name, value)))
            title = operation.declaration.name.name
        case LayerOperation():
            names = [a.name for a in LAYERS[operation.layer].optional]
            if name in names:
                given = (*operation.arguments, (name, value))
                return calls.layer_operation(body, operation.layer, given, operation.span)
            title = operation.layer
        case _:
            names, title = [], labels.label(operation)
    raise fault(
        "E0306",
        f"`{title}` has no `{name}`, which `{span.text}` gives to every option",
        operation.span if not isinstance(operation, Repeated) else span,
        did_you_mean(name, names),
    )


def pass_through(region: Region, names: list[str], shapes: list[Dims]) -> tuple[int, ...]:
    """Gives a set's region its inputs, the first of which stands for its output."""
    builder = Builder(region)
    return tuple(builder.input(n, shape) for n, shape in zip(names, shapes, strict=True))[:1]


def set_region(body: Body, value: SetValue, ranks: list[int]) -> tuple[Region, Arguments]:
    """A named set as a region over the arguments it is given and the sizes of its inputs.

    An argument that only other uses give has the value that all options have by default.
    """
    declaration = value.declaration
    assert declaration is not None
    lowering = body.lowering
    folded = tuple((n, v) for n, v in value.given if is_word(v))
    given = {n: v for n, v in value.given if isinstance(v, Expr) and not is_word(v)}
    for name in lowering.set_arguments[declaration.name.name]:
        default = common_default(value, name)
        if name not in dict(value.given) and default is not None:
            given[name] = default
    names = tuple(sorted(given))
    key = (id(declaration), tuple(ranks), names, folded)
    if key not in lowering.regions:
        region = Region(declaration.name.name, "set", span=declaration.span)
        region.parameters = {n: common_default(value, n) for n in names}
        inner = body.inside(region)
        inner.frame = Frame({}, lowering.space.scope(declaration))
        made = declared_set(inner, declaration)
        passed = (*folded, *((n, Symbol(n)) for n in names))
        inputs = apply.input_names(inner, [o.operation for o in made.options], len(ranks))
        shapes: list[Dims] = [
            tuple(Symbol(f"{name}_{d}") for d in DIMENSIONS[rank])
            for name, rank in zip(inputs, ranks, strict=True)
        ]
        region.outputs = pass_through(region, inputs, shapes)
        region.options = tuple(
            Option(o.label, o.sink, option(inner, o, passed, shapes, inputs)) for o in made.options
        )
        in_place = is_in_place(region)
        for made_option in region.options:
            if not (in_place or is_module(made_option.body)):
                raise fault(
                    "E0401",
                    f"option `{made_option.label}` of this set is not one module",
                    value.span,
                    "make it an op of its own, or write the set where it is chosen from",
                )
        lowering.regions[key] = region
    found = lowering.regions[key]
    assert found is not None
    return found, tuple((n, given[n]) for n in names)
