"""`forward`: a region's values as statements, in the order of the program."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from compiler.codegen import torch_layers
from compiler.codegen.layout import Call, Doc, ListOf, Sum, Text, lines
from compiler.codegen.names import attributes, local
from compiler.codegen.scope import Context
from compiler.expr import Const, show
from compiler.ir import (
    Call as CallNode,
)
from compiler.ir import (
    Choice,
    Form,
    Inline,
    Input,
    Join,
    Layer,
    Region,
    Repeat,
    Select,
    Step,
    Tap,
    is_cell_call,
    is_open,
    stacks,
)
from compiler.lowering.labels import attribute

DEEPEST = 2
"""How many calls a statement may nest before it goes on in another one."""


@dataclass
class Value:
    doc: Doc
    depth: int = 0


@dataclass
class Forward:
    """Writes the body of one region's `forward`."""

    context: Context
    region: Region
    statements: list[str] = field(default_factory=list)
    values: dict[int, Value] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    indent: int = 8

    def __post_init__(self) -> None:
        self.attributes = attributes(self.region)
        self.live = self.region.live()
        self.heads = self.region.heads()
        if is_open(self.region):
            self.taken |= {"weights", "w"}
        self.tapped: dict[int, str] = {}
        rows = enumerate(stacks(self.region.decisions))
        several = len(stacks(self.region.decisions)) > 1
        self.rows = {
            self.region.decisions[number].path: f"w[{s}][{row}]" if several else f"w[{row}]"
            for s, stack in rows
            for row, number in enumerate(stack)
        }

    def write(self) -> list[str]:
        for number, node in self.region.nodes():
            if isinstance(node, Input) or (number in self.live and number not in self.heads):
                self.add(number, node)
        self.finish()
        return self.statements

    def add(self, number: int, node: Any) -> None:
        """Adds a value: a variable where it is bound or read twice, else part of its reader."""
        if isinstance(node, Input):
            self.values[number] = Value(Text(self.variable(node.name)))
            return
        if isinstance(node, Repeat):
            self.repeat(number, node)
            return
        if isinstance(node, Tap):
            self.values[number] = Value(Text(self.tapped[number]))
            return
        value = self.expression(number, node)
        readers = [r for r in self.region.graph.successors(number) if r in self.live]
        starts_window = bool(readers) and all(
            isinstance(self.region.node(r), Repeat) for r in readers
        )
        if node.bound is not None and readers and not starts_window:
            self.bind(number, value, self.variable(attribute(node.bound)))
        elif len(readers) > 1 and not starts_window:
            self.bind(number, value, self.variable(self.target(number)))
        else:
            self.values[number] = value

    def bind(self, number: int, value: Value, name: str) -> None:
        self.statements += lines(value.doc, self.indent, f"{name} = ")
        self.values[number] = Value(Text(name))

    def variable(self, name: str) -> str:
        """An identifier that no other value of this region has."""
        name = unique = local(name)
        count = 1
        while unique in self.taken:
            unique, count = f"{name}{count}", count + 1
        self.taken.add(unique)
        return unique

    def reused(self, name: str, number: int) -> str:
        """A variable of a loop: one of that name serves again when nothing waits for its value."""
        name = local(name)
        mentioned = re.compile(rf"(?<![\w.]){name}\b")
        held = [o for o, value in self.values.items() if mentioned.search(value.doc.flat())]
        if any(self.awaited(other, number) for other in held):
            return self.variable(name)
        self.taken.add(name)
        return name

    def awaited(self, number: int, at: int) -> bool:
        """Whether a value is read after the value `at`."""
        readers = self.live.intersection(self.region.graph.successors(number))
        ends = number in self.region.outputs or number in self.region.auxiliary
        return ends or any(r > at or r in self.heads for r in readers)

    def target(self, number: int) -> str:
        """What a value on the way to a bound one is called: as that, else `x`."""
        readers = [r for r in self.region.graph.successors(number) if r in self.live]
        while len(readers) == 1 and len(self.region.node(readers[0]).operands) == 1:
            node = self.region.node(readers[0])
            if node.bound is not None:
                return attribute(node.bound)
            readers = [r for r in self.region.graph.successors(readers[0]) if r in self.live]
        return "x"

    def operand(self, number: int) -> Value:
        """An operand's expression; what nests too deep already becomes a statement first."""
        value = self.values[number]
        if value.depth >= DEEPEST:
            name = local(self.target(number))
            if name in self.taken or name == "x":
                name = self.variable(name)
            self.bind(number, value, name)
        return self.values[number]

    def expression(self, number: int, node: Any) -> Value:
        joined = isinstance(node, Join)
        operands = [self.values[o] if joined else self.operand(o) for o in node.operands]
        docs = [o.doc for o in operands]
        depth = max(o.depth for o in operands)
        if isinstance(node, Join):
            return self.join(node, docs, depth)
        if number in self.attributes:
            extra: list[str] = []
            if isinstance(node, Choice):
                extra = [self.rows[node.decision]]
            elif isinstance(node, CallNode | Inline | Select) and self.weighted(node):
                extra = ["weights"]
            return Value(Call(f"self.{self.attributes[number]}", *docs, *extra), depth + 1)
        assert isinstance(node, Layer)
        if node.layer == "drop_path":
            self.context.used.add("DropPath")
            return self.drop_path(node, docs[0], depth)
        rank = len(self.region.node(node.operands[0]).shape)
        return Value(torch_layers.function(node, rank, docs[0], show), depth + 1)

    def drop_path(self, node: Layer, doc: Doc, depth: int) -> Value:
        """Drop-path around an edge; around one that may be the identity, only where it is not."""
        before = self.region.node(node.operands[0])
        if not may_be_identity(before):
            return Value(Call("self.drop_path", doc), depth + 1)
        self.context.used.add("dropped")
        module = f"self.{self.attributes[node.operands[0]]}"
        assert isinstance(doc, Call)
        return Value(Call("dropped", "self.drop_path", module, *doc.arguments), depth)

    def weighted(self, node: Any) -> bool:
        return isinstance(node, CallNode) and is_open(node.region)

    def join(self, node: Join, docs: list[Doc], depth: int) -> Value:
        if node.how == "concat":
            dim = "dim=1" if len(node.shape) == 3 else "dim=-1"
            return Value(Call("torch.cat", ListOf(*docs), dim), depth)
        total = Sum(tuple(docs))
        if node.how == "mean":
            return Value(total.then(f" / {len(docs)}"), depth)
        return Value(total, depth + 1)

    # -- repeat

    def repeat(self, number: int, node: Repeat) -> None:
        pad, names = " " * self.indent, [self.reused(w, number) for w in node.window]
        self.start_window(node, names)
        modules = f"self.{self.attributes[number]}"
        taps = [
            (t, self.region.node(t))
            for t in self.region.graph.successors(number)
            if isinstance(self.region.node(t), Tap)
        ]
        counted = bool(taps) or len(set(map(how_step_reads, node.steps))) > 1
        step = self.reused("cell" if all(map(is_cell_call, node.steps)) else "layer", number)
        head = f"step, {step} in enumerate({modules})" if counted else f"{step} in {modules}"
        self.statements.append(f"{pad}for {head}:")
        self.steps(number, node, names, step)
        for reader, tap in taps:
            name = self.tapped[reader] = self.variable(tap.name)
            index = _tap_index(tap, f"self.{local(tap.name)}_step")
            self.statements.append(f"{pad}    if step == {index}:")
            self.statements.append(f"{pad}        {name} = {names[-1]}")
        self.values[number] = Value(Text(names[-1]))
        later = any(isinstance(n, Repeat) for i, n in self.region.nodes() if i > number)
        if later and node.bound is not None:
            self.bind(number, self.values[number], self.variable(attribute(node.bound)))

    def start_window(self, node: Repeat, names: list[str]) -> None:
        operands = [self.values[o].doc for o in node.operands]
        if len({o.flat() for o in operands}) == 1:
            chain = " = ".join(names)
            if operands[0].flat() != chain:
                self.statements += lines(operands[0], self.indent, f"{chain} = ")
            return
        left, right = ", ".join(names), ", ".join(o.flat() for o in operands)
        self.statements.append(f"{' ' * self.indent}{left} = {right}")

    def steps(self, number: int, node: Repeat, names: list[str], step: str) -> None:
        """The body of the loop; an `if` where steps do not read alike."""
        pad = " " * (self.indent + 4)

        def advance(kind: Any, indent: str) -> str:
            reads, weighted = how_step_reads(kind)
            arguments = [*names[len(names) - reads :], *(["weights"] if weighted else [])]
            call = f"{step}({', '.join(arguments)})"
            if len(names) == 1:
                return f"{indent}{names[0]} = {call}"
            return f"{indent}{', '.join(names)} = {', '.join(names[1:])}, {call}"

        default, *exceptions = node.steps
        if len(set(map(how_step_reads, node.steps))) == 1:
            self.statements.append(advance(default, pad))
            return
        word = "if"
        for count, kind in enumerate(exceptions):
            places = f"self.{self.attributes[number]}_places_{count}"
            self.statements += [f"{pad}{word} step in {places}:", advance(kind, pad + "    ")]
            word = "elif"
        self.statements += [f"{pad}else:", advance(default, pad + "    ")]

    # -- what is returned

    def finish(self) -> None:
        result = self.values[self.region.outputs[0]].doc
        pad = " " * self.indent
        if not self.region.auxiliary:
            self.statements += lines(result, self.indent, "return ")
            return
        if not isinstance(result, Text):
            name = self.variable("logits")
            self.statements += lines(result, self.indent, f"{name} = ")
            result = Text(name)
        is_module = "auxiliary" in [self.attributes.get(number) for number in self.heads]
        there = "self.auxiliary is not None" if is_module else "self.auxiliary"
        self.statements.append(f"{pad}if self.training and {there}:")
        self.indent += 4
        for number in sorted(self.heads):
            self.add(number, self.region.node(number))
        heads = [self.operand(a).doc for a in self.region.auxiliary]
        returned = ", ".join([result.flat(), *(h.flat() for h in heads)])
        self.statements.append(f"{pad}    return {returned}")
        self.indent -= 4
        self.statements.append(f"{pad}return {result.flat()}")


def how_step_reads(step: Step) -> tuple[int, bool]:
    """How many members of the window a step reads, and whether it takes mixing weights."""
    return len(step.body.inputs), is_open(step.body)


def may_be_identity(node: Any) -> bool:
    """Whether what a node does hangs on numbers still open, and may be nothing."""
    if isinstance(node, CallNode) and node.region.form is Form.SINGLE:
        return may_be_identity(node.region.output)
    return isinstance(node, Select) and Form.EMPTY in (node.then.form, node.otherwise.form)


def _tap_index(tap: Tap, stored: str) -> str:
    index = tap.index
    fixed = isinstance(index, Const) and isinstance(index.value, int) and index.value >= 0
    return show(index) if fixed else stored
