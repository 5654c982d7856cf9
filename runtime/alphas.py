"""The alphas of a search, at any of its epochs, or of any file that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import dsl
from compiler.ir import Region
from compiler.measure import measure
from compiler.program import stacks
from dsl.settings import Value
from dsl.space import Space
from runtime.errors import UserError
from runtime.reopening import request_of
from runtime.rundir import SEARCH, TRAIN, open_folder
from runtime.search_request import SearchRequest
from runtime.state import under
from runtime.weights import Weights

Rows = dict[str, list[list[float]]]  # by kind, a row for each decision


@dataclass(frozen=True)
class Searched:
    """A space's cell kinds, in the sizes that were searched, and their alphas after `epoch`."""

    kinds: tuple[Region, ...]
    alphas: Rows
    epoch: int | None


def of_run(folder: str | Path, epoch: int | None = None) -> Searched:
    """Those of a search, finished or still running, after an epoch; None is the last one.

    Raises:
        UserError: when the folder is no search's, or has no such epoch.
    """
    opened = open_folder(folder)
    record = opened.read_settings()
    if record.get("job") != SEARCH:
        what = "a training" if record.get("job") == TRAIN else "no search"
        raise UserError(f"{opened.path} is {what}: only a search has alphas to derive from")
    request = request_of(opened, SearchRequest)
    lines = {line["epoch"]: line for line in opened.read_metrics() if "alphas" in line}
    if not all(_is_named(line["alphas"]) for line in lines.values()):
        raise opened.damaged_metrics()
    if not lines:
        raise UserError(f"{opened.path} has no alphas yet: its first epoch is not over")
    wanted = max(lines) if epoch is None else epoch
    if wanted not in lines:
        known = f"1 to {max(lines)}" if len(lines) > 1 else str(max(lines))
        raise UserError(f"{opened.path} has no epoch {wanted}: it has {known}")
    values = {**request.overrides, **request.fitted}
    kinds = _kinds(request.space, request.profile, values)
    return Searched(kinds, _rows(kinds, lines[wanted]["alphas"], str(opened.path)), wanted)


def of_file(
    space: str | Path, path: Path, profile: str | None = None, **overrides: Value
) -> Searched:
    """Those in a safetensors file: a supernet's state dict, or a checkpoint of a search.

    Raises:
        UserError: when the file holds none, or those of another space.
        dsl.DartsError: when the space or an override is at fault.
    """
    tensors = Weights.read(path).tensors
    for prefix in ("net.alphas.", "alphas."):
        tensors = under(prefix, tensors) or tensors
    named = {
        name: tensor.tolist()
        for name, tensor in tensors.items()
        if tensor.ndim == 2 and tensor.is_floating_point()
    }
    kinds = _kinds(dsl.load(space), profile, overrides)
    return Searched(kinds, _rows(kinds, named, str(path)), None)


def _is_named(alphas: object) -> bool:
    """Whether these are lists of rows of numbers, by name."""
    return isinstance(alphas, dict) and all(
        isinstance(rows, list)
        and all(isinstance(row, list) and all(type(n) in (int, float) for n in row) for row in rows)
        for rows in alphas.values()
    )


def _kinds(space: Space, profile: str | None, values: Mapping[str, Any]) -> tuple[Region, ...]:
    _, program, _ = measure(space, "search", profile, values)
    return tuple(program.kinds)


def _rows(
    kinds: Iterable[Region], named: Mapping[str, Sequence[Sequence[float]]], place: str
) -> Rows:
    """By kind, from the names that a supernet gives its parameters."""
    rows: Rows = {}
    for kind in kinds:
        rows[kind.name] = []
        for number, stack in enumerate(stacks(kind.decisions)):
            name = f"{kind.name}_{number}"
            shape = len(stack), len(kind.decisions[stack[0]].options)
            found = named.get(name)
            if found is None:
                raise UserError(f"{place} has no alphas `{name}`: they are not of this space")
            if [len(row) for row in found] != [shape[1]] * shape[0]:
                columns = len(found[0]) if found else 0
                raise UserError(
                    f"the alphas `{name}` in {place} are {len(found)}×{columns}, and this "
                    f"space has {shape[0]}×{shape[1]}"
                )
            if not all(isfinite(alpha) for row in found for alpha in row):
                raise UserError(f"the alphas `{name}` in {place} are not all finite numbers")
            rows[kind.name] += [[float(alpha) for alpha in row] for row in found]
    return rows
