"""What the uses of a declaration give it, all over a space."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.expr import Const, Expr
from compiler.lowering.values import (
    Declared,
    LayerOperation,
    SetValue,
)
from dsl import ast
from dsl.space import Space
from dsl.vocabulary import LAYERS


def named_arguments(space: Space) -> Iterator[tuple[str, str]]:
    """(callee, parameter) wherever an argument is given by name.

    What a second kind (`cell b = a(…)`) gives to the first is its own affair and left out.
    """
    for scope in space.scopes.values():
        roots: list[ast.Declaration] = [*scope.values()]
        if space.network is not None:
            roots.append(space.network)
        for root in roots:
            if isinstance(root, ast.CellDecl) and root.inputs is None:
                continue
            for node in root.walk():
                if isinstance(node, ast.Call) and isinstance(node.callee, ast.Name):
                    for argument in node.arguments:
                        if argument.name is not None:
                            yield node.callee.name, argument.name


def common_default(value: SetValue, name: str) -> Expr | None:
    """The number that every option takes for an argument when it is not given, if it is one."""
    defaults: set[Expr | None] = set()
    for option in value.options:
        match option.operation:
            case Declared(declaration=declaration):
                found = [p.default for p in declaration.parameters if p.name == name]
                plain = found[0] if found else None
                defaults.add(Const(plain.value) if isinstance(plain, ast.Number) else None)
            case LayerOperation(layer=layer):
                words = [a.default for a in LAYERS[layer].optional if a.name == name]
                defaults.add(Const(words[0]) if words and words[0] is not None else None)
            case _:
                return None
    return defaults.pop() if len(defaults) == 1 else None
