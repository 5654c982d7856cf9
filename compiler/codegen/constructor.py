"""`__init__`: what a class of the generated source is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler.codegen.functions import widths
from compiler.codegen.layout import WIDTH, Call, Text, function_head, lines
from compiler.codegen.loops import how_step_reads
from compiler.codegen.names import (
    attributes,
    inner_attributes,
    local,
    maker,
    shared_attributes,
    shared_modules,
)
from compiler.codegen.scope import Context, Scope, ordered, parameter
from compiler.expr import Const, Expr, Symbol, show, symbols
from compiler.ir import Call as CallNode
from compiler.ir import (
    Choice,
    Input,
    Region,
    Repeat,
    Step,
    Tap,
    branches,
    is_term_by_term,
)
from compiler.program import is_cell_call
from dsl.vocabulary import NOTHING


class Constructor:
    """Writes the `__init__` of one region's class."""

    def __init__(self, context: Context, region: Region) -> None:
        self.context = context
        self.region = region
        self.signature = context.signatures.of[id(region)]
        self.layout = context.signatures.layout
        self.read = set(context.signatures.reads(region))
        rename, self.inputs = ({}, []) if region.kind == "network" else widths(context, region)
        self.scope = Scope(context, region, rename)
        self.attributes = attributes(region)
        self.heads = region.heads()
        self.carried = context.signatures.carried(region)
        self.taken = {local(p) for p in region.parameters}
        if region.kind == "cell" and self.layout != (0,):
            self.scope.rename = {}
            self.inputs = [
                f"{local(node.name)}: Shape"
                for (_, node), taken in zip(region.inputs, self.signature.sizes, strict=True)
                if taken
            ]

    def head(self) -> list[str]:
        parameters = [
            parameter(self.context, self.region, p)
            for p in ordered(self.region, self.signature.parameters)
        ]
        keywords = []
        if self.region.kind == "network" and "DropPath" in self.context.used:
            keywords.append("drop_path: float = 0.0")
        if self.region.auxiliary:
            keywords.append("auxiliary: bool = False")
        everything = ["self", *self.inputs, *parameters, *(["*", *keywords] if keywords else [])]
        return function_head("__init__", everything, "None")

    def write(self, stored: Mapping[str, str]) -> list[str]:
        """The body; `stored` are the numbers that `forward` reads, with their attributes."""
        body = self.unpack()
        for symbol, attribute in stored.items():
            body.append(f"        self.{attribute} = {self.scope.show(Symbol(symbol))}")
        written: set[str] = set()
        for number, node in self.region.nodes():
            if isinstance(node, Choice) and is_term_by_term(node):
                body += self.inside(node, written)
                continue
            if isinstance(node, Tap) and not isinstance(node.index, Const):
                body.append(f"        self.{local(node.name)}_step = {self.scope.show(node.index)}")
            if number not in self.attributes or number in self.heads:
                continue
            if isinstance(node, Repeat):
                body += self.repeat(number, node)
            elif self.attributes[number] not in written:
                place = maker(self.region, node.shared) if node.shared else (self.region, node)
                body += self.module(*place, self.attributes[number])
                written.add(self.attributes[number])
        if self.region.auxiliary:
            body += self.auxiliary()
        if id(self.region) in self.context.signatures.stacked:
            body.append(f"        self.{self.out_name()} = {self.out_shape()}")
        return body

    def module(self, region: Region, node: Any, attribute: str) -> list[str]:
        body = lines(self.scope.module(region, node), 8, f"self.{attribute} = ")
        tied = dict(getattr(node, "arguments", ())).get("tied", Const(NOTHING))
        if isinstance(tied, Const) and tied.value != NOTHING:
            table = shared_attributes(self.region)[str(tied.value)]
            body.append(f"        self.{attribute}.weight = self.{table}.weight")
        return body

    def inside(self, node: Choice, written: set[str]) -> list[str]:
        """What the options of a mixture in place share with the region, and what is their own."""
        body = []
        shared, own = shared_attributes(self.region), inner_attributes(self.region)
        for branch in branches(node):
            for _, inner in shared_modules(branch):
                if shared[inner.shared] not in written:
                    place = maker(self.region, inner.shared)
                    body += self.module(*place, shared[inner.shared])
                    written.add(shared[inner.shared])
            for number, inner in branch.nodes():
                if (id(branch), number) in own:
                    body += self.module(branch, inner, own[id(branch), number])
                elif isinstance(inner, Choice) and is_term_by_term(inner):
                    body += self.inside(inner, written)
        return body

    def auxiliary(self) -> list[str]:
        """The modules of the auxiliary head, which are built when asked for."""
        modules = sorted(self.heads & set(self.attributes))
        is_module = "auxiliary" in [self.attributes[number] for number in modules]
        body = [f"        self.auxiliary = {'None' if is_module else 'auxiliary'}"]
        body += ["        if auxiliary:"] if modules else []
        for number in modules:
            made = self.scope.module(self.region, self.region.node(number))
            body += lines(made, 12, f"self.{self.attributes[number]} = ")
        return body

    def unpack(self) -> list[str]:
        """Sizes of a cell's inputs out of the shapes it is given."""
        if self.region.kind != "cell" or self.layout == (0,):
            return []
        self.context.used.add("Shape")
        body = []
        for (_, node), taken in zip(self.region.inputs, self.signature.sizes, strict=True):
            if taken:
                names = [
                    local(node.shape[i].name) if i in taken else "_"  # type: ignore[attr-defined]
                    for i in self.layout
                ]
                body.append(f"        {', '.join(names)} = {local(node.name)}")
        return body

    def free(self, name: str) -> str:
        """A local variable that is no parameter's."""
        name = local(name)
        while name in self.taken:
            name += "_"
        return name

    def out_name(self) -> str:
        return "out_channels" if self.layout == (0,) else "out_shape"

    def out_shape(self) -> str:
        sizes = [self.scope.show(self.region.output.shape[i]) for i in self.layout]
        return sizes[0] if len(sizes) == 1 else f"({', '.join(sizes)})"

    # -- repeat

    def repeat(self, number: int, node: Repeat) -> list[str]:
        """The loop that builds a stack, its window holding shapes."""
        name = self.attributes[number]
        window = [self.free(w) for w in node.window]
        carried = self.carried[number]
        body = [f"        self.{name} = nn.ModuleList()"]
        if len(set(map(how_step_reads, node.steps))) > 1:
            for count, step in enumerate(node.steps[1:]):
                places = ", ".join(self.scope.show(p) for p in step.places or ())
                body.append(f"        self.{name}_places_{count} = ({places},)")
        if carried:
            body += self.start_window(node, window, carried)
        read = {s for step in node.steps for s in self.step_reads(step)}
        stage = "stage" in read
        if stage:
            body.append("        stage = 0")
        counter = "step" if len(node.steps) > 1 or "step" in read or self.taps(number) else "_"
        body.append(f"        for {counter} in range({self.scope.show(node.count)}):")
        body += self.steps(name, node, window, carried, stage)
        for tap in self.taps(number):
            index = show(tap.index) if isinstance(tap.index, Const) else self.scope.show(tap.index)
            if any(isinstance(s, Symbol) and s.name in self.read for s in tap.shape):
                body += [
                    f"            if step == {index}:",
                    f"                {self.free(tap.name)} = {window[-1]}",
                ]
            self.rename_sizes(tap.shape, self.free(tap.name), carried)
        self.rename_sizes(node.shape, window[-1], carried)
        later = any(isinstance(n, Repeat) for i, n in self.region.nodes() if i > number)
        if later and carried and any(s.name in self.read for s in node.shape):  # type: ignore[attr-defined]
            kept = self.free(f"{node.bound or node.name}_shape")
            body.append(f"        {kept} = {window[-1]}")
            self.rename_sizes(node.shape, kept, carried)
        return body

    def taps(self, number: int) -> list[Tap]:
        readers = (self.region.node(r) for r in self.region.graph.successors(number))
        return [r for r in readers if isinstance(r, Tap)]

    def step_reads(self, step: Step) -> list[str]:
        exprs = self.context.signatures.expressions(step.body)
        return [s for e in exprs for s in symbols(e)]

    def start_window(self, node: Repeat, window: list[str], carried: tuple[int, ...]) -> list[str]:
        starts = [
            self.packed([self.region.node(o).shape[i] for i in carried]) for o in node.operands
        ]
        if len(set(starts)) == 1:
            chain = " = ".join(window)
            result = [] if chain == starts[0] else [f"        {chain} = {starts[0]}"]
        else:
            result = [f"        {', '.join(window)} = {', '.join(starts)}"]
            if len(result[0]) > WIDTH:
                made = Call("", *starts, always=True)
                result = lines(made, 8, f"{', '.join(window)} = ")
        for name, own in zip(node.window, window, strict=True):
            shape = tuple(Symbol(f"{name}_{d}") for d in "chw")
            self.rename_sizes(shape, own, carried)
            if carried == self.layout:
                self.scope.shapes[f"{name}_c"] = own
        return result

    def rename_sizes(self, shape: Any, variable: str, carried: tuple[int, ...]) -> None:
        for place, position in enumerate(carried):
            if position < len(shape):
                text = variable if len(carried) == 1 else f"{variable}[{place}]"
                self.scope.rename[shape[position].name] = text

    def packed(self, sizes: list[Expr]) -> str:
        shown = [self.scope.show(size) for size in sizes]
        return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"

    def steps(
        self, name: str, node: Repeat, window: list[str], carried: tuple[int, ...], stage: bool
    ) -> list[str]:
        """What the loop does: makes a module, appends it, moves the window on."""
        same = all(map(is_cell_call, node.steps)) and carried == self.layout
        made = self.free("cell" if all(map(is_cell_call, node.steps)) else "layer")
        default, *exceptions = node.steps
        body: list[str] = []
        word = "if"
        for step in exceptions:
            places = [self.scope.show(p) for p in step.places or ()]
            test = f"== {places[0]}" if len(places) == 1 else f"in ({', '.join(places)})"
            body.append(f"            {word} step {test}:")
            if stage:
                body.append("                stage += 1")
            body += self.step(step, made, 16, [] if same else window, carried)
            word = "elif"
        indent = 12
        if exceptions:
            body.append("            else:")
            indent = 16
        body += self.step(default, made, indent, [] if same else window, carried)
        body.append(f"            self.{name}.append({made})")
        if same and carried:
            body.append(f"            {_advance(window, f'{made}.{self.out_name()}')}")
        elif carried:
            body.append(f"            {_advance(window, self.free('out'))}")
        return body

    def step(
        self, step: Step, made: str, indent: int, window: list[str], carried: tuple[int, ...]
    ) -> list[str]:
        module = self.scope.branch(step.body)
        if is_cell_call(step):
            only = next(n for _, n in step.body.nodes() if not isinstance(n, Input))
            assert isinstance(only, CallNode)
            module = self.scope.module(step.body, only)
        body = lines(module, indent, f"{made} = ")
        if window and carried:
            sizes = [step.body.output.shape[i] for i in carried]
            body += lines(Text(self.packed(sizes)), indent, f"{self.free('out')} = ")
        return body


def _advance(window: list[str], new: str) -> str:
    if len(window) == 1:
        return f"{window[0]} = {new}"
    return f"{', '.join(window)} = {', '.join(window[1:])}, {new}"
