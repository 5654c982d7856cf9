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

from compiler.expr import Const, Expr, binary, if_else, size_of, substitute
from compiler.ir import (
    Arguments,
    Call,
    Choice,
    Dims,
    Elementwise,
    Form,
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
    channel_axis,
    substituted,
)
from compiler.layers import STATEFUL, channels, out_shape, settled
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
        below: Expr | None = None,
    ) -> int:
        return self.region.add(
            Input(shape=shape, demands=demands, name=name, bound=name, span=span, below=below)
        )

    def layer(
        self,
        layer: str,
        arguments: Arguments,
        operand: int,
        name: str = "",
        span: Span | None = None,
    ) -> int:
        if layer == "apply" and isinstance(arguments[0][1], Const):
            layer, arguments = str(arguments[0][1].value), ()
        given = dict(arguments)
        if layer == "narrow" and given["n"] == channels(self.shape(operand)):
            return operand
        if layer == "identity":
            return operand
        arguments = tuple(settled(layer, self.shape(operand), dict(arguments)).items())
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

    def scan(
        self,
        region: Region,
        arguments: Arguments,
        operands: tuple[int, ...],
        span: Span | None = None,
    ) -> int:
        """Runs a region along the first dimension of its operands."""
        along, steps = self.shape(operands[0])[0], [self.shape(o)[1:] for o in operands]
        inner = region.out_dims(arguments, [*steps, *region.state_dims(arguments)])
        return self.region.add(
            Scan(
                operands=operands,
                shape=(along, *inner),
                region=region,
                arguments=arguments,
                name=region.name,
                span=span,
            )
        )

    def elementwise(
        self,
        operator: str,
        operands: tuple[int, ...],
        number: Expr | None = None,
        swapped: bool = False,
        span: Span | None = None,
    ) -> int:
        """Arithmetic; where two values differ in rank, the one with fewer sizes is broadcast."""
        shape = max((self.shape(o) for o in operands), key=lambda s: (len(s), -complexity(s)))
        return self.region.add(
            Elementwise(
                operands=operands,
                shape=shape,
                operator=operator,
                number=number,
                swapped=swapped,
                span=span,
            )
        )

    def part(self, operand: int, index: int, count: int, span: Span | None = None) -> int:
        """Part `index` of a value's channels cut into `count`."""
        if count == 1:
            return operand
        shape = list(self.shape(operand))
        axis = channel_axis(len(shape))
        shape[axis] = binary("/", shape[axis], Const(count), span)
        return self.region.add(
            Part(operands=(operand,), shape=tuple(shape), index=index, count=count, span=span)
        )

    def branch(
        self,
        region: Region,
        env: Mapping[str, Expr],
        operands: tuple[int, ...],
        name: str = "",
        span: Span | None = None,
    ) -> int:
        """Applies a branch to values: as a node where it is one, in place where it makes no module
        of its own, else as one."""
        inner = within(region, env, [self.shape(o) for o in operands])
        if inner.form is Form.EMPTY:
            return operands[0]
        if inner.form in (Form.SINGLE, Form.GRAPH):
            return self.expanded(inner, operands, name, span)
        return self.region.add(
            Inline(
                operands=operands,
                shape=inner.output.shape,
                region=inner,
                name=name or region.name,
                span=span or region.span,
            )
        )

    def expanded(
        self, inner: Region, operands: tuple[int, ...], name: str, span: Span | None
    ) -> int:
        """The nodes of a branch in this region; the last one bears the name."""
        given, place = iter(operands), {}
        for number, node in inner.nodes():
            if isinstance(node, Input):
                place[number] = next(given)
                continue
            last = number == inner.outputs[0]
            own = tuple(place[o] for o in node.operands)
            place[number] = self.copy(node, {}, own, name if last else "", span if last else None)
        return place[inner.outputs[0]]

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
            return self.branch(then if condition.value else otherwise, {}, (operand,), name, span)
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
        operands: tuple[int, ...],
        decision: str,
        name: str,
        span: Span | None,
        how: str = "sum",
    ) -> int:
        env = region.bind(arguments, [self.shape(o) for o in operands])
        outputs = [option.body.output.shape for option in region.options]
        shapes = [tuple(substitute(size, env) for size in output) for output in outputs]
        return self.region.add(
            Choice(
                operands=operands,
                shape=joined_shape(how, shapes),
                region=region,
                arguments=arguments,
                decision=decision,
                how=how,
                name=name,
                span=span,
            )
        )

    def join(
        self,
        how: str,
        operands: tuple[int, ...],
        span: Span | None = None,
        loose: tuple[int, ...] = (),
    ) -> int:
        """A join of values (see `JOINS`); of a single value, that value."""
        if len(operands) == 1 and not loose:
            return operands[0]
        shape = joined_shape(how, [self.shape(o) for o in operands])
        return self.region.add(
            Join(operands=operands, shape=shape, how=how, name=how, loose=loose, span=span)
        )

    def copy(
        self,
        node: Node,
        env: Mapping[str, Expr],
        operands: tuple[int, ...],
        name: str = "",
        span: Span | None = None,
    ) -> int:
        """Adds a node of another region, its symbols replaced, folding what has become simple."""
        made = self.remade(node, env, operands, name or node.name, span or node.span)
        if node.shared and made not in operands:
            self.region.replace(made, shared=node.shared, name=node.name)
        if node.under and made not in operands:
            self.region.replace(made, under=node.under)
        return made

    def remade(
        self,
        node: Node,
        env: Mapping[str, Expr],
        operands: tuple[int, ...],
        name: str,
        span: Span | None,
    ) -> int:
        match node:
            case Layer():
                arguments = substituted(node.arguments, env)
                return self.layer(node.layer, arguments, operands[0], name, span)
            case Elementwise():
                number = None if node.number is None else substitute(node.number, env)
                return self.elementwise(node.operator, operands, number, node.swapped, span)
            case Part():
                return self.part(operands[0], node.index, node.count, span)
            case Scan():
                arguments = substituted(node.arguments, env)
                return self.scan(node.region, arguments, operands, span)
            case Call():
                return self.call(
                    node.region, substituted(node.arguments, env), operands, name, span
                )
            case Inline():
                return self.branch(node.region, env, operands, name, span)
            case Select():
                shape = self.shape(operands[0])
                condition = substitute(node.condition, env)
                if isinstance(condition, Const):
                    taken = node.then if condition.value else node.otherwise
                    return self.branch(taken, env, operands, name, span)
                then = within(node.then, env, [shape])
                otherwise = within(node.otherwise, env, [shape])
                return self.select(condition, then, otherwise, operands[0], name, span)
            case Choice():
                arguments = substituted(node.arguments, env)
                region = node.region
                if region.is_branch:
                    region = self.options_within(region, env, [self.shape(o) for o in operands])
                decision, how = node.decision, node.how
                return self.choice(region, arguments, operands, decision, name, span, how)
            case Join():
                return self.join(node.how, operands, span, node.loose)
        shape = tuple(substitute(size, env) for size in node.shape)
        return self.region.add(replace(node, operands=operands, shape=shape, name=name))

    def options_within(self, region: Region, env: Mapping[str, Expr], shapes: list[Dims]) -> Region:
        """The options of a choice as they stand at values of other shapes."""
        made = Region(region.name, region.kind, span=region.span)
        made.options = tuple(replace(o, body=within(o.body, env, shapes)) for o in region.options)
        names = [node.name for _, node in region.inputs]
        inputs = [Builder(made).input(n, shape) for n, shape in zip(names, shapes, strict=True)]
        made.outputs = tuple(inputs[:1])
        return made

    def finish(self, outputs: tuple[int, ...]) -> Region:
        """Closes the region: names of modules that several bear are numbered."""
        region = self.region
        region.outputs = outputs
        modules = [(i, n) for i, n in region.nodes() if is_module(n) and not n.shared]
        borne = Counter(n.name for _, n in modules)
        taken = {n.name for _, n in modules if borne[n.name] == 1}
        taken |= {n.shared for _, n in region.nodes()}
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
    return isinstance(node, Call | Inline | Choice | Select | Repeat | Scan)


def within(region: Region, env: Mapping[str, Expr], shapes: list[Dims]) -> Region:
    """A branch as it stands at values of `shapes` in another region, its symbols replaced."""
    builder = Builder(Region(region.name, "branch", span=region.span, comment=region.comment))
    place: dict[int, int] = {}
    given = iter(shapes)
    for number, node in region.nodes():
        operands = tuple(place[o] for o in node.operands)
        if isinstance(node, Input):
            place[number] = builder.input(node.name, next(given), span=node.span)
        else:
            place[number] = builder.copy(node, env, operands)
    return builder.finish(tuple(place[o] for o in region.outputs))


def joined_shape(how: str, shapes: list[Dims]) -> Dims:
    """The shape of values joined; of equal ones, the one with the least to read."""
    shape = min(shapes, key=complexity)
    if how != "concat":
        return shape
    axis = channel_axis(len(shape))
    width = reduce(add, (s[axis] for s in shapes))
    return (*shape[:axis], width, *shape[axis + 1 :])


def complexity(shape: Dims) -> int:
    return sum(size_of(size) for size in shape)
