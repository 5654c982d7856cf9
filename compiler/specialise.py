"""The program of a final model: every choice replaced by its winner, edges not kept left out.

This is partial evaluation. What the winner makes simple becomes simple in passing: an identity is
the value itself, zeros vanish from a sum, and drop-path disappears after nothing but identity.
Layers with weights stay, also where nothing reads them, as the published counts have it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from compiler.builder import Builder
from compiler.ir import Call, Choice, Form, Input, Join, Layer, Node, Region, Repeat, Scan, is_open
from compiler.program import Program


def specialise(program: Program, chosen: dict[str, dict[str, str]]) -> Program:
    """`chosen[kind][path]` is the option of a decision that is left (see `fitting.resolve`)."""
    return replace(program, network=Specialiser(chosen).region(program.network))


class Specialiser:
    def __init__(self, chosen: dict[str, dict[str, str]]) -> None:
        self.chosen = chosen
        self.done: dict[int, Region] = {}
        self.origins: dict[int, list[int]] = {}
        """By the identity of a new region, the old value that each of its values was made for."""

    def region(self, region: Region) -> Region:
        if id(region) not in self.done:
            self.done[id(region)] = self.rebuilt(region) if is_open(region) else region
        return self.done[id(region)]

    def rebuilt(self, region: Region) -> Region:
        new = Region(
            region.name,
            region.kind,
            dict(region.parameters),
            promises=region.promises,
            header=region.header,
            comment=region.comment,
            order=region.order,
            span=region.span,
            sources=region.sources,
            states=region.states,
            decided=self.decided(region),
        )
        builder = Builder(new)
        place: dict[int, int | None] = {}
        origins = self.origins[id(new)] = []
        for number, node in region.nodes():
            operands = [place[o] for o in node.operands]
            place[number] = self.node(builder, region, node, operands)
            origins += [number] * (len(new.values) - len(origins))
            made = place[number]
            if made is not None and node.bound is not None and new.node(made).bound is None:
                new.replace(made, bound=node.bound)
        new.auxiliary = tuple(_there(place[o]) for o in region.auxiliary)
        return builder.finish(tuple(_there(place[o]) for o in region.outputs))

    def decided(self, region: Region) -> tuple[str, ...]:
        """What a kind decided, as `n[0] = sum(a -> skip_connect, b -> sep_conv_3x3)`."""
        how = {
            n.decision: _joined_by(region, i) for i, n in region.nodes() if isinstance(n, Choice)
        }
        joins: dict[str, str] = {}
        chosen = self.chosen.get(region.name, {})
        edges: dict[str, list[str]] = {}
        for decision in region.decisions:
            if decision.path in chosen:
                source = f"{decision.source} -> " if decision.source else ""
                node = decision.place
                edges.setdefault(node, []).append(source + chosen[decision.path])
                joins.setdefault(node, how[decision.path])
        return tuple(
            f"{node} = {own[0]}" if len(own) == 1 else f"{node} = {joins[node]}({', '.join(own)})"
            for node, own in edges.items()
        )

    def node(
        self, builder: Builder, region: Region, node: Node, operands: list[int | None]
    ) -> int | None:
        """The node's place in the new region; None on an edge that was not kept."""
        match node:
            case Input():
                return builder.region.add(node)
            case Choice():
                return self.choice(builder, region, node, [_there(o) for o in operands])
            case Join():
                return self.join(builder, node, [o for o in operands if o is not None])
        if any(o is None for o in operands):
            return None
        there = tuple(_there(o) for o in operands)
        match node:
            case Layer(layer="drop_path") if self.passes_through(builder, region, node, there[0]):
                return there[0]
            case Call():
                inner = self.region(node.region)
                made = builder.call(inner, node.arguments, there, node.name, node.span)
                if node.shared and made not in there:
                    builder.region.replace(made, shared=node.shared, name=node.name)
                return made
            case Scan():
                return builder.scan(self.region(node.region), node.arguments, there, node.span)
            case Repeat():
                steps = tuple(replace(s, body=self.region(s.body)) for s in node.steps)
                return builder.region.add(replace(node, operands=there, steps=steps))
        return builder.copy(node, {}, there)

    def choice(
        self, builder: Builder, region: Region, node: Choice, operands: list[int]
    ) -> int | None:
        label = self.chosen[region.name].get(node.decision)
        if label is None:
            return None
        option = next(o for o in node.region.options if o.label == label)
        passed = _passed_through(option.body)
        if passed is not None:
            return operands[passed]
        env = symbols_of(node, builder, operands)
        made = builder.branch(option.body, env, tuple(operands), node.name, node.span)
        new = builder.region.node(made)
        is_module = option.body.form is not Form.GRAPH and not new.shared and not _is_zero(new)
        if made not in operands and is_module:
            builder.region.replace(made, name=node.name)  # an edge is a module, stateless too
        return made

    def join(self, builder: Builder, node: Join, operands: list[int]) -> int | None:
        if not operands:
            return None
        if node.how == "sum":
            rest = [o for o in operands if not _is_zero(builder.region.node(o))]
            operands = rest or operands[:1]
        return builder.join(node.how, tuple(operands), node.span)

    def passes_through(self, builder: Builder, region: Region, node: Layer, operand: int) -> bool:
        """Whether drop-path would follow nothing but identity, or zeros."""
        before = region.node(node.operands[0])
        if _is_zero(builder.region.node(operand)):
            return True
        if not isinstance(before, Choice) or len(before.operands) > 1:
            return False
        label = self.chosen[region.name][before.decision]
        option = next(o for o in before.region.options if o.label == label)
        env = symbols_of(before, builder, [operand])
        scratch = Builder(Region("scratch", "branch"))
        x = scratch.input("x", builder.shape(operand))
        return scratch.branch(option.body, env, (x,)) == x


def symbols_of(choice: Choice, builder: Builder, operands: list[int]) -> dict[str, Any]:
    """What the symbols of a choice's options stand for where it reads these values."""
    if choice.region.is_branch:
        return {}
    return choice.region.bind(choice.arguments, [builder.shape(o) for o in operands])


def _joined_by(region: Region, number: int) -> str:
    """The join that a value flows into."""
    waiting = [number]
    while waiting:
        number = waiting.pop(0)
        node = region.node(number)
        if isinstance(node, Join):
            return node.how
        waiting += region.graph.successors(number)
    return "of"


def _passed_through(body: Region) -> int | None:
    """Which of its values an option gives back as it is, as `op left from a, _ = a` does."""
    inputs = [number for number, _ in body.inputs]
    rest = [node for _, node in body.nodes() if not isinstance(node, Input)]
    if not rest and body.outputs[0] in inputs:
        return inputs.index(body.outputs[0])
    match rest:
        case [Call(region=region, operands=operands)] if region.is_pure:
            inner = _passed_through(region)
            return None if inner is None else inputs.index(operands[inner])
    return None


def _is_zero(node: Node) -> bool:
    return isinstance(node, Layer) and node.layer == "zero"


def _there(number: int | None) -> int:
    assert number is not None, "a value that is read was on an edge that is not kept"
    return number
