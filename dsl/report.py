"""Diagnostics as data, for editors and for continuous integration."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dsl.diagnostics import Diagnostic
from dsl.source import Span


def report(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON list with an object for each diagnostic.

    Each has `code`, `severity` ("error" or "warning"), `message`, `help` (or null), `labels` (each
    with a `message` and a place) and its own place: `file`, `line`, `column`, `end_line` and
    `end_column`, lines and columns counted from 1 in characters, the end behind the last one. The
    place of a fault that has none is null throughout.
    """
    return json.dumps([_object(diagnostic) for diagnostic in diagnostics], indent=2) + "\n"


def _object(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "help": diagnostic.help,
        "labels": [{"message": label.text, **_place(label.span)} for label in diagnostic.labels],
    }


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }
