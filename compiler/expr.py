"""Numbers that remember the expression they came from.

The compiler computes with expressions over named symbols (a width `C`, a height `h`) so that the
generated source can print them; `evaluate` gives their value where the symbols are known. Flags and
words are expressions too. Construction simplifies, and equal expressions compare equal.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dsl.source import Span

Plain = int | float | bool | str


NO_NUMBER = "a flag is no number"


class DivisionByZero(ZeroDivisionError):
    """A division by zero; carries the division."""

    def __init__(self, division: Binary) -> None:
        super().__init__("this divides by zero")
        self.division = division


class InexactDivision(Exception):
    """`/` left a remainder; carries the division and its two values."""

    def __init__(self, division: Binary, left: Plain, right: Plain) -> None:
        super().__init__(f"{left} / {right} leaves a remainder")
        self.division, self.left, self.right = division, left, right


class Expr:
    """Base of expressions; arithmetic on them and on plain numbers gives simplified ones."""

    def __add__(self, other: Number) -> Expr:
        return _sum([(1, self), (1, const(other))])

    def __radd__(self, other: Number) -> Expr:
        return _sum([(1, const(other)), (1, self)])

    def __sub__(self, other: Number) -> Expr:
        return _sum([(1, self), (-1, const(other))])

    def __rsub__(self, other: Number) -> Expr:
        return _sum([(1, const(other)), (-1, self)])

    def __neg__(self) -> Expr:
        return _sum([(-1, self)])

    def __mul__(self, other: Number) -> Expr:
        return binary("*", self, const(other))

    def __rmul__(self, other: Number) -> Expr:
        return binary("*", const(other), self)

    def __floordiv__(self, other: Number) -> Expr:
        return _open("//", self, const(other))


Number = int | float | Expr


@dataclass(frozen=True)
class Const(Expr):
    value: Plain

    def __post_init__(self) -> None:
        # 36.0 and 36 are one number; True and 1 are not
        if isinstance(self.value, float) and self.value.is_integer():
            object.__setattr__(self, "value", int(self.value))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Const)
            and self.value == other.value
            and isinstance(self.value, bool) == isinstance(other.value, bool)
        )

    def __hash__(self) -> int:
        return hash((isinstance(self.value, bool), self.value))


@dataclass(frozen=True)
class Symbol(Expr):
    name: str


@dataclass(frozen=True)
class Open(Expr):
    """A number that is still to be chosen: until then as large as the largest of its values."""

    decision: str
    values: tuple[Plain, ...]

    @property
    def key(self) -> str:
        """Under which `substitute` finds what was chosen; no symbol is called so."""
        return f"choose {self.decision}"

    @property
    def largest(self) -> Plain:
        return max(self.values)


class TooLong(OverflowError):
    """An expression has more in it than any number of a network needs."""


@dataclass(frozen=True)
class Compound(Expr):
    """An expression of others; `size` is how much there is to read in it."""

    size: int = field(default=1, init=False, compare=False, repr=False)

    def measure(self, own: int, *parts: Expr) -> None:
        """Parts may be one object many times, so what is too long must show as it grows.

        Raises:
            TooLong: when there is too much of it.
        """
        size = own + sum(map(size_of, parts))
        if size > MOST_PARTS:
            raise TooLong(f"a number is reckoned from more than {MOST_PARTS} others")
        object.__setattr__(self, "size", size)


@dataclass(frozen=True)
class Unary(Compound):
    operator: str  # "not"
    operand: Expr

    def __post_init__(self) -> None:
        self.measure(1, self.operand)


@dataclass(frozen=True)
class Binary(Compound):
    """`/` divides exactly, `ceil/` rounds up; the others are as in Python (`^` is a power)."""

    operator: str
    left: Expr
    right: Expr
    span: Span | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.measure(1, self.left, self.right)


@dataclass(frozen=True)
class IfElse(Compound):
    condition: Expr
    then: Expr
    otherwise: Expr

    def __post_init__(self) -> None:
        self.measure(3, self.condition, self.then, self.otherwise)


def const(value: Number | Plain) -> Expr:
    return value if isinstance(value, Expr) else Const(value)


MOST_BITS = 4096
"""Whole numbers stay below 2 to this, so that none takes forever."""
MOST_PARTS = 400
"""The most numbers and signs in an expression."""


def _limited(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise OverflowError("a number beyond the limits")
    return value


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int):
        if base.bit_length() * abs(exponent) > MOST_BITS:
            raise OverflowError("a number beyond the limits")
    elif base < 0:
        raise TypeError("a root of a negative number")
    return base**exponent


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "^": _power,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "ceil/": lambda a, b: -(-a // b),
}


def binary(op: str, left: Expr, right: Expr, span: Span | None = None) -> Expr:
    """`left op right`, simplified.

    Raises:
        InexactDivision: for a `/` of two constants that leaves a remainder.
        ZeroDivisionError: for a division of constants by zero.
    """
    for part in (left, right):
        if op in ("+", "-") and isinstance(part, Const) and isinstance(part.value, bool):
            raise TypeError(NO_NUMBER)
    if op == "+":
        return left + right
    if op == "-":
        return left - right
    node = Binary(op, left, right, span)
    if isinstance(left, Const) and isinstance(right, Const):
        return Const(_apply(node, left.value, right.value))
    if left == right and op in ("==", "!=", "<=", ">="):
        return Const(op != "!=")
    if op in ("*", "/", "//", "ceil/", "^") and right == Const(1):
        return left
    if op == "*" and left == Const(1):
        return right
    match op, left, right:
        case "*", Const(int() as a), Binary("/", whole, Const(int() as b)) if b and a % b == 0:
            return binary("*", Const(a // b), whole)  # exact, since `/` leaves no remainder
        case "*", Const(int() as a), Binary("*", Const(int() as b), rest):
            return binary("*", Const(a * b), rest)
        case "/", Binary("*", Const(int() as a), rest), Const(int() as b) if b and a % b == 0:
            return binary("*", Const(a // b), rest)
    if op == "*" and isinstance(right, Const):
        return binary(op, right, left, span)
    if op in ("and", "or"):
        for known, other in ((left, right), (right, left)):
            if isinstance(known, Const):
                decides = known.value is (op == "or")
                return known if decides else other
    return node


def _open(op: str, left: Expr, right: Expr, span: Span | None = None) -> Expr:
    """As `binary`; what does not come out is left as it stands, for `evaluate` to raise."""
    try:
        return binary(op, left, right, span)
    except (ArithmeticError, InexactDivision, TypeError):
        return Binary(op, left, right, span)


def if_else(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    if isinstance(condition, Const):
        return then if condition.value else otherwise
    return then if then == otherwise else IfElse(condition, then, otherwise)


def negation(operand: Expr) -> Expr:
    return Const(not truth(operand.value)) if isinstance(operand, Const) else Unary("not", operand)


def ceil_div(left: Number, right: Number) -> Number:
    """`left / right` rounded up, for plain numbers and for expressions."""
    if isinstance(left, Expr) or isinstance(right, Expr):
        return _open("ceil/", const(left), const(right))
    return -(-left // right)


def _apply(node: Binary, left: Any, right: Any) -> Any:
    _check_kinds(node.operator, left, right)
    if node.operator in ("/", "//", "%", "ceil/") and right == 0:
        raise DivisionByZero(node)
    if node.operator == "/":
        quotient = left / right
        if isinstance(left, int) and isinstance(right, int):
            if left % right:
                raise InexactDivision(node, left, right)
            return left // right
        return quotient
    return _limited(OPERATIONS[node.operator](left, right))


def _check_kinds(operator: str, left: Any, right: Any) -> None:
    """Numbers, flags and words do not mix.

    Raises:
        TypeError: when they do.
    """
    flags = isinstance(left, bool) + isinstance(right, bool)
    words = isinstance(left, str) + isinstance(right, str)
    if operator in ("and", "or"):
        if flags < 2:
            raise TypeError(f"`{operator}` stands between flags")
    elif operator in ("==", "!="):
        if flags == 1 and not words:
            raise TypeError(NO_NUMBER)
    elif words:
        raise TypeError("words can only be compared")
    elif flags:
        raise TypeError(NO_NUMBER)


def truth(value: Any) -> bool:
    """What a condition comes to.

    Raises:
        TypeError: when it is no flag.
    """
    if not isinstance(value, bool):
        raise TypeError(f"a condition is `yes` or `no`, this is {value}")
    return value


def _sum(terms: list[tuple[int, Expr]]) -> Expr:
    """The sum of signed terms: like terms are collected, in order of appearance, numbers last."""
    counts: dict[Expr, int] = {}
    constant: Any = 0
    for sign, term in terms:
        for factor, base in _terms(term):
            if isinstance(base, Const):
                constant = _limited(constant + sign * factor * base.value)
            else:
                counts[base] = _limited(counts.get(base, 0) + sign * factor)
    result: Expr | None = None
    for base, count in counts.items():
        if count == 0:
            continue
        size = base if abs(count) == 1 else binary("*", Const(abs(count)), base)
        if result is None:
            result = size if count > 0 else binary("*", Const(count), base)
        else:
            result = Binary("+" if count > 0 else "-", result, size)
    if result is None:
        return Const(constant)
    if constant:
        return Binary("+" if constant > 0 else "-", result, Const(abs(constant)))
    return result


def _terms(expr: Expr) -> Iterator[tuple[Any, Expr]]:
    match expr:
        case Binary("+", left, right):
            yield from _terms(left)
            yield from _terms(right)
        case Binary("-", left, right):
            yield from _terms(left)
            yield from ((-factor, base) for factor, base in _terms(right))
        case Binary("*", Const(value), right) if isinstance(value, int):
            yield from ((value * factor, base) for factor, base in _terms(right))
        case _:
            yield 1, expr


def evaluate(expr: Expr, env: Mapping[str, Plain], inexact: set[Expr] | None = None) -> Any:
    """The value of an expression where `env` knows its symbols.

    Divisions that were rounded up are added to `inexact`.

    Raises:
        KeyError: for an unknown symbol.
        InexactDivision, ZeroDivisionError: for a division that does not come out.
    """
    match expr:
        case Const(value):
            return value
        case Symbol(name):
            return env[name]
        case Open():
            return expr.largest
        case Unary(_, operand):
            return not truth(evaluate(operand, env, inexact))
        case IfElse(condition, then, otherwise):
            chosen = then if truth(evaluate(condition, env, inexact)) else otherwise
            return evaluate(chosen, env, inexact)
        case Binary():
            left = evaluate(expr.left, env, inexact)
            right = evaluate(expr.right, env, inexact)
            if inexact is not None and expr.operator == "ceil/" and left % right:
                inexact.add(expr)
            return _apply(expr, left, right)
    raise TypeError(f"not an expression: {expr!r}")


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with symbols replaced, simplified again."""
    match expr:
        case Symbol(name):
            return values.get(name, expr)
        case Open():
            return values.get(expr.key, expr)
        case Unary(_, operand):
            return negation(substitute(operand, values))
        case IfElse(condition, then, otherwise):
            return if_else(
                substitute(condition, values),
                substitute(then, values),
                substitute(otherwise, values),
            )
        case Binary(op, left, right):
            left, right = substitute(left, values), substitute(right, values)
            return _open(op, left, right, expr.span)
    return expr


