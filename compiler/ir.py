"""The IR: a search space, or a final model, as a hierarchy of graphs.

A `Region` is a DAG over values, in the order of the program; `graph` is that DAG in networkx. Every
operation, cell and network is one region, defined once over symbols (its parameters, the sizes of
its inputs) and instantiated by `Call` nodes with its arguments. Search network and final model are
the same IR; in the first a decision is an explicit `Choice`, in the second there is none left.

Regions come in two sorts. A *declared* one (op, cell, network, set, step) has symbols of its own,
which a call binds. A *branch* (one side of a `Select`, one option of a set, a flow that makes one
module) stands inside another and reads the symbols of that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from compiler.decision import Condition, Decision, Keep
from compiler.expr import Const, Expr, Symbol, substitute
from compiler.layers import PARTIAL, RANDOM, STATEFUL
from compiler.layers import channel_axis as channel_axis
from dsl.source import Span

if TYPE_CHECKING:
    import networkx as nx

Dims = tuple[Expr, ...]
Arguments = tuple[tuple[str, Expr], ...]
DIMENSIONS = {1: ("d",), 2: ("t", "d"), 3: ("c", "h", "w")}
"""What the sizes of a value are called, by how many it has.

The batch is left out. In a tensor it comes first, in a sequence after the time.
"""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A value. `operands` are the numbers of the values it reads, in order.

    `name` is the attribute its module gets; `bound` the name that the file gives the value.
    Nodes of a region (and of the branches in it) that bear one name in `shared` are one module, or
    one mask. What stands `under` a condition goes where decisions do not come out so.
    """

    operands: tuple[int, ...] = ()
    shape: Dims
    span: Span | None = field(default=None, compare=False, repr=False)
    name: str = ""
    bound: str | None = None
    shared: str = ""
    under: Condition = ()


@dataclass(frozen=True, kw_only=True)
class Input(Node):
    """An input; `demands` are sizes that the file's pattern requires, None where it binds them.

    One that is `below` a number holds whole numbers, such as words of a vocabulary.
    """

    demands: tuple[Expr | None, ...] = ()
    below: Expr | None = None

    @property
    def batch_axis(self) -> int:
        """Where the batch is in its tensor: first, or second behind the time."""
        return int(len(self.shape) == 2 or self.below is not None)


@dataclass(frozen=True, kw_only=True)
class Layer(Node):
    layer: str
    arguments: Arguments = ()


@dataclass(frozen=True, kw_only=True)
class Call(Node):
    """An instance of a declared region."""

    region: Region
    arguments: Arguments = ()


@dataclass(frozen=True, kw_only=True)
class Inline(Node):
    """A branch applied to one value: a flow of several stateful layers that makes one module."""

    region: Region


@dataclass(frozen=True, kw_only=True)
class Scan(Node):
    """An instance of a region run along the first dimension of its operands.

    The region reads one step of each operand, then its states, which are zero at the start of a
    stream; what it gives back are the states after the step. The value is the first of them (what
    it gives back where it has none), step after step.
    """

    region: Region
    arguments: Arguments = ()


@dataclass(frozen=True, kw_only=True)
class Choice(Node):
    """An open decision between the options of a set region.

    As a mixture it is the weighted sum of all of them, or side by side where `how` is "concat".
    Several choices may obey one decision.
    """

    region: Region
    arguments: Arguments = ()
    decision: str
    how: str = "sum"


@dataclass(frozen=True, kw_only=True)
class Select(Node):
    """A branch taken by a condition that is known when the network is built."""

    condition: Expr
    then: Region
    otherwise: Region


@dataclass(frozen=True, kw_only=True)
class Join(Node):
    """A join of values: `how` is one of `JOINS`. Those at `loose` places are joined only if nothing
    else reads them once everything is decided."""

    how: str
    loose: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Elementwise(Node):
    """`+ - * /` of two values, or of a value and a number; `swapped` where the number is first."""

    operator: str
    number: Expr | None = None
    swapped: bool = False


@dataclass(frozen=True, kw_only=True)
class Part(Node):
    """Part `index` of the channels of a value cut into `count` equal ones."""

    index: int
    count: int


