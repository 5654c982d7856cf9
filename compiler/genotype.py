"""Genotypes: what was decided, as YAML and in the tuple form of DARTS.

The tuple form numbers the values that edges leave (the cell's inputs, then its nodes) and leaves
out which node an edge enters; it is understood together with a space.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from compiler.files import write_text
from compiler.genotype_text import read
from compiler.ir import Decision, Join, Region
from compiler.program import kept
from dsl.diagnostics import did_you_mean, fault

_NUMBER = re.compile(r"#(-?[0-9]{1,30})")


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
    """What every cell kind of a space decided, by the kind's name.

    `name` is the file that it was read from, for messages, and empty where there is none.
    """

    cells: Mapping[str, CellGenotype]
    name: str = field(default="", compare=False, repr=False)

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
    def parse(cls, text: str, name: str = "") -> Genotype:
        """Reads either form from a text; `name` is what messages call it.

        Raises:
            DartsError: when it holds no genotype.
        """
        return cls({kind: CellGenotype(*parts) for kind, parts in read(text, name).items()}, name)

    def save(
        self, path: str | Path, audit: Mapping[str, Any] | None = None, *, tuples: bool = False
    ) -> None:
        """Writes YAML, with the audit of a derivation below it; or the tuple form instead."""
        if tuples:
            write_text(Path(path), f"{self}\n")
            return
        document: dict[str, Any] = {"cells": {}}
        for kind, cell in self.cells.items():
            numbered = any(_number(path) is not None for path, _ in cell.decisions)
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
    """The number of an edge's source, or the whole path of another decision.

    That is one that stands on no edge, or as `n[0] from a (2)` on a further edge of its source.
    """
    number = _number(path)
    if number is not None or " from " not in path:
        return path if number is None else number
    position = _position(path.split(" from ")[-1], cell)
    return path if isinstance(position, str) else position


def _position(name: str, cell: CellGenotype) -> int | str:
    number = _number(name)
    if number is not None:
        return number
    return cell.sources.index(name) if name in cell.sources else name


def _number(name: str) -> int | None:
    """The number of a value that is written `#0`."""
    match = _NUMBER.fullmatch(name)
    return None if match is None else int(match[1])


def _range(numbers: list[Any]) -> str:
    whole = all(isinstance(n, int) for n in numbers)
    if whole and len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"range({numbers[0]}, {numbers[-1] + 1})"
    return repr(numbers)


# ---- against a space -----------------------------------------------------------------------------


class _MisfitError(Exception):
    """Why a genotype is not one of a space."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help


def resolve(genotype: Genotype, kinds: list[Region]) -> dict[str, dict[str, str]]:
    """For every kind, the option chosen for every decision that is left.

    Raises:
        DartsError: when the genotype is not one of this space.
    """
    called = f"the genotype `{genotype.name}`" if genotype.name else "this genotype"
    try:
        return _resolved(genotype, {kind.name: kind for kind in kinds})
    except _MisfitError as misfit:
        message = f"{called} does not fit the space: {misfit}"
        raise fault("E0802", message, None, misfit.help) from None


def _resolved(genotype: Genotype, known: dict[str, Region]) -> dict[str, dict[str, str]]:
    for name in genotype.cells:
        if name not in known:
            raise _MisfitError(f"the space has no cell `{name}`", did_you_mean(name, known))
    chosen = {}
    for name, kind in known.items():
        if name not in genotype.cells:
            raise _MisfitError(f"the genotype says nothing about cell `{name}`")
        cell = genotype.cells[name]
        _check_sources(cell, kind)
        chosen[name] = _named(cell, kind)
        _check(chosen[name], kind)
        _check_output(cell, kind)
    return chosen


