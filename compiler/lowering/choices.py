"""`choose`: which kind of decision it is, and what becomes of values that it is applied to."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from compiler.builder import is_module
from compiler.expr import Const, Expr, Open, opens
from compiler.ir import Arguments, Node, Option, Region
from compiler.ir import choices as choices_of
from compiler.lowering import apply, capture, labels, widths
from compiler.lowering import options as sets
from compiler.lowering.values import (
    Amount,
    Birth,
    Captured,
    Chosen,
    ChosenNumber,
    Composed,
    Conditional,
    Declared,
    LayerCall,
    LayerOperation,
    Operation,
    Ref,
    Repeated,
    SetValue,
    Several,
    Shared,
    StaticNeeded,
    Value,
    shown,
)
from dsl import ast
from dsl.calls import counted
from dsl.diagnostics import DartsError, Label, fault
from dsl.source import Span

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def choose(body: Body, node: ast.Choose, name: str = "") -> Value:
    """The value of a `choose`; `name` is what it is bound to, if that is all of the binding."""
    decisions = body.decisions
    birth = decisions.born(name)
    # A decision that is nested in this one comes after it, so its place is taken before.
    source = None if body.decisions.option else body.edge_source
    path = decisions.add(birth, body.deciding, source)
    options = sets.options(body, node.options)
    birth.until = decisions.clock
    if node.entangled and not options.holds(Expr):
        what = "values" if options.holds(Captured) else "operations"
        message = f"{what} are not entangled, only numbers are"
        raise fault("E0611", message, node.span, "`choose entangled { 3, 5 }` of a number")
    if options.holds(Captured):
        amount = _amount(body, node, options)
        return _of_values(body, Chosen(options, node.span, birth, amount), node.count is not None)
    if options.holds(Expr):
        if node.count is not None:
            message = "one number is chosen, not several"
            raise fault("E0601", message, node.span, "`choose { … }` of numbers")
        return _of_numbers(body, node, options, path)
    decisions.cancel(path)
    birth = Birth(birth.clock, birth.name, until=birth.until)
    return Chosen(options, node.span, birth, _amount(body, node, options))


def _amount(body: Body, node: ast.Choose, options: SetValue) -> Amount:
    """How many are chosen.

    Raises:
        DartsError: for a number that is impossible, or open without a threshold.
    """
    if node.count is None:
        if node.above is not None:
            message = "how many are chosen `above` it is not said"
            raise fault("E0610", message, node.above.span, "`choose 1..3 of { … } above 0.5`")
        return Amount()
    least = body.constant(node.count)
    most = least if node.most is None else body.constant(node.most)
    for number, written in ((least, node.count), (most, node.most or node.count)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            message = f"at least one option is chosen, this is {shown(number)}"
            help = "`keep edges by weight above 0.5` drops edges" if number == 0 else None
            raise fault("E0610", message, written.span, help)
    span = node.count.span.to((node.most or node.count).span)
    if most < least:
        message = f"there is no number from {least} to {most}"
        raise fault("E0610", message, span, f"the smaller one first: `{most}..{least}`")
    _check_enough(most, options, span)
    if node.above is None:
        if most != least:
            message = f"how many of {least} to {most} are chosen is open"
            raise fault("E0610", message, node.span, "`above 0.5`, the weight that each must have")
        return Amount(least, most)
    threshold = body.constant(node.above)
    if isinstance(threshold, bool | str) or not 0 <= threshold < 1:
        message = f"a weight is from 0 to 1, this is {shown(threshold)}"
        raise fault("E0610", message, node.above.span)
    return Amount(least, most, float(threshold))


def _check_enough(most: int, options: SetValue, span: Span) -> None:
    """Sinks are not selected."""
    count = sum(not option.sink for option in options.options)
    if most > count:
        have = f"there {'is' if count == 1 else 'are'} {counted(count)}"
        sinks = " no sink" if count == 1 else " no sinks"
        have += f" that {'is' if count == 1 else 'are'}{sinks}" * (count < len(options.options))
        raise fault("E0610", f"{counted(most)} cannot be chosen, {have}", span)


# ---- numbers -------------------------------------------------------------------------------------


def _of_numbers(body: Body, node: ast.Choose, options: SetValue, path: str) -> Value:
    values = [o.operation for o in options.options]
    for option in options.options:
        if not isinstance(option.operation, Const) or isinstance(
            option.operation.value, bool | str
        ):
            what = option.span.text
            raise fault("E0601", f"`{what}` is no number that can be chosen", option.span)
    if len(values) == 1:
        body.decisions.cancel(path)
        _note_spare(body, options, Amount())
        return values[0]
    check_owner(body, node.span)
    outcomes = tuple((o.label, o.sink) for o in options.options)
    numbers = tuple(value.value for value in values)
    body.decisions.settle(path, options=outcomes, numbers=numbers, node=None, source=None)
    if node.entangled:
        return Open(path, numbers)
    return ChosenNumber(path, tuple(values), node.span)


def check_reckoned(value: Value, span: Span) -> None:
    """Nothing is reckoned with a number that is chosen between calls.

    Raises:
        DartsError: where a value is such a number.
    """
    if isinstance(value, ChosenNumber):
        message = "this number is chosen between calls, so it stands in one call and by itself"
        raise fault("E0611", message, span, "`choose entangled { … }`, or the numbers meant")


def with_numbers(
    body: Body, numbers: list[ChosenNumber], make: Operation, operands: tuple[Ref, ...], span: Span
) -> Value:
    """An operation that was given numbers still to be chosen: a choice between its calls."""
    for number in numbers:
        number.used.append(span)
        if len(number.used) > 1:
            raise fault(
                "E0611",
                "this number is used in two calls, so its options cannot have weights of their own",
                number.span,
                "`choose entangled { … }`, or one op that takes it for both",
                Label(number.used[0], "the first"),
            )
    apply.check_numbers(body, operands, "choose", span)
    return _between_calls(body, numbers, make, operands, span)


def _between_calls(
    body: Body, numbers: list[ChosenNumber], make: Operation, operands: tuple[Ref, ...], span: Span
) -> Value:
    first, *rest = numbers
    shapes = [body.builder.shape(o.number) for o in operands]
    region = Region("choice", "branch", span=span)
    names = apply.input_names(body, [make], len(shapes))
    made = []
    known = body.decisions.known(first.path)
    assert known is not None
    outcomes = known.options
    for (label, sink), value in zip(outcomes, first.values, strict=True):
        body.lowering.budget.spend(span, 5)
        given = instead(make, first, value)
        inner_body = body.inside(Region(label, "branch", span=span))
        inputs = [inner_body.builder.input(n, s) for n, s in zip(names, shapes, strict=True)]
        refs = tuple(map(inner_body.ref, inputs))
        if rest:
            result = _between_calls(inner_body, rest, given, refs, span)
        else:
            result = apply.apply(inner_body, given, refs, span)
        if not isinstance(result, Ref):
            raise DartsError(())
        made.append(Option(label, sink, inner_body.builder.finish((result.number,))))
    widths.check_options(made, span)
    region.options = tuple(made)
    region.outputs = sets.pass_through(region, names, shapes)
    operands_ = tuple(o.number for o in operands)
    name = labels.attribute(first.path)
    return body.ref(body.builder.choice(region, (), operands_, first.path, name, span))


def instead(operation: Value, number: ChosenNumber, value: Const) -> Operation:
    """An operation with a value in the place of a number that is to be chosen."""
    assert isinstance(operation, Declared | LayerCall)
    given = tuple((n, value if v is number else v) for n, v in operation.given)
    return replace(operation, given=given)


# ---- values --------------------------------------------------------------------------------------


def _of_values(body: Body, chosen: Chosen, several: bool) -> Value:
    options = [o.operation for o in chosen.options.options]
    assert all(isinstance(o, Captured) for o in options)
    amount = chosen.amount
    _note_spare(body, chosen.options, amount)
    decided = len(options) > amount.most or amount.least < amount.most
    if decided:
        check_owner(body, chosen.span)
        outcomes = tuple((o.label, o.sink) for o in chosen.options.options)
        changes = {"least": amount.least, "most": amount.most, "above": amount.above}
        body.decisions.settle(chosen.birth.path, options=outcomes, node=None, **changes)
        body.decisions.settle(chosen.birth.path, source=None)
    else:
        body.decisions.cancel(chosen.birth.path)
    made = Several(chosen, id(body.region))
    return made if several else joined(body, made, "sum", chosen.span)


def joined(body: Body, several: Several, how: str, span: Span) -> Ref:
    """Values of which some are chosen, joined."""
    chosen = several.chosen
    if several.owner != id(body.region):
        message = "these values are chosen outside of this operation and cannot be read in it"
        raise fault("E0403", message, span, "join them, and let that flow in")
    if how not in ("sum", "concat"):
        message = f"chosen values are joined by `sum` or `concat`, this is `{how}`"
        raise fault("E0610", message, span)
    known = _joined_before(body, several, how, span)
    if known is not None:
        return known
    made = _joined(body, chosen, how, span)
    several.joined.append((how, made.number, body.region.node(made.number)))
    return made


def _joined_before(body: Body, several: Several, how: str, span: Span) -> Ref | None:
    """The value of the same join elsewhere in the body.

    Raises:
        DartsError: where what the options do would be done a second time, with other weights.
    """
    for before, number, made in several.joined:
        node = body.region.values.get(number)
        if before == how and node is not None and _is_same(node, made):
            return body.ref(number)
    options: list[Captured] = [o.operation for o in several.chosen.options.options]
    if several.joined and any(is_module(n) for o in options for n in o.nodes.values()):
        message = "what is chosen here is joined a second time, in another way or place"
        raise fault("E0610", message, span, "bind the join to a name: `y = sum(…)`")
    return None


def _is_same(node: Node, made: Node) -> bool:
    """Whether a node is the one made before, or that with a name."""
    decisions = (getattr(node, "decision", None), getattr(made, "decision", None))
    return type(node) is type(made) and node.operands == made.operands and len(set(decisions)) == 1


def _joined(body: Body, chosen: Chosen, how: str, span: Span) -> Ref:
    options: list[Captured] = [o.operation for o in chosen.options.options]
    operands = capture.operands_of(options)
    apply.check_numbers(body, tuple(map(body.ref, operands)), "choose", chosen.span)
    body.lowering.budget.spend(chosen.span, len(options) * len(operands) // 20)
    if body.decisions.known(chosen.birth.path) is None:
        return _all_of(body, options, operands, how, span)
    region = Region("choice", "branch", span=chosen.span)
    made = []
    for option, value in zip(chosen.options.options, options, strict=True):
        branch = capture.branch_of(body, value, operands, option.label)
        branch.span = option.span
        made.append(Option(option.label, option.sink, branch))
        condition = ((chosen.birth.path, frozenset([option.label])),)
        paths = {node.decision for _, _, node in choices_of(branch)}
        body.decisions.condition(condition, *chosen.birth.span, paths)
    if how == "sum":
        widths.check_options(made, chosen.span)
    region.options = tuple(made)
    shapes = [body.builder.shape(o) for o in operands]
    names = [node.name for _, node in made[0].body.inputs]
    region.outputs = sets.pass_through(region, names, shapes)
    return body.ref(
        body.builder.choice(
            region,
            (),
            tuple(operands),
            chosen.birth.path,
            labels.attribute(chosen.birth.path.replace(" from ", "_from_")),
            chosen.span,
            how,
        )
    )


def _all_of(body: Body, options: list[Captured], operands: list[int], how: str, span: Span) -> Ref:
    """Values that are all chosen, whatever is decided."""
    values = []
    for option in options:
        branch = capture.branch_of(body, option, operands, "x")
        values.append(body.builder.expanded(branch, tuple(operands), "", None))
    return body.ref(body.builder.join(how, tuple(values), span))


# ---- operations ----------------------------------------------------------------------------------


def applied(body: Body, operation: Chosen, operands: tuple[Ref, ...], span: Span) -> Value:
    """A decision between operations that values flow into."""
    options, amount = operation.options, operation.amount
    named = options.declaration
    _note_spare(body, options, amount)
    apply.check_numbers(body, operands, "choose", span)
    for option in options.options:
        apply.check_count(body, option, len(operands), span)
    selectable = [o for o in options.options if not o.sink]
    shapes = [body.builder.shape(o.number) for o in operands]
    numbers = tuple(o.number for o in operands)
    if len(selectable) == amount.most == amount.least == len(options.options):
        values = []
        for option in selectable:
            one = apply.branch(body, option.operation, shapes, option.label, span)
            values.append(body.builder.branch(one, {}, numbers, option.label, span))
        return body.ref(body.builder.join("sum", tuple(values), span))
    check_owner(body, operation.span)
    path = _path(body, operation)
    decides = any(decides_here(body, o.operation) for o in options.options)
    if decides or body.is_open(operands):
        decides = True
    region, arguments = _options(body, operation, operands, named is not None and not decides)
    name = labels.attribute(path.replace(" from ", "_from_"))
    if operation.birth.name:
        name = labels.attribute(f"{body.node or 'x'}_{operation.birth.name}")
    number = body.builder.choice(region, arguments, numbers, path, name, operation.span)
    return body.ref(number)


def _options(
    body: Body, operation: Chosen, operands: tuple[Ref, ...], is_apart: bool
) -> tuple[Region, Arguments]:
    """The options as a region of their own where they are one for all uses, else as branches."""
    if is_apart:
        ranks = [len(body.builder.shape(o.number)) for o in operands]
        with suppress(StaticNeeded):  # what hangs on an argument may be known where it is given
            return sets.set_region(body, operation.options, ranks)
    return _branches(body, operation, operands), ()


def _path(body: Body, operation: Chosen) -> str:
    """The decision that a `choose` of operations is; made at its first use."""
    options, birth = operation.options, operation.birth
    outcomes = tuple((o.label, o.sink) for o in options.options)
    if birth.path:
        body.decisions.reused(operation.span)
        known = body.decisions.known(birth.path)
        assert known is not None
        if known.options != outcomes:
            message = "uses of one decision have the same options"
            raise fault("E0606", message, operation.span)
        return birth.path
    return body.decisions.add(birth, body.deciding, body.edge_source, outcomes, operation.amount)


def _branches(body: Body, operation: Chosen, operands: tuple[Ref, ...]) -> Region:
    """The options of a decision as branches of this region; they may decide themselves."""
    options, path = operation.options, operation.birth.path
    shapes = [body.builder.shape(o.number) for o in operands]
    region = Region("choice", "branch", span=options.span)
    names = apply.input_names(body, [o.operation for o in options.options], len(shapes))
    made = []
    for option in options.options:
        body.lowering.budget.spend(option.span, 5)
        clock, outer = body.decisions.clock, body.decisions.option
        body.decisions.option = f"{path} as {option.label}"
        try:
            branch = apply.branch(body, option.operation, shapes, option.label, option.span, names)
        finally:
            body.decisions.option = outer
        condition = ((path, frozenset([option.label])),)
        body.decisions.condition(condition, clock, body.decisions.clock)
        written = {node.decision for _, _, node in choices_of(branch)}
        # with the set, before its options were applied
        body.decisions.condition(condition, *operation.birth.span, written)
        made.append(Option(option.label, option.sink, branch))
    widths.check_options(made, options.span)
    region.options = tuple(made)
    region.outputs = sets.pass_through(region, names, shapes)
    return region


def decides_here(body: Body, operation: Value) -> bool:
    """Whether an operation makes decisions where it is applied, or calls a cell that does."""
    match operation:
        case Chosen() | ChosenNumber() | Several():
            return True
        case Expr():
            return bool(opens(operation))
        case LayerCall(given=parts) | LayerOperation(arguments=parts):
            return any(decides_here(body, value) for _, value in parts)
        case Repeated(count=count, syntax=syntax, frame=frame):
            return bool(opens(count)) or body.nature.settles(syntax, frame.scope)
        case Shared(operation=inner):
            return decides_here(body, inner)
        case Declared(declaration=declaration):
            given = any(decides_here(body, value) for _, value in operation.given)
            return given or body.nature.decides(declaration)
        case Composed(steps=steps):
            return any(decides_here(body, step) for step in steps)
        case Conditional(then=then, otherwise=otherwise):
            return decides_here(body, then) or decides_here(body, otherwise)
    return False


def check_owner(body: Body, span: Span) -> None:
    """A decision belongs to a cell or to the network.

    Raises:
        DartsError: where it stands in neither.
    """
    if body.owner.region.kind not in ("cell", "network"):
        raise fault(
            "E0605",
            "a decision belongs to a cell or to the network",
            span,
            "let an op that decides be used there",
        )
    if body.is_step:
        message = "a repeat whose steps decide is written out, and this one cannot be"
        raise fault("E0605", message, span, "a count that is known, or a cell")


def _note_spare(body: Body, options: SetValue, amount: Amount) -> None:
    """Notes how many options are left out, for a warning where that is none anywhere."""
    named, noted = options.declaration, body.lowering.chosen
    place = options.span if named is None else named.value.span
    count = len(options.options)
    noted[place] = max(noted.get(place, (0, 0)), (count - amount.least, count))
