"""What the constructors of generated classes and functions take.

A constructor takes the widths and sizes that its modules are made of, and no others: this works
out, region by region, which symbols those are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from compiler.codegen.names import needs_attribute
from compiler.codegen.torch_layers import sizes_read
from compiler.expr import Const, Expr, Symbol, substitute, symbols
from compiler.facts import Facts
from compiler.ir import (
    Call,
    Choice,
    Elementwise,
    Form,
    Inline,
    Input,
    Layer,
    Region,
    Repeat,
    Scan,
    Select,
    Tap,
    children,
    is_mask,
    is_term_by_term,
)
from compiler.layers import STATEFUL
from compiler.program import Program, is_cell_call


@dataclass
class Signature:
    """`sizes[i]` are the sizes of input i that the constructor reads, by their positions."""

    sizes: list[tuple[int, ...]]
    parameters: list[str]


@dataclass
class Signatures:
    """The signatures of a program's declared regions.

    `layout` are the positions that a shape has where it is passed as a tuple: what any cell reads.
    """

    program: Program
    facts: Facts
    of: dict[int, Signature] = field(default_factory=dict)
    fixed: dict[int, dict[str, Expr]] = field(default_factory=dict)
    stacked: set[int] = field(default_factory=set)
    """Cells that are steps of a repeat, which say what shape they give away."""
    layout: tuple[int, ...] = (0,)
    probabilities: set[tuple[int, str]] = field(default_factory=set)
    """Parameters, by region and name, that are or may be fractions."""

    def __post_init__(self) -> None:
        for region in self.program.regions():
            self.probabilities.update((id(region), name) for name in self.fractions(region))
        self.stacked = {
            id(inner)
            for region in self.program.regions()
            for _, node in region.nodes()
            if isinstance(node, Repeat)
            for step in node.steps
            if is_cell_call(step)
            for inner in children(step.body)
        }
        declared = [r for r in self.program.regions() if not r.is_branch]
        self.fixed = {id(r): self.same_everywhere(r) for r in declared}
        known: tuple[int, ...] = ()
        while known != self.layout:  # what a cell gives away hangs on what others read
            known = self.layout
            for region in declared:
                self.of[id(region)] = self.signature(region)
            cells = [self.of[id(r)].sizes for r in declared if r.kind == "cell"]
            read = {position for sizes in cells for taken in sizes for position in taken}
            self.layout = tuple(sorted({0} | read))

    def fractions(self, region: Region) -> Iterator[str]:
        """The symbols in a region that stand for probabilities, there or in what it calls."""
        for _, node in region.nodes():
            for name, value in getattr(node, "arguments", ()):
                inner = getattr(node, "region", None)
                own = inner is None and name in ("p", "drop")
                if own or (id(inner), name) in self.probabilities:
                    yield from symbols(value)
        for inner in children(region):
            if inner.is_branch:
                yield from self.fractions(inner)

    def same_everywhere(self, region: Region) -> dict[str, Expr]:
        """Heights and the like that are the same in all uses of an op need not be passed."""
        if region.kind not in ("op", "set"):
            return {}
        names = [
            size.name
            for _, node in region.inputs
            for size in node.shape[1:]
            if isinstance(size, Symbol)
        ]
        uses = [dict(use) for use in self.facts.uses.get(region.name, ())]
        values = {name: {use[name] for use in uses} for name in names}
        return {name: Const(found.pop()) for name, found in values.items() if len(found) == 1}

    def signature(self, region: Region) -> Signature:
        read = set(self.reads(region))
        unread = set(region.parameters)  # and what an input before has brought
        sizes = []
        for _, node in region.inputs:
            taken = []
            for i, size in enumerate(node.shape):
                if isinstance(size, Symbol) and size.name in read - unread:
                    taken.append(i)
                    unread.add(size.name)
            sizes.append(tuple(taken))
        parameters = [p for p in region.parameters if p in read]
        return Signature(sizes, parameters)

    def reads(self, region: Region) -> Iterator[str]:
        """The symbols in whatever the region's constructor makes."""
        fixed = self.fixed.get(id(region), {})
        for expr in self.expressions(region):
            yield from symbols(substitute(expr, fixed))

    def expressions(self, region: Region) -> Iterator[Expr]:
        chain = region.is_branch or (region.kind in ("op", "set") and region.form is not Form.GRAPH)
        for option in region.options:
            yield from self.expressions(option.body)
        if id(region) in self.stacked:
            yield from (region.output.shape[i] for i in self.layout)
        yield from self.own_expressions(region, chain)
        for number, positions in self.carried(region).items():
            repeat = region.node(number)
            for operand in repeat.operands:
                yield from (region.node(operand).shape[i] for i in positions)
            for step in repeat.steps:
                yield from (step.body.output.shape[i] for i in positions if not is_cell_call(step))

    def own_expressions(self, region: Region, chain: bool) -> Iterator[Expr]:
        for _, node in region.nodes():
            yield from self.node_expressions(region, node, chain)

    def carried(self, region: Region) -> dict[int, tuple[int, ...]]:
        """Which sizes the window of each repeat carries, by position: what is read of them.

        Later repeats begin with what earlier ones carried, so they are gone through from the end.
        """
        read = {s for expr in self.own_expressions(region, False) for s in symbols(expr)}
        found: dict[int, tuple[int, ...]] = {}
        for number, node in reversed(list(region.nodes())):
            if not isinstance(node, Repeat):
                continue
            shapes = [node.shape, *(i.shape for s in node.steps for _, i in s.body.inputs)]
            shapes += [t.shape for _, t in region.nodes() if isinstance(t, Tap)]
            positions = {
                i for shape in shapes for i, s in enumerate(shape) if read.intersection(symbols(s))
            }
            if any(map(is_cell_call, node.steps)):
                positions.update(self.layout)
            found[number] = tuple(sorted(positions))
            for operand in node.operands:
                starts = [region.node(operand).shape[i] for i in found[number]]
                read.update(s for expr in starts for s in symbols(expr))
        return dict(sorted(found.items()))

    def node_expressions(self, region: Region, node: Any, chain: bool) -> Iterator[Expr]:
        shapes = [region.node(o).shape for o in node.operands]
        match node:
            case Input() | Tap():
                return
            case Layer():
                written = chain or needs_attribute(node) or is_mask(node) or region.is_pure
                if written:
                    yield from (value for _, value in node.arguments)
                    if node.layer in STATEFUL:
                        yield from sizes_read(node, shapes[0])
                if is_mask(node) and region.states is not None:
                    yield from shapes[0]
            case Elementwise():
                if node.number is not None:
                    yield node.number
            case Scan():
                states = node.region.state_dims(node.arguments)
                yield from (size for state in states for size in state)
                steps = [shape[1:] for shape in shapes]
                yield from self.passed(node, [*steps, *states])
            case Call() if node.region.is_pure:
                arguments = dict(node.arguments)
                yield from (arguments[p] for p in self.of[id(node.region)].parameters)
            case Call():
                yield from self.passed(node, shapes)
            case Choice():
                if node.region.is_branch:
                    yield from self.expressions(node.region)
                elif is_term_by_term(node):
                    arguments = dict(node.arguments)
                    yield from (arguments[p] for p in self.of[id(node.region)].parameters)
                else:
                    yield from self.passed(node, shapes)
            case Inline():
                yield from self.expressions(node.region)
            case Select():
                yield node.condition
                yield from self.expressions(node.then)
                yield from self.expressions(node.otherwise)
            case Repeat():
                yield node.count
                for step in node.steps:
                    yield from step.places or ()
                    yield from self.expressions(step.body)

    def passed(self, node: Call | Choice | Scan, shapes: list[Any]) -> Iterator[Expr]:
        """What a call passes to a constructor: the sizes and arguments that it takes."""
        signature = self.of[id(node.region)]
        for shape, taken in zip(shapes, signature.sizes, strict=True):
            whole = node.region.kind == "cell" and taken and self.layout != (0,)
            yield from (shape[i] for i in (self.layout if whole else taken))
        arguments = dict(node.arguments)
        yield from (arguments[p] for p in signature.parameters)
