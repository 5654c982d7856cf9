"""What the writers of helpers and classes share: names, modules as expressions, signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from compiler.codegen import torch_layers
from compiler.codegen.layout import Call, DictOf, Doc, Either
from compiler.codegen.names import IMPORTED, camel, key, local
from compiler.codegen.prelude import PRELUDE
from compiler.codegen.signatures import Signatures
from compiler.expr import Const, Expr, Symbol, show, substitute
from compiler.facts import Facts
from compiler.ir import Call as CallNode
from compiler.ir import Choice, Dims, Form, Inline, Input, Layer, Region, Repeat, Scan, Select, Tap
from compiler.program import Program, stacks


@dataclass
class Context:
    """The program being written, and which aliases and prelude items it has used."""

    program: Program
    facts: Facts
    signatures: Signatures
    used: set[str] = field(default_factory=set)
    names: dict[int, str] = field(default_factory=dict)
    """By region, what its class or function is called."""

    def __post_init__(self) -> None:
        taken = set(PRELUDE) | IMPORTED | {"Shape", "Weights", "Supernet", "Network"}
        taken |= {"w", "weights", "outputs", "state"}
        taken |= {name for region in self.program.regions() for name in _locals(region)}
        for region in self.program.regions():
            if region.is_branch or region.kind == "network":
                continue
            is_graph = region.kind == "op" and region.form is Form.GRAPH and not region.is_pure
            is_class = region.kind == "cell" or is_graph
            name = local(camel(region.name) if is_class else region.name)
            while name in taken:
                name += "_"
            taken.add(name)
            self.names[id(region)] = name

    def weights_alias(self) -> str:
        several = any(len(stacks(kind.decisions)) > 1 for kind in self.program.kinds)
        inner = "tuple[Tensor, ...]" if several else "Tensor"
        return f"Weights = dict[str, {inner}]"


class Scope:
    """Writes expressions inside one constructor: symbols become its parameters and locals."""

    def __init__(self, context: Context, region: Region, rename: dict[str, str]) -> None:
        self.context = context
        self.region = region
        self.rename = rename
        self.shapes: dict[str, str] = {}
        """By a value's first size, the variable that holds its whole shape."""
        self.fixed = context.signatures.fixed.get(id(region), {})

    def show(self, expr: Expr) -> str:
        value = substitute(expr, self.fixed)
        return show(
            value, lambda name: self.rename.get(name, local(name)), self.context.facts.inexact
        )

    # -- modules as expressions

    def module(self, region: Region, node: Any) -> Doc:
        """The expression that makes a node's module; `region` is where the node stands."""
        shapes = [region.node(o).shape for o in node.operands]
        match node:
            case Layer():
                return torch_layers.module(node, shapes[0], self.show, self.context.used)
            case CallNode() if node.region.is_pure:
                self.context.used.add("Function")
                name = self.context.names[id(node.region)]
                return Call("Function", name, *passed(self.context, node, self.show))
            case Scan():
                states = node.region.state_dims(node.arguments)
                steps = [shape[1:] for shape in shapes]
                return self.made(node.region, node.arguments, [*steps, *states])
            case CallNode() | Choice() if not node.region.is_branch:
                return self.made(node.region, node.arguments, shapes)
            case Choice():
                return self.mixture(node.region)
            case Inline():
                return self.branch(node.region)
            case Select():
                return self.either(node)
        raise TypeError(f"{type(node).__name__} is no module")

    def made(self, region: Region, arguments: Any, shapes: list[Dims]) -> Call:
        """A call of a region's constructor."""
        signature = self.context.signatures.of[id(region)]
        parts: list[Doc | str] = []
        for shape, taken in zip(shapes, signature.sizes, strict=True):
            if region.kind == "cell":
                parts += self.cell_input(shape, taken)
            else:
                parts += [self.show(shape[i]) for i in taken]
        given = dict(arguments)
        for name in ordered(region, signature.parameters):
            default = default_of(region, name)
            if default is None and region.parameters[name] is None:
                parts.append(self.show(given[name]))
            elif substitute(given[name], self.fixed) != default:
                parts.append(f"{local(name)}={self.show(given[name])}")
        return Call(self.context.names[id(region)], *parts)

    def cell_input(self, shape: Dims, taken: tuple[int, ...]) -> list[Doc | str]:
        """A cell takes a whole shape, or a width where no cell reads more."""
        layout = self.context.signatures.layout
        if not taken:
            return []
        if layout == (0,):
            return [self.show(shape[0])]
        first = shape[layout[0]]
        if isinstance(first, Symbol) and first.name in self.shapes:
            return [self.shapes[first.name]]
        return [f"({', '.join(self.show(shape[i]) for i in layout)})"]

    def branch(self, region: Region) -> Doc:
        """A branch as one expression: the identity, a module, or several in a row."""
        nodes = [n for _, n in region.nodes() if not isinstance(n, Input)]
        if not nodes:
            return Call("nn.Identity")
        modules = [self.module(region, n) for n in nodes]
        return modules[0] if len(modules) == 1 else sequential(modules)

    def either(self, node: Select) -> Doc:
        then, otherwise = self.branch(node.then), self.branch(node.otherwise)
        return Either(then, self.show(node.condition), otherwise)

    def mixture(self, region: Region) -> Doc:
        name = mixture_class(region)
        self.context.used.add(name)
        entries = {key(o.label): self.branch(o.body) for o in region.options}
        return Call(name, DictOf(entries))


