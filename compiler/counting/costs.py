"""Parameters and multiplications of final models, from what is known of their layers.

Nothing is built and torch is not needed. Layers on chosen edges count also where nothing reads
them or they read nothing but zeros, as benchmarks count; `pruned_…` are the numbers without those
(see `compiler.prune`). What stands before the choice of an edge that is not kept has weights, but
is not computed. The auxiliary head, which is for training alone, is counted apart.

Multiplications (`macs`) are those of convolutions, matrices and attention, for one image; for one
word, or one step of one stream, where the length is open until the network runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compiler.compile import Genes
from compiler.counting.amounts import Amount, amounts, headed
from compiler.counting.edges import before, idle
from compiler.facts import Facts
from compiler.fitting import resolve
from compiler.genotype import Genotype
from compiler.instantiate import instantiate
from compiler.measure import measure
from compiler.program import Program
from compiler.prune import prune
from compiler.specialise import Specialiser
from dsl.load import load
from dsl.space import Space


@dataclass(frozen=True)
class Cost:
    """What a final model comes to."""

    parameters: int
    """Trained numbers, the auxiliary head left out."""
    macs: int
    """Multiplications of convolutions and matrices, for one image or one word."""
    auxiliary_parameters: int
    """Trained numbers of the auxiliary head; 0 where there is none."""
    pruned_parameters: int
    pruned_macs: int

    def lines(self) -> Iterator[str]:
        yield f"parameters  {self.parameters:,}"
        yield f"MACs        {self.macs:,}"
        if self.auxiliary_parameters:
            yield f"auxiliary   {self.auxiliary_parameters:,} parameters more while training"
        if (self.pruned_parameters, self.pruned_macs) != (self.parameters, self.macs):
            yield f"pruned      {self.pruned_parameters:,} parameters, {self.pruned_macs:,} MACs"


def cost(
    space: Space | str | Path, genotype: Genes, profile: str | None = None, **overrides: Any
) -> Cost:
    """What the final model of a genotype comes to.

    Raises:
        DartsError: for a fault of the file, the profile, an override or the genotype.
    """
    space = space if isinstance(space, Space) else load(space)
    _, program, _ = measure(space, "final", profile, overrides)
    genotype = genotype if isinstance(genotype, Genotype) else Genotype.load(genotype)
    return priced(program, resolve(genotype, program.kinds))


def priced(program: Program, chosen: dict[str, dict[str, str]]) -> Cost:
    """What the final model comes to in which decisions have come out so, by kind and path."""
    whole, final, facts = walked(program, chosen)
    left = amounts(instantiate(prune(final)))
    auxiliary = headed(facts) - whole.parameters
    return Cost(whole.parameters, whole.macs, auxiliary, left.parameters, left.macs)


def walked(program: Program, chosen: dict[str, dict[str, str]]) -> tuple[Amount, Program, Facts]:
    """What the final model comes to that is not pruned, with that model and what is known of it."""
    specialiser = Specialiser(chosen)
    final = replace(program, network=specialiser.region(program.network))
    unused = {}
    for kind in program.kinds:
        if id(kind) not in specialiser.done:  # in options alone that were not chosen
            continue
        made = id(specialiser.done[id(kind)])
        origins = idle(before(kind), chosen[kind.name])
        unused[made] = frozenset(
            number for number, origin in enumerate(specialiser.origins[made]) if origin in origins
        )
    facts = instantiate(final)
    return amounts(facts, unused), final, facts
