"""Warnings: what is legal and surely not meant, as far as the text alone can show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dsl import ast
from dsl.diagnostics import Collector
from dsl.scope import Imported, Named, kind_of
from dsl.space import Profile

_MANY_TIMES = (ast.Each, ast.Group, ast.Repeat, ast.Over)
"""What evaluates the same text more than once."""


def check_suspects(
    file: ast.File,
    whole: ast.File,
    imports: Iterable[Imported],
    profiles: Mapping[str, Profile],
    found: Collector,
) -> None:
    """Warns of what a sound file declares and does not use, and of choices that are none.

    `whole` is the file with what is left of the one that it extends. A file without a network is
    there to be imported: what it declares is used elsewhere.
    """
    networks = [d for d in whole.declarations if isinstance(d, ast.NetworkDecl)]
    _check_imports(file, imports, found)
    if networks:
        _check_declarations(file, whole, found)
    for declaration in file.declarations:
        if isinstance(declaration, ast.OpDecl | ast.CellDecl | ast.NetworkDecl):
            _check_parameters(declaration, found)
    for node in file.walk():
        match node:
            case ast.When():
                _check_condition(node.condition, found)
            case ast.Item(condition=condition) if condition is not None:
                _check_condition(condition, found)
            case ast.Body():
                _check_shared(node, found)
    for network in networks:
        _check_auxiliary(network, profiles, found)


def _check_imports(file: ast.File, imports: Iterable[Imported], found: Collector) -> None:
    used = _names(file)
    for imported in imports:
        brought = imported.declarations
        if brought is not None and not used & set(brought):
            message = f"nothing of `{imported.name}` is used"
            found.add("W0101", message, imported.span, "remove this line")


def _check_declarations(file: ast.File, whole: ast.File, found: Collector) -> None:
    """What only an unused declaration uses is not reported: the end of the chain is, once."""
    used: set[str] = set()
    for declaration in whole.declarations:
        if not isinstance(declaration, ast.ProfileDecl):
            title = None if isinstance(declaration, ast.NetworkDecl) else declaration.name
            used |= {node.name for node in _names_below(declaration) if node is not title}
    for declaration in file.declarations:
        if isinstance(declaration, Named) and declaration.name.name not in used:
            name, kind = declaration.name.name, kind_of(declaration).split()[1]
            message = f"the {kind} `{name}` is never used"
            found.add("W0201", message, declaration.name.span, "use it, or remove it")


def _check_parameters(
    declaration: ast.OpDecl | ast.CellDecl | ast.NetworkDecl, found: Collector
) -> None:
    read = _names(declaration)
    for parameter in declaration.parameters:
        if parameter.name not in read:
            message = f"`{parameter.name}` is never read"
            found.add("W0202", message, parameter.name_span, "use it, or remove it")


def _check_condition(condition: ast.Expr, found: Collector) -> None:
    """A condition without names has nothing in it that could vary."""
    if not _names(condition):
        help = "remove it, or let it hang on a parameter, a size or a phase"
        found.add("W0301", "this condition is always the same", condition.span, help)


def _check_shared(body: ast.Body, found: Collector) -> None:
    for statement in body.statements:
        if isinstance(statement, ast.Shared) and _uses(body, statement.name.name) == 1:
            message = f"`{statement.name.name}` is used once; `shared` changes nothing"
            help = f"`{statement.name.name} = …`, or write it where it is used"
            found.add("W0606", message, statement.name.span, help)


def _uses(node: ast.Node, name: str) -> int:
    """How often a name is evaluated below a node, where that can be counted; 2 stands for more."""
    if isinstance(node, ast.Name):
        return int(node.name == name)
    uses = sum(_uses(child, name) for child in node.children())
    if isinstance(node, ast.Shared) and node.name.name == name:
        uses -= 1  # where it is bound
    loops = isinstance(node, ast.Item) and bool(node.loops)
    return min(2, 2 * uses if loops or isinstance(node, _MANY_TIMES) else uses)


def _check_auxiliary(
    network: ast.NetworkDecl, profiles: Mapping[str, Profile], found: Collector
) -> None:
    entries = [p.entries.get("auxiliary_weight") for p in profiles.values()]
    if any(entry is not None and entry.value for entry in entries):
        return
    for statement in network.body.statements:
        if isinstance(statement, ast.Auxiliary):
            message = "no profile gives `auxiliary_weight`, so this head is never built"
            help = "`auxiliary_weight = 0.4` in the profile `final`"
            found.add("W0701", message, statement.span, help)


def _names(node: ast.Node) -> set[str]:
    return {found.name for found in _names_below(node)}


def _names_below(node: ast.Node) -> Iterator[ast.Name]:
    return (found for found in node.walk() if isinstance(found, ast.Name))
