"""What the text of ops and cells says of them: what they read, and whether they decide."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from compiler.lowering.lists import Lists
from compiler.lowering.usage import Named, Uses
from dsl import ast
from dsl.space import Space


class Nature:
    """Answers are found once for every declaration, and without recursion."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.uses_of = Uses(space)
        self.lists = Lists(space, self.uses_of)
        self.inlined: dict[int, bool] = {}
        self.deciding: dict[int, bool] = {}
        self.decided: dict[int, bool] = {}

    def inputs(self, declaration: ast.OpDecl | ast.CellDecl) -> tuple[ast.Input, ...] | None:
        """The inputs of an op or cell, through a cell that stands for another; None for a chain."""
        while declaration.inputs is None and isinstance(declaration, ast.CellDecl):
            result = declaration.body.result
            callee = result.callee if isinstance(result, ast.Call) else result
            name = callee.name if isinstance(callee, ast.Name) else ""
            target = self.space.scope(declaration).get(name)
            if not isinstance(target, ast.CellDecl):
                return None
            declaration = target
        return declaration.inputs

    def arity(self, declaration: ast.OpDecl | ast.CellDecl) -> int:
        read = self.inputs(declaration)
        return 1 if read is None else len(read)

    def settles(self, node: ast.Node, scope: Mapping[str, ast.Declaration]) -> bool:
        """Whether what is written here makes decisions of the body around it, or hangs on the
        stage that it stands in."""
        for inner in node.walk():
            if isinstance(inner, ast.Choose):
                return True
            named = scope.get(inner.name) if isinstance(inner, ast.Name) else None
            if isinstance(named, ast.CellDecl) and named.per_stage:
                return True
            if isinstance(named, ast.OpDecl | ast.SetDecl) and self.settled(named):
                return True
        return False

    def settled(self, declaration: ast.OpDecl | ast.SetDecl) -> bool:
        """Whether an op makes decisions of the body that uses it, or hangs on its stage."""
        for inner in self.uses_of.innermost_first(declaration, self.deciding):
            self.deciding[id(inner)] = any(isinstance(n, ast.Choose) for n in inner.walk()) or any(
                named.per_stage if isinstance(named, ast.CellDecl) else self.deciding[id(named)]
                for named in self.uses_of.named(inner)
            )
        return self.deciding[id(declaration)]

    def decides(self, declaration: ast.OpDecl | ast.CellDecl) -> bool:
        """Whether decisions are made where an op or cell is used, by whichever body."""
        for inner in self.uses_of.innermost_first(declaration, self.decided):
            self.decided[id(inner)] = any(isinstance(n, ast.Choose) for n in inner.walk()) or any(
                self.decided[id(named)]
                for named in self.uses_of.named(inner)
                if isinstance(named, ast.OpDecl | ast.CellDecl)
            )
        return self.decided[id(declaration)]

    def inlines(self, declaration: Named) -> bool:
        """Whether an op belongs to the body that uses it: it decides, or draws masks there.

        So does an op that uses such a one.
        """
        for inner in self.uses_of.innermost_first(declaration, self.inlined):
            named = (op for op in self.uses_of.named(inner) if isinstance(op, ast.OpDecl))
            self.inlined[id(inner)] = (
                (isinstance(inner, ast.OpDecl) and self.settled(inner))
                or any(map(_draws_mask, inner.walk()))
                or any(self.inlined[id(op)] for op in named)
            )
        return self.inlined[id(declaration)]


def _draws_mask(node: ast.Node) -> bool:
    """Whether this is the argument of a `dropout` that may draw one mask for many places."""
    match node:
        case ast.Argument(name="per", value=ast.Name(name="element")):
            return False
        case ast.Argument(name="per"):
            return True
    return False


def header(declaration: Any) -> str:
    """A declaration up to its body, as the file has it; whole where it stands for another."""
    span, body = declaration.span, declaration.body.span
    if declaration.inputs is None and isinstance(declaration, ast.CellDecl):
        text = span.text
    else:
        text = span.source.text[span.start : body.start]
    plain = " ".join(re.sub(r"#[^\n]*", "", text).split())
    return plain if text == span.text else plain.rstrip(" ={")
