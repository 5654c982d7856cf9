"""`compiler.build`: from a file to a torch network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from compiler.codegen.names import attributes
from compiler.compile import Genes, compile_space, execute
from compiler.engine.recompute import budget_of
from compiler.ir import Scan
from compiler.passes import usual
from compiler.program import Program
from compiler.supernet import Supernet
from dsl.diagnostics import fault
from dsl.space import Space


def build(
    space: Space | str | Path,
    *,
    profile: str | None = None,
    genotype: Genes | None = None,
    passes: str | None = None,
    memory: str | int | None = None,
    auxiliary: bool = False,
    prune: bool = False,
    **overrides: Any,
) -> nn.Module:
    """The network a file describes.

    Without a genotype, its supernet (`compiler.Supernet`) in the search profile: `net(images)`
    gives logits [batch, classes], a recurrent `net(words, state)` logits [time, batch, words] and
    the state after them. With one, the final model in the final profile; `auxiliary=True` builds
    its auxiliary head too, and `forward` then returns a pair while training; `prune=True` leaves
    out layers that the function does not need (see `compiler.prune`).

    `passes` names the pipeline that a supernet goes through; `fast`, which it goes through where
    none is named, can be differentiated once. `memory` is what its values may take while training,
    as in "3 GB" or a number of bytes: what does not fit is computed again for the backward pass.
    "lean" computes again what costs little. Only `fast` keeps to it.

    `profile` names another
    profile of the file; `overrides` are profile values by name. Weights and alphas are drawn from
    torch's global generator.

    Raises:
        DartsError: for a fault of the file, the profile, an override or the genotype.
    """
    budget = budget_of(memory)
    if passes is None:
        passes = usual() if genotype is None else "none"
    compiled = compile_space(space, profile, genotype, passes, overrides, prune)
    classes = execute(compiled.source, f"<dartsc {compiled.program.name}>")
    if genotype is None:
        model = marked(classes["Supernet"](), compiled.program)
        return Supernet(model, compiled.program, compiled.flat, budget)
    options = {"auxiliary": True} if auxiliary else {}
    if auxiliary and not compiled.program.network.auxiliary:
        raise fault("E0712", "this network has no auxiliary output to build", None)
    return marked(classes["Network"](**options), compiled.program)


def marked(network: nn.Module, program: Program) -> nn.Module:
    """Tells a network which of its modules play a part of their own.

    In a recurrent one `recurrence` is the module that runs over time last, `readout` the layer that
    makes the output; their names, or an empty one where there is no such module. In any network
    `auxiliary_modules` are those of its auxiliary outputs.
    """
    region = program.network
    names = attributes(region)
    network.auxiliary_modules = tuple(  # type: ignore[assignment]
        dict.fromkeys(names[number] for number in sorted(region.heads()) if number in names)
    )
    scans = [number for number, node in region.nodes() if isinstance(node, Scan)]
    if scans:
        network.recurrence = names[scans[-1]]  # type: ignore[assignment]
        network.readout = names.get(region.outputs[0], "")  # type: ignore[assignment]
    return network
