"""Ops and sets as functions that make modules."""

from __future__ import annotations

from collections.abc import Callable

from compiler.codegen import mixtures
from compiler.codegen.forward import Forward
from compiler.codegen.layout import WIDTH, docstring, lines
from compiler.codegen.names import local
from compiler.codegen.scope import Context, Scope, mixture_class, ordered, parameter, sequential
from compiler.expr import Expr, Symbol, show
from compiler.ir import Form, Input, Region, Select, channel_axis


def function(context: Context, region: Region) -> str:
    """A chain, or an op that is one of two, as a function."""
    rename, inputs = widths(context, region)
    scope = Scope(context, region, rename)
    nodes = [n for _, n in region.nodes() if not isinstance(n, Input)]
    if region.form is Form.SINGLE and isinstance(nodes[0], Select):
        body, result = _either(scope, nodes[0])
    else:
        modules = [scope.module(region, n) for n in nodes]
        made = modules[0] if len(modules) == 1 else sequential(modules)
        body = lines(made, 4, "return ")
        result = "nn.Sequential" if len(modules) > 1 else "nn.Module"
    text = [_def(context, region, inputs, result)]
    if region.comment:
        text.append(f'    """{docstring(region.comment)}."""')
    return "\n".join([*text, *body])


def pure(context: Context, region: Region) -> str:
    """A branching op without state as a function of its inputs."""
    parameters = context.signatures.of[id(region)].parameters
    forward = Forward(context, region, number=_number(region), taken=set(parameters), indent=4)
    body = forward.write()
    text = [_head(context, region, forward, parameters)]
    if region.comment:
        text.append(f'    """{docstring(region.comment)}."""')
    return "\n".join([*text, *body])


def joint_mixture(context: Context, region: Region) -> str:
    """A set of functions as one, which gives their mixture."""
    parameters = context.signatures.of[id(region)].parameters
    taken = {*parameters, "weights"}
    forward = Forward(context, region, number=_number(region), taken=taken, indent=4)
    inputs = [number for number, _ in region.inputs]
    for number in inputs:
        forward.add(number, region.node(number))
    mixed = mixtures.mixture(forward, region, inputs, "weights")
    head = _head(context, region, forward, ["weights", *parameters])
    return "\n".join([head, *forward.statements, *lines(mixed, 4, "return ")])


def _number(region: Region) -> Callable[[Expr], str]:
    """How a function writes a number: its parameters by name, sizes as those of what flows in."""
    sizes = {
        size.name: f"{local(node.name)}.shape[{TENSOR_AXES[len(node.shape)][axis]}]"
        for _, node in reversed(region.inputs)
        for axis, size in enumerate(node.shape)
        if isinstance(size, Symbol) and size.name not in region.parameters
    }
    return lambda expr: show(expr, lambda name: sizes.get(name, local(name)))


def _head(context: Context, region: Region, forward: Forward, parameters: list[str]) -> str:
    inputs = [f"{forward.values[i].doc.flat()}: Tensor" for i, _ in region.inputs]
    own = [p for p in parameters if p in region.parameters]
    named = [parameter(context, region, p) for p in ordered(region, own)]
    weights = ["weights: Tensor"] if "weights" in parameters else []
    return _signature(context.names[id(region)], [*inputs, *weights, *named], "Tensor")


TENSOR_AXES = {1: (-1,), 2: (0, -1), 3: (-3, -2, -1)}
"""Where a value's sizes stand in its tensor, by how many it has."""


def mixture(context: Context, region: Region) -> str:
    """A set as a function that makes the mixture of its options."""
    rename, inputs = widths(context, region)
    scope = Scope(context, region, rename)
    body = lines(scope.mixture(region), 4, "return ")
    return "\n".join([_def(context, region, inputs, mixture_class(region)), *body])


def widths(context: Context, region: Region) -> tuple[dict[str, str], list[str]]:
    """What the sizes of an op's inputs are called in its constructor, and these as parameters."""
    signature = context.signatures.of[id(region)]
    rename: dict[str, str] = {}
    for (_, node), taken in zip(region.inputs, signature.sizes, strict=True):
        for position in taken:
            size = node.shape[position]
            assert isinstance(size, Symbol)
            rename[size.name] = local(size.name)
            if position == channel_axis(len(node.shape)):
                rename[size.name] = _width_name(region, node, size)
    taken_names = set(signature.parameters)
    rename = {s: f"{n}_" if n in taken_names else n for s, n in rename.items()}
    return rename, [f"{name}: int" for name in rename.values()]


def _width_name(region: Region, node: Input, size: Expr) -> str:
    noun = "channels" if len(node.shape) == 3 else "features"
    if len(region.inputs) - (region.states or 0) > 1:
        return f"{node.name}_{noun}"
    kept = region.kind == "set" or region.output.shape[:1] == (size,)
    return noun if kept else f"in_{noun}"


def _either(scope: Scope, node: Select) -> tuple[list[str], str]:
    body = [f"    if {scope.show(node.condition)}:"]
    body += lines(scope.branch(node.then), 8, "return ")
    body += lines(scope.branch(node.otherwise), 4, "return ")
    return body, "nn.Module"


def _def(context: Context, region: Region, inputs: list[str], result: str) -> str:
    signature = context.signatures.of[id(region)]
    parameters = [parameter(context, region, p) for p in ordered(region, signature.parameters)]
    return _signature(context.names[id(region)], [*inputs, *parameters], result)


def _signature(name: str, parameters: list[str], result: str) -> str:
    head = f"def {name}({', '.join(parameters)}) -> {result}:"
    if len(head) <= WIDTH:
        return head
    inside = ",\n".join(f"    {p}" for p in parameters)
    return f"def {name}(\n{inside},\n) -> {result}:"
