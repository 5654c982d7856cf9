"""A program laid out flat: every op, cell, stack and choice replaced by the layers it comes to.

before   cells = (stem, stem) -> repeat 8 { normal(16 * 2^stage) … }
after    %7 = relu <- %3, %8 = depthwise(3) `cells.0.n0_from_a.sep_conv_3x3.1` <- %7, …

Choices become mixtures of their options, those that are idle left out. What is drawn once for a
recurrence stands before its loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from compiler import joins, layers
from compiler.codegen.names import attributes, inner_attributes, key, shared_attributes
from compiler.expr import Const, evaluate
from compiler.facts import OpenSize, Sizes
from compiler.flat.nodes import (
    FLAT,
    Item,
    Loop,
    Mask,
    MixingWeights,
    SharedLayer,
    State,
    Term,
    Weight,
    mixture,
)
from compiler.instantiate import LENGTHS
from compiler.ir import (
    Call,
    Choice,
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
    Tap,
    is_mask,
    is_term_by_term,
)
from compiler.program import Program, stacks


@dataclass(frozen=True)
class Expand:
    name: str = "expand"

    def apply(self, program: Program) -> Program:
        return replace(program, network=_Expansion(program).network())


@dataclass
class _Owner:
    """The declared region being laid out: its path, and the names of what its branches hold."""

    path: str = ""
    kind: str = ""
    inner: dict[tuple[int, int], str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)


@dataclass
class _Step:
    """A loop's body being laid out, with what it takes from the region around."""

    around: Region
    like: int
    """The first sequence, which says how large a batch is."""
    drawn: dict[int, int] = field(default_factory=dict)
    """The inputs of the body that stand for values around it, by their numbers there."""


