"""Genotypes: what was decided, as YAML and in the tuple form of DARTS.

The tuple form numbers the values that edges leave (the cell's inputs, then its nodes) and leaves
out which node an edge enters; it is understood together with a space. Nothing that is read is
executed.
"""

from __future__ import annotations

import ast as python
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from compiler.files import write_text
from compiler.ir import Decision, Join, Region
from compiler.program import kept
from dsl.diagnostics import DartsError, did_you_mean, fault

TUPLE_FORM = "Genotype("


@dataclass(frozen=True)
class CellGenotype:
    """What one cell kind decided.

    `decisions` are (path, option) pairs, as ("n[0] from a", "sep_conv_3x3"); read from the tuple
    form the path of an edge is "#0", the number of the source. `sources` and `output` name the
    values that edges leave and that the cell gives back.
    """

    decisions: tuple[tuple[str, str], ...]
    sources: tuple[str, ...] = ()
    output: tuple[str, ...] = ()


@dataclass(frozen=True)
class Genotype:
    """What every cell kind of a space decided, by the kind's name."""

    cells: Mapping[str, CellGenotype]

    @classmethod
    def load(cls, path: str | Path) -> Genotype:
        """Reads either form from a file.

        Raises:
            DartsError: when there is no such file or it holds no genotype.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise fault("E0801", f"cannot read the genotype `{path}`: {reason}", None) from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, name: str = "<genotype>") -> Genotype:
        """Reads either form from a text; `name` is what messages call it."""
        if text.lstrip().startswith(TUPLE_FORM):
            return cls(_parse_tuples(text, name))
        return cls(_parse_yaml(text, name))

    def save(
        self, path: str | Path, audit: Mapping[str, Any] | None = None, *, tuples: bool = False
    ) -> None:
        """Writes YAML, with the audit of a derivation below it; or the tuple form instead."""
        if tuples:
            write_text(Path(path), f"{self}\n")
            return
        document: dict[str, Any] = {"cells": {}}
        for kind, cell in self.cells.items():
            numbered = any(path.startswith("#") for path, _ in cell.decisions)
            document["cells"][kind] = {
                "decisions": _pairs(cell) if numbered else dict(cell.decisions),
                "sources": list(cell.sources),
                "output": list(cell.output),
            }
        if audit is not None:
            document["audit"] = dict(audit)
        write_text(Path(path), yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100))

    def counts(self) -> dict[str, int]:
        """How often each option was chosen, over all kinds."""
        return dict(Counter(op for cell in self.cells.values() for _, op in cell.decisions))

    def __str__(self) -> str:
        """The tuple form, `Genotype(normal=[('skip_connect', 0), …], normal_concat=…)`."""
        parts = []
        for kind, cell in self.cells.items():
            pairs = [(op, _edge(path, cell)) for path, op in cell.decisions]
            output = [_position(name, cell) for name in cell.output]
            concat = "concat" if len(self.cells) == 1 else f"{kind}_concat"
            parts += [f"{kind}={pairs!r}", f"{concat}={_range(output)}"]
        return f"Genotype({', '.join(parts)})"


class _Dumper(yaml.SafeDumper):
    """Writes lists of plain values on one line."""


def _represent_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    plain = not any(isinstance(item, dict | list) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=plain)


_Dumper.add_representer(list, _represent_list)


def _pairs(cell: CellGenotype) -> list[list[str | int]]:
    """Decisions with numbered sources, of which several may have the same, as in the tuple form."""
    return [[option, _edge(path, cell)] for path, option in cell.decisions]


def _edge(path: str, cell: CellGenotype) -> int | str:
    """The number of an edge's source; the whole path of a decision that stands on no edge."""
    if not path.startswith("#") and " from " not in path:
        return path
    position = _position(path.split(" from ")[-1].split(" (")[0], cell)
    return path if isinstance(position, str) else position


def _position(name: str, cell: CellGenotype) -> int | str:
    if name.startswith("#"):
        return int(name[1:])
    return cell.sources.index(name) if name in cell.sources else name


def _written(place: Any) -> str:
    """What was printed by `_edge` or `_position`, as it stands in a `CellGenotype`."""
    return place if isinstance(place, str) else f"#{int(place)}"


def _range(numbers: list[Any]) -> str:
    whole = all(isinstance(n, int) for n in numbers)
    if whole and len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"range({numbers[0]}, {numbers[-1] + 1})"
    return repr(numbers)


# ---- reading -------------------------------------------------------------------------------------


def _parse_yaml(text: str, name: str) -> dict[str, CellGenotype]:
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0]
        raise fault("E0801", f"`{name}` is neither YAML nor a tuple form: {first}", None) from None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, dict) or not all(_is_cell(cell) for cell in cells.values()):
        raise fault(
            "E0801",
            f"`{name}` holds no genotype",
            None,
            "`cells:`, and in it for every cell kind `decisions:` with lines like "
            "`n[0] from a: sep_conv_3x3`",
        )
    return {
        str(kind): CellGenotype(
            _decisions(cell["decisions"]),
            tuple(map(str, cell.get("sources", ()))),
            tuple(map(str, cell.get("output", ()))),
        )
        for kind, cell in cells.items()
    }


