"""Names the constructs of the language that a file uses, by walking its syntax tree."""

from __future__ import annotations

from collections.abc import Iterator

from dsl import ast, files
from dsl.lookup import declarations
from dsl.parse import parse
from dsl.vocabulary import COUNTERS, JOINS, LAYERS, PHASES, SPLIT, STRENGTHS

STD = declarations(parse(files.read(files.SHIPPED / "std.darts", "std")))
STATEFUL = frozenset({
    "conv", "depthwise", "conv_transpose", "linear", "bn", "layer_norm", "group_norm", "attention",
    "position", "embedding", "dropout", "drop_path", "gaussian",
})  # fmt: skip
EVERY = frozenset(
    {
        *(f"layer {name}" for name in LAYERS),
        *(f"{layer.name}({a.name})" for layer in LAYERS.values() for a in layer.optional),
        *(f"join {how}" for how in JOINS),
        *(f"return {what}" for what in (*JOINS, "a member", "arithmetic", "states")),
        *(f"keep by {strength}" for strength in STRENGTHS),
        *(f"keep {count}" for count in (1, 2, 3)),
        *("keep edges per node", "keep edges in all", "keep candidates per node"),
        *("keep candidates in all", "keep above"),
        *("choose several", "choose above", "choice of values", "choice that is bound"),
        *("choice in the network", "repeat in a cell", "nested group", "loose"),
        *("family", "cell per stage", "repeat that decides"),
        *("no keep", "choose a set written there", "choose a set by name", "choose with arguments"),
        *("choice in a binding", "choice in each", "choice of earlier", "choice on a join's flow"),
        *("choice of several values", "choice in an op", "two choices in a row"),
        *("for", "for over operations", "if", "as", "as its loop", "sink"),
        *(f"option that is {what}" for what in ("a layer", "a flow", "a condition", "an op")),
        *("option that is a function", "option given an operation", "option that is shared"),
        *("op given an op", "group = e", "group with a block"),
        *(f"counter {name}" for name in COUNTERS),
        *(f"when on a {what}" for what in ("parameter", "size", "phase", "counter")),
        *("when without else", "when between operations", "when between values"),
        *("shared in a body", "shared in a group", "shared flow", "shared given to an op", SPLIT),
        *(f"{sign} of values" for sign in "+-*/"),
        *("minus a value", "number and value", "op = e", "op with a block", "op that is a chain"),
        *("op of two values", "unread input", "pattern", "op of an operation", "default"),
        *("cell of two values", "cell from a cell", "cell in a cell", "cell used twice"),
        *("one state", "two states", "over", "over without states", "words", "tied"),
        *("mask per sequence", "repeat", "at", "several places", "window", "tap", "auxiliary"),
        *("several inputs", "several outputs", "op that gives a list"),
        *("import", "extend", "declared anew"),
        *("parameter in a profile", "profile of a profile", "profile over either"),
    }
)  # fmt: skip


def constructs(file: ast.File) -> set[str]:
    """Those of EVERY that occur in a file."""
    walk = _Walk(file)
    found = {reference.word for reference in file.references}
    if file.extends is not None:
        # random spaces extend nothing else
        anew = {d.name.name for d in file.declarations if isinstance(d, ast.OpDecl)} & set(STD)
        found |= {"declared anew"} if anew else set()
    for declaration in file.declarations:
        found |= set(walk.declaration(declaration))
    unknown = found - EVERY
    assert not unknown, unknown
    return found