def _named(cell: CellGenotype, kind: Region) -> dict[str, str]:
    """Decisions by path; numbered sources are told apart by the edges each node keeps."""
    named: dict[str, str] = {}
    for path, option in cell.decisions:
        if _number(path) is None and path in named:
            raise _MisfitError(f"`{path}` of `{kind.name}` is there twice")
        if _number(path) is None:
            named[path] = option
    numbered = [(n, option) for path, option in cell.decisions if (n := _number(path)) is not None]
    wanted = sum(kept(kind).values())
    if numbered and len(cell.decisions) != wanted:
        raise _MisfitError(
            f"`{kind.name}` keeps {wanted} edges, the genotype names {len(cell.decisions)}"
        )
    nodes = {d.path: d.node or d.path for d in kind.decisions}
    taken = Counter(nodes.get(path) for path in named)
    rest = iter(numbered)
    for node, count in kept(kind).items():
        for number, option in islice(rest, max(0, count - taken[node])):
            named[_edge_of(number, node, cell, kind, named)] = option
    return named


def _edge_of(
    number: int, node: str, cell: CellGenotype, kind: Region, named: dict[str, str]
) -> str:
    """The path of the first edge into `node` from value `number` that is not named yet."""
    values = _values(cell, kind)
    source = values[number] if 0 <= number < len(values) else None
    edges = [d for d in kind.decisions if d.source is not None and (d.node or d.path) == node]
    paths = [d.path for d in edges if d.source == source]
    if not paths:
        sources = dict.fromkeys(d.source for d in edges if d.source in values)
        known = ", ".join(f"{values.index(s)} (`{s}`)" for s in sources if s is not None)
        raise _MisfitError(
            f"`{node}` of `{kind.name}` has no edge from value {number}",
            f"its edges leave {known}" if known else f"in place of the number, `'{node}'`",
        )
    left = [path for path in paths if path not in named]
    if not left:
        raise _MisfitError(
            f"the edge from value {number} to `{node}` of `{kind.name}` is there twice"
        )
    return left[0]


def _values(cell: CellGenotype, kind: Region) -> tuple[str, ...]:
    """The values that numbers mean: in the order of the genotype, if it says one."""
    return cell.sources or kind.sources


def output_of(kind: Region) -> tuple[str, ...]:
    """The values a kind gives back, by name."""
    last = kind.output
    numbers = last.operands if isinstance(last, Join) and last.bound is None else kind.outputs
    names = [kind.node(number).bound for number in numbers]
    return tuple(name for name in names if name is not None)


def _check_sources(cell: CellGenotype, kind: Region) -> None:
    """What a genotype says of the sources, if anything, must be the cell's."""
    if cell.sources and sorted(cell.sources) != sorted(kind.sources):
        own = ", ".join(f"`{name}`" for name in kind.sources)
        raise _MisfitError(f"edges of `{kind.name}` leave {own}, the genotype says otherwise")


def _check_output(cell: CellGenotype, kind: Region) -> None:
    """What a genotype says of the output, if anything, must be what the cell gives back."""
    values = _values(cell, kind)
    numbers = [_number(name) for name in cell.output]
    names = [
        name if number is None or not 0 <= number < len(values) else values[number]
        for name, number in zip(cell.output, numbers, strict=True)
    ]
    if names and sorted(names) != sorted(output_of(kind)):
        given = ", ".join(f"`{name}`" for name in output_of(kind))
        raise _MisfitError(f"`{kind.name}` gives back {given}, the genotype says otherwise")


def _check(chosen: dict[str, str], kind: Region) -> None:
    decisions: dict[str, Decision] = {d.path: d for d in kind.decisions}
    for path, option in chosen.items():
        if path not in decisions:
            raise _MisfitError(f"`{kind.name}` decides no `{path}`", did_you_mean(path, decisions))
        _check_option(option, decisions[path], kind)
    found = Counter(decisions[path].node or path for path in chosen)
    for node, count in kept(kind).items():
        if found[node] != count:
            raise _MisfitError(
                f"`{node}` of `{kind.name}` keeps {count}, the genotype names {found[node]}"
            )


def _check_option(option: str, decision: Decision, kind: Region) -> None:
    one_of = "one of " + ", ".join(f"`{label}`" for label in decision.selectable)
    place = f"`{decision.path}` of `{kind.name}`"
    if not option:
        raise _MisfitError(f"{place} has no option", one_of)
    if option not in [label for label, _ in decision.options]:
        help = did_you_mean(option, decision.selectable) or one_of
        raise _MisfitError(f"{place} has no option `{option}`", help)
    if option not in decision.selectable:
        raise _MisfitError(f"`{option}` is a sink of {place}, so it cannot be selected", one_of)