@dataclass(frozen=True)
class Step:
    """What a repeat does at `places`, or at all others where that is None."""

    places: tuple[Expr, ...] | None
    body: Region
    spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)
    """Where the places are written."""


@dataclass(frozen=True, kw_only=True)
class Repeat(Node):
    """A stack: each step reads the last values of a window and appends its own.

    `operands` are the first window; its members are called `window` inside. The value is the last
    step's output. Step bodies read `step`, `stage` and the sizes of the window's members as
    symbols.
    """

    count: Expr
    steps: tuple[Step, ...]
    window: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Tap(Node):
    """The output of step `index` of the repeat it reads."""

    index: Expr


class Form(Enum):
    """How a region is written as a module."""

    EMPTY = "the identity"
    SINGLE = "one module"
    CHAIN = "modules one after another"
    GRAPH = "a class with a forward of its own"


@dataclass(frozen=True)
class Option:
    """`idle` options count in the mixture's weights but are not computed."""

    label: str
    sink: bool
    body: Region
    idle: bool = False


@dataclass(eq=False)
class Region:
    """A DAG of values with its symbols. Filled by `compiler.lowering.body.Body`."""

    name: str
    kind: str
    parameters: dict[str, Expr | None] = field(default_factory=dict)
    """Number parameters with their defaults; those fixed for every use are folded away."""
    values: dict[int, Any] = field(default_factory=dict, repr=False)
    """The nodes by their numbers, which grow in the order of the program."""
    outputs: tuple[int, ...] = ()
    options: tuple[Option, ...] = ()
    decisions: tuple[Decision, ...] = ()
    keep: Keep | None = None
    sources: tuple[str, ...] = ()
    """The values that edges with choices may leave, in the order of the program."""
    auxiliary: tuple[int, ...] = ()
    kernels: set[str] = field(default_factory=set, repr=False)
    """Symbols taken to be odd, since windows of that size are padded automatically."""
    promises: tuple[tuple[Expr | None, ...], ...] = ()
    """The shape of each output that a network says it gives, None for a size it leaves open."""
    order: tuple[int, int] = (0, 0)
    """Where the declaration stands: the number of its file, and the place in it."""
    decided: tuple[str, ...] = ()
    """In a final model, what a kind decided, in the language's own words."""
    functions: tuple[str, ...] = ()
    """Parameters that are operations to apply; the others are numbers."""
    states: int | None = None
    """In a region that is run along a dimension, how many of its inputs, the last, are states."""
    header: str = ""
    comment: str | None = None
    span: Span | None = field(default=None, repr=False)
    _known: tuple[tuple[int, ...], Form] | None = field(default=None, init=False, repr=False)
    """The form of the region with these outputs."""
    _graph: nx.DiGraph | None = field(default=None, init=False, repr=False)

    # -- reading

    def node(self, number: int) -> Any:
        return self.values[number]

    def nodes(self) -> Iterator[tuple[int, Any]]:
        """Numbers and nodes in the order of the program, which is topological."""
        return iter(tuple(self.values.items()))

    @property
    def inputs(self) -> list[tuple[int, Input]]:
        return [(i, n) for i, n in self.nodes() if isinstance(n, Input)]

    @property
    def state_inputs(self) -> list[tuple[int, Input]]:
        """The inputs of a recurrence that are its states."""
        return self.inputs[len(self.inputs) - (self.states or 0) :]

    @property
    def output(self) -> Any:
        """The node of the output; of the first, where there are several."""
        return self.node(self.outputs[0])

    @property
    def is_branch(self) -> bool:
        return self.kind == "branch"

    @property
    def is_pure(self) -> bool:
        """Whether an op is a plain function of its inputs: it branches, and holds no state."""
        return _is_pure(self, {})

    @property
    def form(self) -> Form:
        """How the region is written; it is asked for often, and found anew when it has changed."""
        if self._known is None or self._known[0] != self.outputs:
            self._known = self.outputs, self._form()
        return self._known[1]

    def _form(self) -> Form:
        if self.kind in ("cell", "network") or self.states is not None:
            return Form.GRAPH
        inputs = [i for i, _ in self.inputs]
        rest = [(i, n) for i, n in self.nodes() if not isinstance(n, Input)]
        if len(inputs) != 1 or len(self.outputs) != 1:
            return Form.GRAPH
        previous = inputs[0]
        for number, node in rest:
            if node.operands != (previous,) or not isinstance(node, Layer | Call | Select | Inline):
                return Form.GRAPH
            if node.shared or is_mask(node) or is_partial(node):
                return Form.GRAPH
            if isinstance(node, Call) and is_open(node.region):
                return Form.GRAPH
            previous = number
        if self.outputs[0] != previous:
            return Form.GRAPH
        return [Form.EMPTY, Form.SINGLE, Form.CHAIN][min(len(rest), 2)]

    def path(self, number: int) -> str:
        """The attribute path, inside this region's module, of a node's module ("" for itself)."""
        form = self.form
        if form is Form.SINGLE:
            return ""
        if form is Form.CHAIN:
            first = self.inputs[0][0]
            return str([i for i, _ in self.nodes() if i != first].index(number))
        return str(self.node(number).name)

    def bind(self, arguments: Arguments, shapes: list[Any]) -> dict[str, Any]:
        """What a call gives this region's symbols: its arguments and the sizes of its inputs."""
        env: dict[str, Any] = dict(arguments)
        for (_, node), shape in zip(self.inputs, shapes, strict=True):
            for own, size in zip(node.shape, shape, strict=True):
                if isinstance(own, Symbol):
                    env.setdefault(own.name, size)
        return env

    def out_dims(self, arguments: Arguments, shapes: list[Dims]) -> Dims:
        """The shape of the output in the caller's terms."""
        env = {} if self.is_branch else self.bind(arguments, shapes)
        return tuple(substitute(size, env) for size in self.output.shape)

    def state_dims(self, arguments: Arguments) -> list[Dims]:
        """The shapes of the states in the caller's terms."""
        env = dict(arguments)
        return [tuple(substitute(size, env) for size in n.shape) for _, n in self.state_inputs]

    # -- writing

    def add(self, node: Node) -> int:
        self.forget()
        number = len(self.values)
        self.values[number] = node
        return number

    def replace(self, number: int, /, **changes: Any) -> None:
        self.forget()
        self.values[number] = replace(self.values[number], **changes)

    def forget(self) -> None:
        """What follows from the nodes is to be found anew."""
        self._known = self._graph = None

    # -- as a graph

    @property
    def graph(self) -> nx.DiGraph:
        """The DAG of the values: their numbers, with an edge from each operand to its reader."""
        if self._graph is None:
            import networkx as nx  # checking a file asks for no graph, and ends sooner

            self._graph = nx.DiGraph()
            self._graph.add_nodes_from((number, {"node": node}) for number, node in self.nodes())
            for number, node in self.nodes():
                self._graph.add_edges_from((operand, number) for operand in node.operands)
        return self._graph

    def live(self) -> set[int]:
        """The values that reach an output, auxiliary ones and states included."""
        states = {i for i, n in self.nodes() if isinstance(n, Scan) and n.region.states}
        return self._reaching({*self.outputs, *self.auxiliary, *states})

    def heads(self) -> set[int]:
        """The values that reach an auxiliary output alone."""
        if not self.auxiliary:
            return set()
        return self._reaching(set(self.auxiliary)) - self._reaching(set(self.outputs))

    def _reaching(self, ends: set[int]) -> set[int]:
        import networkx as nx

        return ends.union(*(nx.ancestors(self.graph, end) for end in ends))


