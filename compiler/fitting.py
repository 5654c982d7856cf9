"""Genotypes against a space: which option every decision has that is left.

A genotype in the tuple form numbers values, and one that was a string numbers nodes too; here the
space says what they mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice

from compiler.arch_string import UNNAMED
from compiler.decision import Decision, together, winners
from compiler.genotype import CellGenotype, Genotype, number_of
from compiler.ir import Join, Region
from compiler.program import is_fixed, is_made, kept, kept_in_all, ranked
from dsl.diagnostics import did_you_mean, fault


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
    cells = dict(genotype.cells)
    if UNNAMED in cells:
        cells = _of_string(cells[UNNAMED], known)
    for name in cells:
        if name not in known:
            raise _MisfitError(f"the space has no cell `{name}`", did_you_mean(name, known))
    chosen = {}
    for name, kind in known.items():
        if name not in cells:
            raise _MisfitError(f"the genotype says nothing about cell `{name}`")
        cell = cells[name]
        _check_sources(cell, kind)
        chosen[name] = _in_order(_named(cell, kind), kind)
        _check(chosen[name], kind)
        _check_output(cell, kind)
    return chosen


def _of_string(cell: CellGenotype, known: dict[str, Region]) -> dict[str, CellGenotype]:
    """The decisions of a string under the names that the only cell of a space has for them."""
    if len(known) != 1:
        message = f"it is a string and names no cell, the space decides {len(known)}"
        raise _MisfitError(message, "YAML, or the tuple form")
    ((name, kind),) = known.items()
    nodes = list(kept(kind))
    if len(nodes) != len(cell.sources) - 1:
        raise _MisfitError(f"`{name}` has {len(nodes)} nodes, the string {len(cell.sources) - 1}")
    inputs = [value for value in kind.sources if value not in nodes]
    if len(inputs) != 1:
        message = f"a string is of a cell with one input, edges of `{name}` leave {len(inputs)}"
        raise _MisfitError(message, "YAML, or the tuple form")
    values = dict(zip(cell.sources, [*inputs, *nodes], strict=True))
    ends = [(*path.split(" from "), option) for path, option in cell.decisions]
    decisions = tuple(
        (f"{values[node]} from {values[source]}", option) for node, source, option in ends
    )
    return {name: CellGenotype(decisions)}


def _named(cell: CellGenotype, kind: Region) -> dict[str, str]:
    """Decisions by path; numbered sources are told apart by the edges each node keeps."""
    named: dict[str, str] = {}
    for path, option in cell.decisions:
        if number_of(path) is None and path in named:
            raise _MisfitError(f"`{path}` of `{kind.name}` is there twice")
        if number_of(path) is None:
            named[path] = option
    numbered = [
        (n, option) for path, option in cell.decisions if (n := number_of(path)) is not None
    ]
    wanted = sum(kept(kind).values())
    if numbered and is_named(kind):
        message = f"the number of its source does not tell an edge of `{kind.name}` from others"
        raise _MisfitError(message, "its path, as in YAML")
    inner = {decision.path for decision in kind.decisions if decision.within}
    given = sum(path not in inner for path, _ in cell.decisions)
    if numbered and given != wanted:
        raise _MisfitError(f"`{kind.name}` keeps {wanted} edges, the genotype names {given}")
    nodes = {d.path: d.place for d in kind.decisions if not d.within}
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
    edges = [d for d in kind.decisions if d.source is not None and d.place == node]
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


def cell_of(kind: Region, chosen: Mapping[str, str]) -> CellGenotype:
    """The genotype of a kind whose decisions, by their paths, have come out so."""
    paths = [decision.path for decision in kind.decisions]
    decisions = tuple((path, chosen[path]) for path in paths if path in chosen)
    return CellGenotype(decisions, kind.sources, output_of(kind), is_named(kind))


def is_named(kind: Region) -> bool:
    """Whether a number does not tell an edge of a kind from others, so that its path must.

    That is so where nodes may keep more edges or fewer, and where edges hang on decisions.
    """
    return not is_fixed(kind) or any(d.within and d.source is not None for d in kind.decisions)


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
    """What a genotype says of the output, if anything, must be what the cell gives back.

    A search network may give back more, where the file says so.
    """
    values = _values(cell, kind)
    numbers = [number_of(name) for name in cell.output]
    names = [
        name if number is None or not 0 <= number < len(values) else values[number]
        for name, number in zip(cell.output, numbers, strict=True)
    ]
    if names and not Counter(output_of(kind)) <= Counter(names):
        given = ", ".join(f"`{name}`" for name in output_of(kind))
        raise _MisfitError(f"`{kind.name}` gives back {given}, the genotype says otherwise")


def _check(chosen: dict[str, str], kind: Region) -> None:
    decisions: dict[str, Decision] = {d.path: d for d in kind.decisions}
    for path, option in chosen.items():
        if path not in decisions:
            raise _MisfitError(f"`{kind.name}` decides no `{path}`", did_you_mean(path, decisions))
        _check_option(option, decisions[path], kind)
    _check_kept(chosen, kind)
    for decision in kind.decisions:
        if decision.within and is_made(decision, chosen) != (decision.path in chosen):
            (outer, labels) = decision.within[-1]
            place = f"`{decision.path}` of `{kind.name}`"
            named = " or ".join(f"`{label}`" for label in sorted(labels))
            if decision.path in chosen:
                raise _MisfitError(f"{place} is decided only where `{outer}` is {named}")
            raise _MisfitError(f"{place} is not decided, and `{outer}` is {named}")


def _check_kept(chosen: dict[str, str], kind: Region) -> None:
    """Every node has as many edges as `keep` says, or candidates where these are kept."""
    outer = {d.path: d for d in kind.decisions if not d.within}
    by_candidate = kind.keep is not None and kind.keep.unit == "candidates"
    found: Counter[str] = Counter()
    for path, option in chosen.items():
        if path in outer:
            on_edge = outer[path].node is not None
            found[outer[path].place] += len(winners(option)) if by_candidate and on_edge else 1
    if kind.keep is None or is_fixed(kind):
        for node, count in kept(kind).items():
            if found[node] != count:
                message = f"`{node}` of `{kind.name}` keeps {count}"
                raise _MisfitError(f"{message}, the genotype names {found[node]}")
        return
    keep = kind.keep
    edges = {d.node for d in outer.values() if ranked(d, keep)}
    for node in kept(kind):
        least, most = 1, keep.count if node in edges else 1
        if keep.in_all and node in edges:
            most = None
        if keep.above is None and not keep.in_all and by_candidate and node in edges:
            own = [len(d.selectable) for d in outer.values() if d.place == node]
            least = min(keep.count or 1, sum(own))
        if found[node] < least or (most is not None and found[node] > most):
            limits = f"at least {least}" if most is None else f"{least} to {most}"
            message = f"`{node}` of `{kind.name}` keeps {limits} {keep.unit}"
            raise _MisfitError(f"{message}, the genotype names {found[node]}")
    if keep.in_all and keep.count is not None:
        total, wanted = sum(found[str(node)] for node in edges), kept_in_all(kind)
        if total > wanted or (keep.above is None and total < wanted):
            message = f"`{kind.name}` keeps {wanted} {keep.unit} in all"
            raise _MisfitError(f"{message}, the genotype names {total}")


def _in_order(chosen: dict[str, str], kind: Region) -> dict[str, str]:
    """Options that are chosen together stand in the order of the file."""
    places = {
        d.path: {label: number for number, (label, _) in enumerate(d.options)}
        for d in kind.decisions
    }
    return {
        path: together(sorted(winners(option), key=lambda o: places.get(path, {}).get(o, 0)))
        for path, option in chosen.items()
    }


def _check_option(option: str, decision: Decision, kind: Region) -> None:
    one_of = "one of " + ", ".join(f"`{label}`" for label in decision.selectable)
    place = f"`{decision.path}` of `{kind.name}`"
    given = winners(option)
    if not given and decision.least:
        raise _MisfitError(f"{place} has no option", one_of)
    for label in given:
        if label not in [own for own, _ in decision.options]:
            help = did_you_mean(label, decision.selectable) or one_of
            raise _MisfitError(f"{place} has no option `{label}`", help)
        if label not in decision.selectable:
            raise _MisfitError(f"`{label}` is a sink of {place}, so it cannot be selected", one_of)
    if len(set(given)) < len(given):
        raise _MisfitError(f"{place} has an option twice", one_of)
    least, most = decision.least, decision.most
    if kind.keep is not None and kind.keep.unit == "candidates" and ranked(decision, kind.keep):
        least, most = 1, len(decision.selectable)
    if not least <= len(given) <= most:
        many = str(least) if least == most else f"{least} to {most}"
        raise _MisfitError(f"{place} has {many} of its options, the genotype names {len(given)}")
