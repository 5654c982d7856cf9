"""Definitions, references, renaming and the outline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lsprotocol.types import DocumentSymbol, Position

from dsl.parse import parse
from dsl.source import Source
from runtime.errors import UserError
from runtime.server import navigation
from runtime.server.documents import Document, Documents, uri_of

TEXT = """language 1
import b
import c

set steps = { f(k) for k in (3, 5) as k, bump }
op f(width) = conv(width)
cell unit(C) from x {
    a = x -> choose steps
    node n[2] {
        p = a -> relu
        return sum(p, each earlier n -> f(3))
    }
    return concat(n)
}
profile search { epochs = 2 }
profile short = search { epochs = 1 }
"""
B = "language 1\nop bump = relu\n"
Opened = tuple[Documents, Document]


@pytest.fixture
def opened(open_text: Callable[..., Opened]) -> Opened:
    return open_text(TEXT, b=B)


def position(document: Document, mark: str) -> Position:
    before, after = mark.split("|")
    return document.lines.position(document.lines.text.index(before + after) + len(before))


@pytest.mark.parametrize(
    ("mark", "line"),
    [("choose |steps", 4), ("{ |f(k)", 5), ("f(|k) for", 4), ("= |a ->", 7), ("earlier |n", 8),
     ("sum(|p", 9), ("= |x", 6), ("short = |search", 14)],
)  # fmt: skip
def test_definition(opened: Opened, mark: str, line: int) -> None:
    documents, document = opened
    found = navigation.definition(documents, document, position(document, mark))
    assert found is not None and (found.uri, found.range.start.line) == (document.uri, line)


def test_definition_in_an_import(opened: Opened, tmp_path: Path) -> None:
    documents, document = opened
    found = navigation.definition(documents, document, position(document, "|bump"))
    assert found is not None and found.uri == uri_of(tmp_path / "b.darts")
    assert found.range.start == Position(1, 3)


def test_definition_in_an_unsaved_import(opened: Opened, tmp_path: Path) -> None:
    """Where another file is open, its text in the editor counts."""
    documents, document = opened
    documents.put(uri_of(tmp_path / "b.darts"), B.replace("op bump", "\n\nop bump"), 1)
    found = navigation.definition(documents, document, position(document, "|bump"))
    assert found is not None and found.range.start == Position(3, 3)


def test_import_leads_to_its_file(opened: Opened, tmp_path: Path) -> None:
    documents, document = opened
    found = navigation.definition(documents, document, position(document, "|b\n"))
    assert found is not None and found.uri == uri_of(tmp_path / "b.darts")


@pytest.mark.parametrize("mark", ["import |c", "|concat(", "|epochs = 2", "|language"])
def test_no_definition(opened: Opened, mark: str) -> None:
    """What the language begins with is defined nowhere, nor is a file that is not there."""
    documents, document = opened
    assert navigation.definition(documents, document, position(document, mark)) is None


@pytest.mark.parametrize(
    ("mark", "count"),
    [("node |n", 3), ("op |f", 3), ("for |k in", 3), ("op f(|width", 2), ("|x {", 2)],
)
def test_references(opened: Opened, mark: str, count: int) -> None:
    documents, document = opened
    place = position(document, mark)
    assert len(navigation.references(documents, document, place)) == count
    assert len(navigation.references(documents, document, place, False)) == count - 1


@pytest.mark.parametrize(
    "mark", ["node |n", "op |f", "for |k in", "op f(|width", "|short", "|steps ="]
)
def test_rename(opened: Opened, mark: str) -> None:
    """The renamed text says the same: renamed back it is the text again."""
    documents, document = opened
    place = position(document, mark)
    name = navigation.occurrence_at(documents, document, place)
    assert name is not None
    text = renamed(documents, document, place, "other")
    assert "other" in text and parse(Source("", text)) != parse(document.source)
    documents.put(document.uri, text, 2)
    again = documents.open[document.uri]
    place = again.lines.position(text.index("other"))
    assert renamed(documents, again, place, name.definition.name) == document.lines.text


def renamed(documents: Documents, document: Document, place: Position, name: str) -> str:
    text, lines = document.lines.text, document.lines
    edits = navigation.renamed(documents, document, place, name)
    for edit in sorted(edits, key=lambda e: lines.offset(e.range.start), reverse=True):
        start, end = lines.offset(edit.range.start), lines.offset(edit.range.end)
        text = text[:start] + edit.new_text + text[end:]
    return text


@pytest.mark.parametrize(
    ("mark", "name"),
    [("node |n", "node"), ("node |n", "conv"), ("node |n", "a"), ("node |n", "1n"),
     ("node |n", "bump"), ("|bump", "b"), ("|concat", "b"), ("profile |search", "b")],
)  # fmt: skip
def test_no_rename(opened: Opened, mark: str, name: str) -> None:
    """No word of the language, nothing that is taken, and nothing that others bind."""
    documents, document = opened
    with pytest.raises(UserError):
        navigation.renamed(documents, document, position(document, mark), name)


def test_outline(opened: Opened) -> None:
    found = navigation.outline(opened[1])
    assert [s.name for s in found] == ["steps", "f", "unit", "search", "short"]
    assert [child.name for child in found[2].children or ()] == ["a", "n", "p"]
    for symbol in (*found, *(found[2].children or ())):
        assert is_inside(symbol)


def is_inside(symbol: DocumentSymbol) -> bool:
    """The protocol wants a name within its symbol."""
    whole, name = symbol.range, symbol.selection_range
    return whole.start <= name.start and name.end <= whole.end


EXTENDING = """language 1
extend b

op bump = tanh
set steps = { bump, other }
profile long = search { epochs = 9  width = 3 }
"""
EXTENDED = """language 1
import d
op bump = relu
set steps = { bump, conv(1) }
cell unit from x = x -> choose steps
network(width) from x[3] to y[_] = x -> linear(width) -> unit
profile search { width = 2 }
"""


@pytest.fixture
def extending(open_text: Callable[..., Opened]) -> Opened:
    return open_text(EXTENDING, b=EXTENDED, d="language 1\nop other = gelu\n")


@pytest.mark.parametrize(
    ("mark", "file", "line"),
    [("extend |b", "b", 0), ("op |bump", "b", 2), ("{ |bump", "main", 3), ("|other", "d", 1),
     ("set |steps", "b", 3), ("= |search", "b", 6), ("|width", "b", 5), ("|long", "main", 5)],
)  # fmt: skip
def test_definitions_behind_extend(
    extending: Opened, tmp_path: Path, mark: str, file: str, line: int
) -> None:
    """What is declared anew leads to where it was declared before."""
    documents, document = extending
    found = navigation.definition(documents, document, position(document, mark))
    assert found is not None
    assert (found.uri, found.range.start.line) == (uri_of(tmp_path / f"{file}.darts"), line)


def test_what_is_declared_anew_keeps_its_name(extending: Opened) -> None:
    documents, document = extending
    for mark in ("op |bump", "{ |bump", "set |steps", "|other"):
        assert navigation.renamable(documents, document, position(document, mark)) is None
    assert navigation.renamable(documents, document, position(document, "|long")) is not None
    with pytest.raises(UserError, match="already means something"):
        navigation.renamed(documents, document, position(document, "|long"), "unit")


def test_files_that_extend_each_other(open_text: Callable[..., Opened]) -> None:
    documents, document = open_text("language 1\nextend b\n", b="language 1\nextend main\n")
    assert [d.path.stem for d in documents.below(document) if d.path] == ["b"]
