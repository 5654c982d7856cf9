"""Which decisions hang together in what a model costs.

What a layer costs hangs on the decisions that say whether it is there, and on those that its sizes
are made of. Both are read off the program with its choices, rather too many than too few: costs are
a sum over layers, so decisions that no layer hangs on together add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from compiler.counting.edges import before, droppable
from compiler.expr import Const, Expr, opens, symbols
from compiler.ir import (
    Call,
    Choice,
    Inline,
    Input,
    Join,
    Layer,
    Node,
    Region,
    Repeat,
    Scan,
    Select,
    choices,
    expressions,
)
from compiler.program import Program, is_fixed

Some = frozenset[str]
"""Decisions, or what stands for several of them."""
NONE: Some = frozenset()
Variable = Callable[[Region, str], str]
"""What a decision of a kind is called, by its path."""


def interactions(program: Program, variable: Variable) -> set[Some]:
    """The decisions that some layer hangs on together, none a part of another."""
    found = _Walk(variable)
    network = program.network
    found.region(network, network, NONE, [NONE] * len(network.inputs), {})
    return {one for one in found.together if not any(one < other for other in found.together)}


@dataclass
class _Value:
    """What the presence of a value hangs on, and its width beyond what its shape says."""

    there: Some = NONE
    width: Some = NONE


@dataclass
class _Walk:
    variable: Variable
    together: set[Some] = field(default_factory=set)
    known: dict[object, tuple[list[Some], dict[str, Some]]] = field(default_factory=dict)

    def region(
        self,
        region: Region,
        kind: Region,
        around: Some,
        widths: list[Some],
        sizes: Mapping[str, Some],
    ) -> tuple[list[Some], dict[str, Some]]:
        """Notes what the layers of a region hang on, which is there where `around` says so.

        `widths` are of its inputs, `sizes` what its symbols are made of. Gives the widths of its
        outputs, and of a branch what it shares with the region around it.
        """
        key = id(region), around, tuple(widths), frozenset(sizes.items())
        if key not in self.known:
            self.known[key] = _Region(self, region, kind, around, dict(sizes)).walked(widths)
        return self.known[key]


@dataclass
class _Region:
    walk: _Walk
    region: Region
    kind: Region
    around: Some
    sizes: dict[str, Some]
    values: dict[int, _Value] = field(default_factory=dict)
    shared: dict[str, Some] = field(default_factory=dict)

    def walked(self, widths: list[Some]) -> tuple[list[Some], dict[str, Some]]:
        given = iter(widths)
        idle = before(self.region) if self.region is self.kind else {}
        for number, node in self.region.nodes():
            if isinstance(node, Input):
                self.values[number] = _Value(NONE, next(given))
                continue
            found = self.value(node)
            self.values[number] = found
            there = self.around | found.there | self.decided(idle.get(number, ()))
            self.note(node, there)
        if not self.region.is_branch:
            self.walk.together.update(self.shared.values())
            self.shared = {}
        return [self.values[number].width for number in self.region.outputs], self.shared

    # -- what values hang on

    def value(self, node: Node) -> _Value:
        own = self.decided(path for path, _ in node.under)
        read = [self.values[operand] for operand in node.operands]
        there = own.union(*(value.there for value in read))
        width = NONE.union(*(value.width for value in read))
        match node:
            case Choice():
                edges = droppable(self.kind) & {node.decision}
                within = self.within(node.decision)
                return _Value(own | within | self.decided(edges), width | self.chosen_width(node))
            case Join():
                alike = frozenset.intersection(*(value.there for value in read))
                return _Value(own | alike, width | self.joined_width(node))
            case Layer() if self.sets_width(node):
                width = NONE
        return _Value(there, width)

    def chosen_width(self, choice: Choice) -> Some:
        decision = next(d for d in self.kind.decisions if d.path == choice.decision)
        if choice.how != "concat":
            return NONE
        shapes = {option.body.output.shape for option in choice.region.options}
        is_known = decision.least == decision.most and len(shapes) == 1
        return NONE if is_known else self.decided([choice.decision])

    def joined_width(self, join: Join) -> Some:
        if join.loose:
            return self.decided(choice.decision for _, _, choice in choices(self.kind))
        theirs = [self.values[operand].there for operand in join.operands]
        if join.how != "concat" or len(set(theirs)) == 1 == len(join.operands):
            return NONE
        shapes = {self.region.node(operand).shape for operand in join.operands}
        under = any(self.region.node(operand).under for operand in join.operands)
        if is_fixed(self.kind) and len(shapes) == 1 and not under:
            return NONE
        return NONE.union(*theirs)

    def sets_width(self, layer: Layer) -> bool:
        """Whether a layer says how wide its output is, whatever it reads."""
        out = dict(layer.arguments).get("out")
        if layer.layer not in ("conv", "conv_transpose", "linear") or out in (None, Const("same")):
            return False
        inputs = [name for _, n in self.region.inputs for size in n.shape for name in symbols(size)]
        return isinstance(out, Expr) and not set(symbols(out)) & set(inputs)

    # -- what layers hang on

    def note(self, node: Node, there: Some) -> None:
        """Notes what a node comes to, and all that is in it."""
        match node:
            case Layer():
                self.count(node, there | self.read(node) | self.of(expressions(node)))
            case Choice():
                self.note_options(node, there)
            case Call() | Scan():
                widths = [self.values[operand].width for operand in node.operands]
                widths += [NONE] * (len(node.region.inputs) - len(widths))  # the states of a scan
                sizes = self.bound(node.region, node)
                there |= self.of(expressions(node))
                is_kind = node.region.kind in ("cell", "network")
                kind = node.region if is_kind else self.kind
                found, _ = self.walk.region(node.region, kind, there, widths, sizes)
                self.widen(node, found)
                if node.shared:
                    self.count(node, there | self.read(node))
            case Inline() | Select():
                there |= self.of(expressions(node))
                regions = [node.region] if isinstance(node, Inline) else [node.then, node.otherwise]
                for region in regions:
                    self.branch(node, region, there)
            case Repeat():
                self.note_steps(node, there)

    def note_options(self, node: Choice, there: Some) -> None:
        there |= self.decided([node.decision]) | self.within(node.decision)
        sizes = None if node.region.is_branch else self.bound(node.region, node)
        for option in node.region.options:
            self.branch(node, option.body, there, sizes)

    def branch(
        self, node: Node, region: Region, there: Some, sizes: Mapping[str, Some] | None = None
    ) -> None:
        widths = [self.values[operand].width for operand in node.operands]
        known = self.sizes if sizes is None else sizes
        found, shared = self.walk.region(region, self.kind, there, widths, known)
        self.widen(node, found)
        for name, hangs in shared.items():
            self.shared[name] = self.shared.get(name, NONE) | hangs

    def note_steps(self, node: Repeat, there: Some) -> None:
        """Any step may read what any other gives."""
        width = NONE.union(*(self.values[operand].width for operand in node.operands))
        before = None
        while before != width:
            before = width
            for step in node.steps:
                widths = [width] * len(step.body.inputs)
                found, _ = self.walk.region(step.body, self.kind, there, widths, self.sizes)
                width = width.union(*found)
        self.widen(node, [width])

    def count(self, node: Node, hangs: Some) -> None:
        self.walk.together.add(hangs)
        if node.shared:
            self.shared[node.shared] = self.shared.get(node.shared, NONE) | hangs

    def widen(self, node: Node, found: list[Some]) -> None:
        """Adds the widths of what is in a node to its own."""
        number = next(n for n, other in self.region.nodes() if other is node)
        value = self.values[number]
        self.values[number] = _Value(value.there, value.width.union(*found))

    # -- what sizes are made of

    def read(self, node: Node) -> Some:
        """What the shapes of the values that a node reads hang on."""
        shapes = [self.region.node(operand).shape for operand in node.operands]
        widths = (self.values[operand].width for operand in node.operands)
        return self.of(size for shape in shapes for size in shape).union(*widths)

    def of(self, sizes: Iterable[Expr]) -> Some:
        found = set()
        for size in sizes:
            found |= {self.walk.variable(self.kind, number.decision) for number in opens(size)}
            found |= NONE.union(*(self.sizes.get(name, NONE) for name in symbols(size)))
        return frozenset(found)

    def bound(self, region: Region, node: Call | Scan | Choice) -> dict[str, Some]:
        """What the symbols of a region are made of where a node uses it."""
        shapes = [self.region.node(operand).shape for operand in node.operands]
        if isinstance(node, Scan):
            shapes = [shape[1:] for shape in shapes] + region.state_dims(node.arguments)
        env = region.bind(node.arguments, shapes)
        found = {name: self.of([size]) for name, size in env.items() if isinstance(size, Expr)}
        return {name: hangs for name, hangs in found.items() if hangs}

    def decided(self, paths: Iterable[str]) -> Some:
        return frozenset(self.walk.variable(self.kind, path) for path in paths)

    def within(self, path: str) -> Some:
        decision = next(d for d in self.kind.decisions if d.path == path)
        return self.decided(outer for outer, _ in decision.within)
