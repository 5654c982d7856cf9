"""Builds regions node by node, folding as it goes.

An operation that amounts to one layer becomes that layer where it is used, a condition that has
come out is replaced by what it selects, an identity by the value itself. So lowering and
specialising need not look for what is simple: it never arises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

from compiler.expr import Const, Expr, if_else, substitute
from compiler.expr import size as length
from compiler.ir import (
    Arguments,
    Call,
    Choice,
    Dims,
    Form,
    Inline,
    Input,
    Join,
    Layer,
    Node,
    Region,
    Repeat,
    Select,
    substituted,
)
from compiler.layers import STATEFUL, out_shape
from dsl.source import Span


@dataclass
class Builder:
    """Adds nodes to a region and gives the modules among them their names."""

    region: Region
    named: dict[int, str] = field(default_factory=dict)

    def shape(self, number: int) -> Dims:
        shape: Dims = self.region.node(number).shape
        return shape

    def input(
        self,
        name: str,
        shape: Dims,
        demands: tuple[Expr | None, ...] = (),
        span: Span | None = None,
    ) -> int:
        return self.region.add(
            Input(shape=shape, demands=demands, name=name, bound=name, span=span)
        )

    def layer(
        self,
        layer: str,
        arguments: Arguments,
        operand: int,
        name: str = "",
        span: Span | None = None,
    ) -> int:
        if layer == "identity":
            return operand
        shape = out_shape(layer, self.shape(operand), dict(arguments))
        return self.region.add(
            Layer(
                operands=(operand,),
                shape=shape,
                layer=layer,
                arguments=arguments,
                name=(name or layer) if layer in STATEFUL else "",
                span=span,
            )
        )

    def call(
        self,
        region: Region,
        arguments: Arguments,
        operands: tuple[int, ...],
        name: str = "",
        span: Span | None = None,
    ) -> int:
        shapes = [self.shape(o) for o in operands]
        name = name or region.name
        demands = any(size is not None for _, n in region.inputs for size in n.demands)
        if region.kind == "op" and region.form in (Form.EMPTY, Form.SINGLE) and not demands:
            env = region.bind(arguments, shapes)
            rest = [n for _, n in region.nodes() if not isinstance(n, Input)]
            if not rest:
                return operands[0]
            only = rest[0]
            if not isinstance(only, Select) or isinstance(substitute(only.condition, env), Const):
                return self.copy(only, env, operands, name, span)
        return self.region.add(
            Call(
                operands=operands,
                shape=region.out_dims(arguments, shapes),
                region=region,
                arguments=arguments,
                name=name,
                span=span,
            )
        )

    def branch(
        self,
        region: Region,
        env: Mapping[str, Expr],
        operand: int,
        name: str = "",
        span: Span | None = None,
    ) -> int:
        """Applies a branch to a value: as a node where it is one, else as a module of its own."""
        inner = within(region, env, self.shape(operand))
        if inner.form is Form.EMPTY:
            return operand
        if inner.form is Form.SINGLE:
            only = next(n for _, n in inner.nodes() if not isinstance(n, Input))
            return self.copy(only, {}, (operand,), name, span)
        return self.region.add(
            Inline(
                operands=(operand,),
                shape=inner.output.shape,
                region=inner,
                name=name or region.name,
                span=span or region.span,
            )
        )

    def select(
        self,
        condition: Expr,
        then: Region,
        otherwise: Region,
        operand: int,
        name: str = "",
        span: Span | None = None,
    ) -> int:
        if isinstance(condition, Const):
            return self.branch(then if condition.value else otherwise, {}, operand, name, span)
        shape = tuple(
            if_else(condition, a, b)
            for a, b in zip(then.output.shape, otherwise.output.shape, strict=True)
        )
        return self.region.add(
            Select(
                operands=(operand,),
                shape=shape,
                condition=condition,
                then=then,
                otherwise=otherwise,
                name=name or "select",
                span=span,
            )
        )

    def choice(
        self,
        region: Region,
        arguments: Arguments,
        operand: int,
        decision: str,
        name: str,
        span: Span | None,
    ) -> int:
        env = region.bind(arguments, [self.shape(operand)])
        shapes = [
            tuple(substitute(size, env) for size in option.body.output.shape)
            for option in region.options
        ]
        return self.region.add(
            Choice(
                operands=(operand,),
                shape=min(shapes, key=complexity),
                region=region,
                arguments=arguments,
                decision=decision,
                name=name,
                span=span,
            )
        )

    def join(self, how: str, operands: tuple[int, ...], span: Span | None = None) -> int:
        """`sum`, `mean` or `concat`; of a single value, that value."""
        if len(operands) == 1:
            return operands[0]
        shapes = [self.shape(o) for o in operands]
        shape = min(shapes, key=complexity)
        if how == "concat":
            shape = (reduce(add, (s[0] for s in shapes)), *shape[1:])
        return self.region.add(Join(operands=operands, shape=shape, how=how, name=how, span=span))

    def copy(
        self,
        node: Node,
        env: Mapping[str, Expr],
        operands: tuple[int, ...],
        name: str = "",
        span: Span | None = None,
    ) -> int:
        """Adds a node of another region, its symbols replaced, folding what has become simple."""
        name, span = name or node.name, span or node.span
        match node:
            case Layer():
                arguments = substituted(node.arguments, env)
                return self.layer(node.layer, arguments, operands[0], name, span)
            case Call():
                return self.call(
                    node.region, substituted(node.arguments, env), operands, name, span
                )
            case Inline():
                return self.branch(node.region, env, operands[0], name, span)
            case Select():
                shape = self.shape(operands[0])
                condition = substitute(node.condition, env)
                if isinstance(condition, Const):
                    taken = node.then if condition.value else node.otherwise
                    return self.branch(taken, env, operands[0], name, span)
                then = within(node.then, env, shape)
                otherwise = within(node.otherwise, env, shape)
                return self.select(condition, then, otherwise, operands[0], name, span)
            case Choice():
                arguments = substituted(node.arguments, env)
                return self.choice(node.region, arguments, operands[0], node.decision, name, span)
            case Join():
                return self.join(node.how, operands, span)
        shape = tuple(substitute(size, env) for size in node.shape)
        return self.region.add(replace(node, operands=operands, shape=shape, name=name))

    def finish(self, outputs: tuple[int, ...]) -> Region:
        """Closes the region: names of modules that several bear are numbered."""
        region = self.region
        region.outputs = outputs
        modules = [(i, n) for i, n in region.nodes() if is_module(n)]
        borne = Counter(n.name for _, n in modules)
        taken = {n.name for _, n in modules if borne[n.name] == 1}
        for name in [n for n, times in borne.items() if times > 1]:
            count = 0
            for number, node in modules:
                if node.name != name:
                    continue
                while f"{name}_{count}" in taken:
                    count += 1
                taken.add(f"{name}_{count}")
                region.replace(number, name=f"{name}_{count}")
        return region


def is_module(node: Node) -> bool:
    """Whether a node becomes an attribute, for the state it holds or the edge it stands on."""
    if isinstance(node, Layer):
        return bool(node.name)
    return isinstance(node, Call | Inline | Choice | Select | Repeat)


def within(region: Region, env: Mapping[str, Expr], shape: Dims) -> Region:
    """A branch as it stands at a value of `shape` in another region, its symbols replaced."""
    builder = Builder(Region(region.name, "branch", span=region.span, comment=region.comment))
    place: dict[int, int] = {}
    for number, node in region.nodes():
        operands = tuple(place[o] for o in node.operands)
        if isinstance(node, Input):
            place[number] = builder.input(node.name, shape, span=node.span)
        else:
            place[number] = builder.copy(node, env, operands)
    return builder.finish(tuple(place[o] for o in region.outputs))


def complexity(shape: Dims) -> int:
    return sum(length(size) for size in shape)
