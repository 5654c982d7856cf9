"""What stands at a place in a file: every name with what it means, as an editor asks for it.

A file may be faulty. What cannot be parsed of it is left out, a name that means nothing is passed
over, and nothing is reported: that is for `dsl.load`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dsl import ast
from dsl.diagnostics import DartsError
from dsl.parse import parse
from dsl.scope import Named
from dsl.settings import SETTINGS
from dsl.source import Source, Span
from dsl.vocabulary import COUNTERS, JOINS, LAYERS, PHASES, SPLIT, STRENGTHS, WORDS

_START = re.compile(r"^[ \t]*(?:import|extend|set|op|cell|network|profile)\b", re.MULTILINE)
"""Where a declaration begins; no other construct begins with these words."""
_TEXT = re.compile(r"#[^\n]*|[^\s#]+")

DECLARED = {ast.SetDecl: "set", ast.OpDecl: "op", ast.CellDecl: "cell", ast.ProfileDecl: "profile"}


@dataclass(frozen=True)
class Definition:
    """What a name means.

    `kind` is "import" (also of `extend`), "set", "op", "cell", "network", "profile", "parameter",
    "input", "size" (bound by a pattern), "value", "group", "shared", "loop", or what the language
    begins with: "layer", "join", "function", "word", "phase", "counter", "strength", "setting" or
    "argument".
    `span` is where the name is bound, None for what the language begins with; `node` what binds it.
    `owner` is the declaration around it, or the layer or set that an argument belongs to.
    """

    name: str
    kind: str
    span: Span | None = None
    node: ast.Node | None = field(default=None, compare=False, repr=False)
    owner: str = ""


@dataclass(frozen=True)
class Occurrence:
    """A place where a name is bound or read."""

    span: Span
    definition: Definition


def readable(source: Source) -> ast.File:
    """The syntax tree of what can be parsed of a file; faulty declarations are left out."""
    try:
        return parse(source)
    except DartsError:
        starts = [match.start() for match in _START.finditer(source.text)]
    pieces = [source.text[: starts[0]]] if starts else []
    for start, end in zip(starts, [*starts[1:], len(source.text)], strict=False):
        piece = source.text[start:end]
        pieces.append(piece if _is_sound(piece) else _blank(piece))
    try:
        # Offsets stay, so places in this text are places in the other.
        return parse(Source(source.name, "".join(pieces), source.path))
    except DartsError:
        return ast.File(Span(source, 0, 0), 1, (), None, ())


def _is_sound(piece: str) -> bool:
    try:
        parse(Source("", f"language 1\n{piece}"))
    except DartsError:
        return False
    return True


def _blank(piece: str) -> str:
    """Spaces for all but the comments: the last of them belongs to the next declaration."""
    return _TEXT.sub(lambda m: m[0] if m[0].startswith("#") else " " * len(m[0]), piece)


def declarations(file: ast.File) -> dict[str, Named]:
    """The sets, ops and cells of a file by name, the first where two bear one."""
    found: dict[str, Named] = {}
    for node in file.declarations:
        if isinstance(node, ast.SetDecl | ast.OpDecl | ast.CellDecl):
            found.setdefault(node.name.name, node)
    return found


def occurrences(
    file: ast.File, imported: Mapping[str, Named], below: Sequence[ast.File] = ()
) -> tuple[Occurrence, ...]:
    """All names in a file that mean something, in the order of the text.

    `imported` are the declarations of other files that it sees, `below` the file that it extends,
    then the one that this extends, and so on.
    """
    reader = _Reader(file, imported, below)
    reader.file(file)
    return tuple(sorted(reader.found, key=lambda o: (o.span.start, o.span.end)))


def at(found: Iterable[Occurrence], offset: int) -> Occurrence | None:
    """The name around a character offset, or the one that ends there."""
    around = (o for o in found if o.span.start <= offset <= o.span.end)
    return max(around, key=lambda o: o.span.start, default=None)


def defined(node: Named | ast.ProfileDecl) -> Definition:
    """What the name of a declaration means."""
    return Definition(node.name.name, DECLARED[type(node)], node.name.span, node)


def names_bound(statement: ast.Statement) -> tuple[tuple[ast.Name, str], ...]:
    """The names that a statement binds, each with the kind of what it means."""
    match statement:
        case ast.Bind():
            return tuple((name, "value") for name in statement.names)
        case ast.Group():
            return ((statement.name, "group"),)
        case ast.Shared():
            return ((statement.name, "shared"),)
    return ()


Names = Mapping[str, Definition]


class _Reader:
    """Walks a file; `owner` is the declaration it is in. The names of a body hold in all of it."""

    def __init__(
        self, file: ast.File, imported: Mapping[str, Named], below: Sequence[ast.File]
    ) -> None:
        self.found: list[Occurrence] = []
        self.owner = ""
        visible = {**imported, **declarations(file)}
        self.declared = {name: defined(node) for name, node in visible.items()}
        whole = [d for each in (file, *below) for d in each.declarations]
        profiles = [d for d in whole if isinstance(d, ast.ProfileDecl)]
        self.profiles = {p.name.name: defined(p) for p in reversed(profiles)}
        networks = [d for d in whole if isinstance(d, ast.NetworkDecl)]
        self.parameters = {
            p.name: Definition(p.name, "parameter", p.name_span, p, "network")
            for network in networks[:1]
            for p in network.parameters
        }

    def file(self, file: ast.File) -> None:
        for node in file.references:
            span = node.path_span
            self.add(span, Definition("/".join(node.path), "import", span, node))
        for declaration in file.declarations:
            self.declaration(declaration)

    def add(self, span: Span, definition: Definition | None) -> None:
        if definition is not None:
            self.found.append(Occurrence(span, definition))

    def bind(
        self, names: dict[str, Definition], name: str, span: Span, kind: str, node: ast.Node
    ) -> None:
        """Binds a name; one that is bound twice means the first."""
        names.setdefault(name, Definition(name, kind, span, node, self.owner))
        self.add(span, names[name])

    # -- declarations

    def declaration(self, node: ast.Declaration) -> None:
        if isinstance(node, ast.NetworkDecl):
            self.owner = "network"
            self.add(node.span.head(len("network")), Definition("network", "network", node=node))
        else:
            self.owner = node.name.name
            self.add(node.name.span, defined(node))
        match node:
            case ast.SetDecl():
                self.expr(node.value, {})
            case ast.ProfileDecl():
                self.profile(node)
            case _:
                self.operation(node)

    def operation(self, node: ast.OpDecl | ast.CellDecl | ast.NetworkDecl) -> None:
        names: dict[str, Definition] = {}
        for parameter in node.parameters:
            self.bind(names, parameter.name, parameter.name_span, "parameter", parameter)
            self.all([parameter.default] if parameter.default is not None else [], names)
        inputs = node.inputs or ()
        for name in (i.name for i in inputs if i.name.name != "_"):
            self.bind(names, name.name, name.span, "input", node)
        sizes = [size for i in inputs for size in i.shape or ()]
        for size in sizes:
            if isinstance(size, ast.Name) and size.name not in ("_", *names):
                self.bind(names, size.name, size.span, "size", size)
            else:
                self.expr(size, names)
        self.all([i.below for i in inputs if i.below is not None], names)
        if isinstance(node, ast.NetworkDecl):
            self.all([size for o in node.outputs for size in o.shape or ()], names)
        self.body(node.body, names)

    def profile(self, node: ast.ProfileDecl) -> None:
        if node.base is not None:
            self.add(node.base.span, self.profiles.get(node.base.name))
        for setting in node.settings:
            name = setting.name.name
            known = self.parameters.get(name)
            if known is None and name in SETTINGS:
                known = Definition(name, "setting")
            self.add(setting.name.span, known)

    # -- bodies

    def body(self, body: ast.Body, around: Names) -> None:
        names = dict(around)
        for statement in body.statements:
            for name, kind in names_bound(statement):
                self.bind(names, name.name, name.span, kind, statement)
        for statement in body.statements:
            match statement:
                case ast.Bind() | ast.Shared() | ast.Auxiliary():
                    self.expr(statement.value, names)
                case ast.Group():
                    self.expr(statement.count, names)
                    self.body(statement.body, names)
                case ast.Keep() if statement.strength in STRENGTHS:
                    strength = Definition(statement.strength, "strength")
                    self.add(statement.strength_span, strength)
        self.expr(body.result, names)

    # -- expressions

    def all(self, nodes: Iterable[ast.Node], names: Names) -> None:
        for node in nodes:
            self.expr(node, names)

    def expr(self, node: ast.Node, names: Names) -> None:
        match node:
            case ast.Name():
                self.add(node.span, self.meaning(node.name, names))
            case ast.Earlier():
                self.add(node.name_span, names.get(node.name))
            case ast.Call():
                self.call(node, names)
            case ast.Item():
                self.item(node, names)
            case _:
                self.all(node.children(), names)

    def call(self, node: ast.Call, names: Names) -> None:
        called = None
        if isinstance(node.callee, ast.Name):
            called = self.meaning(node.callee.name, names, is_called=True)
            self.add(node.callee.span, called)
        else:
            self.expr(node.callee, names)
        for argument in node.arguments:
            if argument.name is not None and called is not None:
                self.add(argument.name_span, _argument(called, argument.name))
            self.expr(argument.value, names)

    def item(self, item: ast.Item, around: Names) -> None:
        names = dict(around)
        for loop in item.loops:
            self.expr(loop.source, names)
            self.bind(names, loop.name, loop.name_span, "loop", loop)
        self.expr(item.value, names)
        self.all([item.condition] if item.condition is not None else [], names)
        if item.label in {loop.name for loop in item.loops}:
            self.add(item.label_span, names[item.label])

    def meaning(self, name: str, names: Names, is_called: bool = False) -> Definition | None:
        kind = "join" if is_called and name in JOINS else built_in_kind(name)
        built_in = None if kind is None else Definition(name, kind)
        return names.get(name) or self.declared.get(name) or built_in


def built_in_kind(name: str) -> str | None:
    """What the language begins with under that name; `mean` and `max` are joins where called."""
    kinds = {
        "layer": LAYERS,
        "word": WORDS,
        "join": JOINS,
        "function": {SPLIT},
        "phase": PHASES,
        "counter": COUNTERS,
    }
    return next((kind for kind, names in kinds.items() if name in names), None)


def _argument(called: Definition, name: str) -> Definition | None:
    """What a named argument of a call means: a parameter, or a layer's or set's own."""
    match called.node:
        case ast.OpDecl() | ast.CellDecl():
            found = (p for p in called.node.parameters if p.name == name)
            parameter = next(found, None)
            if parameter is None:
                return None
            return Definition(name, "parameter", parameter.name_span, parameter, called.name)
    takes = called.kind == "set" or (
        called.kind == "layer" and name in {a.name for a in LAYERS[called.name].arguments}
    )
    return Definition(name, "argument", owner=called.name) if takes else None