class _Walk:
    def __init__(self, file: ast.File) -> None:
        self.declared = {d.name.name: d for d in file.declarations if not _is_network(d)}
        network = next(d for d in file.declarations if _is_network(d))
        self.calls = [n.name for n in network.walk() if isinstance(n, ast.Name)]
        self.parameters: set[str] = {p.name for p in network.parameters}
        self.values: set[str] = set()
        self.sizes: set[str] = set()
        self.shared: set[str] = set()

    # -- declarations

    def declaration(self, declaration: ast.Declaration) -> Iterator[str]:
        match declaration:
            case ast.ProfileDecl():
                yield from self.profile(declaration)
                return
            case ast.SetDecl():
                self.parameters = self.values = self.sizes = self.shared = set()
                yield from self.inside(declaration, ())
                return
        inputs = declaration.inputs or ()
        nodes = list(declaration.walk())
        self.parameters = {p.name for p in declaration.parameters}
        self.values = {i.name.name for i in inputs}
        self.values |= {n.name for b in nodes if isinstance(b, ast.Bind) for n in b.names}
        self.values |= {b.name.name for b in nodes if isinstance(b, ast.Group)}
        sizes = (s for i in inputs for s in i.shape or () if isinstance(s, ast.Name))
        self.sizes = {s.name for s in sizes} - self.parameters
        self.shared = {b.name.name for b in nodes if isinstance(b, ast.Shared)}
        if any(p.default is not None for p in declaration.parameters):
            yield "default"
        if not _is_network(declaration) and any(i.shape for i in inputs):
            yield "pattern"
        match declaration:
            case ast.OpDecl():
                yield from self.op(declaration)
            case ast.CellDecl():
                yield from self.cell(declaration)
            case ast.NetworkDecl():
                if any(i.below is not None for i in inputs):
                    yield "words"
                if len(inputs) > 1:
                    yield "several inputs"
                if len(declaration.outputs) > 1:
                    yield "several outputs"
        yield from self.inside(declaration, ())

    def profile(self, profile: ast.ProfileDecl) -> Iterator[str]:
        if profile.base is not None:
            yield "profile of a profile"
        elif profile.name.name not in PHASES:
            yield "profile over either"
        if any(len(s.name.name) == 1 for s in profile.settings):
            yield "parameter in a profile"

    def op(self, op: ast.OpDecl) -> Iterator[str]:
        if op.inputs is None:
            yield "op that is a chain"
            return
        yield "op with a block" if op.body.statements else "op = e"
        if isinstance(op.body.result, ast.ListExpr):
            yield "op that gives a list"
        if len(op.inputs) > 1:
            yield "op of two values"
        if any(i.name.name == "_" for i in op.inputs):
            yield "unread input"
        steps = [s for f in op.walk() if isinstance(f, ast.Flow) for s in f.steps]
        if any(isinstance(s, ast.Name) and s.name in self.parameters for s in steps):
            yield "op of an operation"

    def cell(self, cell: ast.CellDecl) -> Iterator[str]:
        if self.calls.count(cell.name.name) > 1:
            yield "cell used twice"
        if cell.inputs is None:
            yield "cell from a cell"
            return
        if cell.family is not None:
            yield "family"
        if cell.per_stage:
            yield "cell per stage"
        states = [i.name.name for i in cell.inputs if i.name.name in ("h", "c")]
        if states:
            yield "one state" if len(states) == 1 else "two states"
        if len(cell.inputs) - len(states) > 1:
            yield "cell of two values"
        if not any(isinstance(s, ast.Keep) for s in cell.body.statements):
            yield "no keep"
        if any(isinstance(self.declaration_of(n), ast.CellDecl) for n in cell.body.walk()):
            yield "cell in a cell"
        match cell.body.result:
            case ast.Call(callee=ast.Name(name=how)) if how in JOINS:
                yield f"return {how}"
            case ast.Index():
                yield "return a member"
            case ast.Binary():
                yield "return arithmetic"
            case ast.ListExpr():
                yield "return states"

    def declaration_of(self, node: ast.Node) -> ast.Declaration | None:
        """What a name, called or not, stands for in the file."""
        callee = node.callee if isinstance(node, ast.Call) else node
        return self.declared.get(callee.name) if isinstance(callee, ast.Name) else None

    # -- inside them

    def inside(self, node: ast.Node, around: tuple[ast.Node, ...]) -> Iterator[str]:
        """The constructs from `node` down; `around` are the nodes it stands in."""
        yield from self.statement(node, around)
        yield from self.expression(node, around)
        if isinstance(node, ast.Choose):
            yield from self.choice(node, around)
        if isinstance(node, ast.Item):
            yield from self.item(node)
        for child in node.children():
            yield from self.inside(child, (*around, node))

    def statement(self, node: ast.Node, around: tuple[ast.Node, ...]) -> Iterator[str]:
        match node:
            case ast.Keep():
                if isinstance(node.count, ast.Number) and node.count.value <= 3:
                    yield f"keep {node.count.value}"
                if node.above is not None:
                    yield "keep above"
                yield f"keep {node.unit} {'in all' if node.in_all else 'per node'}"
                yield f"keep by {node.strength}"
            case ast.Bind(value=ast.Choose()):
                yield "choice that is bound"
            case ast.Group():
                if any(isinstance(a, ast.Group) for a in around):
                    yield "nested group"
                yield "group with a block" if node.body.statements else "group = e"
            case ast.Shared():
                in_group = any(isinstance(a, ast.Group) for a in around)
                yield "shared in a group" if in_group else "shared in a body"
                if isinstance(node.value, ast.Flow):
                    yield "shared flow"
            case ast.Auxiliary():
                yield "auxiliary"

    def expression(self, node: ast.Node, around: tuple[ast.Node, ...]) -> Iterator[str]:
        match node:
            case ast.Loose():
                yield "loose"
            case ast.Name(name=name) if name in LAYERS:
                yield f"layer {name}"
            case ast.Name(name=name) if name in COUNTERS:
                yield f"counter {name}"
            case ast.Call():
                yield from self.call(node)
            case ast.When():
                yield from self.when(node)
            case ast.Unary(operator="-") if self.is_value(node.operand):
                yield "minus a value"
            case ast.Binary(operator=sign) if sign in "+-*/":
                sides = [self.is_value(node.left), self.is_value(node.right)]
                if any(sides):
                    yield f"{sign} of values"
                    if not all(sides):
                        yield "number and value"
            case ast.Repeat():
                yield "repeat"
                if isinstance(around[0], ast.CellDecl):
                    yield "repeat in a cell"
                if any(isinstance(inner, ast.Choose) for inner in node.walk()):
                    yield "repeat that decides"
                if node.exceptions:
                    yield "at"
                if any(len(at.places) > 1 for at in node.exceptions):
                    yield "several places"
            case ast.Flow(steps=(ast.ListExpr(), ast.Repeat(), *_)):
                yield "window"
            case ast.Over():
                yield "over"
                if isinstance(self.declaration_of(node.operation), ast.OpDecl):
                    yield "over without states"
            case ast.Index(base=ast.Name(name=name)) if "N" in self.parameters:
                yield "tap"

    def call(self, node: ast.Call) -> Iterator[str]:
        name = node.callee.name if isinstance(node.callee, ast.Name) else ""
        if name in JOINS:
            yield f"join {name}"
        elif name == SPLIT:
            yield SPLIT
        for argument in node.arguments:
            if name in LAYERS and argument.name is not None:
                yield f"{name}({argument.name})"
                if argument.name == "tied":
                    yield "tied"
                if argument.value == ast.Name(argument.span, "sequence"):
                    yield "mask per sequence"
            if isinstance(self.declaration_of(node), ast.OpDecl):
                if isinstance(self.declaration_of(argument.value), ast.OpDecl):
                    yield "op given an op"
                if isinstance(argument.value, ast.Name) and argument.value.name in self.shared:
                    yield "shared given to an op"

    def when(self, node: ast.When) -> Iterator[str]:
        kinds = {"parameter": self.parameters, "size": self.sizes, "phase": set(PHASES)}
        kinds["counter"] = set(COUNTERS)
        names = {n.name for n in node.condition.walk() if isinstance(n, ast.Name)}
        yield from (f"when on a {kind}" for kind, own in kinds.items() if names & own)
        if node.otherwise is None:
            yield "when without else"
        is_value = self.is_value(node.value)
        yield "when between values" if is_value else "when between operations"

    def is_value(self, node: ast.Expr) -> bool:
        """Whether an expression is a tensor, as far as what is bound around it shows."""
        match node:
            case ast.Name(name=name):
                return name in self.values
            case ast.Flow(steps=(first, *_)) | ast.Index(base=first) | ast.Unary(operand=first):
                return self.is_value(first)
            case ast.ListExpr(items=items):
                return any(map(self.is_value, items))
            case ast.Binary():
                return self.is_value(node.left) or self.is_value(node.right)
        return isinstance(node, ast.Call) and _name(node) in JOINS

    # -- choices

    def choice(self, node: ast.Choose, around: tuple[ast.Node, ...]) -> Iterator[str]:
        if node.count is not None:
            yield "choose several"
        if node.above is not None:
            yield "choose above"
        items = node.options.items if isinstance(node.options, ast.SetExpr) else ()
        if any(self.is_value(item.value) for item in items):
            yield "choice of values"
        if _is_network(around[0]):
            yield "choice in the network"
        match node.options:
            case ast.SetExpr():
                yield "choose a set written there"
            case ast.Name():
                yield "choose a set by name"
            case ast.Call():
                yield "choose with arguments"
        if isinstance(around[0], ast.OpDecl):
            yield "choice in an op"
        flow = around[-1]
        if isinstance(flow, ast.Each):
            yield "choice in each"
        if any(isinstance(a, ast.Each) and isinstance(a.source, ast.Earlier) for a in around):
            yield "choice of earlier"
        if isinstance(flow, ast.Flow):
            if isinstance(flow.steps[0], ast.ListExpr):
                yield "choice of several values"
            if isinstance(around[-2], ast.Argument):
                yield "choice on a join's flow"
            if isinstance(around[-2], ast.Bind):
                yield "choice in a binding"
        if sum(isinstance(s, ast.Choose) for s in getattr(flow, "steps", ())) > 1:
            yield "two choices in a row"

    def item(self, item: ast.Item) -> Iterator[str]:
        loops = [loop.name for loop in item.loops]
        if loops:
            yield "for"
        if any(_name(n) in LAYERS for loop in item.loops for n in loop.source.children()):
            yield "for over operations"
        if item.condition is not None:
            yield "if"
        if item.label is not None:
            yield "as its loop" if item.label in loops else "as"
        if item.sink:
            yield "sink"
        if _name(item.value) in LAYERS:
            yield "option that is a layer"
        if _name(item.value) in self.shared:
            yield "option that is shared"
        if isinstance(item.value, ast.Flow):
            yield "option that is a flow"
        if isinstance(item.value, ast.When):
            yield "option that is a condition"
        op = self.declaration_of(item.value)
        if isinstance(op, ast.OpDecl):
            yield "option that is a function" if self.is_function(op) else "option that is an op"
            given = [a.value for a in getattr(item.value, "arguments", ())]
            if any(_name(g) in LAYERS or self.declaration_of(g) for g in given):
                yield "option given an operation"

    def is_function(self, op: ast.OpDecl) -> bool:
        """Whether an op holds nothing with weights, by what it names."""
        names = [n for n in op.body.walk() if isinstance(n, ast.Name)]
        inner = [d for d in map(self.declaration_of, names) if isinstance(d, ast.OpDecl)]
        return not any(n.name in STATEFUL for n in names) and all(map(self.is_function, inner))


