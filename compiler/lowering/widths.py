"""Numbers that are still to be chosen and share weights: every size is a slice of the largest.

A layer is as large as the largest number makes it. What a smaller number leaves out is zero: a
`narrow` for each number, mixed by the weights of the decision, stands behind every layer that could
make it something else. A kernel, heads, or a norm over channels are mixed as whole layers that
share their weights. Once the number is chosen, a slice is all there is, and `narrow` is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, product
from typing import TYPE_CHECKING

from compiler.builder import Builder
from compiler.expr import Const, Expr, Open, evaluate, opens, substitute
from compiler.ir import Choice, Dims, Input, Layer, Node, Option, Region, channel_axis
from compiler.layers import KEEPS_ZEROS
from compiler.lowering import labels
from compiler.lowering.values import LayerOperation, Ref
from dsl.diagnostics import fault
from dsl.source import Span
from dsl.vocabulary import AUTO, LAYERS, SAME

if TYPE_CHECKING:
    from compiler.lowering.body import Body

Make = Callable[[Builder, int, dict[str, Expr]], int]
"""Adds the layer for some chosen numbers behind a value."""

SLICED = {
    "conv": ("k", "out"),
    "depthwise": ("k",),
    "conv_transpose": ("out",),
    "linear": ("out",),
    "attention": ("heads",),
    "embedding": ("d",),
}
"""The arguments that may be numbers still to be chosen."""
RESTRICTED = {
    "conv": ("k", "centre"),
    "depthwise": ("k", "centre"),
    "attention": ("heads", "active"),
}
"""An argument that may be open, and the one that says how much of it is used."""
_MOST_CHECKED = 1000
"""Of numbers that are chosen together, how many combinations are looked at."""
BY_POSITION = frozenset({"shuffle", "group_norm"})
"""Layers that mix channels by their position, so that a slice is not what the whole gives."""
GROUPED = frozenset({"conv", "conv_transpose"})
"""Layers that do so where they have groups."""


def is_open(body: Body, operation: LayerOperation, operand: Ref) -> bool:
    """Whether a layer, or what it reads, has a size that is still to be chosen."""
    sizes = [*body.builder.shape(operand.number), *(v for _, v in operation.arguments)]
    return any(opens(size) for size in sizes)


def layer(body: Body, operation: LayerOperation, operand: Ref) -> Ref:
    """A layer where it, or what it reads, has a size that is still to be chosen."""
    name, arguments = operation.layer, dict(operation.arguments)
    _check(body, operation, operand)
    restricted, active = RESTRICTED.get(name, ("", ""))
    bound = arguments.get(restricted)
    if name == "layer_norm":
        bound, active = width(body.builder.shape(operand.number)), "active"
    if bound is not None and opens(bound):
        shared = _unique(body, name)

        def make(builder: Builder, x: int, chosen: dict[str, Expr]) -> int:
            own = (*operation.arguments, (active, substitute(bound, chosen)))
            made = builder.layer(name, own, x, shared, operation.span)
            builder.region.replace(made, shared=shared)
            return made

        made = _mixed(body, opens(bound), operand, make, shared, operation.span)
    else:
        made = body.ref(
            body.builder.layer(name, operation.arguments, operand.number, span=operation.span)
        )
    return made if keeps_zeros(operation) else narrowed(body, made, operation.span)


def keeps_zeros(operation: LayerOperation) -> bool:
    """Whether a layer gives zeros in the channels in which it reads them."""
    if operation.layer == "depthwise":
        return dict(operation.arguments)["bias"] == Const(False)
    return operation.layer in KEEPS_ZEROS


def narrowed(body: Body, value: Ref, span: Span) -> Ref:
    """A value with zeros in the channels that smaller numbers leave out."""
    size = width(body.builder.shape(value.number))
    if not opens(size):
        return value

    def make(builder: Builder, x: int, chosen: dict[str, Expr]) -> int:
        return builder.layer("narrow", (("n", substitute(size, chosen)),), x, span=span)

    return _mixed(body, opens(size), value, make, "narrow", span)


def is_slice(node: Node) -> bool:
    """Whether a node does nothing but take slices of a value."""
    if isinstance(node, Choice):
        inner = [n for option in node.region.options for _, n in option.body.nodes()]
        done = [n for n in inner if not isinstance(n, Input)]
        return bool(done) and all(map(is_slice, done))
    return isinstance(node, Layer) and node.layer == "narrow"


def width(shape: Dims) -> Expr:
    return shape[channel_axis(len(shape))]


def check_known(body: Body, values: tuple[Ref, ...], what: str, span: Span, help: str) -> None:
    """The sizes of some values do not hang on numbers that are still to be chosen.

    Raises:
        DartsError: where they do; `what` says what reads or gives them.
    """
    if body.is_open(values):
        raise fault("E0612", f"{what} a value whose width is still to be chosen", span, help)


def check_alike(body: Body, values: list[Ref], span: Span) -> None:
    """Values that meet are chosen to be of one width.

    Raises:
        DartsError: where they are not.
    """
    found = [width(body.builder.shape(v.number)) for v in values if body.rank(v)]
    if any(map(opens, found)) and len(set(found)) > 1:
        chosen = next(o for size in found for o in opens(size))
        message = f"values that meet have one width, but `{chosen.decision}` chooses that of one"
        raise fault("E0612", message, span, "choose one number for both, or project one of them")


def check_options(options: list[Option], span: Span) -> None:
    """Options of one choice are chosen to be of one width.

    Raises:
        DartsError: where they are not.
    """
    found = [option.body.output.shape for option in options]
    chosen = [number for shape in found for size in shape for number in opens(size)]
    if chosen and len(set(found)) > 1:
        message = f"options have one width, but `{chosen[0].decision}` chooses that of some"
        raise fault("E0612", message, span, "choose one number for all, or project some of them")


def check_concat(body: Body, values: list[Ref], span: Span) -> None:
    """Channels of a value whose width is open come last, so that a slice of the whole is whole.

    Raises:
        DartsError: where others follow them.
    """
    for value in values[:-1]:
        chosen = opens(width(body.builder.shape(value.number)))
        if chosen:
            message = f"`{chosen[0].decision}` chooses the width of a value that others follow"
            raise fault("E0612", message, span, "only the last part of a `concat` may be open")


def _mixed(
    body: Body,
    numbers: tuple[Open, ...],
    value: Ref,
    make: Make,
    name: str,
    span: Span,
    chosen: dict[str, Expr] | None = None,
) -> Ref:
    """A choice between layers that differ in numbers alone; of several, one in the other."""
    first, *rest = numbers
    decision = body.decisions.known(first.decision)
    assert decision is not None
    shape = body.builder.shape(value.number)
    region = Region("choice", "branch", span=span)
    made = []
    for (label, sink), number in zip(decision.options, first.values, strict=True):
        body.lowering.budget.spend(span, 5)
        inner = body.inside(Region(label, "branch", span=span))
        x = inner.builder.input("x", shape)
        known = {**(chosen or {}), first.key: Const(number)}
        if rest:
            result = _mixed(inner, tuple(rest), inner.ref(x), make, name, span, known).number
        else:
            result = make(inner.builder, x, known)
        made.append(Option(label, sink, inner.builder.finish((result,))))
    region.options = tuple(made)
    region.outputs = (Builder(region).input("x", shape),)
    decided = labels.attribute(f"{name}_{first.decision}")
    number = body.builder.choice(region, (), (value.number,), first.decision, decided, span)
    return body.ref(number)


def _check(body: Body, operation: LayerOperation, operand: Ref) -> None:
    name, arguments = operation.layer, dict(operation.arguments)
    for argument, value in arguments.items():
        if opens(value) and argument not in SLICED.get(name, ()):
            message = f"`{argument}` of `{name}` has no slices, so it cannot be entangled"
            raise fault("E0611", message, operation.span, "choose between operations")
        _check_outcomes(argument, value, operation.span)
    if opens(arguments.get("k", Const(1))):
        _check_kernel(arguments, operation.span)
    size = width(body.builder.shape(operand.number))
    is_open = bool(opens(size) or opens(arguments.get("out", size)))
    grouped = name in GROUPED and arguments["groups"] != Const(1)
    if is_open and (name in BY_POSITION or grouped):
        title = f"a grouped `{name}`" if grouped else f"`{name}`"
        message = f"{title} goes by the position of channels, but the width is still open"
        raise fault("E0612", message, operation.span, f"`{LAYERS[name].name}` before the choice")
    if name == "attention" and arguments["width"] == Const(AUTO):  # else neither would be open
        message = "`attention` shares the channels out, and how many a head gets is still open"
        raise fault("E0612", message, operation.span, "`width: 16` gives every head so many")


def _check_outcomes(argument: str, value: Expr, span: Span) -> None:
    """Whatever is chosen, a size is a whole number; and it is largest where the numbers are.

    What hangs on sizes that are not known here is looked at where they are.
    """
    found = [number.value for number in outcomes(value) if isinstance(number, Const)]
    for number in found:
        if isinstance(number, bool | str) or not isinstance(number, int) or number < 1:
            message = f"`{argument}` can be {number}, but must be a whole number of at least 1"
            raise fault("E0503", message, span)
    if found and max(found) != evaluate(value, {}):
        message = f"`{argument}` is largest where what is chosen is not, so it has no slices"
        raise fault("E0611", message, span, "`choose entangled` of the numbers meant")


def outcomes(size: Expr) -> Iterator[Expr]:
    """What a size can come to; nothing where it is not open."""
    numbers = opens(size)
    every = product(*(number.values for number in numbers)) if numbers else ()
    for chosen in islice(every, _MOST_CHECKED):
        pairs = zip(numbers, chosen, strict=True)
        yield substitute(size, {number.key: Const(value) for number, value in pairs})


def _check_kernel(arguments: dict[str, Expr], span: Span) -> None:
    """Slices of a window are the squares around its centre, and give an image of one size."""
    sizes = [size.value for size in outcomes(arguments["k"]) if isinstance(size, Const)]
    if any(size % 2 == 0 for size in sizes):
        raise fault("E0611", "entangled kernels have one centre, so they are odd", span)
    for argument, usual in (("padding", AUTO), ("across", SAME)):
        if arguments[argument] != Const(usual):
            message = f"an entangled kernel is padded and square by itself, without `{argument}`"
            raise fault("E0611", message, span, "choose between operations")


def _unique(body: Body, name: str) -> str:
    """A name for a module that the options of a number share; in what is `shared` itself, the
    one that its other uses have too."""
    owner = body.owner
    if owner.sharing is not None:
        return owner.part_name(f"{owner.sharing}_{name}", next(owner.shared_parts))
    taken = owner.shared_names
    unique, count = name, 1
    while unique in taken:
        unique, count = f"{name}_{count}", count + 1
    taken.add(unique)
    return unique
