"""Genotypes as the strings of NAS-Bench-201, `|nor_conv_3x3~0|+|skip_connect~0|none~1|`.

A cell has one input, value 0. Every group between `+` is a node, values 1, 2, … in order; `OP~N` is
the edge from value N into it, with the operation on it. The cell itself has no name in a string,
so it fits a space with a single one, and is called by an empty name. Its values are called by their
numbers, so that decisions stand on edges such as `2 from 0`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dsl.diagnostics import DartsError, Label, fault
from dsl.source import Source, Span

FORM = "`|nor_conv_3x3~0|+|skip_connect~0|none~1|`"
UNNAMED = ""
"""What the cell of a string is called."""

Decisions = tuple[tuple[str, str], ...]
Parts = tuple[Decisions, tuple[str, ...], tuple[str, ...]]

_START = re.compile(r"(?:\s*#.*\n)*\s*(?=\|)")
_EDGE = re.compile(r"(\w+)~([0-9]{1,9})")
_OPTION = re.compile(r"\w+")
_PATH = re.compile(r"(?P<node>.+) from (?P<source>.+?)", re.DOTALL)


def is_arch_string(text: str) -> bool:
    return _START.match(text) is not None


def read(source: Source) -> dict[str, Parts]:
    """What a string says: decisions, the values that edges leave, and the last of them.

    Raises:
        DartsError: when it is malformed.
    """
    first = _START.match(source.text)
    assert first is not None, "a string begins with `|`"
    end = len(source.text.rstrip())
    found: dict[str, tuple[str, Span]] = {}
    start, node = first.end(), 0
    for group in source.text[start:end].split("+"):
        node += 1
        _read_group(Span(source, start, start + len(group)), node, found)
        start += len(group) + 1
    values = tuple(str(number) for number in range(node + 1))
    decisions = tuple((path, option) for path, (option, _) in found.items())
    return {UNNAMED: (decisions, values, values[-1:])}


def _read_group(group: Span, node: int, found: dict[str, tuple[str, Span]]) -> None:
    """Adds the edges into a node, `|OP~N|OP~N|`."""
    text = group.text
    if len(text) < 2 or text[0] != "|" or text[-1] != "|":
        raise _fault(group, "a node stands between `|`")
    start = group.start + 1
    for edge in text[1:-1].split("|"):
        span = Span(group.source, start, start + len(edge))
        start += len(edge) + 1
        match = _EDGE.fullmatch(edge)
        if match is None:
            raise _fault(span, "an edge is an operation and the number of a value, as in `none~0`")
        option, number = match[1], int(match[2])
        if number >= node:
            message = f"an edge into value {node} leaves an earlier one, not {number}"
            raise _fault(span, message, f"0 to {node - 1}")
        path = f"{node} from {number}"
        if path in found:
            message = f"the edge from value {number} to value {node} is there twice"
            other = Label(found[path][1], "first decided here")
            raise _fault(span, message, "leave one of the two out", other)
        found[path] = option, span


def _fault(span: Span, reason: str, help: str = f"it reads {FORM}", *labels: Label) -> DartsError:
    message = f"`{span.source.name}` is no genotype in the string form: {reason}"
    return fault("E0801", message, span, help, *labels)


def write(decisions: Iterable[tuple[str, str]], sources: Sequence[str]) -> str:
    """The string of a cell's decisions, where `sources` are its values in their order.

    Raises:
        ValueError: when it has none, with the reason.
    """
    edges = [(_PATH.fullmatch(path), option) for path, option in decisions]
    groups: dict[str, dict[str, str]] = {}
    for edge, option in edges:
        if edge is None:
            raise ValueError("it does not say between which values every edge is")
        group = groups.setdefault(edge["node"], {})
        if edge["source"] in group:
            raise ValueError(f"`{edge['node']}` has two edges from `{edge['source']}`")
        if not _OPTION.fullmatch(option):
            raise ValueError(f"an edge has one operation, not `{option}`")
        group[edge["source"]] = option
    nodes = [value for value in sources if value in groups]
    inputs = [value for value in sources if value not in groups]
    if len(inputs) != 1 or len(nodes) != len(groups):
        raise ValueError("a string is of a cell with one input")
    numbers = {value: number for number, value in enumerate([*inputs, *nodes])}
    for node, group in groups.items():
        unknown = next((source for source in group if source not in numbers), None)
        if unknown is not None:
            raise ValueError(f"`{node}` has several edges from one value, as from `{unknown}`")
    parts = []
    for node in nodes:
        order = sorted(groups[node], key=lambda source: numbers[source])
        parts.append("".join(f"|{groups[node][s]}~{numbers[s]}" for s in order) + "|")
    return "+".join(parts)
