"""The syntax tree: frozen nodes, each with its span. Equality ignores spans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dsl.source import Span


@dataclass(frozen=True)
class Node:
    span: Span = field(compare=False, repr=False)

    def children(self) -> Iterator[Node]:
        """The nodes directly below this one, in the order of the text."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, Node):
                    yield each

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the text."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(list(node.children())))


# ---- expressions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Name(Node):
    name: str


@dataclass(frozen=True)
class Number(Node):
    value: int | float


@dataclass(frozen=True)
class Flag(Node):
    value: bool


@dataclass(frozen=True)
class Unary(Node):
    """`-x` and `not x`."""

    operator: str
    operand: Expr


@dataclass(frozen=True)
class Binary(Node):
    """Arithmetic, comparison and logic: `+ - * / // % ^`, `== != < <= > >=`, `and or`."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class When(Node):
    """`value when condition else otherwise`; without `else`, nothing (the identity)."""

    value: Expr
    condition: Expr
    otherwise: Expr | None


@dataclass(frozen=True)
class Flow(Node):
    """`x -> f -> g`."""

    steps: tuple[Expr, ...]


@dataclass(frozen=True)
class Each(Node):
    """`each (a, b) -> f`: one edge for every value."""

    source: Expr
    steps: tuple[Expr, ...]


@dataclass(frozen=True)
class Choose(Node):
    """`choose options`, `choose 2 of options`, `choose 1..3 of options above 0.5`: a decision.

    `count` is how many are chosen, None for one that stands for itself; with `most`, at least
    `count` and at most `most`, those above `above`. `entangled` numbers are slices of the largest.
    """

    options: Expr
    count: Expr | None = None
    most: Expr | None = None
    above: Expr | None = None
    entangled: bool = False


@dataclass(frozen=True)
class At(Node):
    """`at i, j: f`: what a `repeat` does at those places instead."""

    places: tuple[Expr, ...]
    body: Expr


@dataclass(frozen=True)
class Repeat(Node):
    """`repeat N { f at i: g }`."""

    count: Expr
    body: Expr
    exceptions: tuple[At, ...]


@dataclass(frozen=True)
class Over(Node):
    """`f over T`: an operation run along a dimension, step by step."""

    operation: Expr
    dimension: Name


@dataclass(frozen=True)
class Argument(Node):
    """An argument of a call; `name` is None where it stands by position."""

    name: str | None
    value: Expr

    @property
    def name_span(self) -> Span:
        return self.value.span if self.name is None else self.span.head(len(self.name))


@dataclass(frozen=True)
class Call(Node):
    callee: Expr
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Index(Node):
    base: Expr
    index: Expr


@dataclass(frozen=True)
class Earlier(Node):
    """`earlier n`: the members of group `n` before this one."""

    name: str

    @property
    def name_span(self) -> Span:
        return _last(self.span, self.name)


@dataclass(frozen=True)
class Loose(Node):
    """`loose n`: the members of group `n` that nothing reads."""

    name: str

    @property
    def name_span(self) -> Span:
        return _last(self.span, self.name)


@dataclass(frozen=True)
class Range(Node):
    """`8..64 by 8`: numbers from the first to the last, both included."""

    first: Expr
    last: Expr
    by: Expr | None


@dataclass(frozen=True)
class ListExpr(Node):
    items: tuple[Expr, ...]


@dataclass(frozen=True)
class For(Node):
    """`for k in (3, 5)` in a set."""

    name: str
    source: Expr
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Item(Node):
    """An option of a set: `sink none`, `f(k) for k in (3, 5) if p`, `sep_conv(3) as sep_3`.

    A label that is the name of a loop stands for the label of what the loop goes through.
    """

    value: Expr
    sink: bool
    loops: tuple[For, ...]
    condition: Expr | None
    label: str | None

    @property
    def label_span(self) -> Span:
        return self.span if self.label is None else _last(self.span, self.label)


@dataclass(frozen=True)
class SetExpr(Node):
    items: tuple[Item, ...]


Expr = (
    Name
    | Number
    | Flag
    | Unary
    | Binary
    | When
    | Flow
    | Each
    | Choose
    | Repeat
    | Over
    | Call
    | Index
    | Earlier
    | Loose
    | Range
    | ListExpr
    | SetExpr
)


# ---- statements ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bind(Node):
    """`a = e`, or `a, b = e` for a list."""

    names: tuple[Name, ...]
    value: Expr


@dataclass(frozen=True)
class Group(Node):
    """`node n[4] = e`: a group of values."""

    name: Name
    count: Expr
    body: Body


@dataclass(frozen=True)
class Shared(Node):
    """`shared W = f`: an operation with one set of weights, or one mask, for all its uses."""

    name: Name
    value: Expr


@dataclass(frozen=True)
class Keep(Node):
    """`keep 2 edges per node by weight`; `strength` is one of `vocabulary.STRENGTHS`.

    `unit` is "edges" or "candidates"; `in_all` where they are counted over all nodes; `count` is
    None where all stay that are above `above`.
    """

    count: Number | Name | None
    unit: str
    in_all: bool
    strength: str
    above: Expr | None
    strength_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Auxiliary(Node):
    """`auxiliary v`: an output of the final network while it trains."""

    value: Expr


Statement = Bind | Group | Shared | Keep | Auxiliary


def bound_by(statement: Statement) -> tuple[Name, ...]:
    """The names that a statement binds."""
    match statement:
        case Bind():
            return statement.names
        case Group() | Shared():
            return (statement.name,)
    return ()


@dataclass(frozen=True)
class Body(Node):
    """Statements and what they return; `= e` is a body without statements."""

    statements: tuple[Statement, ...]
    result: Expr


# ---- declarations --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter(Node):
    name: str
    default: Expr | None

    @property
    def name_span(self) -> Span:
        return self.span.head(len(self.name))


@dataclass(frozen=True)
class Input(Node):
    """`last[_, s, _]`; without a pattern, `shape` is None. In a pattern, `_` is Name("_").

    `word[T] below V` holds whole numbers below V.
    """

    name: Name
    shape: tuple[Expr, ...] | None
    below: Expr | None = None


@dataclass(frozen=True)
class SetDecl(Node):
    name: Name
    value: Expr


@dataclass(frozen=True)
class OpDecl(Node):
    """`op`; without `from`, `inputs` is None and the body is an operation."""

    name: Name
    parameters: tuple[Parameter, ...]
    inputs: tuple[Input, ...] | None
    body: Body
    comment: str | None = None


@dataclass(frozen=True)
class CellDecl(Node):
    """`cell`: an operation whose uses all decide alike; `per stage`, those of one stage.

    `cell motif[6]` declares six, of which `family` says the number.
    """

    name: Name
    parameters: tuple[Parameter, ...]
    inputs: tuple[Input, ...] | None
    body: Body
    comment: str | None = None
    family: Expr | None = None
    per_stage: bool = False


@dataclass(frozen=True)
class NetworkDecl(Node):
    parameters: tuple[Parameter, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Input, ...]
    body: Body


@dataclass(frozen=True)
class Setting(Node):
    """`epochs = 50`. Words are strings, lists tuples."""

    name: Name
    value: int | float | bool | str | tuple[int | float | bool | str, ...]
    value_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class ProfileDecl(Node):
    name: Name
    base: Name | None
    settings: tuple[Setting, ...]


Declaration = SetDecl | OpDecl | CellDecl | NetworkDecl | ProfileDecl


@dataclass(frozen=True)
class Reference(Node):
    """A line that names another file, after the word that says what for."""

    path: tuple[str, ...]
    word = ""

    @property
    def path_span(self) -> Span:
        return _last(self.span, self.span.text[len(self.word) :].lstrip())


@dataclass(frozen=True)
class Import(Reference):
    """`import a/b`."""

    word = "import"


@dataclass(frozen=True)
class Extend(Reference):
    """`extend a/b`."""

    word = "extend"


@dataclass(frozen=True)
class File(Node):
    language: int
    imports: tuple[Import, ...]
    extends: Extend | None
    declarations: tuple[Declaration, ...]
    comment: str | None = None

    @property
    def references(self) -> tuple[Reference, ...]:
        """The lines that name other files, in the order of the text."""
        return self.imports if self.extends is None else (*self.imports, self.extends)


def _last(span: Span, name: str) -> Span:
    """The place of what ends `span`."""
    return Span(span.source, span.end - len(name), span.end)