class _Expansion:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.flat = Region(program.name, FLAT, promises=program.network.promises)
        self.owner = _Owner()
        self.weights: dict[str, tuple[int, int]] = {}
        self.states: list[int] = []
        self.after: list[int] = []
        self.masks: dict[Any, int] = {}
        self.loop: _Step | None = None
        self.recurrent: int | None = None
        self.readout = 0

    def network(self) -> Region:
        network = self.program.network
        env = {name: OpenSize(LENGTHS[0], name) for name in self.program.open_sizes}
        env.update(self.program.values)
        inputs = [
            self.input(node.name, [evaluate(size, env) for size in node.shape], node.below, env)
            for _, node in network.inputs
        ]
        for kind in self.program.kinds:
            self.mixing_weights(kind)
        for _, node in network.nodes():
            if isinstance(node, Scan):
                arguments = {n: evaluate(v, env) for n, v in node.arguments}
                for state in node.region.state_dims(()):
                    shape = [evaluate(size, arguments) for size in state]
                    self.states.append(self.flat.add(State(name="state", shape=_constants(shape))))
        outputs = self.region(network, env, inputs, "")
        self.flat.outputs = (*outputs, *self.after, *self.observed())
        return self.flat

    def observed(self) -> tuple[int, ...]:
        """What the last recurrence gives and the layer of the output reads, if there is one.

        Penalties are on these; see `compiler.building.marked`.
        """
        if self.recurrent is None:
            return ()
        return self.recurrent, self.readout

    def input(self, name: str, shape: Sequence[int], below: Any = None, env: Any = None) -> int:
        bound = None if below is None else Const(evaluate(below, env))
        return self.flat.add(Input(name=name, shape=_constants(shape), below=bound))

    def mixing_weights(self, kind: Region) -> None:
        """An input for every tensor of mixing weights, and where each decision finds its row."""
        for stack in stacks(kind.decisions):
            options = len(kind.decisions[stack[0]].options)
            shape = _constants((len(stack), options))
            tensor = self.flat.add(MixingWeights(name=kind.name, kind=kind.name, shape=shape))
            for row, number in enumerate(stack):
                self.weights[f"{kind.name} {kind.decisions[number].path}"] = tensor, row

    # -- regions

    def region(self, region: Region, env: dict[str, Any], inputs: list[int], at: str) -> list[int]:
        """The values that a region gives back."""
        around = self.owner
        if not region.is_branch:
            inner, shared = inner_attributes(region), shared_attributes(region)
            self.owner = _Owner(at, region.name, inner, shared)
        names = attributes(region)
        values: dict[int, int] = {}
        outputs: dict[int, list[int]] = {}
        given = iter(inputs)
        live = region.live() - region.heads()
        for number, node in region.nodes():
            if isinstance(node, Input):
                values[number] = next(given)
            elif number in live:
                place = self.place(region, number, node, names, at)
                operands = [values[o] for o in node.operands]
                if isinstance(node, Repeat):
                    outputs[number] = self.repeat(node, env, operands, place)
                    values[number] = outputs[number][-1]
                elif isinstance(node, Tap):
                    values[number] = outputs[node.operands[0]][evaluate(node.index, env)]
                else:
                    values[number] = self.node(region, number, env, operands, place)
                if region is self.program.network:
                    self.observe(number, node, values[number], operands)
                if isinstance(node, Repeat | Tap):
                    self.learn(node, values[number], env)
        self.owner = around
        return [values[output] for output in region.outputs]

    def observe(self, number: int, node: Any, value: int, operands: list[int]) -> None:
        if isinstance(node, Scan):
            self.recurrent = value
        if number == self.program.network.outputs[0]:
            self.readout = operands[0]

    def place(self, region: Region, number: int, node: Any, names: dict[int, str], at: str) -> str:
        """The path of a node's module."""
        path = names.get(number, "") if region.form is Form.GRAPH else region.path(number)
        own = self.owner.inner.get((id(region), number), self.owner.shared.get(node.shared))
        return _joined(self.owner.path, own) if own else _joined(at, path)

    def node(
        self, region: Region, number: int, env: dict[str, Any], operands: list[int], at: str
    ) -> int:
        node = region.node(number)
        match node:
            case Layer() if is_mask(node):
                key_ = (self.owner.path, node.shared) if node.shared else (id(region), number, at)
                return self.masked(key_, node, env, operands[0])
            case Layer():
                return self.layer(node, env, operands[0], at)
            case Join() | Elementwise() | Part():
                return self.reckoned(node, env, operands)
            case Call():
                inner = self.bound(node, env, operands)
                return self.region(node.region, inner, operands, at)[0]
            case Inline():
                return self.region(node.region, env, operands, at)[0]
            case Select():
                taken = node.then if evaluate(node.condition, env) else node.otherwise
                return self.region(taken, env, operands, at)[0]
            case Choice():
                return self.choice(node, env, operands, at)
            case Scan():
                return self.scan(node, env, operands, at)
        raise TypeError(f"cannot lay out {type(node).__name__}")

    def bound(self, node: Any, env: dict[str, Any], operands: list[int]) -> dict[str, Any]:
        if node.region.is_branch:
            return env
        arguments = tuple((n, evaluate(v, env)) for n, v in node.arguments)
        bound: dict[str, Any] = node.region.bind(arguments, [self.shape(o) for o in operands])
        return bound

    # -- nodes

    def layer(self, node: Layer, env: dict[str, Any], operand: int, at: str) -> int:
        arguments = {name: evaluate(value, env) for name, value in node.arguments}
        arguments = layers.settled(node.layer, self.shape(operand), arguments)
        return self.flat.add(
            SharedLayer(
                layer=node.layer,
                arguments=tuple((name, Const(value)) for name, value in arguments.items()),
                operands=(operand,),
                shape=_constants(layers.out_shape(node.layer, self.shape(operand), arguments)),
                name=at,
                span=node.span,
                bound=node.bound,
            )
        )

    def reckoned(self, node: Any, env: dict[str, Any], operands: list[int]) -> int:
        shapes = [self.shape(o) for o in operands]
        match node:
            case Join():
                shape = joins.joined(node.how, shapes, [None] * len(shapes))
            case Part():
                shape = joins.part(shapes[0], node.count)
            case _:
                shape = max(shapes, key=len)
                if node.number is not None:
                    node = replace(node, number=Const(evaluate(node.number, env)))
        return self.flat.add(replace(node, operands=tuple(operands), shape=_constants(shape)))

    def choice(self, node: Choice, env: dict[str, Any], operands: list[int], at: str) -> int:
        tensor, row = self.weights[f"{self.owner.kind} {node.decision}"]
        inner = self.bound(node, env, operands)
        joint = len(operands) > 1 and not is_term_by_term(node)
        values, terms = [], []
        for column, option in enumerate(node.region.options):
            if not option.idle:
                place = _joined(at, key(option.label))
                run = self.step if joint else self.value
                values.append(run(option.body, dict(inner), operands, place))
                terms.append(Term((Weight(self.around(tensor), row, column),)))
        if node.how == "concat":
            return self.side_by_side(values, terms, node)
        return self.flat.add(
            mixture(tuple(values), tuple(terms), self.flat.node(values[0]).shape, span=node.span)
        )

    def side_by_side(self, values: list[int], terms: list[Term], node: Choice) -> int:
        """Options each times its weight, channel after channel."""
        parts = [
            self.flat.add(mixture((value,), (term,), self.flat.node(value).shape, span=node.span))
            for value, term in zip(values, terms, strict=True)
        ]
        joined = Join(operands=tuple(parts), how="concat", shape=(), name="concat", span=node.span)
        return self.reckoned(joined, {}, parts)

    def repeat(self, node: Repeat, env: dict[str, Any], window: list[int], at: str) -> list[int]:
        """The outputs of all steps of a stack."""
        places = {evaluate(p, env): step for step in node.steps[1:] for p in step.places or ()}
        outputs, stage = [], 0
        for index in range(evaluate(node.count, env)):
            step = places.get(index, node.steps[0])
            stage += index in places
            inner = {**env, "step": index, "stage": stage}
            for name, value in zip(node.window, window, strict=True):
                pairs = zip("chw", self.shape(value), strict=False)
                inner.update({f"{name}_{d}": n for d, n in pairs})
            reads = window[len(window) - len(step.body.inputs) :]
            outputs.append(self.step(step.body, inner, reads, f"{at}.{index}"))
            window = [*window[1:], outputs[-1]]
        return outputs

    def value(self, body: Region, env: dict[str, Any], inputs: list[int], at: str) -> int:
        return self.region(body, env, inputs, at)[0]

    def step(self, body: Region, env: dict[str, Any], inputs: list[int], at: str) -> int:
        """A body that is one node is the module itself; its place is that of the module."""
        rest = [number for number, n in body.nodes() if not isinstance(n, Input)]
        if len(rest) == 1:
            return self.node(body, rest[0], env, inputs, at)
        return self.value(body, env, inputs, at)

    def learn(self, node: Any, value: int, env: dict[str, Any]) -> None:
        """The sizes of a stack's output are symbols of what follows."""
        pairs = zip(node.shape, self.shape(value), strict=True)
        env.update({symbol.name: size for symbol, size in pairs})

    # -- recurrences

    def scan(self, node: Scan, env: dict[str, Any], operands: list[int], at: str) -> int:
        states = [self.states.pop(0) for _ in range(node.region.states or 0)]
        arguments = tuple((n, evaluate(v, env)) for n, v in node.arguments)
        given = [*(self.shape(o)[1:] for o in operands), *(self.shape(s) for s in states)]
        step = self.loop = _Step(self.flat, operands[0])
        self.flat = body = Region(node.region.name, FLAT)
        outside, self.masks = self.masks, {}
        inputs = [
            self.input(inner.name, shape)
            for (_, inner), shape in zip(node.region.inputs, given, strict=True)
        ]
        outputs = self.region(node.region, node.region.bind(arguments, given), inputs, at)
        body.outputs = tuple(outputs)
        self.flat, self.masks, self.loop = step.around, outside, None
        shape = _constants((self.shape(operands[0])[0], *_sizes(body.output)))
        loop = self.flat.add(
            Loop(
                operands=(*operands, *states, *step.drawn),
                shape=shape,
                region=body,
                sequences=len(operands),
                states=len(states),
            )
        )
        for index in range(len(states)):
            after = Item(
                operands=(loop,), index=1 + index, shape=self.flat.node(states[index]).shape
            )
            self.after.append(self.flat.add(after))
        return self.flat.add(Item(operands=(loop,), index=0, shape=shape))

    def around(self, number: int) -> int:
        """A value of the network's, where a loop's body is being laid out: as an input of that."""
        step = self.loop
        if step is None:
            return number
        if number not in step.drawn:
            outer = step.around.node(number)
            step.drawn[number] = self.flat.add(outer)
        return step.drawn[number]

    def masked(self, key_: Any, node: Layer, env: dict[str, Any], x: int) -> int:
        """A value times its mask."""
        if key_ not in self.masks:
            arguments = {n: evaluate(v, env) for n, v in node.arguments}
            self.masks[key_] = self.mask(arguments["p"], arguments["per"] == "sequence", x)
        return self.flat.add(
            Elementwise(operator="*", operands=(x, self.masks[key_]), shape=self.flat.node(x).shape)
        )

    def mask(self, p: float, sequence: bool, x: int) -> int:
        shape = self.flat.node(x).shape
        step = self.loop
        if step is None or not sequence:
            of_steps = sequence and len(shape) == 2
            shape = shape[1:] if of_steps else shape
            return self.flat.add(Mask(operands=(x,), p=p, sequence=of_steps, shape=shape))
        drawn = step.around.add(Mask(operands=(step.like,), p=p, sequence=True, shape=shape))
        step.drawn[drawn] = self.flat.add(Input(name="mask", shape=shape))
        return step.drawn[drawn]

    def shape(self, number: int) -> Sizes:
        return _sizes(self.flat.node(number))


def _joined(at: str, path: str | None) -> str:
    return ".".join(part for part in (at, path) if part)


def _sizes(node: Node) -> Sizes:
    return tuple(size.value for size in node.shape)  # type: ignore[attr-defined]


def _constants(shape: Sequence[Any]) -> tuple[Const, ...]:
    return tuple(Const(size) for size in shape)
