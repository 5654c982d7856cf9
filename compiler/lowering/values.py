"""What an expression of the language can mean while it is lowered.

A number, a flag or a word is an `Expr`; a tensor is a `Ref`; a list is a tuple of values. The rest
are operations, which become nodes only when they are applied to a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compiler.expr import Const, Expr, opens, symbols
from compiler.ir import Arguments, Node, Region
from compiler.layers import ACTIVATIONS
from compiler.lowering.budget import MOST_TURNS
from dsl import ast
from dsl.calls import counted
from dsl.diagnostics import DartsError, Label, fault
from dsl.source import Span
from dsl.vocabulary import NOTHING

MOST_STEPS = 1000


class StaticNeeded(Exception):
    """The structure of a region hangs on these symbols, which must be folded to constants."""

    def __init__(self, names: tuple[str, ...], span: Span, origin: Span | None = None) -> None:
        super().__init__(", ".join(names))
        self.names, self.span, self.origin = names, span, origin or span
        self.condition: Expr | None = None
        """The condition of which no more than the outcome must be known."""

    def fault(self, whose: str) -> DartsError:
        """What to say where a symbol cannot be folded; `whose` parameters could be."""
        hangs = ", ".join(f"`{name}`" for name in self.names)
        message = f"this must be known before the network is built, but hangs on {hangs}"
        labels = [Label(self.origin, "needed here")] if self.origin != self.span else []
        return fault("E0405", message, self.span, f"let it hang on parameters {whose}", *labels)


@dataclass(frozen=True)
class Ref:
    """A value of the region under construction; `owner` tells which that is.

    `name` is what the file calls it where it is another value's in this phase, as behind a flow
    that does nothing here.
    """

    number: int
    owner: int
    name: str = field(default="", compare=False)
    origin: str = field(default="", compare=False)
    """What the file calls the value that it was made from, where it has no name itself."""
    steps: tuple[Ref, ...] = field(default=(), compare=False)
    """Of a repeat that is written out, the outputs of all its steps."""


class Poison:
    """Stands for what a fault, already reported, has left undefined."""


POISON = Poison()


@dataclass(frozen=True)
class LayerOperation:
    layer: str
    arguments: Arguments
    span: Span = field(compare=False)


@dataclass(frozen=True)
class LayerCall:
    """A layer with arguments of which some are still to be chosen."""

    layer: str
    given: tuple[tuple[str, Value], ...]
    span: Span = field(compare=False)


@dataclass(frozen=True)
class Declared:
    """An op or a cell with the arguments given so far."""

    declaration: ast.OpDecl | ast.CellDecl
    given: tuple[tuple[str, Value], ...]
    span: Span = field(compare=False)
    member: int | None = None
    """Which of a family of cells it is."""
    stage: int | None = None
    """The number of the stage that it decides for, where every stage decides for itself."""

    @property
    def name(self) -> str:
        parts = (self.declaration.name.name, self.member, self.stage)
        return "_".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True)
class Composed:
    """Operations one after another; `length` is how many, those inside of others counted."""

    steps: tuple[Operation, ...]
    span: Span = field(compare=False)
    length: int = field(default=0, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        length = sum(s.length if isinstance(s, Composed) else 1 for s in self.steps)
        if length > MOST_STEPS:
            message = f"a flow has at most {MOST_STEPS} steps, this one has {length}"
            raise fault("E0103", message, self.span)
        object.__setattr__(self, "length", length)


@dataclass(frozen=True)
class Conditional:
    condition: Expr
    then: Operation
    otherwise: Operation
    span: Span = field(compare=False)


@dataclass(frozen=True, eq=False)
class Captured:
    """The nodes that a value in a set is made by; they belong to the option and not to the body.

    `nodes` bear the numbers they had in the region, as do the values outside that they read.
    """

    nodes: Mapping[int, Node]
    result: int
    name: str


@dataclass(frozen=True)
class OptionValue:
    operation: Any
    """An operation, a `Captured` value or a number."""
    label: str
    sink: bool
    span: Span = field(compare=False)


@dataclass(frozen=True)
class SetValue:
    """A set's options; `declaration` where the set has a name, with the arguments given to it."""

    options: tuple[OptionValue, ...]
    span: Span = field(compare=False)
    declaration: ast.SetDecl | None = None
    given: tuple[tuple[str, Value], ...] = ()

    def holds(self, kind: type) -> bool:
        """Whether its options are numbers (`Expr`) or values (`Captured`)."""
        return isinstance(self.options[0].operation, kind)


@dataclass(frozen=True)
class Amount:
    """How many options are chosen; those above `above` where that is open."""

    least: int = 1
    most: int = 1
    above: float | None = None


ONE = Amount()


@dataclass(eq=False)
class Birth:
    """One evaluation of a `choose`: all uses of it obey one decision.

    `clock` says what was evaluated before it, `until` what with its set, and `name` what it was
    bound to.
    """

    clock: int
    name: str = ""
    path: str = ""
    until: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """After which evaluation its set was evaluated, and until which."""
        return self.clock, self.until


@dataclass(frozen=True)
class Chosen:
    options: SetValue
    span: Span = field(compare=False)
    birth: Birth
    amount: Amount = ONE


@dataclass(frozen=True, eq=False)
class Several:
    """Values of which some are chosen, to be joined in the region `owner`."""

    chosen: Chosen
    owner: int
    joined: list[tuple[str, int, Node]] = field(default_factory=list)
    """The joins of them so far: how, the number of the value and the node that makes it."""


@dataclass(frozen=True, eq=False)
class LooseValues:
    """The members of a group, of which those count that nothing reads in the end."""

    values: tuple[Ref, ...]


