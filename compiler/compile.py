"""From a file to the text of a network, its supernet or a final model; no torch here."""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.codegen.layout import docstring
from compiler.codegen.module import generate
from compiler.facts import Facts
from compiler.files import write_text
from compiler.fitting import resolve
from compiler.flat.nodes import FLAT
from compiler.genotype import Genotype
from compiler.instantiate import instantiate
from compiler.measure import measure
from compiler.passes import pipeline
from compiler.profile import Values
from compiler.program import Program, stacks
from compiler.prune import prune as pruned
from compiler.specialise import specialise
from compiler.verify import verify
from dsl.load import load
from dsl.space import Space

Genes = Genotype | str | Path


@dataclass(frozen=True)
class Compiled:
    """A program with the source generated from it, and laid out flat where the pipeline does so."""

    program: Program
    source: str
    values: Values
    flat: Program | None = None


def compile_space(
    space: Space | str | Path,
    profile: str | None = None,
    genotype: Genes | None = None,
    passes: str = "none",
    overrides: Mapping[str, Any] | None = None,
    prune: bool = False,
) -> Compiled:
    """A space to IR and source: the supernet, or the final model where a genotype is given.

    `prune` leaves out of a final model what it need not compute (see `compiler.prune`).

    Raises:
        DartsError: for a fault of the file, the profile, an override or the genotype.
    """
    values, program, facts = specialised(space, profile, genotype, overrides)
    if prune and genotype is not None:
        program = pruned(program)
        facts = instantiate(program)
    flat = None
    for _, stage in stages(program, passes):
        if stage.network.kind == FLAT:
            flat = stage
        else:
            program = stage
    source = generate(program, facts, _docstring(program, passes, prune))
    return Compiled(program, source, values, flat)


def specialised(
    space: Space | str | Path,
    profile: str | None = None,
    genotype: Genes | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> tuple[Values, Program, Facts]:
    """A space to IR before any pass, its choices replaced where a genotype is given.

    Raises:
        DartsError: for a fault of the file, the profile, an override or the genotype.
    """
    space = space if isinstance(space, Space) else load(space)
    phase = "search" if genotype is None else "final"
    values, program, facts = measure(space, phase, profile, overrides or {})
    if genotype is not None:
        genotype = genotype if isinstance(genotype, Genotype) else Genotype.load(genotype)
        program = specialise(program, resolve(genotype, program.kinds))
        facts = instantiate(program)
    return values, program, facts


def stages(program: Program, passes: str) -> Iterator[tuple[str, Program]]:
    """A program before any pass, under an empty name, then after each pass of a pipeline.

    Raises:
        DartsError: when there is no pipeline of that name.
    """
    verify(program)
    yield "", program
    for each in pipeline(passes):
        program = each.apply(program)
        verify(program, after=each.name)
        yield each.name, program


def emit(
    space: Space | str | Path,
    *,
    genotype: Genes,
    path: str | Path,
    profile: str | None = None,
    prune: bool = False,
    **overrides: Any,
) -> None:
    """Writes the final model as a standalone Python file that needs torch and nothing else.

    `prune` leaves out what it need not compute (see `compiler.prune`).

    Raises:
        DartsError: for a fault of the file, the profile, an override or the genotype.
        OSError: when the file cannot be written.
    """
    compiled = compile_space(space, profile, genotype, overrides=overrides, prune=prune)
    write_text(Path(path), compiled.source)


def execute(source: str, name: str) -> dict[str, Any]:
    """Runs generated source as a module; tracebacks show its lines."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "dartsc_generated"}
    exec(compile(source, name, "exec"), namespace)
    return namespace


def _docstring(program: Program, passes: str, prune: bool = False) -> str:
    profile = f", profile `{program.profile}`" if program.profile else ""
    file = docstring(f"{program.name}.darts{profile}")
    if program.phase == "final":
        kinds = [r for r in program.regions() if r.kind == "cell" and r.decided]
        where = "docstring of the cell" if len(kinds) == 1 else "docstrings of the cells"
        without = "Layers that nothing reads, or that make only zeros, are left out.\n" * prune
        return (
            f"The final network of {file}.\n\n"
            f"Written by dartsc from the genotype in the {where}; needs torch and nothing else.\n"
            f"{without}"
        )
    lines = [f"The supernet of {file}; written by dartsc, passes: {passes}.", ""]
    lines.append("The mixing weights come from outside, a row for each decision:")
    lines.append("")
    for kind in program.kinds:
        groups = stacks(kind.decisions)
        sizes = ", ".join(f"[{len(g)}, {len(kind.decisions[g[0]].options)}]" for g in groups)
        ends = dict.fromkeys([kind.decisions[0].path, kind.decisions[-1].path])
        lines.append(f"    {kind.name} {sizes}: {', … '.join(ends)}")
    return "\n".join(lines) + "\n"
