"""How time and memory of a search step grow with nodes, cells, width and candidates.

    python benchmarks/growth.py
    python benchmarks/growth.py --axis nodes

One size at a time is varied in a network of equal cells, whose candidates are separable
convolutions with weights of their own, so that nothing but the size changes. Every node has edges
from both inputs and all nodes before it. Memory is what a process takes on top of the program and
its libraries, at its peak. An exponent of 1 means in proportion; it is the slope of the logarithms.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from commands import parser
from networks import FAST, PLAIN, Subject, maker, subject
from pairs import alone, circumstances, compared

SPACE = """language 1
import std

set candidates = {{
    {candidates}
}}

cell normal(C) from before, last {{
    a = before -> project(C)
    b = last -> project(C)
    node n[{nodes}] = sum(each (a, b, earlier n) -> choose candidates)
    return concat(n)
}}

network(C, N, size, classes = 10) from image[3, size, size] to class[classes] {{
    stem = image -> conv(3, out: C) -> bn
    return (stem, stem) -> repeat N {{ normal(C) }} -> global_pool(mean) -> linear(classes)
}}
"""


@dataclass(frozen=True)
class Sizes:
    nodes: int = 4
    cells: int = 4
    width: int = 8
    candidates: int = 4
    side: int = 32
    batch: int = 16


AXES: Mapping[str, Sequence[int]] = {
    "nodes": (1, 2, 4, 8),
    "cells": (2, 4, 8, 16),
    "width": (4, 8, 16, 32),
    "candidates": (2, 4, 8, 16),
}
SMALL = Sizes(nodes=2, cells=2, width=8, candidates=2, side=16, batch=8)
SMALL_AXIS = (2, 4)
LEAST = Sizes(nodes=1, cells=1, width=2, candidates=2, side=4, batch=2)
NETWORKS = (PLAIN, FAST)


@dataclass(frozen=True)
class Row:
    """Seconds a step and MiB, of the plain supernet and the optimised one."""

    seconds: tuple[float, float]
    mebibytes: tuple[float, float]


def text(sizes: Sizes) -> str:
    options = ",\n    ".join(f"sep_conv(3) as conv_{n}" for n in range(sizes.candidates))
    return SPACE.format(candidates=options, nodes=sizes.nodes)


def measured(sizes: Sizes, rounds: int) -> Row:
    with TemporaryDirectory() as folder:
        of, least = (written(each, Path(folder)) for each in (sizes, LEAST))
        makes = {name: maker(name, of) for name in NETWORKS}
        peaks = [alone(make, maker(name, least)).added for name, make in makes.items()]
        pairs = compared(makes, PLAIN, rounds)
    plain, fast = (pairs[name].median for name in NETWORKS)
    return Row((plain, fast), (peaks[0], peaks[1]))


def written(sizes: Sizes, folder: Path) -> Subject:
    """A network of these sizes, in a file of its own."""
    path = folder / f"{'_'.join(f'{size}' for size in astuple(sizes))}.darts"
    path.write_text(text(sizes), encoding="utf-8")
    numbers = {"C": sizes.width, "N": sizes.cells, "size": sizes.side, "batch": sizes.batch}
    return subject(str(path), numbers)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the line through the logarithms that has the least squares."""
    x, y = ([math.log(number) for number in numbers] for numbers in (sizes, values))
    return statistics.linear_regression(x, y).slope


def report(axis: str, base: Sizes, steps: Sequence[int], rounds: int) -> None:
    print(
        f"\n{axis:<10} {'plain s':>9} {'fast s':>9} {'faster':>8} {'plain MiB':>10} "
        f"{'fast MiB':>9} {'of plain':>9}"
    )
    rows = []
    for size in steps:
        row = measured(replace(base, **{axis: size}), rounds)
        rows.append(row)
        (plain, fast), (most, less) = row.seconds, row.mebibytes
        print(
            f"{size:<10} {plain:>9.4f} {fast:>9.4f} {plain / fast:>7.2f}x {most:>10.0f} "
            f"{less:>9.0f} {less / most:>9.2f}",
            flush=True,
        )
    plain, fast = (exponent(steps, [row.seconds[i] for row in rows]) for i in (0, 1))
    most, less = (exponent(steps, [row.mebibytes[i] for row in rows]) for i in (0, 1))
    print(f"{'exponent':<10} {plain:>9.2f} {fast:>9.2f} {'':>8} {most:>10.2f} {less:>9.2f}")


def main() -> None:
    options = parser("How time and memory of a search step grow.", rounds=3)
    options.add_argument("--axis", choices=tuple(AXES), action="append", help="the only one to try")
    asked = options.parse_args()

    base = SMALL if asked.quick else Sizes()
    print(f"{circumstances()}, medians of {asked.rounds} rounds")
    print("around " + ", ".join(f"{name} {size}" for name, size in asdict(base).items()))
    for axis in asked.axis or AXES:
        report(axis, base, SMALL_AXIS if asked.quick else AXES[axis], asked.rounds)


if __name__ == "__main__":
    main()
