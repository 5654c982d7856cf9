"""A resolved space as one file: what it uses, without imports, its profiles with their bases.

The file is a program of the language: read again, it is the same space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from dsl import ast
from dsl.options import option_key
from dsl.scope import Named
from dsl.space import Profile, Space
from dsl.vocabulary import PHASES

Node = TypeVar("Node", bound=ast.Node)
Titles = Mapping[int, str]
"""What every declaration is called in the one file, by its identity."""


def flattened(space: Space) -> ast.File:
    """A space's own declarations after those that they reach in other files.

    Names that do not see each other in their files may be equal; a declaration is numbered then.
    """
    own = [d for d in space.file.declarations if not isinstance(d, ast.ProfileDecl)]
    reached = {id(d): d for root in own for d in _reached(root, space)}
    others = [d for key, d in reached.items() if all(d is not each for each in own)]
    titles = _titles([*own, *others], space)
    declarations = [_written(d, space, titles) for d in (*others, *own)]
    bases = {d.name.name: d for d in space.file.declarations if isinstance(d, ast.ProfileDecl)}
    profiles = [_whole(bases[name], profile) for name, profile in space.profiles.items()]
    return ast.File(space.file.span, 1, (), None, (*declarations, *profiles), space.file.comment)


def _reached(declaration: ast.Declaration, space: Space) -> Iterator[Named]:
    """All declarations below one, each after those it uses."""
    scope = space.scope(declaration)
    for node in declaration.walk():
        below = scope.get(node.name) if isinstance(node, ast.Name) else None
        if isinstance(below, Named) and below is not declaration:
            yield from _reached(below, space)
            yield below


def _titles(declarations: list[ast.Declaration], space: Space) -> Titles:
    titles: dict[int, str] = {}
    taken = {name for declaration in declarations for name in _bound(declaration, space)}
    for declaration in declarations:
        if isinstance(declaration, Named):
            name, number = declaration.name.name, 2
            while name in taken:
                name, number = f"{declaration.name.name}_{number}", number + 1
            titles[id(declaration)] = name
            taken.add(name)
    return titles


def _bound(declaration: ast.Declaration, space: Space) -> Iterator[str]:
    """The names below a declaration that stand for no other one."""
    scope = space.scope(declaration)
    for node in declaration.walk():
        if isinstance(node, ast.Name | ast.Parameter | ast.For) and node.name not in scope:
            yield node.name


def _written(node: Node, space: Space, titles: Titles) -> Node:
    """A node of the syntax tree with the names that declarations have in the one file."""
    changes: dict[str, Any] = {}
    for part in fields(node):
        value = getattr(node, part.name)
        if isinstance(value, ast.Node):
            changes[part.name] = _written(value, space, titles)
        elif isinstance(value, tuple) and any(isinstance(each, ast.Node) for each in value):
            changes[part.name] = tuple(_written(each, space, titles) for each in value)
    if isinstance(node, ast.Name):
        title = titles.get(id(space.scope(node).get(node.name)))
        if title is not None:
            changes["name"] = title
    if isinstance(node, ast.Item) and node.label is None and not node.loops:
        label = option_key(node.value, {})
        if label is not None and label != option_key(changes["value"], {}):
            changes["label"] = label
    return replace(node, **changes)


def _whole(declaration: ast.ProfileDecl, profile: Profile) -> ast.ProfileDecl:
    """A profile with all that its bases set, derived from nothing but its phase."""
    name = declaration.name
    settings = (
        ast.Setting(name.span, ast.Name(name.span, key), entry.value, name.span)
        for key, entry in profile.entries.items()
    )
    base = None
    if profile.phase is not None and profile.name not in PHASES:
        base = ast.Name(name.span, profile.phase)
    return ast.ProfileDecl(declaration.span, name, base, tuple(settings))
