"""From expressions and statements to the words that say them, and where their lines may end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dsl import ast
from dsl.layout.pretty import CLOSE, COMMA, SPACE, Break, Item, Line, Open, Word

LOOSEST, EITHER, BOTH, NEGATION, COMPARISON, SUM, PRODUCT, FACTOR, POWER, FLOW, STEP, POSTFIX = (
    range(12)
)
"""The levels of the grammar, loosest first."""
PRIMARY = POSTFIX + 1

_OPERATORS = {
    "or": (EITHER, EITHER, BOTH),
    "and": (BOTH, BOTH, NEGATION),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), (COMPARISON, SUM, SUM)),
    **dict.fromkeys(("+", "-"), (SUM, SUM, PRODUCT)),
    **dict.fromkeys(("*", "/", "//", "%"), (PRODUCT, PRODUCT, FACTOR)),
    "^": (POWER, FLOW, FACTOR),
}
"""The level of an operator, and the loosest that stands left and right of it without brackets."""


@dataclass(frozen=True, slots=True)
class Sub:
    """A node still to be laid out; it is put in brackets where its level is below `level`."""

    node: ast.Node
    level: int = LOOSEST


Piece = Item | Sub


def laid_out(pieces: Iterable[Piece]) -> list[Item]:
    """The items of all nodes among the pieces; as deep as they nest, without recursion."""
    items: list[Item] = []
    waiting = list(pieces)[::-1]
    while waiting:
        piece = waiting.pop()
        if not isinstance(piece, Sub):
            items.append(piece)
            continue
        made: list[Piece] = _PIECES[type(piece.node)](piece.node)
        if _level(piece.node) < piece.level:
            made = listed("(", [made], ")", trailing=False)
        waiting += reversed(made)
    return items


def said(text: str) -> list[Piece]:
    """Words with a space between them."""
    first, *rest = text.split(" ")
    return [Word(first), *(piece for word in rest for piece in (SPACE, Word(word)))]


def block(pieces: Iterable[Piece]) -> list[Piece]:
    """A group whose further lines are indented against its first."""
    return [Open(block=True), *pieces, CLOSE]


def listed(
    opening: str,
    elements: Sequence[Sequence[Piece]],
    closing: str,
    pad: str = "",
    trailing: bool = True,
) -> list[Piece]:
    """Elements in brackets: broken, each has its line, but elements of a word each fill lines.

    `pad` stands inside the brackets where they are not broken, a comma after the last element where
    they are, if `trailing`.
    """
    filled = all(len(element) == 1 and _is_short(element[0]) for element in elements)
    between = Line(when=Break.WHERE_NEEDED if filled else Break.WITH_GROUP)
    pieces: list[Piece] = [Word(opening), Line(pad, when=Break.WITH_GROUP)]
    for number, element in enumerate(elements):
        pieces += [Word(","), between] if number else []
        pieces += block(element)
    pieces += [COMMA] if trailing else []
    return block([*pieces, Line(pad, 0, Break.WITH_GROUP), Word(closing)])


def separated(elements: Iterable[Iterable[Piece]]) -> list[Piece]:
    """Elements with commas between them, filling lines."""
    pieces: list[Piece] = []
    for element in elements:
        pieces += [Word(","), Line()] if pieces else []
        pieces += element
    return pieces


def number(value: int | float) -> list[Piece]:
    """A number, which may be negative."""
    text = repr(value)
    return [Word("-"), Word(text[1:])] if text.startswith("-") else [Word(text)]


def _is_short(piece: Piece) -> bool:
    node = piece.node if isinstance(piece, Sub) else piece
    return isinstance(node, Word | ast.Name | ast.Number | ast.Flag)


def _level(node: ast.Node) -> int:
    match node:
        case ast.When():
            return LOOSEST
        case ast.Binary(operator=operator):
            return _OPERATORS[operator][0]
        case ast.Unary(operator=operator):
            return NEGATION if operator == "not" else FACTOR
        case ast.Flow() | ast.Each():
            return FLOW
        case ast.Choose() | ast.Over() | ast.Repeat():
            return STEP
        case ast.Call() | ast.Index():
            return POSTFIX
    return PRIMARY


# ---- expressions ---------------------------------------------------------------------------------


def _when(node: ast.When) -> list[Piece]:
    pieces: list[Piece] = [Open()]
    rest: ast.Expr | None = node
    while isinstance(rest, ast.When):
        pieces += [Sub(rest.value, EITHER), Line(), *said("when"), SPACE]
        pieces += [Sub(rest.condition, EITHER)]
        rest = rest.otherwise
        pieces += [Line(when=Break.WITH_GROUP), Word("else"), SPACE] if rest is not None else []
    return [*pieces, *([Sub(rest)] if rest is not None else []), CLOSE]


def _binary(node: ast.Binary) -> list[Piece]:
    level, left, right = _OPERATORS[node.operator]
    if node.operator == "^":
        return [_operand(node.left, left), Word("^"), _operand(node.right, right)]
    terms: list[tuple[str, ast.Expr]] = []
    first: ast.Expr = node
    # Operators that bind alike are one group; a comparison has none to its left.
    while isinstance(first, ast.Binary) and (first is node or _level(first) == level == left):
        terms.append((first.operator, first.right))
        first = first.left
    pieces: list[Piece] = [_operand(first, left)]
    for operator, term in reversed(terms):
        pieces += [Line(), Word(operator), SPACE, _operand(term, right)]
    return [Open(), *pieces, CLOSE]


def _unary(node: ast.Unary) -> list[Piece]:
    if node.operator == "not":
        return [Word("not"), SPACE, Sub(node.operand, NEGATION)]
    return [Word("-"), _operand(node.operand, FACTOR)]


def _operand(node: ast.Expr, level: int) -> Sub:
    """What an operator takes; a flow stands in brackets even where it need not, to be read well."""
    return Sub(node, STEP if isinstance(node, ast.Flow | ast.Each) else level)


def _flow(node: ast.Flow) -> list[Piece]:
    first, *rest = node.steps
    return [Open(), Sub(first, STEP), *_steps(rest), CLOSE]


def _each(node: ast.Each) -> list[Piece]:
    return [Open(), Word("each"), SPACE, Sub(node.source, POSTFIX), *_steps(node.steps), CLOSE]


def _steps(steps: Iterable[ast.Expr]) -> list[Piece]:
    return [piece for step in steps for piece in (Line(), Word("->"), SPACE, Sub(step, STEP))]


def _repeat(node: ast.Repeat) -> list[Piece]:
    ends = Break.ALWAYS if node.exceptions else Break.WITH_GROUP
    inside: list[Piece] = [Word("{"), Line(when=ends), *block([Sub(node.body)])]
    for at in node.exceptions:
        places = separated([Sub(place, SUM)] for place in at.places)
        inside += [Line(when=ends)]
        inside += block([Word("at"), SPACE, *places, Word(":"), SPACE, Sub(at.body)])
    inside += [Line(indent=0, when=ends), Word("}")]
    return [Word("repeat"), SPACE, Sub(node.count, SUM), SPACE, *block(inside)]


def _choose(node: ast.Choose) -> list[Piece]:
    pieces: list[Piece] = said("choose entangled" if node.entangled else "choose")
    if node.count is not None:
        pieces += [SPACE, Sub(node.count, POSTFIX)]
        pieces += [] if node.most is None else [Word(".."), Sub(node.most, POSTFIX)]
        pieces += [SPACE, Word("of")]
    return [*pieces, SPACE, Sub(node.options, POSTFIX), *_above(node.above)]


def _above(threshold: ast.Expr | None) -> list[Piece]:
    return [] if threshold is None else [SPACE, *said("above"), SPACE, Sub(threshold, POSTFIX)]


def _range(node: ast.Range) -> list[Piece]:
    pieces: list[Piece] = [Sub(node.first, POSTFIX), Word(".."), Sub(node.last, POSTFIX)]
    return (
        pieces if node.by is None else [*pieces, SPACE, *said("by"), SPACE, Sub(node.by, POSTFIX)]
    )


def _call(node: ast.Call) -> list[Piece]:
    return [Sub(node.callee, POSTFIX), *listed("(", [*map(_argument, node.arguments)], ")")]


def _argument(node: ast.Argument) -> list[Piece]:
    pieces: list[Piece] = [] if node.name is None else [Word(node.name), Word(":"), SPACE]
    return [*pieces, Sub(node.value)]


def _set(node: ast.SetExpr) -> list[Piece]:
    return listed("{", [*map(_item, node.items)], "}", pad=" ")


def _item(node: ast.Item) -> list[Piece]:
    pieces: list[Piece] = [Word("sink"), SPACE] if node.sink else []
    pieces += [Sub(node.value)]
    for loop in node.loops:
        pieces += [Line(), *said(f"for {loop.name} in"), SPACE, Sub(loop.source, EITHER)]
    if node.condition is not None:
        pieces += [Line(), Word("if"), SPACE, Sub(node.condition, EITHER)]
    if node.label is not None:
        pieces += [Line(), *said(f"as {node.label}")]
    return pieces


# ---- statements ----------------------------------------------------------------------------------


def _body(node: ast.Body) -> list[Piece]:
    """A body in braces; one without statements is written after `=`."""
    pieces: list[Piece] = [Word("{")]
    for statement in node.statements:
        pieces += [Line(when=Break.ALWAYS), *block([Sub(statement)])]
    result: list[Piece] = [Word("return"), SPACE, Sub(node.result)]
    pieces += [Line(when=Break.ALWAYS), *block(result)]
    return block([*pieces, Line(indent=0, when=Break.ALWAYS), Word("}")])


def _bind(node: ast.Bind) -> list[Piece]:
    names = separated([Word(name.name)] for name in node.names)
    return [*names, SPACE, Word("="), SPACE, Sub(node.value)]


def _group(node: ast.Group) -> list[Piece]:
    body: list[Piece] = [Sub(node.body)]
    if not node.body.statements:
        body = [Word("="), SPACE, Sub(node.body.result)]
    head = [*said(f"node {node.name.name}"), Word("["), Sub(node.count), Word("]")]
    return [*head, SPACE, *body]


def _keep(node: ast.Keep) -> list[Piece]:
    one = isinstance(node.count, ast.Number) and node.count.value == 1
    pieces: list[Piece] = [Word("keep"), SPACE]
    pieces += [] if node.count is None else [Sub(node.count), SPACE]
    pieces += said(node.unit.removesuffix("s") if one else node.unit)
    scope = "in all" if node.in_all else "per node"
    pieces += [] if node.count is None else [SPACE, *said(scope)]
    return [*pieces, SPACE, *said(f"by {node.strength}"), *_above(node.above)]


_PIECES: dict[type[ast.Node], Callable[[Any], list[Piece]]] = {
    ast.Name: lambda node: [Word(node.name)],
    ast.Number: lambda node: number(node.value),
    ast.Flag: lambda node: [Word("yes" if node.value else "no")],
    ast.Unary: _unary,
    ast.Binary: _binary,
    ast.When: _when,
    ast.Flow: _flow,
    ast.Each: _each,
    ast.Choose: _choose,
    ast.Repeat: _repeat,
    ast.Over: lambda node: [
        Sub(node.operation, POSTFIX),
        SPACE,
        *said(f"over {node.dimension.name}"),
    ],
    ast.Call: _call,
    ast.Index: lambda node: [Sub(node.base, POSTFIX), Word("["), Sub(node.index), Word("]")],
    ast.Earlier: lambda node: said(f"earlier {node.name}"),
    ast.Loose: lambda node: said(f"loose {node.name}"),
    ast.Range: _range,
    ast.ListExpr: lambda node: listed("(", [[Sub(item)] for item in node.items], ")"),
    ast.SetExpr: _set,
    ast.Body: _body,
    ast.Bind: _bind,
    ast.Group: _group,
    ast.Shared: lambda node: [*said(f"shared {node.name.name} ="), SPACE, Sub(node.value)],
    ast.Keep: _keep,
    ast.Auxiliary: lambda node: [Word("auxiliary"), SPACE, Sub(node.value)],
}
