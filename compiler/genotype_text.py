"""Reading genotypes: YAML, the tuple form of DARTS, and strings. Nothing read is executed.

What a cell kind decided comes as three tuples: (path, option) pairs, sources and output, as in
`compiler.genotype.CellGenotype`.
"""

from __future__ import annotations

import ast as python
import re
from typing import Any

import yaml

from compiler.arch_string import is_arch_string
from compiler.arch_string import read as read_string
from dsl.diagnostics import Label, fault
from dsl.source import Source, Span

Parts = tuple[tuple[tuple[str, str], ...], tuple[str, ...], tuple[str, ...]]

FORM = "`Genotype(normal=[('skip_connect', 0), …], normal_concat=[2, …])`"
_TUPLES = re.compile(r"(?:\s*#.*\n)*\s*(?:\w+\s*=\s*)?Genotype\s*\(")
_NUMBER = re.compile(r"-?[0-9]{1,30}")


def read(text: str, name: str) -> dict[str, Parts]:
    """What a text says of every cell kind; `name` is what messages call it.

    Raises:
        DartsError: when it holds no genotype.
    """
    source = Source(name or "<genotype>", text)
    if is_arch_string(text):
        return read_string(source)
    return _parse_tuples(source) if _TUPLES.match(text) else _parse_yaml(source)


# ---- YAML ----------------------------------------------------------------------------------------


class _Loader(yaml.BaseLoader):
    """Every scalar is a text, and no key stands twice in a mapping."""

    source: Source

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise fault(
                    "E0801",
                    f"`{key.value}` is decided twice",
                    self._span(key),
                    "leave one of the two out",
                    Label(self._span(seen[key.value]), "first decided here"),
                )
            seen[key.value] = key
        return dict(super().construct_mapping(node, deep))

    def _span(self, node: yaml.Node) -> Span:
        return Span(self.source, node.start_mark.index, node.end_mark.index)


def _parse_yaml(source: Source) -> dict[str, Parts]:
    cells = _cells(source)
    if not isinstance(cells, dict) or not all(_is_cell(cell) for cell in cells.values()):
        raise fault(
            "E0801",
            f"`{source.name}` holds no genotype",
            None,
            "`cells:`, and in it for every cell kind `decisions:` with lines like "
            "`n[0] from a: sep_conv_3x3`",
        )
    return {
        kind: (
            _decisions(cell["decisions"]),
            tuple(map(str, cell.get("sources") or ())),
            tuple(map(str, cell.get("output") or ())),
        )
        for kind, cell in cells.items()
    }


def _cells(source: Source) -> Any:
    message = f"`{source.name}` is neither YAML nor a tuple form"
    try:
        loader = _Loader(source.text)
        loader.source = source
        document = loader.get_single_data()
    except yaml.reader.ReaderError as error:
        reason = f"{message}: {error.reason}"
        raise fault("E0801", reason, _at(source, error.position)) from None
    except yaml.MarkedYAMLError as error:
        place = None if error.problem_mark is None else _at(source, error.problem_mark.index)
        raise fault("E0801", f"{message}: {error.problem or error.context}", place) from None
    except RecursionError:
        raise fault("E0801", f"{message}: it is nested too deeply", None) from None
    return document.get("cells") if isinstance(document, dict) else None


def _at(source: Source, offset: int) -> Span:
    start = min(offset, len(source.text))
    return Span(source, start, start + 1)


def _decisions(written: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(written, dict):
        return tuple((path.lstrip("#"), str(option)) for path, option in written.items())
    return tuple(
        (f"#{int(place)}" if _NUMBER.fullmatch(place) else place.lstrip("#"), str(option))
        for option, place in written
    )


def _is_cell(cell: Any) -> bool:
    decisions = cell.get("decisions") if isinstance(cell, dict) else None
    numbered = isinstance(decisions, list) and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], str) for pair in decisions
    )
    return (
        isinstance(cell, dict)
        and (numbered or isinstance(decisions, dict))
        and all(isinstance(cell.get(key) or [], list) for key in ("sources", "output"))
    )


