"""Space to IR: declarations become regions.

A region is lowered over symbols, once for all its uses. Where its structure itself hangs on a
parameter (the number of nodes, say), that parameter is folded to its value, and found out by
trying: `StaticNeeded` names it and the region is lowered again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from compiler.expr import Const, Expr, Symbol, const, substitute, symbols
from compiler.ir import DIMENSIONS, Arguments, Dims, Region
from compiler.lowering import apply, calls, inputs, widths
from compiler.lowering.body import Body
from compiler.lowering.budget import Budget
from compiler.lowering.nature import Nature, header
from compiler.lowering.network import network as lower_network
from compiler.lowering.usage import named_arguments
from compiler.lowering.values import (
    Declared,
    Frame,
    LayerOperation,
    Poison,
    Ref,
    SetValue,
    StaticNeeded,
    Value,
    as_function,
    is_operation,
    is_word,
    joins,
    kind,
)
from compiler.program import Program
from dsl import ast
from dsl.calls import counted
from dsl.diagnostics import Collector, DartsError, Diagnostic, Label, fault
from dsl.source import Span
from dsl.space import Space


def lower(
    space: Space, phase: str, values: Mapping[str, Any], profile: str, auxiliary: bool = True
) -> Program:
    """The program of a space in one phase, over the network's parameters with these values.

    `auxiliary` tells whether a final network has its auxiliary heads.

    Raises:
        DartsError: with every independent fault found.
    """
    lowering = Lowering(space, phase, auxiliary)
    network = lower_network(lowering, values)
    lowering.warn_of_sets()
    lowering.collector.raise_if_any()
    warnings = lowering.collector.warnings
    program = Program(space.name, phase, profile, network, dict(values), warnings)
    _number_names(program)
    return program


class Lowering:
    def __init__(self, space: Space, phase: str, auxiliary: bool) -> None:
        self.space = space
        self.phase = phase
        self.auxiliary = auxiliary and phase == "final"
        self.collector = Collector()
        self.static: dict[int, dict[str, Span]] = defaultdict(dict)
        """By declaration, the parameters that must be folded, and what needs it."""
        self.regions: dict[Any, Region | None] = {}
        self.kinds: dict[Any, tuple[Region, Span]] = {}
        self.overridden: set[tuple[str, str]] = set()
        self.set_arguments: dict[str, list[str]] = defaultdict(list)
        for callee, name in named_arguments(space):
            self.overridden.add((callee, name))
            if name not in self.set_arguments[callee]:
                self.set_arguments[callee].append(name)
        self.sets: dict[int, SetValue] = {}
        self.chosen: dict[Span, tuple[int, int]] = {}
        """For every set that is chosen from, how many options are left out where that is most, and
        how many there are."""
        self.items: dict[Span, int] = {}
        """For every item of a set, how many options it stands for where it is most."""
        self.nature = Nature(space)
        self.budget = Budget()
        self.uses: list[Declared] = []
        """The ops and cells that lead to what is being lowered."""
        self.conditions: dict[int, dict[Expr, Span]] = defaultdict(dict)
        """By declaration, the conditions on whose outcome its structure hangs."""
        self.outcomes: Mapping[Expr, Const] = {}
        """How such conditions come out in the region that is being lowered."""
        self.repeats = 0
        """How many repeats have been written out."""
        self.stages: dict[int, list[tuple[int, int]]] = defaultdict(list)
        """For every cell that decides for each stage by itself, the stages that it stands in."""
        self.impure: set[int] = set()
        """Ops that are given operations and are more than functions."""

    # -- faults

    @contextmanager
    def using(self, operation: Declared) -> Iterator[None]:
        """Faults in a file that is imported are told where it is used in the user's own."""
        self.uses.append(operation)
        try:
            yield
        except DartsError as error:
            raise DartsError(map(self.at_use, error.diagnostics)) from None
        finally:
            self.uses.pop()

    def report(self, error: DartsError) -> None:
        self.collector.extend(DartsError(map(self.at_use, error.diagnostics)))

    def at_use(self, found: Diagnostic) -> Diagnostic:
        """A diagnostic at the innermost use in the user's own file, its own place a label.

        Where no use is, one in a file that it extends will do.
        """
        main = self.space.source
        own = [use for use in self.uses if use.span.source is main]
        if found.span is None or found.span.source is main:
            return found
        if not own and found.span.source.main is not main:
            own = [use for use in self.uses if use.span.source.main is main]
        if not own:
            return found
        name, span = own[-1].declaration.name.name, own[-1].span
        labels = (Label(found.span, "here"), *found.labels)
        return replace(found, message=f"in `{name}`, {found.message}", span=span, labels=labels)

    # -- declared regions

    def region(
        self,
        declared: Declared,
        arguments: dict[str, Value],
        shapes: list[Dims],
        fold: str | None = None,
        scanned: bool = False,
    ) -> tuple[Region, Arguments] | None:
        """The region of an op or cell for these arguments, and those that stay open in it.

        `scanned` where it runs along a dimension, so that inputs without a shape here are states.
        None when the region has a fault, which has been reported.
        """
        declaration = declared.declaration
        ranks = tuple(len(shape) for shape in shapes)
        while True:
            functions = {} if id(declaration) in self.impure else self.functions(arguments)
            folded = {
                n: v
                for n, v in arguments.items()
                if n not in functions and (n == fold or self.is_folded(declaration, n, v))
            }
            for name in sorted(self.static[id(declaration)]):
                value = folded[name]
                if isinstance(value, Expr) and not isinstance(value, Const):
                    origin = self.static[id(declaration)][name]
                    raise StaticNeeded(symbols(value), declared.span, origin)
            open_ = {n: v for n, v in arguments.items() if n not in folded and isinstance(v, Expr)}
            known = {**dict(_sizes(self.nature.inputs(declaration) or (), shapes)), **open_}
            assumed = self.assumed(declared, known)
            which = (id(declaration), declared.member, declared.stage, tuple(assumed.values()))
            key = (which, ranks, tuple(folded.items()), tuple(functions), scanned)
            if key not in self.regions:
                try:
                    with self.assuming(assumed):
                        self.regions[key] = self.lower_declared(
                            declared, folded, ranks, tuple(functions), scanned
                        )
                except StaticNeeded as needed:
                    if not self.learns(declaration, needed, known):
                        raise needed.fault("alone") from None
                    continue
                except DartsError as error:
                    self.report(error)
                    self.regions[key] = None
            made = self.regions[key]
            if functions and made is not None and not made.is_pure:
                self.impure.add(id(declaration))  # its module must know what it is made of
                continue
            break
        region = self.regions[key]
        if region is None:
            return None
        left = {n: v for n, v in arguments.items() if n not in folded} | functions
        rest = [(n, const(v)) for n, v in left.items()]  # type: ignore[arg-type]
        return region, tuple(rest)

    def learns(
        self,
        declaration: ast.OpDecl | ast.CellDecl,
        needed: StaticNeeded,
        known: Mapping[str, Expr],
    ) -> bool:
        """Notes what a region must be lowered anew for: outcomes of conditions, or parameters."""
        conditions = self.conditions[id(declaration)]
        condition = needed.condition
        is_new = condition is not None and condition not in conditions
        if condition is not None and is_new and set(needed.names) <= known.keys():
            conditions[condition] = needed.span
            return True
        own = {p.name for p in declaration.parameters} & set(needed.names)
        self.static[id(declaration)] |= dict.fromkeys(own, needed.origin)
        return bool(own)

    def assumed(self, declared: Declared, known: Mapping[str, Expr]) -> dict[Expr, Const]:
        """How the conditions come out on which the structure of a region hangs."""
        found = {}
        for condition, span in self.conditions[id(declared.declaration)].items():
            outcome = self.outcome(substitute(condition, known))
            if not isinstance(outcome, Const):
                needed = StaticNeeded(symbols(outcome), declared.span, span)
                needed.condition = outcome
                raise needed
            found[condition] = outcome
        return found

    @contextmanager
    def assuming(self, assumed: Mapping[Expr, Const]) -> Iterator[None]:
        """Lowers a region where some conditions have come out."""
        outer, self.outcomes = self.outcomes, assumed
        try:
            yield
        finally:
            self.outcomes = outer

    def outcome(self, condition: Expr) -> Expr:
        """A condition, or how it comes out in the region that is being lowered."""
        return self.outcomes.get(condition, condition)

    def functions(self, arguments: dict[str, Value]) -> dict[str, Expr]:
        """The arguments that are operations an op can apply whatever they are."""
        found = {name: as_function(value) for name, value in arguments.items()}
        return {name: function for name, function in found.items() if function is not None}

    def folded(
        self, declared: Declared, arguments: dict[str, Value], shapes: list[Dims], name: str
    ) -> tuple[Region, Arguments]:
        """As `region`, which has been lowered before, with one more argument folded."""
        found = self.region(declared, arguments, shapes, fold=name)
        if found is None:
            raise DartsError(())
        return found

    def one_kind(self, declared: Declared, region: Region) -> None:
        """All uses of a cell share its decisions, so they must be of one structure."""
        which = (id(declared.declaration), declared.member, declared.stage)
        first, place = self.kinds.setdefault(which, (region, declared.span))
        if isinstance(declared.declaration, ast.CellDecl) and first is not region:
            name, is_one = declared.declaration.name.name, place == declared.span
            help = f"a second cell for this use, as in `cell other = {declared.span.text}`"
            raise fault(
                "E0606",
                f"uses of `{name}` differ in structure, so they cannot decide alike",
                declared.span,
                "a cell for each of them" if is_one else help,
                *([] if is_one else [Label(place, "the first use")]),
            )

    def is_folded(self, declaration: ast.OpDecl | ast.CellDecl, name: str, value: Value) -> bool:
        if name in self.static[id(declaration)] or is_word(value):
            return True
        is_cell = isinstance(declaration, ast.CellDecl)
        return (
            is_cell
            and isinstance(value, Const)
            and any(p.name == name and p.default is not None for p in declaration.parameters)
            and (declaration.name.name, name) not in self.overridden
        )

    def lower_declared(
        self,
        declared: Declared,
        folded: dict[str, Value],
        ranks: tuple[int, ...],
        functions: tuple[str, ...],
        scanned: bool,
    ) -> Region | None:
        declaration = declared.declaration
        is_cell = isinstance(declaration, ast.CellDecl)
        region = Region(
            declared.name,
            "cell" if is_cell else "op",
            header=header(declaration),
            comment=declaration.comment,
            span=declaration.span,
            order=self.order(declaration.span),
            functions=functions,
        )
        body = Body(self, region, Frame(dict(folded), self.space.scope(declaration)))
        for parameter in declaration.parameters:
            name, symbol = parameter.name, Symbol(parameter.name)
            if name in functions:
                span = parameter.name_span
                body.frame.names[name] = LayerOperation("apply", (("f", symbol),), span)
                region.parameters[name] = None
            elif name not in folded:
                body.frame.names[name] = symbol
                default = parameter.default
                known = None if default is None else body.number(default)
                region.parameters[name] = known
        if scanned:
            read = self.nature.inputs(declaration) or ()
            region.states = inputs.count_states(read, len(ranks))
            ranks += tuple(len(i.shape or ()) for i in read[len(ranks) :])
        if declaration.inputs is None:
            result = self.chain(body, declaration, ranks)
        else:
            inputs.add_inputs(body, declaration.inputs, ranks)
            result = body.block(declaration.body)
        if isinstance(result, Poison):
            return None
        if is_cell:
            values = result if isinstance(result, tuple) else (result,)
            refs = tuple(value for value in values if isinstance(value, Ref))
            what = f"`{declaration.name.name}` is a cell, and gives"
            advice = "a layer of a known width at its end, or an op"
            widths.check_known(body, refs, what, declaration.body.result.span, advice)
        if region.states is not None:
            return inputs.with_states(body, declaration, result)
        if not isinstance(result, Ref):
            raise fault(
                "E0401",
                f"`{declaration.name.name}` gives back {kind(result)}, not one value",
                declaration.body.result.span,
                joins(result),
            )
        if body.is_open((result,)):
            message = (
                f"the width of what `{declaration.name.name}` gives back is still to be chosen"
            )
            help = "make it an op" if is_cell else None
            raise fault("E0612", message, declaration.body.result.span, help)
        return body.finish(result)

    def chain(
        self, body: Body, declaration: ast.OpDecl | ast.CellDecl, ranks: tuple[int, ...]
    ) -> Value:
        """A declaration without `from`: its body is an operation, applied to the one input.

        A cell whose body is another cell with arguments is a second kind with the same program.
        """
        operation = body.block(declaration.body)
        if isinstance(operation, Poison):
            return operation
        result = declaration.body.result
        if not is_operation(operation):
            raise fault(
                "E0401",
                f"`{declaration.name.name}` has no `from`, so its body must be an operation; "
                f"this is {kind(operation)}",
                result.span,
                "name its inputs, as in `from x`",
            )
        target = operation.declaration if isinstance(operation, Declared) else None
        if isinstance(declaration, ast.CellDecl) and isinstance(target, ast.CellDecl):
            assert isinstance(operation, Declared)
            arguments = calls.complete(body, operation)
            inner = Frame(dict(arguments), self.space.scope(target))
            with body.looking_up(inner):
                if target.inputs is None:
                    self.budget.deeper(result.span)
                    try:
                        return self.chain(body, target, ranks)
                    finally:
                        self.budget.depth -= 1
                inputs.add_inputs(body, target.inputs, ranks)
                return body.block(target.body)
        if len(ranks) != 1:
            raise fault(
                "E0402",
                f"`{declaration.name.name}` reads one value, {len(ranks)} flow in",
                declaration.name.span,
            )
        x = body.builder.input("x", tuple(Symbol(f"x_{d}") for d in DIMENSIONS[ranks[0]]))
        return apply.apply(body, operation, (body.ref(x),), result.span)

    # -- small things

    def warn_of_sets(self) -> None:
        for span, (spare, count) in self.chosen.items():
            if spare == 0:
                message = "nothing to choose: this set has a single option"
                help = "the option alone, without `choose`"
                if count > 1:
                    many = counted(count)
                    message = f"nothing to choose: {many} of {many} options are chosen"
                    help = "all of them, without `choose`"
                self.collector.add("W0601", message, span, help)
        for span, count in self.items.items():
            if count == 0:
                message = "this stands for no option, since its `if` never holds"
                self.collector.add("W0602", message, span, "another condition, or leave it out")

    def staged(self, declared: Declared, stage: tuple[int, int] | None) -> Declared:
        """A cell as it stands in a stage, if every stage decides for itself.

        A use outside of repeats is a stage of its own.
        """
        declaration = declared.declaration
        if not (isinstance(declaration, ast.CellDecl) and declaration.per_stage):
            return declared
        known = self.stages[id(declaration)]
        place = stage or (-1 - len(known), 0)
        if place not in known:
            known.append(place)
        return replace(declared, stage=known.index(place))

    def order(self, span: Span) -> tuple[int, int]:
        """Where a declaration comes among all: those of the space itself first, in its order."""
        spans = [declaration.span for declaration in self.space.file.declarations]
        if span in spans:
            return 0, spans.index(span)
        return list(self.space.scopes).index(span.source), span.start


def _sizes(inputs: tuple[ast.Input, ...], shapes: list[Dims]) -> Iterator[tuple[str, Expr]]:
    """The sizes that patterns name, with what they are where values of some shapes flow in."""
    for syntax, shape in zip(inputs, shapes, strict=False):
        for entry, size in zip(syntax.shape or (), shape, strict=False):
            if isinstance(entry, ast.Name) and entry.name != "_":
                yield entry.name, size


def _number_names(program: Program) -> None:
    """Declared regions have names of their own: the second of one name is numbered.

    Cells come first, since their names are those of the alphas and in genotypes.
    """
    taken: set[str] = set()
    first = ("network", "cell")
    for region in sorted(program.regions(), key=lambda region: region.kind not in first):
        if region.is_branch:
            continue
        name, count = region.name, 1
        while region.name in taken:
            region.name, count = f"{name}_{count}", count + 1
        taken.add(region.name)
