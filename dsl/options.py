"""Sets: options that cannot be told apart, that are all sinks, or that refuse an argument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from dsl import ast
from dsl.calls import signature
from dsl.diagnostics import Collector, Label, did_you_mean
from dsl.limits import MAX_OPTIONS
from dsl.scope import Scope
from dsl.source import Source

Scopes = Mapping[Source, Scope]


def check_set(options: ast.SetExpr, found: Collector) -> None:
    """Reports a set of sinks only, and options with equal keys."""
    if all(item.sink for item in options.items):
        message = "every option is a sink, so none could be selected"
        found.add("E0602", message, options.items[0].span)
    if _least(options) > MAX_OPTIONS:
        message = f"a set has at most {MAX_OPTIONS} options"
        found.add("E0103", message, options.span.head(1))
    first: dict[str, ast.Item] = {}
    for item, behind in zip(options.items, (*options.items[1:], None), strict=True):
        _check_loops(item, behind, found)
        if item.condition is not None:
            continue
        for key in _keys(item):
            other = first.setdefault(key, item)
            if other is not item:
                _report_equal(key, item, other, found)
                break
        else:
            _report_equal_in_loop(item, found)


def _check_loops(item: ast.Item, behind: ast.Item | None, found: Collector) -> None:
    """`for k in 3, 5`: the comma ends the item."""
    for loop in item.loops:
        if isinstance(loop.source, ast.Number):
            values = [loop.source]
            if behind is not None and isinstance(behind.value, ast.Number):
                values.append(behind.value)
            listed = ", ".join(value.span.text for value in values)
            help = f"a list stands in parentheses: `for {loop.name} in ({listed}, …)`"
            message = "`for` goes over a list, this is a number"
            found.add("E0401", message, loop.source.span, help)


def check_set_call(
    call: ast.Call, name: str, items: Iterator[ast.Item], scopes: Scopes, found: Collector
) -> None:
    """Reports arguments of `choose s(…)` that an option of `s` does not take."""
    for argument in call.arguments:
        if argument.name is None:
            message = f"`{name}` passes its arguments on to every option, so they have names"
            found.add("E0306", message, argument.span)
    options = list(items)
    for argument in call.arguments:
        refused = (o for o in options if argument.name and not _takes(o, argument.name, scopes))
        option = next(refused, None)
        if option is not None:
            _report_refused(argument, call, option, scopes, found)


def options_of(
    options: ast.Expr, scopes: Scopes, seen: set[str] | None = None
) -> Iterator[ast.Item]:
    """The options of a set, however often it was renamed; those of sets in it are among them."""
    seen = set() if seen is None else seen
    while isinstance(options, ast.Name) and options.name not in seen:
        seen.add(options.name)
        declaration = scopes[options.span.source].visible.get(options.name)
        if not isinstance(declaration, ast.SetDecl):
            return
        options = declaration.value
    for item in options.items if isinstance(options, ast.SetExpr) else ():
        spread = [*options_of(item.value, scopes, seen)]
        yield from spread or [item]


def option_key(value: ast.Expr, replaced: Mapping[str, ast.Expr]) -> str | None:
    """What an option without a label is called, where that is plain: `sep_conv_3`."""
    match value:
        case ast.Name(name=name) if name in replaced:
            return option_key(replaced[name], {})
        case ast.Name(name=name):
            return name
        case ast.Number() | ast.Flag():
            return value.span.text
        case ast.Call(callee=ast.Name(name=name), arguments=arguments):
            parts = [option_key(a.value, replaced) for a in arguments if a.name is None]
            named = any(a.name is not None for a in arguments)
            if not named or None not in parts:
                known = [part for part in parts if part is not None]
                return "_".join([name, *known]) if len(known) == len(parts) else None
    return None


def _least(options: ast.SetExpr) -> int:
    """How many options a set has, as far as lists are written out and nothing is filtered."""
    lists = (
        [len(loop.source.items) for loop in item.loops if isinstance(loop.source, ast.ListExpr)]
        for item in options.items
        if item.condition is None
    )
    return sum(map(prod, lists))


def _keys(item: ast.Item) -> list[str]:
    """The keys of the options that one item stands for; empty where they are not plain."""
    values = [loop.source.items for loop in item.loops if isinstance(loop.source, ast.ListExpr)]
    if len(values) < len(item.loops) or prod(map(len, values)) > MAX_OPTIONS:
        return []
    names = [loop.name for loop in item.loops]
    chosen = (dict(zip(names, combination, strict=True)) for combination in product(*values))
    keys = (
        option_key(replaced[item.label], {})
        if item.label in replaced
        else item.label or option_key(item.value, replaced)
        for replaced in chosen
    )
    return [key for key in keys if key is not None]


def _report_equal(key: str, item: ast.Item, other: ast.Item, found: Collector) -> None:
    span = item.value.span if item.label is None else item.label_span
    label = Label(other.value.span if other.label is None else other.label_span, "first here")
    message = f"two options are called `{key}`"
    help = f"`as` gives an option another name: `… as {key}_2`"
    if isinstance(item.value, ast.Number):
        help = "leave one of them out"
    found.add("E0603", message, span, help, label)


def _report_equal_in_loop(item: ast.Item, found: Collector) -> None:
    keys = _keys(item)
    repeated = next((key for i, key in enumerate(keys) if key in keys[:i]), None)
    if repeated is not None:
        span = item.value.span if item.label is None else item.label_span
        found.add("E0603", f"two options are called `{repeated}`", span, _label_help(item))


def _label_help(item: ast.Item) -> str | None:
    """What to do about a label that is the same at every turn of a loop."""
    if item.label is None or item.label in [loop.name for loop in item.loops]:
        return None
    loop = item.loops[-1]
    if any(isinstance(node, ast.Number) for node in loop.source.children()):
        return "without `as` each is called after its arguments"
    return f"`as {loop.name}` calls each after its `{loop.name}`"


def _takes(option: ast.Item, name: str, scopes: Scopes) -> bool:
    """Whether an option takes an argument of that name; True where that cannot be told here."""
    match option.value:
        case ast.Name() | ast.Call(callee=ast.Name()):
            callee = option.value.callee if isinstance(option.value, ast.Call) else option.value
            assert isinstance(callee, ast.Name)
            scope = scopes.get(callee.span.source)
            called = None if scope is None else signature(callee.name, scope.visible)
            return called is None or name in called.names
        case ast.Flow() | ast.Number() | ast.Flag():
            return False
    return True


def _report_refused(
    argument: ast.Argument, call: ast.Call, option: ast.Item, scopes: Scopes, found: Collector
) -> None:
    value = option.value.callee if isinstance(option.value, ast.Call) else option.value
    message = (
        f"`{value.span.text}` has no `{argument.name}`, "
        f"which `{call.span.text}` gives to every option"
    )
    callee = value if isinstance(value, ast.Name) else None
    called = None if callee is None else signature(callee.name, scopes[value.span.source].visible)
    near = None if called is None else did_you_mean(argument.name or "", called.names)
    help = near or f"an op that takes `{argument.name}` in its place"
    label = Label(value.span, "an option of the set")
    found.add("E0306", message, argument.name_span, help, label)