# ---- the tuple form ------------------------------------------------------------------------------


class _RefusedError(Exception):
    """Why a text is no genotype in the tuple form, and what to write."""

    def __init__(self, reason: str, help: str = f"it reads {FORM}") -> None:
        super().__init__(reason)
        self.help = help


def _parse_tuples(source: Source) -> dict[str, Parts]:
    """Read as syntax, of which literals, `range` and `list` are understood."""
    message = f"`{source.name}` is no genotype in the tuple form"
    place = None
    try:
        return _kinds(_fields(source.text))
    except _RefusedError as refused:
        raise fault("E0801", f"{message}: {refused}", None, refused.help) from None
    except SyntaxError as error:
        line = source.line_starts[min(error.lineno or 1, len(source.line_starts)) - 1]
        place = _at(source, line + max((error.offset or 1) - 1, 0))
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        pass  # what Python says of its syntax trees means nothing to a reader of genotypes
    raise fault("E0801", message, place, f"it reads {FORM}")


def _fields(text: str) -> dict[str, Any]:
    """The arguments of the call `Genotype(…)`, which may be bound to a name."""
    called = text.lstrip()
    blank = text.count("\n", 0, len(text) - len(called))
    body = python.parse("\n" * blank + called).body
    if len(body) != 1:
        raise _RefusedError("it holds more than one genotype")
    value = body[0].value if isinstance(body[0], python.Expr | python.Assign) else None
    if not isinstance(value, python.Call) or value.args:
        raise _RefusedError("a call with the names of cells was expected")
    fields: dict[str, Any] = {}
    for keyword in value.keywords:
        if keyword.arg is None:
            raise _RefusedError("a call with the names of cells was expected")
        if keyword.arg in fields:
            raise _RefusedError(f"`{keyword.arg}` is decided twice", "leave one of the two out")
        fields[keyword.arg] = _literal(keyword.value)
    return fields


def _kinds(fields: dict[str, Any]) -> dict[str, Parts]:
    outputs = {f"{kind}_concat" for kind in fields} | {"concat"}
    kinds = [kind for kind in fields if kind not in outputs]
    cells: dict[str, Parts] = {}
    for kind in kinds:
        if not _is_pairs(fields[kind]):
            raise _RefusedError(f"`{kind}` is no list of pairs, each an option and its source")
        shared = fields.get("concat", []) if len(kinds) == 1 else []
        output = fields.get(f"{kind}_concat", shared)
        decisions = tuple((_place(source, op), op) for op, source in fields[kind])
        cells[kind] = (decisions, (), tuple(_place(place) for place in output))
    return cells


def _is_pairs(written: Any) -> bool:
    return isinstance(written, list | tuple) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in written
    )


def _place(place: Any, option: str | None = None) -> str:
    """A source's number, as `#0`, or a path."""
    if type(place) is int:
        return f"#{place}"
    if not isinstance(place, str):
        raise _RefusedError("a source is a number, or the path of a decision in quotes")
    if _NUMBER.fullmatch(place):
        help = place if option is None else f"('{option}', {place})"
        raise _RefusedError(f"the quoted number `'{place}'` is no path", f"`{help}`")
    return place.lstrip("#")


def _literal(node: python.expr) -> Any:
    if isinstance(node, python.Call) and isinstance(node.func, python.Name):
        if node.func.id not in ("range", "list"):
            raise _RefusedError(f"`{node.func.id}` means nothing in a genotype")
        arguments = [_literal(a) for a in node.args]
        if node.func.id == "list":
            return list(*arguments)
        numbers = range(*arguments)
        if len(numbers) > 10_000:
            raise _RefusedError("that range is too long")
        return list(numbers)
    return python.literal_eval(node)