def passed(context: Context, node: CallNode | Choice, show: Callable[[Expr], str]) -> list[str]:
    """What a call of a function passes to it besides values."""
    region, given = node.region, dict(node.arguments)
    parts = []
    for name in ordered(region, context.signatures.of[id(region)].parameters):
        value, default = given[name], default_of(region, name)
        if name in region.functions and isinstance(value, Const):
            parts.append(torch_layers.named_function(str(value.value), context.used))
        elif default is None:
            parts.append(show(value))
        elif value != default:
            parts.append(f"{local(name)}={show(value)}")
    return parts


def _locals(region: Region) -> Iterator[str]:
    """What constructors call their parameters and variables, so that no definition is hidden."""
    yield from ("layer", "out", "channels", "features", "in_channels", "in_features")
    yield from (*region.parameters, *map(local, region.parameters))
    for _, node in region.nodes():
        match node:
            case Input():
                yield from (node.name, f"{node.name}_channels")
                yield from (local(size.name) for size in node.shape if isinstance(size, Symbol))
            case Repeat():
                yield from (*node.window, f"{node.bound or node.name}_shape")
            case Tap():
                yield node.name


def mixture_class(region: Region) -> str:
    if len(region.inputs) > 1:
        return "JointMixedOp"
    return "SkippingMixedOp" if any(option.idle for option in region.options) else "MixedOp"


def sequential(modules: list[Doc]) -> Doc:
    return Call("nn.Sequential", *modules, always=True)


def default_of(region: Region, name: str) -> Expr | None:
    """A parameter's default, where it is a number."""
    default = region.parameters.get(name)
    if isinstance(default, Const) and not isinstance(default.value, str):
        return default
    return None


def ordered(region: Region, parameters: list[str]) -> list[str]:
    """Parameters as a signature has them: those without a default first."""
    return sorted(parameters, key=lambda name: default_of(region, name) is not None)


def parameter(context: Context, region: Region, name: str) -> str:
    """A parameter with its annotation and default, `stride: int = 1`."""
    default = default_of(region, name)
    if name in region.functions:
        return f"{local(name)}: Callable[[Tensor], Tensor]"
    uses = context.facts.uses.get(region.name, ())
    fraction = (id(region), name) in context.signatures.probabilities
    fraction = fraction or any(isinstance(dict(use).get(name), float) for use in uses)
    if default is None:
        return f"{local(name)}: {'float' if fraction else 'int'}"
    assert isinstance(default, Const)
    value = default.value
    if fraction and isinstance(value, int):
        value = float(value)
    return f"{local(name)}: {type(value).__name__} = {value!r}"