def children(region: Region) -> Iterator[Region]:
    """The regions that a region uses directly, in order."""
    for option in region.options:
        yield option.body
    for _, node in region.nodes():
        yield from regions_of(node)


def regions_of(node: Node) -> Iterator[Region]:
    """The regions that a node uses directly, in order."""
    match node:
        case Call() | Inline() | Choice() | Scan():
            yield node.region
        case Select():
            yield node.then
            yield node.otherwise
        case Repeat():
            yield from (step.body for step in node.steps)


def branches(node: Node) -> Iterator[Region]:
    """The regions that stand inside a node and belong to the region around it."""
    match node:
        case Choice(region=region) if region.is_branch:
            yield from (option.body for option in region.options)
        case Inline(region=region):
            yield region
        case Select():
            yield node.then
            yield node.otherwise


def choices(region: Region) -> Iterator[tuple[Region, int, Choice]]:
    """The choices of a region and of the branches in it, each with where it stands."""
    for number, node in region.nodes():
        if isinstance(node, Choice):
            yield region, number, node
        for inner in branches(node):
            yield from choices(inner)


def expressions(node: Node) -> Iterator[Expr]:
    """The numbers that a node is made with."""
    yield from (value for _, value in getattr(node, "arguments", ()))
    match node:
        case Select():
            yield node.condition
        case Repeat():
            yield node.count
            yield from (place for step in node.steps for place in step.places or ())
        case Tap():
            yield node.index
        case Elementwise(number=Expr() as number):
            yield number


