"""The syntax tree as text: a line for every node, indented below the one it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from dsl import ast
from dsl.source import Span


def outline(file: ast.File) -> str:
    """The tree of a file. A node is shown with its plain fields and where it begins."""
    return "\n".join(_node(file, "", "")) + "\n"


def _node(node: ast.Node, title: str, pad: str) -> Iterator[str]:
    parts = {part.name: getattr(node, part.name) for part in fields(node)}
    own = [f"{name} = {value!r}" for name, value in parts.items() if _is_plain(value)]
    line, column = node.span.source.position(node.span.start)
    place = f"  # {line}:{column}"
    yield f"{pad}{title}{type(node).__name__}" + (f"({', '.join(own)})" if own else "") + place
    for name, value in parts.items():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, ast.Node):
                yield from _node(each, f"{name}: ", pad + "    ")


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_plain, value))
    return value is not None and not isinstance(value, ast.Node | Span)
