"""The inputs of a region: sizes that a pattern names or demands, words, and states."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compiler.expr import Const, Expr, Symbol, opens, symbols
from compiler.ir import DIMENSIONS, Region
from compiler.lowering.values import Ref, Value, kind
from dsl import ast
from dsl.calls import counted
from dsl.diagnostics import fault

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def add_inputs(body: Body, inputs: tuple[ast.Input, ...], ranks: tuple[int, ...]) -> None:
    for syntax, rank in zip(inputs, ranks, strict=True):
        _add_input(body, syntax, rank)


def _add_input(body: Body, syntax: ast.Input, rank: int) -> None:
    """Adds an input; names of its pattern are bound to sizes, unless they are known already."""
    name, frame = syntax.name.name, body.frame
    pattern: tuple[ast.Expr | None, ...] = syntax.shape or (None,) * rank
    _check_rank(syntax, rank)
    if rank not in DIMENSIONS:
        message = f"`{name}` has {counted(rank)} sizes, a value has one to three"
        raise fault("E0502", message, syntax.span, "leave out the batch")
    shape: list[Expr] = []
    demands: list[Expr | None] = []
    for entry, letter in zip(pattern, DIMENSIONS[rank], strict=True):
        name_here = entry.name if isinstance(entry, ast.Name) else None
        if entry is None or name_here == "_":
            shape.append(Symbol(f"{name}_{letter}"))
            demands.append(None)
        elif name_here is not None and name_here not in frame.names:
            free = name_here + "_" * (name_here in body.region.parameters)
            frame.names[name_here] = Symbol(free)
            shape.append(Symbol(free))
            demands.append(None)
        else:
            size = _size(body, entry)
            shape.append(size)
            demands.append(size)
    below = None if syntax.below is None else _size(body, syntax.below)
    if below is not None and body.region.kind != "network":
        help = "let an `embedding` in the network make numbers of words"
        raise fault("E0502", "only a network reads words", syntax.span, help)
    if below is not None and rank != 1:
        message = f"`{name}` is `below` a number, so it is a sequence of words"
        raise fault("E0502", message, syntax.span, f"`{name}[T] below V`")
    number = body.builder.input(name, tuple(shape), tuple(demands), syntax.span, below)
    frame.names[name] = body.ref(number)


def bind_in_place(body: Body, syntax: ast.Input, operand: Ref) -> None:
    """Binds an input of an op that is evaluated in place, and the names of its pattern.

    Of the sizes that it demands, those are checked that are numbers here.
    """
    shape, frame = body.builder.shape(operand.number), body.frame
    frame.names[syntax.name.name] = replace(operand, origin=syntax.name.name)
    _check_rank(syntax, len(shape))
    for entry, size in zip(syntax.shape or (), shape, strict=False):
        if isinstance(entry, ast.Name) and entry.name == "_":
            continue
        if isinstance(entry, ast.Name) and entry.name not in frame.names:
            frame.names[entry.name] = size
            continue
        wanted = _size(body, entry)
        if isinstance(wanted, Const) and isinstance(size, Const) and wanted != size:
            message = f"`{syntax.name.name}` must have {wanted.value} here, it has {size.value}"
            raise fault("E0505", message, syntax.span)
        if wanted != size and (chosen := opens(wanted) or opens(size)):
            message = f"`{syntax.name.name}` must have one size, `{chosen[0].decision}` is open"
            raise fault("E0612", message, syntax.span, "a name in the pattern takes any size")


def _check_rank(syntax: ast.Input, rank: int) -> None:
    if syntax.shape is not None and len(syntax.shape) != rank:
        count = len(syntax.shape)
        raise fault(
            "E0502",
            f"`{syntax.name.name}` has {counted(count)} size{'s' * (count > 1)} here, "
            f"the value that flows in has {counted(rank)}",
            syntax.span,
        )


def _size(body: Body, written: ast.Expr) -> Expr:
    """A size, which may be a flag or a word by mistake."""
    size = body.number(written)
    if isinstance(size, Const) and not _is_number(size.value):
        message = f"a size is a whole number of at least 1, this is `{written.span.text}`"
        raise fault("E0503", message, written.span)
    return size


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def count_states(inputs: tuple[ast.Input, ...], read: int) -> int:
    """How many states there are: the inputs that nothing flows into, each of a stated shape."""
    for state in inputs[read:]:
        sizes = state.shape or ()
        if not sizes or any(isinstance(s, ast.Name) and s.name == "_" for s in sizes):
            name = state.name.name
            message = f"`{name}` is a state and must say its shape"
            raise fault("E0718", message, state.span, f"`{name}[H]`")
        if len(sizes) > 1:
            message = f"the state `{state.name.name}` is a vector, so it has one size"
            raise fault("E0718", message, state.span, f"`{state.name.name}[H]`")
    return len(inputs) - read


def with_states(body: Body, declaration: ast.OpDecl | ast.CellDecl, result: Value) -> Region:
    """What a recurrence gives back: its states, or one value where it has none."""
    states = body.region.states or 0
    for _, state in body.region.state_inputs:
        for name in (n for size in state.shape for n in symbols(size)):
            if name not in body.region.parameters:
                message = f"the shape of the state `{state.name}` hangs on `{name}`"
                help = f"a parameter: `{declaration.name.name}({name}) from …`"
                raise fault("E0718", f"{message}, which is no parameter", state.span, help)
    results = result if isinstance(result, tuple) else (result,)
    if len(results) != max(states, 1) or not all(isinstance(r, Ref) for r in results):
        wanted = "one value" if states < 2 else f"a list of {states}"
        found = f"a list of {len(results)}" if isinstance(result, tuple) else kind(result)
        raise fault(
            "E0718",
            f"`{declaration.name.name}` gives back its states, {wanted}; this is {found}",
            declaration.body.result.span,
        )
    return body.finish(*results)