def _decisions(written: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(written, dict):
        return tuple((str(path).lstrip("#"), str(option)) for path, option in written.items())
    return tuple((_written(source), str(option)) for option, source in written)


def _is_cell(cell: Any) -> bool:
    decisions = cell.get("decisions") if isinstance(cell, dict) else None
    numbered = isinstance(decisions, list) and all(
        isinstance(pair, list) and len(pair) == 2 and type(pair[1]) in (int, str)
        for pair in decisions
    )
    return (
        isinstance(cell, dict)
        and (numbered or isinstance(decisions, dict))
        and all(isinstance(cell.get(key, []), list) for key in ("sources", "output"))
    )


def _parse_tuples(text: str, name: str) -> dict[str, CellGenotype]:
    """The tuple form, read as syntax; only its literals and `range` are understood."""
    try:
        call = python.parse(text.strip(), mode="eval").body
        if not isinstance(call, python.Call) or call.args:
            raise ValueError("a call `Genotype(normal=…)` was expected")
        fields = {str(k.arg): _literal(k.value) for k in call.keywords}
        kinds = [k for k in fields if not k.endswith("concat")]
        cells = {}
        for kind in kinds:
            shared = fields.get("concat", []) if len(kinds) == 1 else []
            output = fields.get(f"{kind}_concat", shared)
            decisions = tuple((_written(source), str(op)) for op, source in fields[kind])
            cells[kind] = CellGenotype(decisions, (), tuple(map(_written, output)))
    except (
        SyntaxError,
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        # what Python says of its own syntax tree means nothing to a reader of genotypes
        own = isinstance(error, ValueError) and "malformed" not in str(error)
        reason = str(error) if own else "it reads `Genotype(normal=[('skip_connect', 0), …], …)`"
        raise fault("E0801", f"`{name}` is no genotype in the tuple form: {reason}", None) from None
    return cells


def _literal(node: python.expr) -> Any:
    if isinstance(node, python.Call) and isinstance(node.func, python.Name):
        if node.func.id not in ("range", "list"):
            raise ValueError(f"`{node.func.id}` means nothing in a genotype")
        arguments = [_literal(a) for a in node.args]
        if node.func.id == "list":
            return list(*arguments)
        numbers = range(*arguments)
        if len(numbers) > 10_000:
            raise ValueError("that range is too long")
        return list(numbers)
    return python.literal_eval(node)


# ---- against a space -----------------------------------------------------------------------------


def resolve(genotype: Genotype, kinds: list[Region]) -> dict[str, dict[str, str]]:
    """For every kind, the option chosen for every decision that is left.

    Raises:
        DartsError: when the genotype is not one of this space.
    """
    known = {kind.name: kind for kind in kinds}
    for name in genotype.cells:
        if name not in known:
            raise _misfit(f"the space has no cell `{name}`", did_you_mean(name, known))
    chosen = {}
    for name, kind in known.items():
        if name not in genotype.cells:
            raise _misfit(f"the genotype says nothing about cell `{name}`")
        named = _named(genotype.cells[name], kind)
        _check(named, kind)
        _check_output(genotype.cells[name], kind)
        chosen[name] = named
    return chosen


def _misfit(message: str, help: str | None = None) -> DartsError:
    return fault("E0802", f"this genotype does not fit the space: {message}", None, help)


def _named(cell: CellGenotype, kind: Region) -> dict[str, str]:
    """Decisions by path; numbered sources are told apart by the edges each node keeps."""
    if not any(path.startswith("#") for path, _ in cell.decisions):
        return dict(cell.decisions)
    wanted = sum(kept(kind).values())
    if len(cell.decisions) != wanted:
        raise _misfit(f"`{kind.name}` keeps {wanted} edges, it names {len(cell.decisions)}")
    rest = iter(cell.decisions)
    named: dict[str, str] = {}
    for node, count in kept(kind).items():
        for path, op in [next(rest) for _ in range(count)]:
            if not path.startswith("#"):
                named[path] = op
                continue
            number = int(path[1:])
            source = kind.sources[number] if 0 <= number < len(kind.sources) else None
            edges = [
                d.path
                for d in kind.decisions
                if (d.node or d.path) == node and d.source == source and d.path not in named
            ]
            if not edges:
                raise _misfit(f"`{node}` of `{kind.name}` has no edge from value {number}")
            named[edges[0]] = op
    return named


def output_of(kind: Region) -> tuple[str, ...]:
    """The values a kind gives back, by name."""
    last = kind.output
    numbers = last.operands if isinstance(last, Join) and last.bound is None else kind.outputs
    names = [kind.node(number).bound for number in numbers]
    return tuple(name for name in names if name is not None)


def _source_name(name: str, kind: Region) -> str:
    number = name.removeprefix("#")
    is_number = name.startswith("#") and number.isdecimal() and int(number) < len(kind.sources)
    return kind.sources[int(number)] if is_number else name


def _check_output(cell: CellGenotype, kind: Region) -> None:
    """What a genotype says of the output, if anything, must be what the cell gives back."""
    names = [_source_name(name, kind) for name in cell.output]
    if names and sorted(names) != sorted(output_of(kind)):
        given = ", ".join(f"`{name}`" for name in output_of(kind))
        raise _misfit(f"`{kind.name}` gives back {given}, the genotype says otherwise")


def _check(chosen: dict[str, str], kind: Region) -> None:
    decisions: dict[str, Decision] = {d.path: d for d in kind.decisions}
    for path, option in chosen.items():
        if path not in decisions:
            raise _misfit(f"`{kind.name}` decides no `{path}`", did_you_mean(path, decisions))
        labels = [label for label, _ in decisions[path].options]
        if option not in labels:
            help = did_you_mean(option, labels) or "one of " + ", ".join(f"`{o}`" for o in labels)
            raise _misfit(f"`{path}` of `{kind.name}` has no option `{option}`", help)
        if option not in decisions[path].selectable:
            raise _misfit(f"`{option}` is a sink of `{path}`, so it cannot be selected")
    found = Counter(decisions[path].node or path for path in chosen)
    for node, count in kept(kind).items():
        if found[node] != count:
            raise _misfit(
                f"`{node}` of `{kind.name}` keeps {count}, the genotype names {found[node]}"
            )
