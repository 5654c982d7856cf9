"""A whole network in the IR, and what is done to all of its regions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from compiler.decision import Decision, Keep, holds
from compiler.expr import symbols
from compiler.ir import (
    Call,
    Choice,
    Inline,
    Input,
    Region,
    Repeat,
    Scan,
    Select,
    Step,
    children,
)
from dsl.diagnostics import Diagnostic


@dataclass(frozen=True)
class Program:
    """A whole network in one phase: its network region and the values of its parameters."""

    name: str
    phase: str
    profile: str
    network: Region
    values: Mapping[str, Any]
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)

    def regions(self) -> list[Region]:
        """All regions reachable from the network, each after those it uses; branches included."""
        found: dict[int, Region] = {}

        def visit(region: Region) -> None:
            if id(region) in found:
                return
            for inner in children(region):
                visit(inner)
            found[id(region)] = region

        visit(self.network)
        return list(found.values())

    @property
    def open_sizes(self) -> tuple[str, ...]:
        """Sizes of the network's inputs that stay open until it runs, such as a length."""
        sizes = [s for _, n in self.network.inputs for size in n.shape for s in symbols(size)]
        return tuple(dict.fromkeys(s for s in sizes if s not in self.values))

    @property
    def kinds(self) -> list[Region]:
        """The cell kinds that decide something, and the network if it does, in file order."""
        kinds = [r for r in self.regions() if r.kind in ("cell", "network") and r.decisions]
        return sorted(kinds, key=lambda region: region.order)


def rewritten(region: Region, change: Callable[[Region], None]) -> Region:
    """A copy of a region and of all regions it uses, each changed after those it uses."""
    done: dict[int, Region] = {}

    def copied(old: Region) -> Region:
        if id(old) not in done:
            new = copy(old)
            new.values = dict(old.values)
            new.forget()
            new.options = tuple(replace(o, body=copied(o.body)) for o in old.options)
            for number, node in old.nodes():
                match node:
                    case Call() | Inline() | Choice() | Scan():
                        new.replace(number, region=copied(node.region))
                    case Select():
                        then, otherwise = copied(node.then), copied(node.otherwise)
                        new.replace(number, then=then, otherwise=otherwise)
                    case Repeat():
                        steps = tuple(replace(s, body=copied(s.body)) for s in node.steps)
                        new.replace(number, steps=steps)
            change(new)
            done[id(old)] = new
        return done[id(old)]

    return copied(region)


def is_cell_call(step: Step) -> bool:
    """Whether a step of a repeat is one cell."""
    nodes = [n for _, n in step.body.nodes() if not isinstance(n, Input)]
    return len(nodes) == 1 and isinstance(nodes[0], Call) and nodes[0].region.kind == "cell"


def kept(kind: Region) -> dict[str, int]:
    """How many edges each node of a kind keeps at most, in the order of the program.

    What is decided within an option of another decision is a part of that.
    """
    edges = Counter(d.place for d in kind.decisions if not d.within)
    most = None if kind.keep is None else kind.keep.count
    return {node: count if most is None else min(most, count) for node, count in edges.items()}


def ranked(decision: Decision, keep: Keep) -> int:
    """How many things a kind's `keep` ranks of a decision: 0 where it stands on no edge."""
    if decision.node is None or decision.within:
        return 0
    return len(decision.selectable) if keep.unit == "candidates" else 1


def kept_in_all(kind: Region) -> int:
    """How many edges, or candidates, a kind keeps at most over all nodes: at least one for each."""
    assert kind.keep is not None
    nodes = {d.node for d in kind.decisions if ranked(d, kind.keep)}
    there = sum(ranked(d, kind.keep) for d in kind.decisions)
    return there if kind.keep.count is None else min(max(kind.keep.count, len(nodes)), there)


def is_fixed(kind: Region) -> bool:
    """Whether every node of a kind keeps as many edges as `kept` says, whatever is derived."""
    keep = kind.keep
    return keep is None or (keep.unit, keep.in_all, keep.above) == ("edges", False, None)


def is_made(decision: Decision, chosen: Mapping[str, str]) -> bool:
    """Whether a decision is made at all where others have come out so (options by path)."""
    return holds(decision.within, chosen)


def stacks(decisions: tuple[Decision, ...]) -> list[list[int]]:
    """Decisions by their numbers, neighbours of one kind with equally many options together.

    Each group shares a tensor of alphas, [decisions, options].
    """
    groups: list[list[int]] = []
    for number, decision in enumerate(decisions):
        last = groups[-1][-1] if groups else None
        if last is not None and _alike(decisions[last], decision):
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def _alike(one: Decision, other: Decision) -> bool:
    """Whether two decisions have equally many options, whose weights compete or do not."""
    competes = (one.above is None) == (other.above is None)
    return competes and len(one.options) == len(other.options)
