"""Values that never reach what a body returns, and nodes that nothing reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from dsl import ast
from dsl.calls import counted
from dsl.diagnostics import Collector
from dsl.vocabulary import JOINS


def check_reach(declaration: ast.OpDecl | ast.CellDecl | ast.NetworkDecl, found: Collector) -> None:
    """Reports bindings and inputs that nobody reads, members of groups too, and empty nodes.

    That an input of the network reaches its output is part of what a network is; elsewhere an
    unread value is a warning.
    """
    body = declaration.body
    groups = [node for node in body.walk() if isinstance(node, ast.Group)]
    empty = [_check_first_member(group, found) for group in groups]
    if any(empty):  # a node that reads nothing leaves what it should read unread
        return
    live, read = _reach(body, found)
    for name in (node.name for node in declaration.inputs or () if node.name.name != "_"):
        message = f"`{name.name}` never reaches the output"
        if isinstance(declaration, ast.NetworkDecl):
            if name.name not in live:
                found.add("E0406", message, name.span)
        elif name.name not in read:
            found.add("W0203", message, name.span, "call it `_` where it need not be read")


def _reach(body: ast.Body, found: Collector) -> tuple[set[str], set[str]]:
    """The names that what reaches the end of `body` reads, and those that anything in it reads.

    Names of its own are among them, and those around it.
    """
    reads = [_reads(statement, found) for statement in body.statements]
    live = _names_in(body.result)
    for statement, names in zip(body.statements, reads, strict=True):
        if isinstance(statement, ast.Auxiliary):
            live |= names
    # A name is bound before it is read, so one walk backwards reaches everything.
    for statement, names in reversed(list(zip(body.statements, reads, strict=True))):
        if any(name.name in live for name in ast.bound_by(statement)):
            live |= names
    read = live.union(*reads)
    for name in (n for s in body.statements for n in ast.bound_by(s)):
        # What only a dead value reads is dead too; the end of the chain is reported, once.
        if name.name not in read:
            message = f"`{name.name}` never reaches the output"
            found.add("W0203", message, name.span, "join it to what does, or remove it")
    groups = [s for s in body.statements if isinstance(s, ast.Group) and s.name.name in read]
    _check_members({group.name.name: group for group in groups}, body, found)
    return live, read


def _reads(statement: ast.Statement, found: Collector) -> set[str]:
    match statement:
        case ast.Bind() | ast.Shared() | ast.Auxiliary():
            return _names_in(statement.value)
        case ast.Group():
            inside, _ = _reach(statement.body, found)
            return (inside | _names_in(statement.count)) - {statement.name.name}
    return set()


def _names_in(node: ast.Node) -> set[str]:
    return {n.name for n in node.walk() if isinstance(n, ast.Name | ast.Earlier | ast.Loose)}


def _check_members(groups: Mapping[str, ast.Group], body: ast.Body, found: Collector) -> None:
    """Reports members that nobody reads, where constant places are the only reads of a group."""
    mentions = Counter(n.name for n in body.walk() if isinstance(n, ast.Name) and n.name in groups)
    places: dict[str, list[tuple[int, ast.Index]]] = {name: [] for name in groups}
    for node in body.walk():
        if isinstance(node, ast.Index) and isinstance(node.base, ast.Name):
            place = _whole(node.index)
            if place is not None and node.base.name in groups:
                places[node.base.name].append((place, node))
    for name, group in groups.items():
        count = _whole(group.count)
        # One mention is the group's own name, where it is bound.
        only_places = mentions[name] - 1 == len(places[name])
        if count is not None and count > 0 and _check_places(name, count, places[name], found):
            read = {place % count for place, _ in places[name]}
            if only_places:
                _check_all_read(group, count, read, found)


def _check_places(
    name: str, count: int, places: list[tuple[int, ast.Index]], found: Collector
) -> bool:
    """Whether the group has all these members."""
    for place, node in places:
        if not -count <= place < count:
            message = f"`{name}` has {counted(count)} values, 0 to {count - 1}"
            found.add("E0404", message, node.span)
            return False
    return True


def _check_all_read(group: ast.Group, count: int, read: set[int], found: Collector) -> None:
    name = group.name.name
    earlier = (node for node in group.body.walk() if isinstance(node, ast.Earlier))
    # Through `earlier` every member is read by those after it; only the last needs another reader.
    needed = range(count - 1, count) if any(e.name == name for e in earlier) else range(count)
    unread = next((member for member in needed if member not in read), None)
    if unread is not None:
        message = f"`{name}[{unread}]` never reaches the output"
        help = f"`{name}` is all of the group, as in `concat({name})`"
        found.add("W0203", message, group.name.span, help)


def _whole(node: ast.Expr) -> int | None:
    match node:
        case ast.Number(value=int(value)):
            return value
        case ast.Unary(operator="-", operand=ast.Number(value=int(value))):
            return -value
    return None


def _check_first_member(group: ast.Group, found: Collector) -> bool:
    """The first member has no earlier ones, so a join of nothing else has nothing to join."""
    name, is_empty = group.name.name, False
    waiting: list[ast.Node] = [group.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.When):
            continue
        if isinstance(node, ast.Call) and isinstance(node.callee, ast.Name):
            joined = [_source(argument.value) for argument in node.arguments]
            if node.callee.name in JOINS and all(s == name for s in joined):
                join = node.callee.name
                message = f"`{name}[0]` has nothing to {join}: `earlier {name}` is empty there"
                found.add("E0604", message, node.span, "let it read an input as well")
                is_empty = True
        waiting.extend(node.children())
    return is_empty


def _source(node: ast.Expr) -> str | None:
    """The group whose earlier members are all that an argument consists of."""
    if isinstance(node, ast.Each):
        return _source(node.source)
    return node.name if isinstance(node, ast.Earlier) else None
