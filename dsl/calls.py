"""Calls whose callee is known by name: which arguments it takes, and which it was given."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from dsl import ast
from dsl.diagnostics import Collector, Label, did_you_mean
from dsl.scope import Named, kind_of
from dsl.vocabulary import LAYERS, PHASES, WORDS, Argument

_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


@dataclass(frozen=True)
class Signature:
    """What a layer, op or cell is called with: required by position, optional by name."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    arguments: Mapping[str, Argument]
    """What a layer says about its arguments; empty for what is declared in a file."""

    @property
    def names(self) -> tuple[str, ...]:
        return self.required + self.optional

    @property
    def example(self) -> str:
        """A call with all that is required, for a help line."""
        values = [self._example_value(name) for name in self.required]
        return f"{self.name}({', '.join(values)})" if values else self.name

    def _example_value(self, name: str) -> str:
        words = self.arguments[name].words if name in self.arguments else ()
        return words[0] if words else "3" if name == "k" else name


def signature(name: str, visible: Mapping[str, Named]) -> Signature | None:
    """How `name` is called; None when it is no layer, op or cell."""
    declaration = visible.get(name)
    if isinstance(declaration, ast.OpDecl | ast.CellDecl):
        required = tuple(p.name for p in declaration.parameters if p.default is None)
        optional = tuple(p.name for p in declaration.parameters if p.default is not None)
        return Signature(name, required, optional, {})
    if declaration is None and name in LAYERS:
        layer = LAYERS[name]
        required = tuple(a.name for a in layer.required)
        optional = tuple(a.name for a in layer.optional)
        return Signature(name, required, optional, {a.name: a for a in layer.arguments})
    return None


def check_bare(name: ast.Name, callee: Signature, found: Collector) -> None:
    """Reports an operation that stands without the arguments it needs."""
    if callee.required:
        _report_missing(name, list(callee.required), callee, found)


def check_arguments(
    call: ast.Call,
    name: ast.Name,
    callee: Signature,
    visible: Mapping[str, Named],
    bound: Container[str],
    found: Collector,
) -> None:
    """Reports arguments that `callee` does not take, lacks, has twice or of the wrong kind.

    What the names in `bound` stand for is not known here, whatever they hide.
    """
    given: dict[str, ast.Expr] = {}
    positional = [a.value for a in call.arguments if a.name is None]
    if callee.arguments:  # a layer takes no list
        positional = _spread(positional)
    for argument in (a for a in call.arguments if a.name is not None):
        _take_named(argument, callee, given, found)
    free = [n for n in callee.required if n not in given] if given else list(callee.required)
    given.update(zip(free, positional, strict=False))
    extra = positional[len(free) :]
    lists = [a.value for a in call.arguments if isinstance(a.value, ast.ListExpr)]
    if extra and callee.arguments and lists:
        message = f"this list has more in it than `{callee.name}` takes by position"
        found.add("E0303", message, lists[0].span, f"`{callee.example}`")
    elif extra:
        _report_extra(extra[0], len(free), callee, given, found)
    missing = free[len(positional) :]
    if missing:
        _report_missing(name, missing, callee, found)
    for argument_name, value in given.items():
        if isinstance(value, ast.Name) and value.name in bound:
            continue
        if argument_name in callee.arguments:
            _check_kind(callee.arguments[argument_name], value, callee, visible, found)


def _spread(values: list[ast.Expr]) -> list[ast.Expr]:
    """A list within an argument list spreads."""
    flat: list[ast.Expr] = []
    for value in values:
        flat.extend(_spread(list(value.items)) if isinstance(value, ast.ListExpr) else [value])
    return flat


def _take_named(
    argument: ast.Argument, callee: Signature, given: dict[str, ast.Expr], found: Collector
) -> None:
    name = argument.name or ""
    if name not in callee.names:
        message = f"`{callee.name}` has no `{name}`"
        help = did_you_mean(name, callee.names) or _what_it_takes(callee)
        found.add("E0301", message, argument.name_span, help)
    elif name in given:
        label = Label(given[name].span, "first given here")
        found.add("E0304", f"`{name}` is given twice", argument.name_span, None, label)
    else:
        given[name] = argument.value


def _what_it_takes(callee: Signature) -> str:
    if not callee.names:
        return f"`{callee.name}` takes no arguments"
    return "it takes " + ", ".join(f"`{name}`" for name in callee.names)


def _report_extra(
    value: ast.Expr,
    taken: int,
    callee: Signature,
    given: Mapping[str, ast.Expr],
    found: Collector,
) -> None:
    optional = [name for name in callee.optional if name not in given]
    by_name = [name for name in callee.required if given.get(name) is not None]
    if not callee.names:
        found.add("E0303", f"`{callee.name}` takes no arguments", value.span)
    elif by_name and not taken:
        label = Label(given[by_name[0]].span, "given by name here")
        found.add("E0304", f"`{by_name[0]}` is given twice", value.span, None, label)
    elif optional and taken < len(_ORDINALS):
        count = f"{counted(taken)} argument{'s' if taken > 1 else ''} by position"
        message = f"`{callee.name}` takes {count}, the {_ORDINALS[taken]} has a name"
        found.add("E0303", message, value.span, f"`{optional[0]}: {value.span.text}`")
    else:
        count = f"{counted(taken)} argument{'s' if taken > 1 else ''} by position"
        found.add("E0303", f"`{callee.name}` takes {count}, this is one more", value.span)


def _report_missing(
    name: ast.Name, missing: list[str], callee: Signature, found: Collector
) -> None:
    wanted = " and ".join(f"`{m}`" for m in missing)
    found.add("E0302", f"`{callee.name}` needs {wanted}", name.span, f"`{callee.example}`")


def _check_kind(
    argument: Argument,
    value: ast.Expr,
    callee: Signature,
    visible: Mapping[str, Named],
    found: Collector,
) -> None:
    kind, description = _literal(value, visible)
    if kind is None or kind == argument.kind != "word":
        return
    if isinstance(value, ast.Name) and value.name in argument.allowed_words:
        return
    kinds = {"number": "a number", "flag": "`yes` or `no`", "operation": "a shared operation"}
    wanted = kinds.get(argument.kind)
    if wanted is None:
        wanted = " or ".join(f"`{word}`" for word in argument.words)
    message = f"`{callee.name}` needs {wanted} for `{argument.name}`, this is {description}"
    found.add("E0305", message, value.span)


def _literal(value: ast.Expr, visible: Mapping[str, Named]) -> tuple[str | None, str]:
    """The kind of a value that is plain to see, and what to call it; None where it is not."""
    match value:
        case ast.Number() | ast.Unary(operator="-", operand=ast.Number()):
            return "number", f"`{value.span.text}`"
        case ast.Flag():
            return "flag", f"`{value.span.text}`"
        case ast.SetExpr():
            return "set", "a set"
        case ast.Name(name=name) if name in visible:
            return "declared", f"the {kind_of(visible[name]).split()[1]} `{name}`"
        case ast.Name(name=name) if name in LAYERS:
            return "layer", f"the layer `{name}`"
        case ast.Name(name=name) if name in WORDS:
            return "word", f"the word `{name}`"
        case ast.Name(name=name) if name in PHASES:
            return "flag", f"the flag `{name}`"
    return None, ""


def counted(number: int) -> str:
    """A small number in words."""
    return _COUNTS[number] if number < len(_COUNTS) else str(number)
