"""Where names are bound and read, and the outline of a file."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol.types import DocumentSymbol, Location, Position, Range, SymbolKind, TextEdit

from dsl import ast
from dsl.diagnostics import DartsError
from dsl.lookup import DECLARED, Occurrence, at, names_bound
from dsl.source import Span
from dsl.vocabulary import BUILT_IN, RESERVED
from runtime.errors import UserError
from runtime.server.documents import Document, Documents

_KINDS = {
    "set": SymbolKind.Enum,
    "op": SymbolKind.Function,
    "cell": SymbolKind.Class,
    "profile": SymbolKind.Object,
    "value": SymbolKind.Variable,
    "group": SymbolKind.Array,
    "shared": SymbolKind.Constant,
}


def occurrence_at(
    documents: Documents, document: Document, position: Position
) -> Occurrence | None:
    return at(documents.occurrences(document), document.lines.offset(position))


def definition(documents: Documents, document: Document, position: Position) -> Location | None:
    """Where the name at a position is bound; of an import, the file.

    From what is declared anew the way leads to where it was declared before.
    """
    found = occurrence_at(documents, document, position)
    if found is None:
        return None
    meant = found.definition
    if isinstance(meant.node, ast.Reference):
        other = documents.named_by(document, meant.node)
        return None if other is None else Location(other.uri, other.lines.range(0, 0))
    span = meant.span
    if span == found.span:
        span = documents.declared_below(document, meant) or span
    if span is None:
        return None
    try:
        home = documents.home(document, span)
    except DartsError:
        return None
    return Location(home.uri, home.lines.span(span))


def references(
    documents: Documents, document: Document, position: Position, with_binding: bool = True
) -> list[Range]:
    """All places in the document where what the name at a position means is bound or read."""
    found = occurrence_at(documents, document, position)
    if found is None:
        return []
    meant = found.definition
    same = [o.span for o in documents.occurrences(document) if o.definition == meant]
    return [document.lines.span(span) for span in same if with_binding or span != meant.span]


def renamable(documents: Documents, document: Document, position: Position) -> Range | None:
    """The place of the name at a position, where the document itself binds it.

    What it declares anew has the name that it had before.
    """
    found = occurrence_at(documents, document, position)
    if found is None or found.definition.span is None or found.definition.kind == "import":
        return None
    if found.definition.kind == "profile" and found.definition.name in ("search", "final"):
        return None
    bound_here = found.definition.span.source.path == document.path
    is_new = documents.declared_below(document, found.definition) is None
    return document.lines.span(found.span) if bound_here and is_new else None


def renamed(
    documents: Documents, document: Document, position: Position, name: str
) -> list[TextEdit]:
    """The edits that give what the name at a position means another name.

    Raises:
        UserError: where the name cannot be changed, or not to this one.
    """
    if renamable(documents, document, position) is None:
        raise UserError("only what this file binds can be renamed here")
    if not (name.isidentifier() and name.isascii()) or name == "_" or name in RESERVED | BUILT_IN:
        raise UserError(f"`{name}` cannot be a name")
    taken = {o.definition.name for o in documents.occurrences(document)}
    if name in taken | set(documents.imported(document)):
        raise UserError(f"`{name}` already means something in this file")
    return [TextEdit(place, name) for place in references(documents, document, position)]


def outline(document: Document) -> list[DocumentSymbol]:
    """The declarations of a file, with what they bind."""
    found = []
    for node in document.file.declarations:
        if isinstance(node, ast.NetworkDecl):
            name, kind, place = "network", SymbolKind.Module, node.span.head(len("network"))
        else:
            name, place = node.name.name, node.name.span
            kind = _KINDS[DECLARED[type(node)]]
        inner = [] if isinstance(node, ast.SetDecl | ast.ProfileDecl) else list(_bound(node.body))
        children = [_symbol(document, n.name, _KINDS[k], span, n.span) for n, k, span in inner]
        found.append(_symbol(document, name, kind, node.span, place, children))
    return found


def _bound(body: ast.Body) -> Iterator[tuple[ast.Name, str, Span]]:
    """The names that a body binds, those inside a group after it, with the whole statement."""
    for statement in body.statements:
        for name, kind in names_bound(statement):
            yield name, kind, statement.span
        if isinstance(statement, ast.Group):
            yield from _bound(statement.body)


def _symbol(
    document: Document,
    name: str,
    kind: SymbolKind,
    span: Span,
    place: Span,
    children: list[DocumentSymbol] | None = None,
) -> DocumentSymbol:
    whole = document.lines.span(span)
    return DocumentSymbol(name, kind, whole, document.lines.span(place), children=children)
