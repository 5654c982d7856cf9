"""`+ - * /` and the like: of numbers, of values, and of a value and a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.expr import Binary, Const, Expr, InexactDivision, Symbol, negation, opens
from compiler.expr import binary as of_numbers
from compiler.lowering import choices, widths
from compiler.lowering.values import (
    ChosenNumber,
    Poison,
    Ref,
    Several,
    Value,
    is_operation,
    joins,
    kind,
)
from dsl import ast
from dsl.diagnostics import DartsError, fault

if TYPE_CHECKING:
    from compiler.lowering.body import Body

OF_VALUES = ("+", "-", "*", "/")


def unary(body: Body, node: ast.Unary) -> Value:
    operand = body.evaluate(node.operand)
    if isinstance(operand, Ref) and node.operator == "-":
        _reckoned(body, operand, node, node.operand)
        numbers = (operand.number,)
        return body.ref(body.builder.elementwise("-", numbers, Const(0), True, node.span))
    number = _number(operand, node, node.operand)
    if opens(number):
        _check_open(body, node, number)
    if node.operator == "-" and isinstance(number, Const) and isinstance(number.value, bool | str):
        message = f"`-` needs a number, this is `{node.operand.span.text}`"
        raise fault("E0401", message, node.operand.span)
    try:
        return negation(number) if node.operator == "not" else -number
    except TypeError as error:
        raise fault("E0401", str(error), node.operand.span) from None


def binary(body: Body, node: ast.Binary) -> Value:
    left, right = body.evaluate(node.left), body.evaluate(node.right)
    if (isinstance(left, Ref) or isinstance(right, Ref)) and node.operator in OF_VALUES:
        return _of_values(body, node, left, right)
    numbers = _number(left, node, node.left), _number(right, node, node.right)
    _check_open(body, node, *numbers)
    if node.operator in ("==", "!=") and _differ_in_kind(*numbers):
        return Const(node.operator == "!=")
    try:
        return of_numbers(node.operator, *numbers, node.span)
    except InexactDivision as error:
        raise fault("E0504", str(error), node.span, "`//` rounds down") from None
    except ZeroDivisionError as error:
        raise fault("E0504", str(error), node.span) from None
    except OverflowError as error:
        raise fault("E0103", f"`{node.operator}` gives {error}", node.span) from None
    except TypeError as error:
        message = f"`{node.operator}` cannot join these two: {error}"
        raise fault("E0401", message, node.span) from None


def _differ_in_kind(left: Expr, right: Expr) -> bool:
    """Whether one is a word and the other a number, known or not: arguments that are words are
    folded, so a symbol is none."""
    words = [isinstance(side, Const) and isinstance(side.value, str) for side in (left, right)]
    open_ = [isinstance(side, Symbol | Binary) for side in (left, right)]
    return any(words) and any(open_)


def _of_values(body: Body, node: ast.Binary, left: Value, right: Value) -> Ref:
    values = [v for v in (left, right) if isinstance(v, Ref)]
    for side, syntax in ((left, node.left), (right, node.right)):
        if isinstance(side, Ref):
            _reckoned(body, side, node, syntax)
    if node.operator == "/" and isinstance(right, Ref):
        reads, known = "what divides is", "a layer of a known width before it"
        widths.check_known(body, (right,), reads, node.right.span, known)
    operands = tuple(v.number for v in values)
    if len(values) == 2:
        widths.check_alike(body, values, node.span)
        return body.ref(body.builder.elementwise(node.operator, operands, span=node.span))
    swapped = isinstance(right, Ref)
    number = _number(left, node, node.left) if swapped else _number(right, node, node.right)
    if opens(number):
        message = f"`{opens(number)[0].decision}` is still to be chosen, and a value has no slices"
        raise fault("E0611", message, node.span, "choose between two values")
    made = body.builder.elementwise(node.operator, operands, number, swapped, node.span)
    if node.operator in ("*", "/"):  # zeros stay zeros
        return body.ref(made)
    return widths.narrowed(body, body.ref(made), node.span)


def _check_open(body: Body, node: ast.Unary | ast.Binary, *numbers: Expr) -> None:
    """What is reckoned from a number still to be chosen grows with it, as its slices do.

    Raises:
        DartsError: where it does not, or is a condition.
    """
    grows = {"+": numbers, "*": numbers, "-": numbers[: len(numbers) - 1]}
    grows |= {"/": numbers[:1], "//": numbers[:1], "%": (), "^": ()}
    falls = [n for n in numbers if opens(n) and n not in grows.get(node.operator, ())]
    if falls and node.operator not in grows:
        body.check_decided(falls[0], node.span)
    if falls:
        message = f"`{node.operator}` makes no slices of `{opens(falls[0])[0].decision}`"
        raise fault("E0611", message, node.span, "`choose entangled` of the numbers meant")


def _reckoned(body: Body, value: Ref, node: ast.Expr, syntax: ast.Expr) -> None:
    if body.rank(value) == 0:
        message = f"`{syntax.span.text}` are words, which cannot be reckoned with"
        raise fault("E0502", message, syntax.span, "an `embedding` makes numbers of them")


def _number(value: Value, node: ast.Unary | ast.Binary, side: ast.Expr) -> Expr:
    if isinstance(value, Expr):
        return value
    if isinstance(value, Poison):
        raise DartsError(())
    choices.check_reckoned(value, side.span)
    wanted, help = "numbers", None
    if node.operator in OF_VALUES:
        wanted = "values or numbers"
        help = "let a value flow into it" if is_operation(value) else None
    elif isinstance(value, Ref):
        help = "values are reckoned with by `+ - * /`"
    if isinstance(value, ChosenNumber):
        message = "this number is still to be chosen, so nothing is reckoned from it"
        raise fault("E0611", message, side.span, "`choose entangled { … }`, or reckon in the set")
    if isinstance(value, Several):
        help = joins(value)
    message = f"`{node.operator}` needs {wanted}, this is {kind(value)}"
    raise fault("E0401", message, side.span, help)
