"""Text to syntax tree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lark
from lark import Token, Transformer_NonRecursive, v_args
from lark.tree import Meta

from dsl import ast
from dsl.grammar import parser
from dsl.limits import check_text, check_tree
from dsl.source import Source, Span


def parse(source: Source) -> ast.File:
    """The syntax tree of a file.

    Raises:
        DartsError: a single diagnostic for the first place the text stops making sense, or one for
            every number and name that the grammar takes and the language does not.
    """
    check_text(source)
    try:
        tree = parser().parse(source.text)
    except lark.UnexpectedInput as error:
        from dsl.syntax_errors import explain  # a sound file needs none of it

        raise explain(error, source) from None
    check_tree(tree, source)
    return _Builder(source).transform(tree)


@v_args(meta=True)
class _Builder(Transformer_NonRecursive):
    """Makes a node of every rule; methods bear the names of the grammar's rules and aliases."""

    def __init__(self, source: Source) -> None:
        super().__init__(visit_tokens=False)
        self.source = source

    def span(self, meta: Meta) -> Span:
        if meta.empty:
            return Span(self.source, 0, 0)
        return Span(self.source, meta.start_pos, meta.end_pos)

    def word(self, token: Token) -> ast.Name:
        return ast.Name(Span(self.source, token.start_pos or 0, token.end_pos or 0), str(token))

    # -- files and declarations

    def start(self, meta: Meta, children: list[Any]) -> ast.File:
        language, *rest = children
        imports = tuple(c for c in rest if isinstance(c, ast.Import))
        extends = next((c for c in rest if isinstance(c, ast.Extend)), None)
        declarations = tuple(c for c in rest if not isinstance(c, ast.Import | ast.Extend))
        comment = self.comment_above(0)
        return ast.File(self.span(meta), language, imports, extends, declarations, comment)

    def language(self, meta: Meta, children: list[Any]) -> int:
        return int(float(children[0]))

    def import_(self, meta: Meta, children: list[Any]) -> ast.Import:
        return ast.Import(self.span(meta), tuple(map(str, children[0])))

    def extend(self, meta: Meta, children: list[Any]) -> ast.Extend:
        return ast.Extend(self.span(meta), tuple(map(str, children[0])))

    def path(self, meta: Meta, children: list[Any]) -> list[Token]:
        return children

    def set_(self, meta: Meta, children: list[Any]) -> ast.SetDecl:
        return ast.SetDecl(self.span(meta), self.word(children[0]), children[1])

    def op(self, meta: Meta, children: list[Any]) -> ast.OpDecl:
        return ast.OpDecl(*self.operation(meta, children))

    def cell(self, meta: Meta, children: list[Any]) -> ast.CellDecl:
        name, family, parameters, inputs, per_stage, body = children
        made = ast.CellDecl(*self.operation(meta, [name, parameters, inputs, body]))
        return replace(made, family=family, per_stage=per_stage is not None)

    def family(self, meta: Meta, children: list[Any]) -> ast.Expr:
        return children[0]

    def per_stage(self, meta: Meta, children: list[Any]) -> bool:
        return True

    def operation(self, meta: Meta, children: list[Any]) -> tuple[Any, ...]:
        name, parameters, inputs, body = children
        comment = self.comment_above(meta.start_pos)
        return self.span(meta), self.word(name), parameters or (), inputs, body, comment

    def network(self, meta: Meta, children: list[Any]) -> ast.NetworkDecl:
        parameters, inputs, outputs, body = children
        return ast.NetworkDecl(self.span(meta), parameters or (), inputs, outputs, body)

    def profile(self, meta: Meta, children: list[Any]) -> ast.ProfileDecl:
        name, base, *settings = children
        base = None if base is None else self.word(base)
        return ast.ProfileDecl(self.span(meta), self.word(name), base, tuple(settings))

    def comment_above(self, offset: int) -> str | None:
        """The comment that ends on the line before `offset`, or that opens the file at 0.

        What does not begin its line has none: the lines above belong to something else.
        """
        lines = [line.strip() for line in self.source.lines]
        number, column = self.source.position(offset)
        first = last = number - 1
        if offset == 0:
            while first < len(lines) and not lines[first]:
                first += 1
            last = first
            while last < len(lines) and lines[last].startswith("#"):
                last += 1
        elif not self.source.line(number)[: column - 1].strip():
            while first > 0 and lines[first - 1].startswith("#"):
                first -= 1
        said = (line.lstrip("#").strip() for line in lines[first:last])
        return " ".join(filter(None, said)) or None

    def params(self, meta: Meta, children: list[Any]) -> tuple[ast.Parameter, ...]:
        return tuple(c for c in children if c is not None)

    def param(self, meta: Meta, children: list[Any]) -> ast.Parameter:
        return ast.Parameter(self.span(meta), str(children[0]), children[1])

    def inputs(self, meta: Meta, children: list[Any]) -> tuple[ast.Input, ...]:
        return tuple(children)

    outputs = inputs

    def input(self, meta: Meta, children: list[Any]) -> ast.Input:
        return ast.Input(self.span(meta), self.word(children[0]), *children[1:])

    output = input

    def below(self, meta: Meta, children: list[Any]) -> ast.Expr:
        return children[0]

    def shape(self, meta: Meta, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    def setting(self, meta: Meta, children: list[Any]) -> ast.Setting:
        name, value = children
        return ast.Setting(self.span(meta), self.word(name), self.plain(value), value.span)

    def plain(self, value: Any) -> Any:
        """A setting's value without its syntax."""
        match value:
            case ast.ListExpr(items=items):
                return tuple(map(self.plain, items))
            case ast.Name(name=name):
                return name
        return value.value

    def negative(self, meta: Meta, children: list[Any]) -> ast.Number:
        return ast.Number(self.span(meta), -_number(children[0]))

    # -- bodies and statements

    def block(self, meta: Meta, children: list[Any]) -> ast.Body:
        return ast.Body(self.span(meta), tuple(children[:-1]), children[-1])

    def is_(self, meta: Meta, children: list[Any]) -> ast.Body:
        return ast.Body(self.span(meta), (), children[0])

    def bind(self, meta: Meta, children: list[Any]) -> ast.Bind:
        *names, value = children
        return ast.Bind(self.span(meta), tuple(map(self.word, names)), value)

    def group(self, meta: Meta, children: list[Any]) -> ast.Group:
        name, count, body = children
        return ast.Group(self.span(meta), self.word(name), count, body)

    def shared(self, meta: Meta, children: list[Any]) -> ast.Shared:
        return ast.Shared(self.span(meta), self.word(children[0]), children[1])

    def keep(self, meta: Meta, children: list[Any]) -> ast.Keep:
        written, unit, scope, (strength, span), above = children
        count: ast.Number | ast.Name | None = None if written is None else self.word(written)
        if count is not None and written.type == "NUMBER":
            count = ast.Number(count.span, _number(written))
        unit = str(unit) if unit.endswith("s") else f"{unit}s"
        in_all = bool(scope) and count is not None
        return ast.Keep(self.span(meta), count, unit, in_all, strength, above, span)

    def per_node(self, meta: Meta, children: list[Any]) -> bool:
        return False

    def in_all(self, meta: Meta, children: list[Any]) -> bool:
        return True

    def above(self, meta: Meta, children: list[Any]) -> ast.Expr:
        return children[0]

    def strength(self, meta: Meta, children: list[Any]) -> tuple[str, Span]:
        return " without ".join(str(c) for c in children if c is not None), self.span(meta)

    def auxiliary(self, meta: Meta, children: list[Any]) -> ast.Auxiliary:
        return ast.Auxiliary(self.span(meta), children[0])

    # -- expressions

    def when(self, meta: Meta, children: list[Any]) -> ast.When:
        value, condition, *otherwise = children
        return ast.When(self.span(meta), value, condition, otherwise[0] if otherwise else None)

    def binary(self, meta: Meta, children: list[Any]) -> ast.Binary:
        left, operator, right = children
        return ast.Binary(self.span(meta), str(operator), left, right)

    def unary(self, meta: Meta, children: list[Any]) -> ast.Unary:
        return ast.Unary(self.span(meta), str(children[0]), children[1])

    def flow(self, meta: Meta, children: list[Any]) -> ast.Flow:
        return ast.Flow(self.span(meta), tuple(children))

    def each(self, meta: Meta, children: list[Any]) -> ast.Each:
        return ast.Each(self.span(meta), children[0], tuple(children[1:]))

    def choose(self, meta: Meta, children: list[Any]) -> ast.Choose:
        entangled, count, options, above = children
        least, most = count or (None, None)
        return ast.Choose(self.span(meta), options, least, most, above, entangled is not None)

    def count(self, meta: Meta, children: list[Any]) -> list[ast.Expr | None]:
        return children

    def repeat(self, meta: Meta, children: list[Any]) -> ast.Repeat:
        count, body, *exceptions = children
        return ast.Repeat(self.span(meta), count, body, tuple(exceptions))

    def over(self, meta: Meta, children: list[Any]) -> ast.Over:
        return ast.Over(self.span(meta), children[0], self.word(children[1]))

    def at(self, meta: Meta, children: list[Any]) -> ast.At:
        return ast.At(self.span(meta), tuple(children[:-1]), children[-1])

    def call(self, meta: Meta, children: list[Any]) -> ast.Call:
        callee, *arguments = (c for c in children if c is not None)
        wrapped = (
            a if isinstance(a, ast.Argument) else ast.Argument(a.span, None, a) for a in arguments
        )
        return ast.Call(self.span(meta), callee, tuple(wrapped))

    def named(self, meta: Meta, children: list[Any]) -> ast.Argument:
        return ast.Argument(self.span(meta), str(children[0]), children[1])

    def index(self, meta: Meta, children: list[Any]) -> ast.Index:
        return ast.Index(self.span(meta), *children)

    def name(self, meta: Meta, children: list[Any]) -> ast.Name:
        return self.word(children[0])

    def number(self, meta: Meta, children: list[Any]) -> ast.Number:
        return ast.Number(self.span(meta), _number(children[0]))

    def flag(self, meta: Meta, children: list[Any]) -> ast.Flag:
        return ast.Flag(self.span(meta), children[0] == "yes")

    def earlier(self, meta: Meta, children: list[Any]) -> ast.Earlier:
        return ast.Earlier(self.span(meta), str(children[0]))

    def loose(self, meta: Meta, children: list[Any]) -> ast.Loose:
        return ast.Loose(self.span(meta), str(children[0]))

    def range(self, meta: Meta, children: list[Any]) -> ast.Range:
        return ast.Range(self.span(meta), *children)

    def parenthesised(self, meta: Meta, children: list[Any]) -> ast.Expr:
        return children[0]

    def list_(self, meta: Meta, children: list[Any]) -> ast.ListExpr:
        return ast.ListExpr(self.span(meta), tuple(c for c in children if c is not None))

    values = list_

    def set_literal(self, meta: Meta, children: list[Any]) -> ast.SetExpr:
        return ast.SetExpr(self.span(meta), tuple(c for c in children if c is not None))

    def item(self, meta: Meta, children: list[Any]) -> ast.Item:
        sink, value, *loops, condition, label = children
        return ast.Item(self.span(meta), value, sink is not None, tuple(loops), condition, label)

    def for_(self, meta: Meta, children: list[Any]) -> ast.For:
        name = self.word(children[0])
        return ast.For(self.span(meta), name.name, children[1], name.span)

    def if_(self, meta: Meta, children: list[Any]) -> ast.Expr:
        return children[0]

    def as_(self, meta: Meta, children: list[Any]) -> str:
        return str(children[0])


def _number(token: Token) -> int | float:
    return int(token) if token.isdecimal() else float(token)
