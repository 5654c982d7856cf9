"""Faults as the protocol shows them, each with the file it stands in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lsprotocol.types import Diagnostic as Shown
from lsprotocol.types import (
    DiagnosticRelatedInformation,
    DiagnosticSeverity,
    DiagnosticTag,
    Location,
)

from dsl.diagnostics import Diagnostic
from dsl.source import Span
from runtime.server.documents import Document, Documents
from runtime.server.positions import Lines

UNUSED = frozenset({"W0101", "W0201", "W0202", "W0203"})
"""What editors show faded."""

ByFile = Mapping[str, list[Shown]]


def shown(
    documents: Documents, document: Document, found: Iterable[Diagnostic]
) -> dict[str, list[Shown]]:
    """The diagnostics of a document by the URI of the file they stand in: it, or an import."""
    by_file: dict[str, list[Shown]] = {}
    for diagnostic in found:
        place = _place(documents, document, diagnostic.span)
        message = diagnostic.message
        if diagnostic.help is not None:
            message += f"\nhelp: {diagnostic.help}"
        one = Shown(
            place.range,
            message,
            DiagnosticSeverity.Error
            if diagnostic.severity == "error"
            else DiagnosticSeverity.Warning,
            diagnostic.code,
            source="dartsc",
            tags=[DiagnosticTag.Unnecessary] if diagnostic.code in UNUSED else None,
            related_information=[
                DiagnosticRelatedInformation(_place(documents, document, label.span), label.text)
                for label in diagnostic.labels
            ],
        )
        by_file.setdefault(place.uri, []).append(one)
    return by_file


def _place(documents: Documents, document: Document, span: Span | None) -> Location:
    """Where a span stands; what has no place stands at the start of the document."""
    if span is None:
        return Location(document.uri, document.lines.range(0, 0))
    path = span.source.path
    if path is None:
        return Location(document.uri, document.lines.span(span))
    lines = Lines(span.source.text, document.lines.encoding)
    return Location(documents.uri(path), lines.span(span))


class Published:
    """What the editor was told, and by the check of which document.

    A file that is open is checked itself; for another, all documents that import it speak.
    """

    def __init__(self, publish: Callable[[str, list[Shown]], None]) -> None:
        self.publish = publish
        self.told: dict[str, ByFile] = {}

    def update(self, uri: str, by_file: ByFile) -> None:
        """Publishes what the check of an open document has found, and takes back what is gone."""
        before = self.told.get(uri, {})
        self.told[uri] = by_file
        for file in sorted({uri, *before, *by_file}):
            self.publish(file, self.of(file))

    def forget(self, uri: str) -> None:
        """Takes back what a document's check has found, as it is closed."""
        before = self.told.pop(uri, {})
        for file in sorted({uri, *before}):
            self.publish(file, self.of(file))

    def of(self, file: str) -> list[Shown]:
        if file in self.told:
            return list(self.told[file].get(file, ()))
        merged: list[Shown] = []
        for by_file in self.told.values():
            merged += (one for one in by_file.get(file, ()) if one not in merged)
        return merged
