"""The program of a final model: every choice replaced by its winner, edges not kept left out.

This is partial evaluation. What the winner makes simple becomes simple in passing: an identity is
the value itself, zeros vanish from a sum, and drop-path disappears after nothing but identity.
Layers with weights stay, also where nothing reads them, as the published counts have it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from compiler.builder import Builder
from compiler.decision import holds, winners
from compiler.expr import Const, Expr, Open, substitute
from compiler.ir import (
    Call,
    Choice,
    Form,
    Input,
    Join,
    Layer,
    Node,
    Region,
    Repeat,
    Scan,
    choices,
    is_open,
    substituted,
)
from compiler.presence import read
from compiler.program import Program
from dsl.diagnostics import fault


def specialise(program: Program, chosen: dict[str, dict[str, str]]) -> Program:
    """`chosen[kind][path]` is the option of a decision that is left (see `fitting.resolve`)."""
    return replace(program, network=Specialiser(chosen).region(program.network))


class Specialiser:
    def __init__(self, chosen: dict[str, dict[str, str]]) -> None:
        self.chosen = chosen
        self.kind: Region | None = None
        """The declared region that is being rebuilt."""
        self.numbers: dict[str, Expr] = {}
        """What was chosen in it, in place of the numbers that were still to be chosen."""
        self.read: set[int] = set()
        """In a region that joins what is loose, the values that something else reads."""
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
        around = self.kind, self.numbers, self.read
        self.kind = region
        self.numbers = self.chosen_numbers(region)
        place, self.origins[id(new)] = self.filled(Builder(new), region)
        new.auxiliary = tuple(_there(place[o]) for o in region.auxiliary)
        made = Builder(new).finish(tuple(_there(place[o]) for o in region.outputs))
        self.kind, self.numbers, self.read = around
        return made

    def filled(self, builder: Builder, region: Region) -> tuple[dict[int, int | None], list[int]]:
        """Adds the nodes of a region to another: where each came to stand, and by the new values
        the old one that each was made for."""
        new = builder.region
        place: dict[int, int | None] = {}
        origins: list[int] = []
        if any(isinstance(node, Join) and node.loose for _, node in region.nodes()):
            self.read = read(region, self.options)
        for number, node in region.nodes():
            operands = [place[o] for o in node.operands]
            place[number] = self.node(builder, region, node, operands)
            origins += [number] * (len(new.values) - len(origins))
            made = place[number]
            if made is not None and node.bound is not None and new.node(made).bound is None:
                new.replace(made, bound=node.bound)
        return place, origins

    def option(self, body: Region) -> Region:
        """An option that is chosen, with what is decided in it."""
        if not any(isinstance(n, Choice) or is_open_call(n) for _, n in body.nodes()):
            return body
        new = Region(body.name, body.kind, span=body.span, comment=body.comment)
        place, _ = self.filled(Builder(new), body)
        return Builder(new).finish(tuple(_there(place[o]) for o in body.outputs))

    def choices_of(self, path: str) -> tuple[str, ...]:
        """The options that a decision of the region at hand has come out with."""
        return winners(self.options.get(path, ""))

    @property
    def options(self) -> dict[str, str]:
        """The options that are chosen in the region at hand, by path."""
        assert self.kind is not None
        return self.chosen.get(self.kind.name, {})

    def chosen_numbers(self, region: Region) -> dict[str, Expr]:
        """The numbers that were chosen, in place of those still to be chosen."""
        found: dict[str, Expr] = {}
        for decision in region.decisions:
            labels = [label for label, _ in decision.options]
            for label in self.choices_of(decision.path) if decision.numbers else ():
                number = decision.numbers[labels.index(label)]
                found[Open(decision.path, decision.numbers).key] = Const(number)
        return found

    def decided(self, region: Region) -> tuple[str, ...]:
        """What a kind decided, as `n[0] = sum(a -> skip_connect, b -> sep_conv_3x3)`."""
        how = {n.decision: _joined_by(inside, i) for inside, i, n in choices(region)}
        joins: dict[str, str] = {}
        chosen = self.chosen.get(region.name, {})
        edges: dict[str, list[str]] = {}
        for decision in region.decisions:
            if decision.path in chosen:
                source = f"{decision.source} -> " if decision.source else ""
                node = decision.place
                edges.setdefault(node, []).append(source + chosen[decision.path])
                joins.setdefault(node, how.get(decision.path, "of"))
        return tuple(
            f"{node} = {own[0]}" if len(own) == 1 else f"{node} = {joins[node]}({', '.join(own)})"
            for node, own in edges.items()
        )

    def node(
        self, builder: Builder, region: Region, node: Node, operands: list[int | None]
    ) -> int | None:
        """The node's place in the new region; None on an edge that was not kept."""
        if not holds(node.under, self.options):
            return None
        env = self.numbers
        match node:
            case Input():
                shape = tuple(substitute(size, env) for size in node.shape)
                return builder.region.add(replace(node, shape=shape))
            case Choice():
                return self.choice(builder, node, operands)
            case Join():
                return self.join(builder, node, operands)
        if any(o is None for o in operands):
            return None
        there = tuple(_there(o) for o in operands)
        match node:
            case Layer(layer="drop_path") if self.passes_through(builder, region, node, there[0]):
                return there[0]
            case Call():
                inner = self.region(node.region)
                arguments = substituted(node.arguments, env)
                made = builder.call(inner, arguments, there, node.name, node.span)
                if node.shared and made not in there:
                    builder.region.replace(made, shared=node.shared, name=node.name)
                return made
            case Scan():
                return builder.scan(self.region(node.region), node.arguments, there, node.span)
            case Repeat():
                steps = tuple(replace(s, body=self.region(s.body)) for s in node.steps)
                return builder.region.add(replace(node, operands=there, steps=steps))
        return builder.copy(replace(node, under=()), env, there)

    def choice(self, builder: Builder, node: Choice, operands: list[int | None]) -> int | None:
        labels = self.choices_of(node.decision)
        if not labels:
            return None
        taken = [o for o in node.region.options if o.label in labels]
        made = [self.taken(builder, node, option.body, operands) for option in taken]
        return builder.join(node.how, tuple(made), node.span)

    def taken(
        self, builder: Builder, node: Choice, body: Region, operands: list[int | None]
    ) -> int:
        """The value of an option that was chosen."""
        passed = _passed_through(body)
        if passed is not None:
            return _there(operands[passed])
        body = self.option(body)
        first = next(o for o in operands if o is not None)  # stands for what is not read
        given = tuple(first if o is None else o for o in operands)
        env = {**symbols_of(node, builder, list(given)), **self.numbers}
        made = builder.branch(body, env, given, node.name, node.span)
        new = builder.region.node(made)
        is_module = body.form is not Form.GRAPH and not new.shared and not _is_zero(new)
        if made not in given and is_module:
            builder.region.replace(made, name=node.name)  # an edge is a module, stateless too
        return made

    def join(self, builder: Builder, node: Join, operands: list[int | None]) -> int | None:
        loose = {place for place in node.loose if node.operands[place] not in self.read}
        there = [
            o
            for place, o in enumerate(operands)
            if o is not None and (place in loose or place not in node.loose)
        ]
        if not there and any(o is not None for o in operands):
            message = f"there is nothing to {node.how}: something reads all that could be loose"
            help = f"`{node.how}(n)`, or another genotype"
            raise fault("E0604", message, node.span, help)
        if not there:
            return None
        if node.how == "sum":
            rest = [o for o in there if not _is_zero(builder.region.node(o))]
            there = rest or there[:1]
        return builder.join(node.how, tuple(there), node.span)

    def passes_through(self, builder: Builder, region: Region, node: Layer, operand: int) -> bool:
        """Whether drop-path would follow nothing but identity, or zeros."""
        before = region.node(node.operands[0])
        if _is_zero(builder.region.node(operand)):
            return True
        if not isinstance(before, Choice) or len(before.operands) > 1:
            return False
        labels = self.choices_of(before.decision)
        if len(labels) != 1:
            return False
        body = self.option(next(o.body for o in before.region.options if o.label == labels[0]))
        env = {**symbols_of(before, builder, [operand]), **self.numbers}
        scratch = Builder(Region("scratch", "branch"))
        x = scratch.input("x", builder.shape(operand))
        return scratch.branch(body, env, (x,)) == x


def symbols_of(choice: Choice, builder: Builder, operands: list[int]) -> dict[str, Any]:
    """What the symbols of a choice's options stand for where it reads these values."""
    if choice.region.is_branch:
        return {}
    return choice.region.bind(choice.arguments, [builder.shape(o) for o in operands])


def _joined_by(region: Region, number: int) -> str:
    """The join that a value flows into."""
    waiting, seen = [number], {number}
    while waiting:
        node = region.node(number := waiting.pop(0))
        if isinstance(node, Join):
            return node.how
        new = [n for n in region.graph.successors(number) if n not in seen]
        waiting += new
        seen |= set(new)
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


def is_open_call(node: Node) -> bool:
    """Whether a node calls something that decides."""
    return isinstance(node, Call | Scan) and is_open(node.region)


def _is_zero(node: Node) -> bool:
    return isinstance(node, Layer) and node.layer == "zero"


def _there(number: int | None) -> int:
    assert number is not None, "a value that is read was on an edge that is not kept"
    return number