def is_open(region: Region) -> bool:
    """Whether a region, or one that it uses, holds a choice."""
    waiting, seen = [region], {id(region)}
    while waiting:
        inner = waiting.pop()
        if any(isinstance(node, Choice) for _, node in inner.nodes()):
            return True
        below = {id(child): child for child in children(inner)}
        waiting += [child for key, child in below.items() if key not in seen]
        seen |= below.keys()
    return False


def is_stateless(region: Region, pure: dict[int, bool] | None = None) -> bool:
    """Whether all nodes are functions of what they read, with no weights and no randomness.

    `pure` remembers which regions are functions, as ops of ops come by many ways.
    """
    known = {} if pure is None else pure
    return all(_is_function(node, known) for _, node in region.nodes())


def _is_function(node: Node, pure: dict[int, bool]) -> bool:
    if node.shared:
        return False
    match node:
        case Layer(layer=layer):
            return layer not in STATEFUL and layer not in RANDOM
        case Call(region=region):
            return _is_pure(region, pure)
    return isinstance(node, Input | Join | Elementwise | Part)


def _is_pure(region: Region, pure: dict[int, bool]) -> bool:
    if id(region) not in pure:
        is_graph = region.form is Form.GRAPH and region.states is None
        pure[id(region)] = region.kind == "op" and is_graph and is_stateless(region, pure)
    return pure[id(region)]


def is_mask(node: Node) -> bool:
    """Whether a node multiplies by a mask that is drawn apart from it."""
    if not isinstance(node, Layer) or node.layer != "dropout":
        return False
    return bool(node.shared) or ("per", Const("sequence")) in node.arguments


def is_partial(node: Node) -> bool:
    """Whether only the first channels or heads of a layer, or the centre of its window, take part,
    as its call says."""
    return isinstance(node, Layer) and not dict(node.arguments).keys().isdisjoint(PARTIAL)


def is_module(branch: Region) -> bool:
    """Whether a branch is one module, several in a row, or one call that reads all its inputs."""
    if branch.form is not Form.GRAPH:
        return True
    rest = [node for _, node in branch.nodes() if not isinstance(node, Input)]
    inputs = tuple(number for number, _ in branch.inputs)
    return len(rest) == 1 and isinstance(rest[0], Call) and rest[0].operands == inputs


def is_term_by_term(node: Choice) -> bool:
    """Whether a mixture is written as terms: a sum (see `is_in_place`), or what stands side by
    side."""
    return node.how != "sum" or is_in_place(node.region)


def is_in_place(choice: Region) -> bool:
    """Whether a mixture is written as a sum of terms and not as modules.

    So it is where its options are functions, decide themselves, or share something with the region
    around.
    """
    if choice.is_branch and any(is_open(option.body) for option in choice.options):
        return True
    if choice.is_branch and all(option.body.form is Form.EMPTY for option in choice.options):
        return True
    parts = [node for option in choice.options for _, node in option.body.nodes()]
    if any(isinstance(node, Layer) and node.layer == "narrow" for node in parts):
        return True
    if any(node.shared or is_mask(node) or is_partial(node) for node in parts):
        return True
    if choice.is_branch and not all(is_module(option.body) for option in choice.options):
        return True
    calls = [n for n in parts if isinstance(n, Call) and n.region.is_pure]
    several = len(choice.inputs) > 1
    return (several or bool(calls)) and all(is_stateless(o.body) for o in choice.options)


def substituted(arguments: Arguments, env: Mapping[str, Expr]) -> Arguments:
    return tuple((name, substitute(value, env)) for name, value in arguments)
