"""The server: hands what the editor asks to what knows the answer."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer

from dsl.diagnostics import DartsError
from runtime.errors import UserError
from runtime.server import navigation
from runtime.server.completion import complete
from runtime.server.diagnostics import Published, shown
from runtime.server.documents import Document, Documents
from runtime.server.hover import hover
from runtime.version import version

PAUSE = 0.2
"""Seconds without a change after which a document is checked."""

_log = logging.getLogger(__name__)


def serve() -> None:
    """Serves one editor over standard input and output until it says goodbye."""
    server = Server()
    for name, answer, options in _FEATURES:
        server.feature(name, options)(answer)
    server.start_io()


class Server(LanguageServer):
    """What the server knows: the open documents, and what it has told about them."""

    def __init__(self) -> None:
        super().__init__("dartsc", version(), lsp.TextDocumentSyncKind.Full)
        self.documents = Documents()
        self.published = Published(self.publish)
        self.waiting: dict[str, asyncio.TimerHandle] = {}
        """The next check of a document, by its URI."""

    def update(self, uri: str, pause: float) -> None:
        """Takes over the text of a document, and checks it if nothing happens for so long."""
        text = self.workspace.get_text_document(uri)
        self.documents.put(uri, text.source, text.version)
        self.check_after(uri, pause)

    def check_after(self, uri: str, pause: float) -> None:
        self.cancel(uri)
        self.waiting[uri] = asyncio.get_running_loop().call_later(pause, self.check, uri)

    def cancel(self, uri: str) -> None:
        if uri in self.waiting:
            self.waiting.pop(uri).cancel()

    def check_all(self) -> None:
        """Checks all open documents, as a file that they import may have changed."""
        self.documents.forget()
        for uri in self.documents.open:
            self.check_after(uri, 0)

    def check(self, uri: str) -> None:
        """Checks an open document and publishes what is wrong with it."""
        self.waiting.pop(uri, None)
        document = self.documents.open[uri]
        try:
            found = self.documents.analysis(document).diagnostics
            self.published.update(uri, shown(self.documents, document, found))
        except Exception:
            # A fault of ours: the editor keeps its server, and the next text may do without it.
            _log.exception("checking %s failed", uri)
            message = f"dartsc failed to check {uri}; this is a fault of dartsc, please report it"
            self.window_log_message(lsp.LogMessageParams(lsp.MessageType.Error, message))

    def publish(self, uri: str, diagnostics: list[lsp.Diagnostic]) -> None:
        document = self.documents.open.get(uri)
        version = None if document is None else document.version
        params = lsp.PublishDiagnosticsParams(uri, diagnostics, version)
        self.text_document_publish_diagnostics(params)

    def document(self, params: Any) -> Document:
        """The open document that a request is about."""
        return self.documents.open[params.text_document.uri]


# ---- what the editor tells -----------------------------------------------------------------------


def initialised(ls: Server, params: lsp.InitializedParams) -> None:
    encoding = ls.workspace.position_encoding
    ls.documents.encoding = lsp.PositionEncodingKind(encoding).value


def opened(ls: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    ls.update(params.text_document.uri, 0)


def changed(ls: Server, params: lsp.DidChangeTextDocumentParams) -> None:
    ls.update(params.text_document.uri, PAUSE)


def saved(ls: Server, params: lsp.DidSaveTextDocumentParams) -> None:
    ls.check_all()


def changed_outside(ls: Server, params: lsp.DidChangeWatchedFilesParams) -> None:
    ls.check_all()


def closed(ls: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    ls.cancel(uri)
    ls.documents.close(uri)
    ls.published.forget(uri)


# ---- what the editor asks ------------------------------------------------------------------------


def hovered(ls: Server, params: lsp.HoverParams) -> lsp.Hover | None:
    document = ls.document(params)
    found = navigation.occurrence_at(ls.documents, document, params.position)
    text = None if found is None else hover(ls.documents, document, found.definition)
    if found is None or text is None:
        return None
    content = lsp.MarkupContent(lsp.MarkupKind.Markdown, text)
    return lsp.Hover(content, document.lines.span(found.span))


def defined(ls: Server, params: lsp.DefinitionParams) -> lsp.Location | None:
    return navigation.definition(ls.documents, ls.document(params), params.position)


def referred(ls: Server, params: lsp.ReferenceParams) -> list[lsp.Location]:
    document = ls.document(params)
    with_binding = params.context.include_declaration
    found = navigation.references(ls.documents, document, params.position, with_binding)
    return [lsp.Location(document.uri, place) for place in found]


def renamable(ls: Server, params: lsp.PrepareRenameParams) -> lsp.Range | None:
    return navigation.renamable(ls.documents, ls.document(params), params.position)


def renamed(ls: Server, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
    document = ls.document(params)
    try:
        edits = navigation.renamed(ls.documents, document, params.position, params.new_name)
    except UserError as error:
        ls.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, str(error)))
        return None
    return lsp.WorkspaceEdit({document.uri: edits})


def outlined(ls: Server, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
    return navigation.outline(ls.document(params))


def completed(ls: Server, params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
    return complete(ls.documents, ls.document(params), params.position)


def formatted(ls: Server, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
    """One edit of the whole text; none where it is formatted already, or cannot be parsed."""
    from dsl.layout import formatted as format_text

    document = ls.document(params)
    try:
        text = format_text(document.source)
    except DartsError:
        return []
    is_same = text == document.lines.text
    return [] if is_same else [lsp.TextEdit(document.lines.whole(), text)]


_FEATURES: tuple[tuple[str, Any, Any], ...] = (
    (lsp.INITIALIZED, initialised, None),
    (lsp.TEXT_DOCUMENT_DID_OPEN, opened, None),
    (lsp.TEXT_DOCUMENT_DID_CHANGE, changed, None),
    (lsp.TEXT_DOCUMENT_DID_SAVE, saved, None),
    (lsp.TEXT_DOCUMENT_DID_CLOSE, closed, None),
    (lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, changed_outside, None),
    (lsp.TEXT_DOCUMENT_HOVER, hovered, None),
    (lsp.TEXT_DOCUMENT_DEFINITION, defined, None),
    (lsp.TEXT_DOCUMENT_REFERENCES, referred, None),
    (lsp.TEXT_DOCUMENT_PREPARE_RENAME, renamable, None),
    (lsp.TEXT_DOCUMENT_RENAME, renamed, lsp.RenameOptions(prepare_provider=True)),
    (lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL, outlined, None),
    (
        lsp.TEXT_DOCUMENT_COMPLETION,
        completed,
        lsp.CompletionOptions(trigger_characters=[">", "(", "/"]),
    ),
    (lsp.TEXT_DOCUMENT_FORMATTING, formatted, None),
)
