"""The files that the editor has open, the files that they name, and the names in them."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path

from pygls.uris import from_fs_path, to_fs_path

from dsl import ast, files
from dsl.diagnostics import DartsError
from dsl.limits import MAX_IMPORTS
from dsl.lookup import (
    DECLARED,
    Definition,
    Occurrence,
    declarations,
    occurrences,
    readable,
)
from dsl.scope import Named
from dsl.source import Source, Span
from runtime.server.analysis import Analysis, analyse
from runtime.server.positions import UTF16, Lines


class Document:
    """A file as it stands in the editor (with the version that the editor counts) or on the disk.

    One that was never saved has no path.
    """

    def __init__(
        self,
        uri: str,
        text: str,
        path: Path | None,
        version: int | None = None,
        encoding: str = UTF16,
    ) -> None:
        self.uri = uri
        self.path = path
        self.version = version
        self.source = Source(uri if path is None else str(path), text, path)
        self.lines = Lines(text, encoding)

    @cached_property
    def file(self) -> ast.File:
        """What can be parsed of the text."""
        return readable(self.source)

    @property
    def folder(self) -> Path | None:
        return None if self.path is None else self.path.parent


class Documents:
    """The open documents by URI, and what is known of them until one of them changes.

    Names are looked up in what the editor shows, saved or not. The compiler, which checks a
    document, reads what it imports from the disk.
    """

    def __init__(self) -> None:
        self.open: dict[str, Document] = {}
        self.encoding = UTF16
        self._analyses: dict[str, Analysis] = {}

    def put(self, uri: str, text: str, version: int | None) -> None:
        self.open[uri] = Document(uri, text, path_of(uri), version, self.encoding)
        self._analyses.pop(uri, None)

    def close(self, uri: str) -> None:
        self.open.pop(uri, None)
        self._analyses.pop(uri, None)

    def forget(self) -> None:
        """Drops what is known, as a file on the disk may have changed."""
        self._analyses.clear()

    def analysis(self, document: Document) -> Analysis:
        """What the compiler says about a document."""
        if document.uri not in self._analyses:
            self._analyses[document.uri] = analyse(document.source)
        return self._analyses[document.uri]

    def occurrences(self, document: Document) -> tuple[Occurrence, ...]:
        """All names in a document that mean something, in the order of the text."""
        below = [other.file for other in self.below(document)]
        return occurrences(document.file, self.imported(document), below)

    def imported(self, document: Document) -> dict[str, Named]:
        """What a document sees of other files; where two bring one name, the first.

        Of one that it extends it sees what that sees.
        """
        found: dict[str, Named] = {}
        for each in (document, *self.below(document)):
            if each is not document:
                found = {**declarations(each.file), **found}
            for node in each.file.imports:
                other = self.named_by(each, node)
                if other is not None:
                    brought = [other, *self.below(other)]
                    for layer in brought:
                        found = {**declarations(layer.file), **found}
        return found

    def below(self, document: Document) -> list[Document]:
        """The document that one extends, what that extends, and so on."""
        found = [document]
        while found[-1].file.extends is not None and len(found) <= MAX_IMPORTS:
            other = self.named_by(found[-1], found[-1].file.extends)
            if other is None or other in found:
                break
            found.append(other)
        return found[1:]

    def declared_below(self, document: Document, definition: Definition) -> Span | None:
        """Where something is declared that a document declares anew; None where it is new."""
        if definition.span is None or definition.kind not in DECLARED.values():
            return None
        for other in self.below(document):
            for node in other.file.declarations:
                if isinstance(node, ast.NetworkDecl) or DECLARED[type(node)] != definition.kind:
                    continue
                if node.name.name == definition.name:
                    return node.name.span
        return None

    def named_by(self, document: Document, node: ast.Reference) -> Document | None:
        """The file that is imported or extended; None where there is none that can be read."""
        try:
            return self.at(files.find_import(node.path, document.folder, node.span, node.word))
        except DartsError:
            return None

    def home(self, document: Document, span: Span) -> Document:
        """The document that a place stands in, which was found from another.

        Raises:
            DartsError: where it has been deleted in the meantime.
        """
        path = span.source.path
        return document if path in (None, document.path) else self.at(path)

    def at(self, path: Path) -> Document:
        """The document of a file: as the editor has it, else as it is on the disk.

        Raises:
            DartsError: where there is no such file, or it is no text.
        """
        opened = self._open_at(path)
        if opened is not None:
            return opened
        stamp = path.stat().st_mtime_ns if path.exists() else 0
        return _from_disk(path, stamp, self.encoding)

    def uri(self, path: Path) -> str:
        """What the editor calls a file: an open one may have been named by another way to it."""
        opened = self._open_at(path)
        return uri_of(path) if opened is None else opened.uri

    def _open_at(self, path: Path) -> Document | None:
        place = path.resolve()
        for document in self.open.values():
            if document.path is not None and document.path.resolve() == place:
                return document
        return None


@lru_cache(maxsize=64)
def _from_disk(path: Path, stamp: int, encoding: str) -> Document:
    """The file as it was written at `stamp`."""
    source = files.read(path, str(path))
    return Document(uri_of(path), source.text, path, encoding=encoding)


def path_of(uri: str) -> Path | None:
    path = to_fs_path(uri)
    return None if path is None else Path(path)


def uri_of(path: Path) -> str:
    uri: str = from_fs_path(str(path.absolute()))
    return uri
