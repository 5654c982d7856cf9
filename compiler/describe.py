"""What a file describes, in words and numbers, without building anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from compiler.counting.architectures import architectures, ways
from compiler.decision import Decision, Keep
from compiler.ir import Region
from compiler.measure import measure
from compiler.profile import PHASES, values_of
from compiler.suspect import suspects
from dsl.diagnostics import Collector, DartsError, Diagnostic
from dsl.space import Space

TOO_MUCH = "E0103"


@dataclass(frozen=True)
class Description:
    """A file's network, its cell kinds, how many architectures there are, and what they weigh."""

    inputs: str
    outputs: str
    kinds: tuple[Region, ...]
    architectures: int
    weights: int
    profile: str

    def lines(self) -> Iterator[str]:
        yield f"network   {self.inputs} -> {self.outputs}"
        for kind in self.kinds:
            yield f"{kind.kind:<10}{_kind(kind)}"
        for choose in dict.fromkeys(_choose(d) for k in self.kinds for d in k.decisions):
            yield f"choose    {choose}"
        total = counted(self.architectures, "architecture")
        per_kind = " x ".join(f"{ways(kind):,} {kind.name}" for kind in self.kinds)
        yield f"describes {total}" + (f" = {per_kind}" if per_kind else "")
        where = f" in profile `{self.profile}`" if self.profile else ""
        yield f"supernet  {self.weights:,} weights{where}"


def check(space: Space) -> tuple[Diagnostic, ...]:
    """Lowers a space in every profile and phase and infers all shapes; gives its warnings.

    Raises:
        DartsError: with every fault, one of a kind at one place once.
    """
    if space.network is None:
        return space.warnings
    collector = Collector()
    searched = []
    known = []
    for phase, profile in _ways(space):
        try:
            values = values_of(space, phase, profile, {})
            if (phase, values.parameters, values.has_auxiliary) in known:
                continue
            known.append((phase, values.parameters, values.has_auxiliary))
            _, program, _ = measure(space, phase, profile, {})
        except DartsError as error:
            for found in error.diagnostics:
                # what the search network has too is known by now
                where = " (in the final network)" if phase == "final" else ""
                collector.take(replace(found, message=found.message + where))
            if any(d.code == TOO_MUCH for d in error.diagnostics):
                break  # it would take as long in every phase
        else:
            searched += [program] * (phase == "search")
    collector.raise_if_any()
    for warning in (*space.warnings, *suspects(space, searched)):
        collector.take(warning)
    return collector.warnings


def _ways(space: Space) -> Iterator[tuple[str, str | None]]:
    """The phases and profiles in which a space can be built, the plain ones first."""
    for phase in PHASES:
        yield phase, None
    for name, profile in space.profiles.items():
        if name not in PHASES:
            yield from ((phase, name) for phase in PHASES if profile.phase in (phase, None))


def describe(space: Space, profile: str | None, overrides: dict[str, object]) -> Description:
    """Describes the search phase of a space.

    Raises:
        DartsError: for a fault of the file or an override.
    """
    values, program, facts = measure(space, "search", profile, overrides)
    network = space.network
    assert network is not None
    sizes = {name: str(value) for name, value in values.parameters.items()}
    return Description(
        ", ".join(_with_sizes(i.span.text, sizes) for i in network.inputs),
        ", ".join(_with_sizes(o.span.text, sizes) for o in network.outputs),
        tuple(program.kinds),
        architectures(program.kinds),
        facts.weights,
        values.profile,
    )


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)


def _kind(kind: Region) -> str:
    inputs = ", ".join(node.name for _, node in kind.inputs)
    outer = [d for d in kind.decisions if not d.within]
    edges = [d for d in outer if d.source is not None]
    nodes = {d.place for d in edges}
    rest, inner = len(outer) - len(edges), len(kind.decisions) - len(outer)
    parts = []
    if edges:
        parts.append(f"{counted(len(edges), 'edge')} into {counted(len(nodes), 'node')}")
    if kind.keep is not None:
        parts.append(_kept(kind.keep))
    if rest:
        parts.append(counted(rest, "decision"))
    if inner:
        parts.append(f"{counted(inner, 'decision')} within options")
    return f"{kind.name} from {inputs}: {', '.join(parts)}"


def _choose(decision: Decision) -> str:
    """What is chosen of which options, in the words of the file."""
    labels = ", ".join(f"sink {label}" if sink else label for label, sink in decision.options)
    least, most = decision.least, decision.most
    if decision.above is not None:
        return f"{least}..{most} of {labels} above {decision.above:g}"
    return labels if most == 1 else f"{most} of {labels}"


def _kept(keep: Keep) -> str:
    count = "" if keep.count is None else f"{keep.count} "
    unit = "candidates " * (keep.unit == "candidates")
    where = " in all" if keep.in_all else "" if keep.count is None else " per node"
    above = "" if keep.above is None else f" above {keep.above:g}"
    return f"{count}{unit}kept{where} by {keep.strength}{above}"


def _with_sizes(pattern: str, sizes: dict[str, str]) -> str:
    """`image[channels, size, size]` with the sizes filled in: `image[3, 32, 32]`."""
    return re.sub(r"\w+", lambda word: sizes.get(word.group(), word.group()), pattern)
