"""What the uses of a declaration give it, all over a space."""

from __future__ import annotations

from collections.abc import Container, Iterator

from compiler.expr import Const, Expr
from compiler.lowering.values import (
    Declared,
    LayerOperation,
    SetValue,
)
from dsl import ast
from dsl.space import Space
from dsl.vocabulary import LAYERS

Named = ast.SetDecl | ast.OpDecl | ast.CellDecl


class Uses:
    """Which declarations name which others."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._named: dict[int, tuple[Named, ...]] = {}

    def named(self, declaration: Named) -> tuple[Named, ...]:
        """The sets, ops and cells that stand in a declaration, each once."""
        if id(declaration) not in self._named:
            scope = self.space.scope(declaration)
            names = dict.fromkeys(n.name for n in declaration.walk() if isinstance(n, ast.Name))
            found = [scope[name] for name in names if name in scope]
            self._named[id(declaration)] = tuple(
                other for other in found if isinstance(other, Named) and other is not declaration
            )
        return self._named[id(declaration)]

    def innermost_first(self, start: Named, known: Container[int]) -> Iterator[Named]:
        """What a declaration leads to and then itself, each behind those that it names.

        What is `known` by then is left out, so what is asked of one can be noted for the next;
        nothing recurses, however long the way is.
        """
        waiting = [start]
        while waiting:
            missing = [d for d in self.named(waiting[-1]) if id(d) not in known]
            if missing and id(waiting[-1]) not in known:
                waiting += missing
                continue
            declaration = waiting.pop()
            if id(declaration) not in known:
                yield declaration


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