@cache
def symbols(expr: Expr) -> tuple[str, ...]:
    """The names an expression reads, in order of appearance."""
    match expr:
        case Symbol(name):
            return (name,)
        case Unary(_, operand):
            return symbols(operand)
        case IfElse(condition, then, otherwise):
            parts = symbols(condition) + symbols(then) + symbols(otherwise)
        case Binary(_, left, right):
            parts = symbols(left) + symbols(right)
        case _:
            return ()
    return tuple(dict.fromkeys(parts))


@cache
def opens(expr: Expr) -> tuple[Open, ...]:
    """The numbers in an expression that are still to be chosen, in order of appearance."""
    match expr:
        case Open():
            return (expr,)
        case Unary(_, operand):
            return opens(operand)
        case IfElse(condition, then, otherwise):
            parts = opens(condition) + opens(then) + opens(otherwise)
        case Binary(_, left, right):
            parts = opens(left) + opens(right)
        case _:
            return ()
    return tuple(dict.fromkeys(parts))


def size_of(expr: Expr) -> int:
    """How much there is to read in an expression; the shortest of equal ones is printed."""
    return expr.size if isinstance(expr, Compound) else 1


PRECEDENCE = {
    "or": 2, "and": 3,
    "==": 5, "!=": 5, "<": 5, "<=": 5, ">": 5, ">=": 5,
    "+": 6, "-": 6, "*": 7, "/": 7, "//": 7, "%": 7, "ceil/": 7, "^": 9,
}  # fmt: skip
SPELLING = {"/": "//", "^": "**"}


