"""Cycles among names."""

from __future__ import annotations

from dsl.graph import cycles


def test_no_cycles() -> None:
    assert cycles({}) == []
    assert cycles({"a": ["b", "c"], "b": ["c"], "c": ["outside"]}) == []


def test_cycles_apart_are_all_found() -> None:
    graph = {"a": ["a"], "b": ["c"], "c": ["d"], "d": ["b"], "e": ["c"]}
    assert cycles(graph) == [["a"], ["b", "c", "d"]]


def test_long_way_round() -> None:
    graph = {str(i): [str((i + 1) % 20_000)] for i in range(20_000)}
    assert [len(cycle) for cycle in cycles(graph)] == [20_000]