@dataclass(frozen=True, eq=False)
class ChosenNumber:
    """A number to be chosen between calls that differ in it alone."""

    path: str
    values: tuple[Const, ...]
    span: Span
    used: list[Span] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Shared:
    """An operation bound by `shared`: one module, or one mask, for all its uses.

    `name` is that of the module in the region `owner`.
    """

    name: str
    operation: Operation
    owner: Region
    span: Span


@dataclass(frozen=True)
class Scanned:
    """`f over T`."""

    operation: Operation
    dimension: Expr
    span: Span = field(compare=False)


@dataclass(frozen=True, eq=False)
class Frame:
    """Where names are looked up: a body's bindings over the declarations of its file."""

    names: dict[str, Any]
    scope: Mapping[str, ast.Declaration]

    def extended(self, **names: Any) -> Frame:
        return Frame({**self.names, **names}, self.scope)


@dataclass(frozen=True)
class Repeated:
    count: Expr
    syntax: ast.Repeat
    frame: Frame


Operation = (
    LayerOperation
    | LayerCall
    | Declared
    | Composed
    | Conditional
    | Chosen
    | Repeated
    | Shared
    | Scanned
)
Value = (
    Expr
    | Ref
    | Poison
    | Operation
    | SetValue
    | Several
    | LooseValues
    | ChosenNumber
    | Captured
    | tuple[Any, ...]
)


def kind(value: Value) -> str:
    """The kind of a value, as messages name it."""
    match value:
        case Expr():
            return "a number"
        case Ref():
            return "a value"
        case SetValue():
            return "a set"
        case tuple():
            return "a list"
        case LooseValues():
            return "what is loose"
        case Several():
            return "several chosen values"
        case ChosenNumber():
            return "a number to be chosen"
    return "an operation"


def shown(plain: Any) -> Any:
    """A number, a flag or a word as the language has it."""
    return ("yes" if plain else "no") if isinstance(plain, bool) else plain


def joins(value: Value) -> str | None:
    """What makes one value of several, as a help says it."""
    if isinstance(value, Several):
        text = value.chosen.span.text
        is_short = len(text) <= 60 and "\n" not in text
        return f"`sum({text if is_short else 'choose … of …'})` joins them"
    if isinstance(value, tuple | LooseValues):
        return "join the values with `concat` or `sum`"
    return None


def is_operation(value: Value) -> bool:
    return isinstance(value, Operation)


def length(values: tuple[Value, ...]) -> int:
    """How many values a list has, lists in it gone through; many where it is many."""
    count = 0
    waiting: list[Value] = list(values)
    while waiting and count <= MOST_TURNS:
        value = waiting.pop()
        count += 1
        waiting.extend(value if isinstance(value, tuple) else ())
    return count


def as_operands(value: Value, span: Span) -> tuple[Ref, ...]:
    """The values that flow on."""
    items = value if isinstance(value, tuple) else (value,)
    for item in items:
        if not isinstance(item, Ref):
            if isinstance(item, Poison):
                raise DartsError(())
            if isinstance(item, Several):
                many = counted(item.chosen.amount.most)
                message = f"{many} values are chosen here, one is needed"
                raise fault("E0610", message, span, joins(item))
            raise fault("E0401", f"a value is needed here, this is {kind(item)}", span)
    return items


def as_function(value: Value) -> Expr | None:
    """An activation as an op may be given it, to apply: the word for it, or a symbol."""
    if isinstance(value, LayerOperation):
        if value.layer in ACTIVATIONS:
            return Const(value.layer)
        if value.layer == "apply":
            return value.arguments[0][1]
    return None


def is_tied(operation: LayerOperation) -> bool:
    """Whether a `linear` has the table of an embedding for its matrix."""
    return dict(operation.arguments).get("tied", Const(NOTHING)) != Const(NOTHING)


def closes_over(value: Value) -> bool:
    """Whether an argument holds something of the body it comes from: a value, what is shared or
    still to be decided."""
    if isinstance(value, Shared | Ref | Chosen | ChosenNumber | Several | Repeated):
        return True
    if isinstance(value, Expr):
        return bool(opens(value))
    return any(closes_over(part) for part in _parts(value))


def is_chosen(value: Value) -> bool:
    """Whether an argument is a number that is still to be chosen."""
    return isinstance(value, ChosenNumber) or (isinstance(value, Expr) and bool(opens(value)))


def holds_numbers(value: Value) -> bool:
    """Whether an operation holds numbers that are open in the body it comes from."""
    match value:
        case LayerOperation():
            open_ = any(symbols(given) for _, given in value.arguments)
            return bool(open_) and as_function(value) is None
        case Conditional(condition=condition) if symbols(condition):
            return True
        case Declared() if any(isinstance(v, Expr) and symbols(v) for _, v in value.given):
            return True
    return any(holds_numbers(part) for part in _parts(value))


def _parts(value: Value) -> tuple[Any, ...]:
    """The operations and values inside another."""
    match value:
        case Composed():
            return value.steps
        case Conditional():
            return (value.then, value.otherwise)
        case Declared() | LayerCall():
            return tuple(given for _, given in value.given)
        case LayerOperation():
            return tuple(given for _, given in value.arguments)
        case SetValue():
            return tuple(option.operation for option in value.options)
        case Scanned():
            return (value.operation,)
        case tuple():
            return value
    return ()


def is_word(value: Value) -> bool:
    """Whether an argument is no number (a flag, a word, an operation), and fixes a structure."""
    if not isinstance(value, Expr):
        return True
    return isinstance(value, Const) and isinstance(value.value, str | bool)
