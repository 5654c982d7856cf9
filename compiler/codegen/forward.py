"""`forward`: a region's values as statements, in the order of the program."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from compiler.codegen import loops, masks, mixtures, torch_layers
from compiler.codegen.layout import (
    WIDTH,
    Call,
    Doc,
    Either,
    Infix,
    ListOf,
    Negative,
    Sum,
    Text,
    Value,
    lines,
)
from compiler.codegen.names import (
    attributes,
    inner_attributes,
    local,
    module_attributes,
    shared_attributes,
)
from compiler.codegen.scope import Context, passed
from compiler.expr import Const, Expr, show
from compiler.ir import Call as CallNode
from compiler.ir import (
    Choice,
    Elementwise,
    Form,
    Inline,
    Input,
    Join,
    Layer,
    Part,
    Region,
    Repeat,
    Scan,
    Select,
    Tap,
    is_mask,
    is_open,
    is_partial,
    is_term_by_term,
)
from compiler.layers import PARTIAL
from compiler.lowering.labels import attribute
from compiler.program import stacks

DEEPEST = 2
"""How many calls a statement may nest before it goes on in another one."""


@dataclass
class Forward:
    """Writes the body of one region's `forward`."""

    context: Context
    region: Region
    statements: list[str] = field(default_factory=list)
    values: dict[int, Value] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    indent: int = 8
    number: Callable[[Expr], str] | None = None
    """How numbers are written; by default as attributes of the class, which are then `stored`."""
    stored: dict[str, str] = field(default_factory=dict)
    masks: dict[Any, str] = field(default_factory=dict)
    """The variables of the masks that are drawn already."""
    owner: Forward | None = None
    """What writes the region around, where this one is a branch written in place."""

    def __post_init__(self) -> None:
        owner = self.owner
        self.attributes = attributes(self.region)
        self.shared: dict[str, str] = owner.shared if owner else shared_attributes(self.region)
        inner = owner.inner if owner else inner_attributes(self.region)
        self.inner: dict[tuple[int, int], str] = inner
        if owner:
            own = {n: name for (branch, n), name in self.inner.items() if branch == id(self.region)}
            self.attributes.update(own)
        self.states: list[str] = []
        self.live = self.region.live()
        self.heads = self.region.heads()
        if is_open(self.region):
            self.taken |= {"weights", "w"}
        self.tapped: dict[int, str] = {}
        self.scan_states = self.name_states()
        if owner:
            self.rows: dict[str, str] = owner.rows
            return
        rows = enumerate(stacks(self.region.decisions))
        several = len(stacks(self.region.decisions)) > 1
        self.rows = {
            self.region.decisions[number].path: f"w[{s}][{row}]" if several else f"w[{row}]"
            for s, stack in rows
            for row, number in enumerate(stack)
        }

    def inside(self, branch: Region) -> Forward:
        """What writes a branch in place, among the same statements."""
        return Forward(
            self.context,
            branch,
            statements=self.statements,
            taken=self.taken,
            indent=self.indent,
            number=self.show,
            masks=self.masks,
            owner=self,
        )

    def name_states(self) -> dict[int, list[str]]:
        """What the states of each recurrence are called; `state` where there is but one."""
        scans = {
            number: [f"{node.name}_{state.name}" for _, state in node.region.state_inputs]
            for number, node in self.region.nodes()
            if isinstance(node, Scan)
        }
        if sum(map(len, scans.values())) == 1:
            scans = {number: ["state"] * len(names) for number, names in scans.items()}
        elif any(scans.values()):
            self.taken.add("state")
        return {n: [self.variable(name) for name in names] for n, names in scans.items()}

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
            loops.repeat(self, number, node)
            return
        if isinstance(node, Tap):
            self.values[number] = Value(Text(self.tapped[number]))
            return
        if isinstance(node, Part):
            self.split(number, node)
            return
        if isinstance(node, Scan) and node.region.states:
            self.scan(number, node)
            return
        value = self.expression(number, node)
        readers = [r for r in self.region.graph.successors(number) if r in self.live]
        returned = self.region.outputs.count(number)
        starts_window = (bool(readers) and not returned) and all(
            isinstance(self.region.node(r), Repeat) for r in readers
        )
        if node.bound is not None and readers and not starts_window:
            self.bind(number, value, self.variable(self.name_of(node.bound)))
        elif len(readers) + returned > 1 and not starts_window:
            self.bind(number, value, self.variable(self.target(number)[0]))
        elif readers and is_shared_norm(node):
            self.bind(number, value, self.on_the_way(number))
        else:
            self.values[number] = value

    def name_of(self, bound: str) -> str:
        """What a bound value is called: members of a group `n0`, or `n_0` where a `n0` is bound."""
        group, bracket, index = bound.partition("[")
        taken = re.compile(rf"{group}\d+")
        others = (n.bound for _, n in self.region.nodes() if n.bound)
        if bracket and any(taken.fullmatch(other) for other in others):
            return f"{group}_{index.rstrip(']')}"
        return attribute(bound)

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

    def target(self, number: int) -> tuple[str, bool]:
        """What a value on the way to a bound one is called: as that, else `x`."""
        readers = [r for r in self.region.graph.successors(number) if r in self.live]
        while len(readers) == 1 and len(self.region.node(readers[0]).operands) == 1:
            node = self.region.node(readers[0])
            if node.bound is not None:
                return self.name_of(node.bound), True
            readers = [r for r in self.region.graph.successors(readers[0]) if r in self.live]
        return "x", False

    def operand(self, number: int) -> Value:
        """An operand's expression; what nests too deep already becomes a statement first."""
        value = self.values[number]
        if value.depth >= DEEPEST:
            self.bind(number, value, self.on_the_way(number))
        return self.values[number]

    def on_the_way(self, number: int) -> str:
        """The name of a value on the way to a bound one, which then takes the name over."""
        name, leads_on = self.target(number)
        if leads_on and local(name) not in self.taken:
            return local(name)
        return self.variable(name)

    def expression(self, number: int, node: Any) -> Value:
        joined = isinstance(node, Join | Elementwise)
        operands = [self.values[o] if joined else self.operand(o) for o in node.operands]
        docs = [o.doc for o in operands]
        depth = max(o.depth for o in operands)
        if isinstance(node, Join):
            return self.join(node, docs, depth)
        if isinstance(node, Elementwise):
            return Value(self.arithmetic(node, docs), depth)
        if isinstance(node, Choice) and is_term_by_term(node):
            return mixtures.mixed(self, node, depth)
        if isinstance(node, CallNode) and node.region.is_pure:
            own = passed(self.context, node, self.show)
            return Value(Call(self.context.names[id(node.region)], *docs, *own), depth + 1)
        if number in self.attributes:
            extra: list[str] = []
            if isinstance(node, Choice):
                extra = [self.rows[node.decision]]
            elif isinstance(node, CallNode | Inline | Select | Scan) and self.weighted(node):
                extra = ["weights"]
            elif is_partial(node):
                given = dict(node.arguments)
                extra = [self.show(given[name]) for name in PARTIAL if name in given]
            name = self.shared[node.shared] if node.shared else self.attributes[number]
            made = Call(f"self.{name}", *docs, *extra)
            if isinstance(node, Layer) and node.layer == "embedding":
                return masks.embedded(self, node, name, made, docs[0], depth)
            return Value(made, depth + 1)
        assert isinstance(node, Layer)
        if is_mask(node):
            return masks.masked(self, number, node)
        if node.layer == "drop_path":
            self.context.used.add("DropPath")
            return self.drop_path(node, docs[0], depth)
        rank = len(self.region.node(node.operands[0]).shape)
        doc = torch_layers.function(node, rank, docs[0], self.show, self.context.used)
        return Value(doc, depth + 1)

    def show(self, expr: Expr) -> str:
        """A number as it is written here."""
        return self.number(expr) if self.number else show(expr, self.attribute)

    def attribute(self, symbol: str) -> str:
        """A number that the constructor keeps."""
        if symbol not in self.stored:
            name = local(symbol)
            while name in module_attributes() or name in self.attributes.values():
                name += "_"
            self.stored[symbol] = name
        return f"self.{self.stored[symbol]}"

    def arithmetic(self, node: Elementwise, docs: list[Doc]) -> Doc:
        if node.number is not None:
            if node.number == Const(0) and node.operator == "-" and node.swapped:
                return Negative(docs[0])
            shown = self.show(node.number)
            number = Text(f"({shown})" if " " in shown else shown)
            pair = (number, docs[0]) if node.swapped else (docs[0], number)
            return Infix(pair[0], node.operator, pair[1])
        left, right = (
            doc.then("[:, :, None, None]")
            if len(self.region.node(o).shape) == 1 and len(node.shape) == 3
            else doc
            for o, doc in zip(node.operands, docs, strict=True)
        )
        return Infix(left, node.operator, right)

    def split(self, number: int, node: Part) -> None:
        """The parts of one value, all in one statement."""
        if number in self.values:
            return
        same = {
            other.index: n
            for n, other in self.region.nodes()
            if isinstance(other, Part)
            and (other.operands, other.count) == (node.operands, node.count)
            and number <= n < number + node.count
        }
        names = ["_"] * node.count
        for index, part in same.items():
            if part in self.live:
                bound = self.region.node(part).bound
                names[index] = self.variable(self.name_of(bound) if bound else "part")
                self.values[part] = Value(Text(names[index]))
        dim = 1 if len(node.shape) == 3 else -1
        chunks = self.operand(node.operands[0]).doc.then(f".chunk({node.count}, dim={dim})")
        self.statements += lines(chunks, self.indent, f"{', '.join(names)} = ")

    def simple(self, number: int) -> Doc:
        """An operand that is read several times, as a variable."""
        value = self.values[number]
        if not isinstance(value.doc, Text):
            self.bind(number, value, self.on_the_way(number))
        return self.values[number].doc

    # -- recurrences

    def scan(self, number: int, node: Scan) -> None:
        """Runs a recurrence; its states come from outside and are given back."""
        docs = [self.operand(o).doc for o in node.operands]
        names = self.scan_states[number]
        weights = ["weights"] if self.weighted(node) else []
        made = Call(f"self.{self.attributes[number]}", *docs, *names, *weights)
        value = self.variable(self.name_of(node.bound) if node.bound else node.name)
        self.statements += lines(made, self.indent, f"{', '.join([value, *names])} = ")
        self.values[number] = Value(Text(value))

    def drop_path(self, node: Layer, doc: Doc, depth: int) -> Value:
        """Drop-path around an edge; around one that may be the identity, only where it is not."""
        before = self.region.node(node.operands[0])
        if not may_be_identity(before):
            return Value(Call("self.drop_path", doc), depth + 1)
        module = f"self.{self.attributes[node.operands[0]]}"
        if not isinstance(doc, Call):  # the module's output has a name already
            kept = f"isinstance({module}, nn.Identity)"
            return Value(Either(doc, kept, Call("self.drop_path", doc)), depth + 1)
        self.context.used.add("dropped")
        return Value(Call("dropped", "self.drop_path", module, *doc.arguments), depth)

    def weighted(self, node: Any) -> bool:
        return isinstance(node, CallNode | Scan) and is_open(node.region)

    def join(self, node: Join, docs: list[Doc], depth: int) -> Value:
        if node.how == "concat":
            dim = "dim=1" if len(node.shape) == 3 else "dim=-1"
            return Value(Call("torch.cat", ListOf(*docs), dim), depth)
        if node.how == "max":
            return Value(largest(docs), depth + 1)
        if node.how == "product":
            return Value(reduce(lambda a, b: Infix(a, "*", b), docs), depth + 1)
        total = Sum(tuple(docs))
        if node.how == "mean":
            return Value(Infix(total, "/", Text(str(len(docs)))), depth)
        return Value(total, depth + 1)

    # -- what is returned

    def finish(self) -> None:
        results = [self.values[o].doc for o in self.region.outputs]
        result = results[0] if len(results) == 1 else Call("", *results)
        states = [name for names in self.scan_states.values() for name in names]
        if states:
            state = states[0] if len(states) == 1 else f"({', '.join(states)})"
            self.statements += self.returned([result, Text(state)])
        elif self.region.auxiliary:
            self.with_head()
        elif len(results) > 1 and (self.region.kind != "network" or self.fits(results)):
            self.statements += self.returned(results)
        else:
            self.statements += lines(result, self.indent, "return ")

    def with_head(self) -> None:
        """Returns the outputs, while training with that of the auxiliary head behind them."""
        pad = " " * self.indent
        for number in self.region.outputs:
            value = self.values[number]
            if not isinstance(value.doc, Text):
                self.bind(number, value, self.variable("logits"))
        results = ", ".join(self.values[o].doc.flat() for o in self.region.outputs)
        is_module = "auxiliary" in [self.attributes.get(number) for number in self.heads]
        there = "self.auxiliary is not None" if is_module else "self.auxiliary"
        self.statements.append(f"{pad}if self.training and {there}:")
        self.indent += 4
        for number in sorted(self.heads):
            self.add(number, self.region.node(number))
        heads = [self.operand(a).doc for a in self.region.auxiliary]
        returned = ", ".join([results, *(h.flat() for h in heads)])
        self.statements.append(f"{pad}    return {returned}")
        self.indent -= 4
        self.statements.append(f"{pad}return {results}")

    def returned(self, results: list[Doc]) -> list[str]:
        """The statement that gives several values back, the first on a line of its own if long."""
        if self.fits(results):
            return [self.on_one_line(results)]
        name = self.variable("result")
        rest = ", ".join(r.flat() for r in results[1:])
        return [
            *lines(results[0], self.indent, f"{name} = "),
            f"{' ' * self.indent}return {name}, {rest}",
        ]

    def fits(self, results: list[Doc]) -> bool:
        return len(self.on_one_line(results)) <= WIDTH

    def on_one_line(self, results: list[Doc]) -> str:
        return f"{' ' * self.indent}return {', '.join(r.flat() for r in results)}"


def largest(docs: list[Doc]) -> Doc:
    """The largest of several values; what is equally large has equal parts of the gradient."""
    if len(docs) == 2:
        return Call("torch.maximum", *docs)
    return Call("torch.amax", Call("torch.stack", ListOf(*docs)), "dim=0")


def may_be_identity(node: Any) -> bool:
    """Whether what a node does hangs on numbers still open, and may be nothing."""
    if isinstance(node, CallNode) and node.region.form is Form.SINGLE:
        return may_be_identity(node.region.output)
    return isinstance(node, Select) and Form.EMPTY in (node.then.form, node.otherwise.form)


def is_shared_norm(node: Any) -> bool:
    """Whether a node is a norm that others may use too: it moves its statistics in the order of
    the program, so it is a statement of its own."""
    return isinstance(node, Layer) and node.layer == "bn" and bool(node.shared)