def show(
    expr: Expr,
    rename: Callable[[str], str] = str,
    inexact: frozenset[Expr] | set[Expr] = frozenset(),
    level: int = 0,
) -> str:
    """The expression as Python source.

    `rename` gives the identifier of a symbol. A division that rounds up prints as `//` unless it is
    in `inexact`. `level` is the precedence of what surrounds it.
    """

    if opens(expr):
        expr = substitute(expr, {number.key: Const(number.largest) for number in opens(expr)})

    def part(inner: Expr, at: int) -> str:
        return show(inner, rename, inexact, at)

    match expr:
        case Const(value):
            return repr(value)
        case Symbol(name):
            return rename(name)
        case Unary(_, operand):
            text, own = f"not {part(operand, 4)}", 4
        case IfElse(condition, then, otherwise):
            text = f"{part(then, 2)} if {part(condition, 2)} else {part(otherwise, 1)}"
            own = 1
        case Binary("ceil/", left, right) if expr in inexact:
            text, own = f"-(-{part(left, 8)} // {part(right, 8)})", 8
        case Binary(op, left, right):
            own = PRECEDENCE[op]
            spelt = "//" if op == "ceil/" else SPELLING.get(op, op)
            gap = "" if op == "^" else " "
            sides = (own + 1, own) if op == "^" else (own, own + 1)
            text = f"{part(left, sides[0])}{gap}{spelt}{gap}{part(right, sides[1])}"
        case _:
            raise TypeError(f"not an expression: {expr!r}")
    return f"({text})" if own < level else text
