"""Ops that give back a list."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.lowering.usage import Uses
from compiler.lowering.values import Poison, Ref, Value, kind
from dsl import ast
from dsl.diagnostics import fault
from dsl.space import Space
from dsl.vocabulary import SPLIT

Scope = Mapping[str, ast.Declaration]


class Lists:
    """Which ops give back a list: their text says so, since a region has one output."""

    def __init__(self, space: Space, uses: Uses) -> None:
        self.space = space
        self.uses = uses
        self.known: dict[int, bool] = {}

    def given_by(self, op: ast.OpDecl) -> bool:
        for inner in self.uses.innermost_first(op, self.known):
            self.known[id(inner)] = isinstance(inner, ast.OpDecl) and self._gives(inner)
        return self.known[id(op)]

    def _gives(self, op: ast.OpDecl) -> bool:
        scope = self.space.scope(op)
        bound: dict[str, bool] = {}
        for statement in op.body.statements:
            match statement:
                case ast.Bind(names=(name,), value=value):
                    bound[name.name] = self.is_list(value, bound, scope)
                case ast.Group(name=name):
                    bound[name.name] = True
        return self.is_list(op.body.result, bound, scope)

    def is_list(self, written: ast.Expr | None, bound: Mapping[str, bool], scope: Scope) -> bool:
        """Whether an expression is a list, or an operation that gives one back.

        `bound` says that of the names bound before it.
        """
        match written:
            case ast.ListExpr() | ast.Each():
                return True
            case ast.When(value=value, otherwise=otherwise):
                return any(self.is_list(each, bound, scope) for each in (value, otherwise))
            case ast.Flow(steps=steps):
                return self.is_list(steps[-1], bound, scope)
            case ast.Call(callee=ast.Name(name=name)) if name == SPLIT:
                return True
            case ast.Call(callee=callee):
                return self.is_list(callee, bound, scope)
            case ast.Name(name=name) if name in bound:
                return bound[name]
            case ast.Name(name=name):
                declared = scope.get(name)
                return isinstance(declared, ast.OpDecl) and self.given_by(declared)
        return False


def check(op: ast.OpDecl, result: Value) -> None:
    """Raises:
    DartsError: where a list holds something else than values.
    """
    for item in result if isinstance(result, tuple) else ():
        check(op, item)
        if not isinstance(item, Ref | Poison | tuple):
            message = f"`{op.name.name}` gives back a list of values, in it is {kind(item)}"
            raise fault("E0401", message, op.body.result.span)
