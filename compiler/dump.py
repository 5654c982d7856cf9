"""The IR as text: every declared region with its values, their shapes and where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from compiler.expr import show
from compiler.flat.nodes import (
    Item,
    Lane,
    Loop,
    Mask,
    Mixture,
    SharedLayer,
    Sliced,
    StackedLinear,
    Term,
    Windows,
)
from compiler.ir import (
    Arguments,
    Call,
    Choice,
    Dims,
    Elementwise,
    Inline,
    Input,
    Join,
    Layer,
    Node,
    Part,
    Region,
    Repeat,
    Scan,
    Select,
    Tap,
)
from compiler.layers import STATEFUL
from compiler.program import Program


def dump(program: Program) -> str:
    """A program's regions, each after those it uses."""
    values = ", ".join(f"{name} = {value}" for name, value in program.values.items())
    lines = [f"# {program.name}, phase {program.phase}: {values}"]
    for region in program.regions():
        if not region.is_branch:
            lines += ["", *_region(region, "")]
    return "\n".join(lines) + "\n"


def _region(region: Region, pad: str) -> Iterator[str]:
    parameters = ", ".join(
        name if default is None else f"{name} = {show(default)}"
        for name, default in region.parameters.items()
    )
    inputs = ", ".join(f"{n.name}{_shape(n.shape)}" for _, n in region.inputs)
    yield f"{pad}{region.kind} {region.name}({parameters}) from {inputs}"
    yield from _body(region, pad + "    ")
    for option in region.options:
        sink, idle = "sink " * option.sink, ", idle" * option.idle
        yield f"{pad}    option {sink}{option.label}{idle}"
        yield from _body(option.body, pad + "        ")
    if region.keep is not None:
        yield f"{pad}    keep {region.keep}"


def _body(region: Region, pad: str) -> Iterator[str]:
    for number, node in region.nodes():
        if isinstance(node, Input):
            continue
        reads = ", ".join(f"%{o}" for o in node.operands)
        bound = f" {node.bound}" if node.bound else ""
        place = f"  # {node.span}" if node.span is not None else ""
        what = _what(node) + (f" shared {node.shared}" if node.shared else "") + _under(node)
        yield f"{pad}%{number}{bound} = {what} <- {reads} : {_shape(node.shape)}{place}"
        for title, inner in _inside(node):
            yield f"{pad}    {title}"
            yield from _body(inner, pad + "        ")
    outputs = [*region.outputs, *region.auxiliary]
    yield f"{pad}return " + ", ".join(f"%{o}" for o in outputs)


def _under(node: Node) -> str:
    """Which decisions must have come out how for a value to be there."""
    conditions = (f"`{path}` is {' or '.join(sorted(labels))}" for path, labels in node.under)
    return " under " + ", ".join(conditions) if node.under else ""


def _terms(terms: tuple[Term, ...]) -> str:
    """What the operands of a mixture are multiplied by, in their order: `w5[0, 1] norm`."""
    return ", ".join(map(_term, terms))


def _term(term: Term) -> str:
    text = str(term.constant) if term.constant or not term.weights else ""
    for weight in term.weights:
        sign = "-" if weight.sign < 0 else "+" if text else ""
        text += f"{sign}%{weight.tensor}[{weight.row},{weight.column}]"
    return text + ("" if term.norm is None else "".join(f" `{p}`" for p in term.norm.paths))


def _what(node: Node) -> str:
    match node:
        case SharedLayer():
            named = node.arguments or node.layer in STATEFUL
            at = "".join(f" `{path}`" for path in node.paths) if named else ""
            return node.layer + _arguments(node.arguments) + at
        case Layer():
            return node.layer + _arguments(node.arguments)
        case Mixture():
            return "mixture " + " | ".join(map(_terms, node.all_lanes))
        case Sliced():
            what = f"`{node.layer.name}`, windows" if isinstance(node, Windows) else "slices"
            return f"{what} {', '.join(map(str, node.ends))} {_terms(node.terms)}"
        case StackedLinear():
            return "linear " + ", ".join(f"`{layer.name}`" for layer in node.layers)
        case Mask():
            return f"mask {node.p}{' of a sequence' * node.sequence}"
        case Loop():
            return f"loop over {node.sequences} with {node.states} states"
        case Lane() | Item():
            return f"{type(node).__name__.lower()} {node.index}"
        case Call():
            return f"{node.region.name}{_arguments(node.arguments)}"
        case Choice():
            how = "" if node.how == "sum" else f" {node.how}"
            set_ = f"{node.region.name}{_arguments(node.arguments)}"
            return f"choose{how} {set_} as `{node.decision}`"
        case Inline():
            return "flow"
        case Select():
            return f"when {show(node.condition)}"
        case Join():
            loose = ", ".join(f"%{node.operands[place]}" for place in node.loose)
            return node.how + (f" of {loose} where loose" if loose else "")
        case Scan():
            return f"scan {node.region.name}{_arguments(node.arguments)}"
        case Elementwise():
            number = "" if node.number is None else f" {show(node.number)}"
            return f"{node.operator}{number}{' swapped' * node.swapped}"
        case Part():
            return f"part {node.index} of {node.count}"
        case Repeat():
            return f"repeat {show(node.count)} over {', '.join(node.window)}"
        case Tap():
            return f"step {show(node.index)}"
    return type(node).__name__


def _inside(node: Any) -> Iterator[tuple[str, Region]]:
    match node:
        case Inline():
            yield "steps", node.region
        case Select():
            yield "then", node.then
            yield "else", node.otherwise
        case Choice() if node.region.is_branch:
            yield from ((f"option {o.label}", o.body) for o in node.region.options)
        case Loop():
            yield f"step from {', '.join(f'%{n}' for n, _ in node.region.inputs)}", node.region
        case Repeat():
            for step in node.steps:
                places = ", ".join(map(show, step.places or ()))
                yield f"at {places}" if places else "step", step.body


def _arguments(arguments: Arguments) -> str:
    return f"({', '.join(f'{n}: {show(v)}' for n, v in arguments)})" if arguments else ""


def _shape(shape: Dims) -> str:
    return f"[{', '.join(map(show, shape))}]"