def _name(node: ast.Node) -> str:
    callee = node.callee if isinstance(node, ast.Call) else node
    return callee.name if isinstance(callee, ast.Name) else ""


def _is_network(declaration: ast.Declaration) -> bool:
    return isinstance(declaration, ast.NetworkDecl)


NUMBERS = frozenset({
    *(f"entangled {what}" for what in ("width", "kernel", "heads", "depth", "of an op")),
    *(f"entangled in the {where}" for where in ("cell", "network")),
    *("entangled and bound", "entangled where it stands", "reckoned from an entangled number"),
    *("chosen between calls", "chosen of a layer", "shared with an entangled number"),
})  # fmt: skip
"""How numbers that are chosen can be used."""
ENTANGLED = {("conv", None): "kernel", ("depthwise", None): "kernel", ("attention", None): "heads"}
"""What a number is where it stands in a layer; else a width."""


def of_numbers(file: ast.File) -> Iterator[str]:
    """How a file uses numbers that are chosen."""
    for declaration in file.declarations:
        nodes = list(declaration.walk())
        binds = [b for b in nodes if isinstance(b, ast.Bind) and _is_entangled(b.value)]
        bound = {b.names[0].name for b in binds}
        if binds:
            yield "entangled and bound"
        if any(map(_is_entangled, nodes)):
            yield f"entangled in the {'network' if _is_network(declaration) else 'cell'}"
        for node in nodes:
            match node:
                case ast.Call():
                    yield from _of_call(node, bound)
                case ast.Repeat(count=count) if _hangs_on(count, bound):
                    yield "entangled depth"
                case ast.Shared(value=value) if _hangs_on(value, bound):
                    yield "shared with an entangled number"


def _of_call(node: ast.Call, bound: set[str]) -> Iterator[str]:
    name, is_layer = _name(node), _name(node) in LAYERS
    for argument in node.arguments:
        value = argument.value
        if isinstance(value, ast.Choose):
            calls = "chosen of a layer" if is_layer else "chosen between calls"
            yield "entangled where it stands" if value.entangled else calls
        if isinstance(value, ast.Name | ast.Choose | ast.Binary) and _hangs_on(value, bound):
            what = ENTANGLED.get((name, argument.name), "width") if is_layer else "of an op"
            yield f"entangled {what}"
            if isinstance(value, ast.Binary):
                yield "reckoned from an entangled number"


def _is_entangled(node: ast.Node) -> bool:
    return isinstance(node, ast.Choose) and node.entangled


def _hangs_on(node: ast.Node, bound: set[str]) -> bool:
    inner = list(node.walk())
    names = {n.name for n in inner if isinstance(n, ast.Name)}
    return bool(names & bound) or any(map(_is_entangled, inner))
