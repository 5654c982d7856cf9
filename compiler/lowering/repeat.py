"""Stacks: steps over a window of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.builder import Builder
from compiler.expr import Const, Expr, Symbol, symbols
from compiler.ir import (
    Dims,
    Input,
    Region,
    Repeat,
    Step,
    Tap,
)
from compiler.lowering import apply, labels, unrolled
from compiler.lowering.values import (
    ChosenNumber,
    Composed,
    Declared,
    Poison,
    Ref,
    Repeated,
    Value,
    is_operation,
    kind,
)
from dsl import ast
from dsl.diagnostics import DartsError, fault
from dsl.source import Span

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def count(body: Body, node: ast.Repeat) -> Expr:
    """How many steps a repeat has; a depth that is chosen is entangled."""
    value = body.evaluate(node.count)
    if isinstance(value, ChosenNumber):
        message = "a depth is chosen among entangled numbers: the smaller shares its steps"
        raise fault("E0611", message, node.count.span, "`repeat choose entangled { … } { … }`")
    return body.as_number(value, node.count.span)


def stack(body: Body, operation: Repeated, operands: tuple[Ref, ...], span: Span) -> Value:
    syntax = operation.syntax
    if unrolled.is_unrolled(body, operation, operands):
        return unrolled.stack(body, operation, operands, span)
    bodies: list[tuple[tuple[Expr, ...] | None, ast.Expr]] = [(None, syntax.body)]
    spans = [(), *(tuple(p.span for p in e.places) for e in syntax.exceptions)]
    frame = operation.frame.extended(step=Symbol("step"), stage=Symbol("stage"))
    with body.looking_up(operation.frame):
        for exception in syntax.exceptions:
            bodies.append((tuple(body.number(p) for p in exception.places), exception.body))
    steps: list[Value] = []
    with body.looking_up(frame):
        steps = [body.evaluate(inner) for _, inner in bodies]
    for step, (_, inner) in zip(steps, bodies, strict=True):
        if isinstance(step, Poison):
            raise DartsError(())
        if not is_operation(step):
            raise fault("E0401", f"a step is an operation, this is {kind(step)}", inner.span)
    window = _window_names(body, steps, len(operands))
    rank = len(body.builder.shape(operands[0].number))
    sizes: dict[str, Dims] = {w: tuple(Symbol(f"{w}_{d}") for d in "chw"[:rank]) for w in window}
    made = []
    with body.looking_up(frame):
        for step, (places, inner), written in zip(steps, bodies, spans, strict=True):
            made.append(Step(places, _step(body, step, window, sizes, inner.span), written))
    name = f"{_plural(steps[0])}"
    shape = tuple(Symbol(f"{_unused(body, body.node or name, window)}_{d}") for d in "chw"[:rank])
    repeat = Repeat(
        operands=tuple(o.number for o in operands),
        shape=shape,
        count=operation.count,
        steps=tuple(made),
        window=window,
        name=name,
        span=syntax.span,
    )
    return body.ref(body.region.add(repeat))


def tap(body: Body, node: ast.Index, base: Ref) -> Ref:
    """What a step of the repeat that `base` refers to gives."""
    repeat = body.region.node(base.number)
    taps = [n for _, n in body.region.nodes() if isinstance(n, Tap)]
    name = _unused(body, f"tapped_{len(taps)}" if taps else "tapped")
    shape = tuple(Symbol(f"{name}_{letter}") for letter in "chw"[: len(repeat.shape)])
    index = body.number(node.index)
    if isinstance(index, Const) and isinstance(index.value, int) and index.value < 0:
        index = repeat.count + index.value
    made = Tap(operands=(base.number,), shape=shape, index=index, name=name, span=node.span)
    return body.ref(body.region.add(made))


def _repeated(body: Body, windows: bool) -> set[str]:
    """What repeats of a region and taps of them call their outputs, and repeats their windows
    where these count too."""
    nodes = [n for _, n in body.region.nodes() if isinstance(n, Repeat | Tap)]
    outputs = {s.name.rpartition("_")[0] for n in nodes for s in n.shape if isinstance(s, Symbol)}
    repeats = [n for n in nodes if isinstance(n, Repeat)]
    return outputs | ({name for n in repeats for name in n.window} if windows else set())


def _window_names(body: Body, steps: list[Value], size: int) -> tuple[str, ...]:
    """What the members of the window are called: as the inputs of the step that reads all."""
    names = ("x",) if size == 1 else tuple(f"x{i}" for i in range(size))
    for step in reversed(steps):
        if isinstance(step, Declared):
            inputs = body.nature.inputs(step.declaration)
            if inputs is not None and len(inputs) == size:
                names = tuple(i.name.name for i in inputs)
    own = {node.name for _, node in body.region.inputs} | _repeated(body, windows=False)
    return tuple(f"{name}_" if name in own else name for name in names)


def _unused(body: Body, name: str, window: tuple[str, ...] = ()) -> str:
    """A name after which no other repeat or tap of the region calls sizes."""
    taken = _repeated(body, windows=True) | set(window)
    unique, count = name, 1
    while unique in taken:
        unique, count = f"{name}_{count}", count + 1
    return unique


def _step(
    body: Body, step: Value, window: tuple[str, ...], sizes: dict[str, Dims], span: Span
) -> Region:
    """A step's body; what is more than one module becomes a region that is called."""
    first = step.steps[0] if isinstance(step, Composed) and step.steps else step
    reads = body.nature.arity(first.declaration) if isinstance(first, Declared) else 1
    if reads > len(window):
        raise fault(
            "E0402",
            f"`{span.text}` reads {reads} values, the repeat begins with {len(window)}",
            span,
            "(" + ", ".join(["x"] * reads) + ") -> repeat …",
        )
    inner = body.inside(Region("step", "branch", span=span))
    members = window[len(window) - reads :]
    inputs = tuple(inner.ref(inner.builder.input(m, sizes[m])) for m in members)
    result = apply.apply(inner, step, inputs, span)
    if isinstance(result, Poison):
        raise DartsError(())
    if not isinstance(result, Ref):
        raise fault("E0401", f"a step gives one value, this gives {kind(result)}", span)
    if inner.rank(result) != len(sizes[window[-1]]):
        raise fault("E0501", "a step gives back what the next one can read", span)
    region = inner.builder.finish((result.number,))
    body.region.kernels |= region.kernels
    rest = [n for _, n in region.nodes() if not isinstance(n, Input)]
    if len(rest) <= 1 or (reads == 1 and region.form.name == "CHAIN"):
        return region
    region.kind, region.name = "op", f"{body.node or 'repeat'}_step"
    own = {s.name for m in members for s in sizes[m] if isinstance(s, Symbol)}
    free = {
        s
        for _, n in region.nodes()
        for _, value in getattr(n, "arguments", ())
        for s in symbols(value)
    }
    region.parameters = dict.fromkeys(sorted(free - own))
    outer = Builder(Region("step", "branch", span=span))
    numbers = tuple(outer.input(m, sizes[m]) for m in members)
    arguments = tuple((p, Symbol(p)) for p in region.parameters)
    return outer.finish((outer.call(region, arguments, numbers, region.name, span),))


def _plural(operation: Value) -> str:
    return (labels.name_of(operation) or "step") + "s"
