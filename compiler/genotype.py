"""Genotypes: what was decided, as YAML, in the tuple form of DARTS and as a string.

The tuple form numbers the values that edges leave (the cell's inputs, then its nodes) and leaves
out which node an edge enters; it is understood together with a space. So is a string, which has no
name for its cell (see `compiler.arch_string`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from compiler.arch_string import UNNAMED, write
from compiler.decision import winners
from compiler.files import write_text
from compiler.genotype_text import read
from dsl.diagnostics import fault

MOST = 200_000
"""Characters in a genotype's file, as bytes in a space's."""
_NUMBER = re.compile(r"#(-?[0-9]{1,30})")


@dataclass(frozen=True)
class CellGenotype:
    """What one cell kind decided.

    `decisions` are (path, option) pairs, as ("n[0] from a", "sep_conv_3x3"); read from the tuple
    form the path of an edge is "#0", the number of the source. `sources` and `output` name the
    values that edges leave and that the cell gives back. Where several options are chosen, they
    stand in one, as "sep_conv_3x3 + skip_connect". A cell is `named` where the tuple form has whole
    paths, since numbers of sources would not tell its edges apart.
    """

    decisions: tuple[tuple[str, str], ...]
    sources: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    named: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True)
class Genotype:
    """What every cell kind of a space decided, by the kind's name; empty where a string has none.

    `name` is the file that it was read from, for messages, and empty where there is none.
    """

    cells: Mapping[str, CellGenotype]
    name: str = field(default="", compare=False, repr=False)

    @classmethod
    def load(cls, path: str | Path) -> Genotype:
        """Reads any form from a file.

        Raises:
            DartsError: when there is no such file or it holds no genotype.
        """
        try:
            with Path(path).open(encoding="utf-8") as file:
                text = file.read(MOST + 1)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise fault("E0801", f"cannot read the genotype `{path}`: {reason}", None) from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, name: str = "") -> Genotype:
        """Reads any form from a text; `name` is what messages call it.

        Raises:
            DartsError: when it holds no genotype.
        """
        if len(text) > MOST:
            raise fault("E0801", f"`{name}` is longer than {MOST:,} characters", None)
        return cls({kind: CellGenotype(*parts) for kind, parts in read(text, name).items()}, name)

    def save(self, path: str | Path, audit: Mapping[str, Any] | None = None) -> None:
        """Writes the tuple form where the file's name ends in `.txt`, a string where it ends in
        `.arch`, and else YAML, with the audit of a derivation below it.

        Raises:
            DartsError: when it has no string.
            OSError: when the file cannot be written.
        """
        forms = {".txt": self.__str__, ".arch": self.arch_string}
        form = forms.get(Path(path).suffix)
        if form is not None:
            write_text(Path(path), f"{form()}\n")
            return
        document: dict[str, Any] = {"cells": {}}
        for kind, cell in self.cells.items():
            numbered = any(number_of(path) is not None for path, _ in cell.decisions)
            document["cells"][kind] = {
                "decisions": _pairs(cell) if numbered else dict(cell.decisions),
                "sources": list(cell.sources),
                "output": list(cell.output),
            }
        if audit is not None:
            document["audit"] = dict(audit)
        write_text(Path(path), yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100))

    def counts(self) -> dict[str, int]:
        """How often each option was chosen, over all kinds; of several together, each."""
        chosen = (option for cell in self.cells.values() for _, option in cell.decisions)
        return dict(Counter(label for option in chosen for label in winners(option)))

    def _repr_svg_(self) -> str | None:
        """What a notebook shows: the cells, where the genotype alone tells them."""
        from compiler.pictures import of_genotype  # which reads genotypes

        return of_genotype(self)

    def arch_string(self) -> str:
        """The form of NAS-Bench-201, `|nor_conv_3x3~0|+|skip_connect~0|none~1|`.

        Raises:
            DartsError: when it has none: of several cells, of one with several inputs, and where
                it was read from the tuple form, which does not say which node an edge enters.
        """
        try:
            if len(self.cells) != 1:
                raise ValueError(f"it has {len(self.cells)} cells")
            ((_, cell),) = self.cells.items()
            return write(cell.decisions, cell.sources)
        except ValueError as error:
            message = f"this genotype cannot be written as a string: {error}"
            raise fault("E0802", message, None, "YAML, or the tuple form") from None

    def __str__(self) -> str:
        """The tuple form, `Genotype(normal=[('skip_connect', 0), …], normal_concat=…)`.

        What was read from a string is a string, since its cell has no name.
        """
        if UNNAMED in self.cells:
            return self.arch_string()
        parts = []
        for kind, cell in self.cells.items():
            pairs = [(op, path if cell.named else _edge(path, cell)) for path, op in cell.decisions]
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
    number = number_of(path)
    if number is not None or " from " not in path:
        return path if number is None else number
    position = _position(path.split(" from ")[-1], cell)
    return path if isinstance(position, str) else position


def _position(name: str, cell: CellGenotype) -> int | str:
    number = number_of(name)
    if number is not None:
        return number
    return cell.sources.index(name) if name in cell.sources else name


def number_of(name: str) -> int | None:
    """The number of a value that is written `#0`."""
    match = _NUMBER.fullmatch(name)
    return None if match is None else int(match[1])


def _range(numbers: list[Any]) -> str:
    whole = all(isinstance(n, int) for n in numbers)
    if whole and len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"range({numbers[0]}, {numbers[-1] + 1})"
    return repr(numbers)
