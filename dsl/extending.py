"""A file that extends another: the two as one program, and who is to blame for its faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from dsl import ast
from dsl.blame import Blame, keyword, title, told_at
from dsl.calls import counted
from dsl.diagnostics import Collector, Diagnostic, Label
from dsl.profiles import resolve_network
from dsl.resolve import resolve
from dsl.scope import Imported, Inherited, Scope, check_recursion, scope_of
from dsl.source import Source, Span
from dsl.space import Profile


@dataclass(frozen=True)
class Layer:
    """A file with what it imports and what it extends, which is None where it extends nothing.

    `whole` are its declarations and those of the files below it that it does not declare anew.
    """

    file: ast.File
    imports: list[Imported]
    base: Base | None

    @property
    def source(self) -> Source:
        return self.file.span.source

    @cached_property
    def whole(self) -> ast.File:
        below = None if self.base is None else self.base.layer
        return self.file if below is None else _over(self.file, below.whole)

    @property
    def is_complete(self) -> bool:
        """Whether all that it extends can be used."""
        return self.base is None or (self.base.layer is not None and self.base.layer.is_complete)

    def chain(self) -> Iterator[Layer]:
        """The file, what it extends, and so on."""
        yield self
        if self.base is not None and self.base.layer is not None:
            yield from self.base.layer.chain()


@dataclass(frozen=True)
class Base:
    """What a file extends, and where it says so; `layer` is None when that cannot be used."""

    name: str
    span: Span
    layer: Layer | None


def _over(file: ast.File, below: ast.File) -> ast.File:
    """What `below` declares, in its order, with what `file` declares anew, then what is new."""
    new: dict[str, list[ast.Declaration]] = {}
    for declaration in file.declarations:
        new.setdefault(title(declaration), []).append(declaration)
    declarations: list[ast.Declaration] = []
    for old in below.declarations:
        declarations += new.pop(title(old), [old])
    rest = (each for several in new.values() for each in several)
    return replace(file, declarations=(*declarations, *rest))


# ---- checking ------------------------------------------------------------------------------------


def check_names(layer: Layer, scopes: dict[Source, Scope], found: Collector) -> Scope:
    """Resolves the names of a file and of all that it extends; gives what the file can see.

    `scopes` are those of its imports, and in the end its own with those of what it extends.
    """
    chain = list(layer.chain())
    plain = _plain_scopes(layer, found)
    own = plain[0].own
    for each, scope in zip(chain, plain, strict=True):
        late = {name: own[name] for name in scope.own}
        visible = {name: late.get(name, d) for name, d in scope.visible.items()}
        scopes[each.source] = replace(scope, own=late, visible=visible)
    check_recursion(own, scopes, found)
    resolve(layer.file, scopes[layer.source], scopes, found)
    blame = Blame(layer.whole, {source: scope.visible for source, scope in scopes.items()})
    for each, scope in zip(chain[1:], plain[1:], strict=True):
        _check_below(each, scope, scopes, blame, found)
    _check_anew(layer, scopes, found)
    return scopes[layer.source]


def _plain_scopes(layer: Layer, found: Collector) -> list[Scope]:
    """What each file of a chain would see if none extended it, the last to extend first."""
    if layer.base is None:
        return [scope_of(layer.file, layer.imports, found)]
    below = [] if layer.base.layer is None else _plain_scopes(layer.base.layer, found)
    base = Inherited(layer.base.name, layer.base.span, below[0] if below else None)
    return [scope_of(layer.file, layer.imports, found, base), *below]


def _check_below(
    layer: Layer, plain: Scope, scopes: Mapping[Source, Scope], blame: Blame, found: Collector
) -> None:
    """Resolves what is left of a file that is extended; new faults come from declarations anew."""
    left = tuple(blame.declarations[layer.source])
    faults = _faults(replace(layer.file, declarations=left), scopes)
    if not faults:
        return
    own = set(_faults(layer.file, {**scopes, layer.source: plain}))
    for fault in faults:
        found.take(fault if fault in own else blame.told(fault))


def _faults(file: ast.File, scopes: Mapping[Source, Scope]) -> tuple[Diagnostic, ...]:
    found = Collector()
    resolve(file, scopes[file.span.source], scopes, found)
    return found.errors


def _check_anew(layer: Layer, scopes: Mapping[Source, Scope], found: Collector) -> None:
    """Reports ops and cells that read another number of values than what they stand for.

    One that changes nothing is a warning.
    """
    below = None if layer.base is None else layer.base.layer
    old = {} if below is None else {title(d): d for d in below.whole.declarations}
    for new in layer.file.declarations:
        before = old.get(title(new))
        if before is None:
            continue
        place, above = keyword(new), keyword(before)
        if _plain(new) == _plain(before):
            message = "this is declared in the same words in the file that is extended"
            found.add("W0204", message, place, "leave it out", Label(above, "there"))
        if not isinstance(new, ast.OpDecl | ast.CellDecl) or type(new) is not type(before):
            continue
        assert isinstance(before, ast.OpDecl | ast.CellDecl)
        reads, read = _arity(new, scopes), _arity(before, scopes)
        if reads != read:
            name, values = new.name.name, "value" if read == 1 else "values"
            message = (
                f"`{name}` reads {counted(read)} {values} where it is used, not {counted(reads)}"
            )
            label = Label(before.name.span, "what it stands for")
            found.add("E0112", message, new.name.span, None, label)


def _plain(declaration: ast.Declaration) -> ast.Declaration:
    """A declaration without its comment."""
    if isinstance(declaration, ast.OpDecl | ast.CellDecl):
        return replace(declaration, comment=None)
    return declaration


def _arity(declaration: ast.OpDecl | ast.CellDecl, scopes: Mapping[Source, Scope]) -> int:
    """How many values flow into an op or cell; one that stands for another cell reads as that."""
    seen: list[ast.Node] = []
    while isinstance(declaration, ast.CellDecl) and declaration.inputs is None:
        result = declaration.body.result
        callee = result.callee if isinstance(result, ast.Call) else result
        if not isinstance(callee, ast.Name) or any(declaration is each for each in seen):
            break
        seen.append(declaration)
        target = scopes[callee.span.source].visible.get(callee.name)
        if not isinstance(target, ast.CellDecl):
            break
        declaration = target
    return 1 if declaration.inputs is None else len(declaration.inputs)


def check_network(layer: Layer, found: Collector) -> dict[str, Profile]:
    """The profiles of a file and of what it extends, with their bases merged in, by name."""
    if not layer.is_complete:
        return {}
    profiles: dict[str, Profile] = {}
    told: dict[tuple[str, Span | None], Diagnostic] = {}
    for each in reversed(list(layer.chain())):
        private = Collector()
        profiles = resolve_network(each.whole, private)
        faults = {(d.code, d.span): d for d in private.errors}
        told = {key: told.get(key) or _told_at(each, fault) for key, fault in faults.items()}
    for fault in told.values():
        found.take(fault)
    return profiles


def _told_at(layer: Layer, fault: Diagnostic) -> Diagnostic:
    """A fault that is new with a file, at the network or profile there that must be its cause."""
    if fault.span is None or fault.span.source is layer.source or layer.base is None:
        return fault
    own = layer.file.declarations
    networks = [keyword(d) for d in own if isinstance(d, ast.NetworkDecl)]
    profiles = [d.name.span for d in own if isinstance(d, ast.ProfileDecl)]
    if fault.code == "E0705":
        return told_at(fault, [*profiles, *networks][0], f"`{layer.base.name}`")
    told = told_at(fault, [*networks, *profiles][0], f"`{layer.base.name}`")
    return replace(told, help="declare that profile anew too")
