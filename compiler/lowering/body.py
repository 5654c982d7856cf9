"""Evaluates a body of the language into a region: statements, expressions, flows.

Numbers stay expressions; operations become nodes when a value flows into them. A fault spoils only
the statement it stands in, so that independent ones are found in one run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from compiler.builder import Builder
from compiler.expr import (
    Const,
    Expr,
    TooLong,
    if_else,
    opens,
    symbols,
    truth,
)
from compiler.ir import Input, Region, Repeat
from compiler.lowering import (
    arithmetic,
    calls,
    choices,
    flow,
    options,
    repeat,
    scan,
    statements,
)
from compiler.lowering.decisions import Decisions
from compiler.lowering.statements import MOST_MEMBERS
from compiler.lowering.values import (
    POISON,
    Composed,
    Conditional,
    Declared,
    Frame,
    Poison,
    Ref,
    Repeated,
    StaticNeeded,
    Value,
    is_operation,
    joins,
    kind,
    length,
)
from dsl import ast
from dsl.diagnostics import DartsError, fault
from dsl.source import Span
from dsl.vocabulary import JOINS, LAYERS, PHASES, SPLIT, WORDS

if TYPE_CHECKING:
    from compiler.lowering.declarations import Lowering


class Body:
    """Builds one region. `frame` is where names are looked up just now."""

    def __init__(self, lowering: Lowering, region: Region, frame: Frame) -> None:
        self.lowering = lowering
        self.nature = lowering.nature
        self.region = region
        self.builder = Builder(region)
        self.frame = frame
        self.around: Body | None = None
        """The body this one is a branch of."""
        self.node: str | None = None
        self.edge_source: str | None = None
        self.user: str | None = None
        """The op that is evaluated in place here."""
        self.on_edge = False
        """Whether that op is evaluated on an edge: what it decides stands on that edge."""
        self.edge_node: str | None = None
        """The node that this edge enters."""
        self.decisions = Decisions()
        self.member = ""
        """The member of a group whose body is being evaluated, as `n[2]`."""
        self.in_set = False
        """Whether an item of a set is being evaluated: what it makes goes with an option."""
        self.stage: tuple[int, int] | None = None
        """The repeat that is being written out, and the stage of it."""
        self.edges = 0
        """How many edges of the body have been written out."""
        self.shared_names: set[str] = set()
        self.part_names: dict[tuple[str, int], str] = {}
        self.sharing: str | None = None
        """What is shared and used just now."""
        self.shared_parts: Iterator[int] = count()
        """Counts the parts of it whose options share them."""

    def inside(self, region: Region) -> Body:
        """A body for a region inside this one."""
        inner = Body(self.lowering, region, self.frame)
        inner.around, inner.decisions = self, self.decisions
        inner.node, inner.edge_source = self.node, self.edge_source
        inner.user, inner.on_edge, inner.edge_node = self.user, self.on_edge, self.edge_node
        inner.stage, inner.in_set = self.stage, self.in_set
        return inner

    @property
    def owner(self) -> Body:
        """The body of the declared region that this one is a branch of, or is."""
        within = self
        while within.around is not None and within.region.is_branch:
            within = within.around
        return within

    @property
    def is_step(self) -> bool:
        """Whether this is, or stands in, the step of a repeat that is not written out."""
        within: Body | None = self
        while within is not None and within.region.is_branch:
            if within.region.name == "step":
                return True
            within = within.around
        return False

    def is_open(self, operands: tuple[Ref, ...]) -> bool:
        """Whether sizes of some values hang on numbers that are still to be chosen."""
        shapes = [self.builder.shape(o.number) for o in operands]
        return any(opens(size) for shape in shapes for size in shape)

    @contextmanager
    def inlining(self, name: str) -> Iterator[None]:
        """Decisions in an op that is evaluated in place, and on no node, are called after it.

        Those in an op on an edge stand on that edge, whatever the op binds and joins.
        """
        outer = self.user, self.on_edge, self.edge_node
        self.user = name
        if self.edge_source is not None and not self.on_edge:
            self.on_edge, self.edge_node = True, self.node
        try:
            yield
        finally:
            self.user, self.on_edge, self.edge_node = outer

    @property
    def deciding(self) -> str | None:
        """The node that a decision here is made for: of an op on an edge, the node of that."""
        if self.on_edge:
            return self.edge_node
        return self.node or (self.user if self.edge_source is None else None)

    def ref(self, number: int) -> Ref:
        return Ref(number, id(self.region))

    def rank(self, ref: Ref) -> int:
        """How many sizes a value has; 0 for the words of a text, which are no numbers to reckon
        with."""
        node = self.region.node(ref.number)
        is_words = isinstance(node, Input) and node.below is not None
        return 0 if is_words else len(node.shape)

    @contextmanager
    def in_option(self) -> Iterator[None]:
        """What is evaluated is an item of a set."""
        outer, self.in_set = self.in_set, True
        try:
            yield
        finally:
            self.in_set = outer

    @contextmanager
    def looking_up(self, frame: Frame) -> Iterator[None]:
        outer, self.frame = self.frame, frame
        try:
            yield
        finally:
            self.frame = outer

    def finish(self, *results: Ref) -> Region:
        region = self.builder.finish(tuple(result.number for result in results))
        if region.keep is not None:
            self.decisions.check_kept()
        region.decisions = self.decisions.obeyed(region)
        region.sources = self.decisions.sources(region)
        return region

    # -- statements

    def block(self, body: ast.Body) -> Value:
        """Runs a body's statements; its value, or POISON where a fault has spoilt it."""
        for statement in body.statements:
            try:
                self.statement(statement)
            except (DartsError, TooLong) as error:
                self.report(error, statement.span)
                self.spoil(statement)
        try:
            return self.evaluate(body.result)
        except (DartsError, TooLong) as error:
            self.report(error, body.result.span)
            return POISON

    def report(self, error: DartsError | TooLong, span: Span) -> None:
        if isinstance(error, TooLong):
            error = fault("E0103", f"in here {error}", span, "fewer steps, or a plain number")
        self.lowering.report(error)

    def statement(self, statement: ast.Statement) -> None:
        match statement:
            case ast.Bind():
                statements.bind(self, statement)
            case ast.Group():
                statements.group(self, statement)
            case ast.Shared():
                statements.shared(self, statement)
            case ast.Keep():
                self.region.keep = statements.keep(self, statement)
            case ast.Auxiliary():
                statements.auxiliary(self, statement)

    def spoil(self, statement: ast.Statement) -> None:
        match statement:
            case ast.Bind():
                self.frame.names.update({n.name: POISON for n in statement.names})
            case ast.Group() | ast.Shared():
                self.frame.names[statement.name.name] = POISON

    def part_name(self, name: str, count: int) -> str:
        """What part `count` of something shared is called that is several modules."""
        if (name, count) not in self.part_names:
            unique = f"{name}_{count}"
            while unique in self.shared_names:
                unique += "_"
            self.shared_names.add(unique)
            self.part_names[name, count] = unique
        return self.part_names[name, count]

    # -- expressions

    def evaluate(self, node: ast.Expr, whole: bool = False) -> Value:
        """The value of an expression; `whole` where it is all that a name is bound to."""
        budget = self.lowering.budget
        budget.spend(node.span)
        budget.deeper(node.span)
        try:
            return self._meaning(node, whole)
        finally:
            budget.depth -= 1

    def _meaning(self, node: ast.Expr, whole: bool) -> Value:
        match node:
            case ast.Name():
                return self.name(node)
            case ast.Number(value=value) | ast.Flag(value=value):
                return Const(value)
            case ast.Unary():
                return arithmetic.unary(self, node)
            case ast.Binary():
                return arithmetic.binary(self, node)
            case ast.When():
                return self.when(node)
            case ast.Flow():
                return flow.flow(self, node, whole)
            case ast.Each():
                return tuple(flow.each(self, node))
            case ast.Choose():
                return choices.choose(self, node)
            case ast.Repeat():
                return Repeated(repeat.count(self, node), node, self.frame)
            case ast.Over():
                return scan.scanned(self, node)
            case ast.Call():
                return calls.call(self, node)
            case ast.Index():
                return self.index(node)
            case ast.Earlier():
                earlier: Value = self.frame.names[f"earlier {node.name}"]
                return earlier
            case ast.ListExpr():
                items = tuple(self.evaluate(item) for item in node.items)
                self.lowering.budget.spend(node.span, length(items))
                return items
            case ast.Loose():
                return flow.loose(self, node)
            case ast.Range():
                return self.range(node)
            case ast.SetExpr():
                return options.set_value(self, node)
        raise TypeError(f"no meaning for {type(node).__name__}")

    def name(self, node: ast.Name) -> Value:
        name = node.name
        if name in self.frame.names:
            value = self.frame.names[name]
            if isinstance(value, Ref) and value.owner != id(self.region):
                where = "the repeat" if self.is_step else "this option or condition"
                message = f"`{name}` stands outside {where} and cannot be read in it"
                raise fault("E0403", message, node.span, "let it flow in")
            return value
        declaration = self.frame.scope.get(name)
        if isinstance(declaration, ast.SetDecl):
            return options.declared_set(self, declaration)
        if isinstance(declaration, ast.CellDecl) and declaration.family is not None:
            return self.family(declaration, node.span)
        if isinstance(declaration, ast.OpDecl | ast.CellDecl):
            return Declared(declaration, (), node.span)
        if name == "edge":
            return Const(self.owner.edges)
        if name in PHASES:
            return Const(name == self.lowering.phase)
        if name in LAYERS:
            if name in WORDS:  # `max` is a word; no layer bears its name today
                return Const(name)
            return calls.layer_operation(self, name, (), node.span)
        if name in WORDS:
            return Const(name)
        if name in JOINS or name == SPLIT:
            message = f"`{name}` is called with values, and no operation"
            raise fault("E0401", message, node.span, f"`{name}(…)`")
        raise fault("E0201", f"nothing is called `{name}`", node.span)

    def family(self, declaration: ast.CellDecl, span: Span) -> Value:
        """All kinds of a family of cells."""
        assert declaration.family is not None
        with self.looking_up(Frame({}, self.lowering.space.scope(declaration))):
            count = self.constant(declaration.family)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_MEMBERS:
            message = f"a family has from 1 to {MOST_MEMBERS} cells, this is {count}"
            raise fault("E0404", message, declaration.family.span)
        return tuple(Declared(declaration, (), span, member) for member in range(count))

    def range(self, node: ast.Range) -> Value:
        """`8..64 by 8` as a list."""
        first, last = self.constant(node.first), self.constant(node.last)
        step = 1 if node.by is None else self.constant(node.by)
        if any(not isinstance(n, int) or isinstance(n, bool) for n in (first, last, step)):
            raise fault("E0404", "a range goes from one whole number to another", node.span)
        if step < 1 or last < first:
            message = f"there is no number from {first} to {last} by {step}"
            raise fault("E0404", message, node.span, "the smaller one first, by at least 1")
        count = (last - first) // step + 1
        if count > MOST_MEMBERS:
            message = f"a range has at most {MOST_MEMBERS} numbers, this has {count}"
            raise fault("E0404", message, node.span)
        return tuple(Const(first + step * i) for i in range(count))

    def number(self, node: ast.Expr) -> Expr:
        """An expression that must be a number, a flag or a word."""
        return self.as_number(self.evaluate(node), node.span)

    def as_number(self, value: Value, span: Span) -> Expr:
        if isinstance(value, Expr):
            return value
        if isinstance(value, Poison):
            raise DartsError(())
        choices.check_reckoned(value, span)
        raise fault("E0401", f"a number is needed here, this is {kind(value)}", span)

    def constant(self, node: ast.Expr) -> Any:
        """The value of a number on which the structure of the region hangs."""
        value = self.number(node)
        if isinstance(value, Const):
            return value.value
        self.check_decided(value, node.span)
        raise StaticNeeded(symbols(value), node.span)

    def check_decided(self, value: Expr, span: Span) -> None:
        """Nothing but sizes hangs on a number that is still to be chosen."""
        if opens(value):
            message = f"this hangs on `{opens(value)[0].decision}`, which is still to be chosen"
            help = "choose between two operations or values instead"
            raise fault("E0612", message, span, help)

    def flag(self, node: ast.Expr, value: Const) -> bool:
        """What a condition comes to."""
        try:
            return truth(value.value)
        except TypeError as error:
            raise fault("E0401", str(error), node.span) from None

    def when(self, node: ast.When) -> Value:
        condition = self.number(node.condition)
        self.check_decided(condition, node.condition.span)
        condition = self.lowering.outcome(condition)
        nothing = Composed((), node.span)
        if isinstance(condition, Const):
            if self.flag(node.condition, condition):
                return self.evaluate(node.value)
            return nothing if node.otherwise is None else self.evaluate(node.otherwise)
        then = self.evaluate(node.value)
        otherwise = nothing if node.otherwise is None else self.evaluate(node.otherwise)
        if isinstance(then, Poison) or isinstance(otherwise, Poison):
            return POISON
        if is_operation(then) and is_operation(otherwise):
            return Conditional(condition, then, otherwise, node.span)  # type: ignore[arg-type]
        if isinstance(then, Expr) and isinstance(otherwise, Expr):
            return if_else(condition, then, otherwise)
        if node.otherwise is None:
            raise fault(
                "E0401", "what is this when the condition does not hold?", node.span, "add `else`"
            )
        needed = StaticNeeded(symbols(condition), node.condition.span)
        needed.condition = condition
        raise needed

    def index(self, node: ast.Index) -> Value:
        base = self.evaluate(node.base)
        if isinstance(base, Poison):
            return base
        if isinstance(base, Ref) and base.steps:
            base = base.steps
        elif isinstance(base, Ref) and isinstance(self.region.node(base.number), Repeat):
            return repeat.tap(self, node, base)
        if not isinstance(base, tuple):
            raise fault(
                "E0401",
                f"only a repeat, a group or a list has numbered parts, this is {kind(base)}",
                node.base.span,
                joins(base),
            )
        index = self.constant(node.index)
        if not isinstance(index, int) or not -len(base) <= index < len(base):
            text = node.base.span.text
            has = f"has {len(base)} values, 0 to {len(base) - 1}" if base else "is empty here"
            raise fault("E0404", f"`{text}` {has}", node.index.span)
        return base[index]
