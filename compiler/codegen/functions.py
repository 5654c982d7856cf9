"""Ops and sets as functions that make modules."""

from __future__ import annotations

from compiler.codegen.layout import docstring, lines
from compiler.codegen.names import local
from compiler.codegen.scope import Context, Scope, mixture_class, ordered, parameter, sequential
from compiler.expr import Expr, Symbol
from compiler.ir import Form, Input, Region, Select


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
            if position == 0:
                rename[size.name] = _width_name(region, node, size)
    taken_names = set(signature.parameters)
    rename = {s: f"{n}_" if n in taken_names else n for s, n in rename.items()}
    return rename, [f"{name}: int" for name in rename.values()]


def _width_name(region: Region, node: Input, size: Expr) -> str:
    if len(region.inputs) > 1:
        return f"{node.name}_channels"
    noun = "channels" if len(node.shape) == 3 else "features"
    kept = region.kind == "set" or region.output.shape[:1] == (size,)
    return noun if kept else f"in_{noun}"


def _either(scope: Scope, node: Select) -> tuple[list[str], str]:
    body = [f"    if {scope.show(node.condition)}:"]
    body += lines(scope.branch(node.then), 8, "return ")
    body += lines(scope.branch(node.otherwise), 4, "return ")
    return body, "nn.Module"


def _def(context: Context, region: Region, inputs: list[str], result: str) -> str:
    signature = context.signatures.of[id(region)]
    parameters = [parameter(region, p) for p in ordered(region, signature.parameters)]
    name = context.names[id(region)]
    head = f"def {name}({', '.join([*inputs, *parameters])}) -> {result}:"
    if len(head) <= 100:
        return head
    inside = ",\n".join(f"    {p}" for p in [*inputs, *parameters])
    return f"def {name}(\n{inside},\n) -> {result}:"
