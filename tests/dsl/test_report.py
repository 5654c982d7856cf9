"""Diagnostics as JSON: what editors and scripts read."""

from __future__ import annotations

import json

from dsl.diagnostics import Diagnostic, Label
from dsl.report import report
from dsl.source import Source, Span

SOURCE = Source("cell.darts", "language 1\nop f = 𝒳 relv\n")


def test_places_count_from_one_and_end_behind() -> None:
    found = Diagnostic(
        "E0201",
        "nothing is called `relv`",
        Span(SOURCE, 20, 24),
        "did you mean `relu`?",
        (Label(Span(SOURCE, 0, 11), "here"),),
    )
    assert json.loads(report([found])) == [
        {
            "code": "E0201",
            "severity": "error",
            "message": "nothing is called `relv`",
            "file": "cell.darts",
            "line": 2,
            "column": 10,
            "end_line": 2,
            "end_column": 14,
            "help": "did you mean `relu`?",
            "labels": [
                {
                    "message": "here",
                    "file": "cell.darts",
                    "line": 1,
                    "column": 1,
                    "end_line": 2,
                    "end_column": 1,
                }
            ],
        }
    ]


def test_a_warning_and_a_fault_without_a_place() -> None:
    (found,) = json.loads(report([Diagnostic("W0101", "nothing of `std` is used", None)]))
    assert found["severity"] == "warning"
    assert found["file"] is None and found["end_column"] is None and found["labels"] == []


def test_nothing_is_an_empty_list() -> None:
    assert report([]) == "[]\n"
