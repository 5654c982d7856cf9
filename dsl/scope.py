"""What the declarations of a file can see: their own file's, and those of others that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dsl import ast
from dsl.diagnostics import Collector, Label
from dsl.graph import cycles
from dsl.source import Source, Span
from dsl.vocabulary import BUILT_IN, COUNTERS, JOINS, LAYERS, SPLIT

Named = ast.SetDecl | ast.OpDecl | ast.CellDecl
"""Declarations that other declarations call by name."""


@dataclass(frozen=True)
class Imported:
    """What an import brings; None when the file cannot be used.

    With `extend` for its `word` it is all that is visible in a file that is extended.
    """

    name: str
    span: Span
    declarations: Mapping[str, Named] | None
    word: str = "import"


@dataclass(frozen=True)
class Scope:
    """`own` are a file's declarations, `visible` those and what it imports.

    What a file declares that this one extends is its own too, as far as it is not declared anew;
    what that one imports is visible. `complete` is False when an import failed: then an unknown
    name is no fault of this file. `refused` are the names of declarations that could not have them.
    """

    own: Mapping[str, Named]
    visible: Mapping[str, Named]
    complete: bool
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Inherited:
    """What a file has from the one that it extends; `scope` is None when that cannot be used."""

    name: str
    span: Span
    scope: Scope | None


def scope_of(
    file: ast.File, imports: list[Imported], found: Collector, base: Inherited | None = None
) -> Scope:
    """Collects what is visible in `file`, and reports names that mean two things."""
    visible: dict[str, Named] = {}
    origin: dict[str, Imported] = {}
    inherited = None if base is None else base.scope
    if base is not None:
        brought = None if inherited is None else inherited.visible
        imports = [Imported(base.name, base.span, brought, "extend"), *imports]
    _report_repeated(imports, found)
    for imported in imports:
        for name, declaration in (imported.declarations or {}).items():
            if name not in visible:
                visible[name], origin[name] = declaration, imported
            elif visible[name] is not declaration:
                _report_both(name, origin[name], imported, found)
    old = {} if inherited is None else inherited.own
    own: dict[str, Named] = {}
    refused = set()
    for node in file.declarations:
        if not isinstance(node, ast.SetDecl | ast.OpDecl | ast.CellDecl):
            continue
        name = node.name.name
        if base is not None and name in old and name not in own:
            is_right = _is_of_kind(node, old[name], base.name, found)
        else:
            is_right = _is_new(node, own, visible, origin, found)
        if is_right:
            own[name] = node
        else:
            refused.add(name)
    complete = all(i.declarations is not None for i in imports)
    complete = complete and (inherited is None or inherited.complete)
    return Scope({**old, **own}, visible | own, complete, frozenset(refused - own.keys()))


def kind_of(node: ast.Node) -> str:
    """What a declaration is, with its article."""
    return {ast.SetDecl: "a set", ast.OpDecl: "an op", ast.CellDecl: "a cell"}[type(node)]


def kind_of_built_in(name: str) -> str:
    if name in LAYERS:
        return "a layer"
    if name in COUNTERS:
        return "a counter"
    return "a join" if name in JOINS else "a word" if name != SPLIT else "a function"


def _is_new(
    declaration: Named,
    own: Mapping[str, Named],
    imported: Mapping[str, Named],
    origin: Mapping[str, Imported],
    found: Collector,
) -> bool:
    name, span = declaration.name.name, declaration.name.span
    one_meaning = "a name means one thing in a file"
    if name in own:
        label = Label(own[name].name.span, "first declared here")
        found.add("E0202", f"`{name}` is already declared", span, "choose another name", label)
    elif name in imported:
        home, declared = origin[name], imported[name]
        kind = f"{kind_of(declared)} of `{home.name}`"
        if home.word == "extend":
            kind = f"{kind_of(declared)} that `{home.name}` imports"
        label = Label(imported[name].name.span, "declared here")
        found.add("E0203", f"`{name}` is {kind}; {one_meaning}", span, "choose another name", label)
    elif name in BUILT_IN or name == "_":
        kind = "a pattern's word" if name == "_" else kind_of_built_in(name)
        message = f"`{name}` is {kind} of the language; {one_meaning}"
        found.add("E0203", message, span, "choose another name")
    else:
        return True
    return False


def _is_of_kind(node: Named, old: Named, file: str, found: Collector) -> bool:
    if type(node) is type(old):
        return True
    name = node.name.name
    message = f"`{name}` is {kind_of(old)} of `{file}`, and stays one when it is declared anew"
    label = Label(old.name.span, "declared here")
    found.add("E0112", message, node.name.span, "choose another name", label)
    return False


def _report_both(name: str, first: Imported, second: Imported, found: Collector) -> None:
    label = Label(first.span, "the first comes from here")
    message = f"`{name}` comes from both `{first.name}` and `{second.name}`"
    help = "import one of them, or rename it in the other"
    found.add("E0206", message, second.span, help, label)


def _report_repeated(imports: list[Imported], found: Collector) -> None:
    first: dict[str, Imported] = {}
    for imported in imports:
        if imported.name in first:
            before = first[imported.name]
            label = Label(before.span, f"first {before.word}ed here")
            message = f"`{imported.name}` is already {before.word}ed"
            found.add("E0206", message, imported.span, "remove this line", label)
        first.setdefault(imported.name, imported)


def check_recursion(
    own: Mapping[str, Named], scopes: Mapping[Source, Scope], found: Collector
) -> None:
    """Reports declarations of a file that contain themselves; `scopes` are those of all files."""
    mentions = {
        name: [n for n in _mentioned(d) if n in scopes[d.span.source].visible]
        for name, d in own.items()
    }
    for cycle in cycles(mentions):
        # The fault is that of the last file to declare one of them.
        latest = max(range(len(cycle)), key=lambda i: -own[cycle[i]].span.source.distance)
        cycle = [*cycle[latest:], *cycle[:latest]]
        way = ", ".join(f"`{name}`" for name in [*cycle, cycle[0]])
        first, *others = (own[name].name.span for name in cycle)
        labels = [Label(span, "on the way round") for span in others]
        is_set = any(isinstance(own[name], ast.SetDecl) for name in cycle)
        help = None if is_set else "a `node` group or a `repeat` does something several times"
        found.add("E0208", f"`{cycle[0]}` would contain itself: {way}", first, help, *labels)


def _mentioned(declaration: Named) -> list[str]:
    below = (child.walk() for child in declaration.children() if child is not declaration.name)
    return [node.name for nodes in below for node in nodes if isinstance(node, ast.Name)]
