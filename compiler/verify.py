"""What legal IR is. Runs after lowering and after every pass; a violation is a bug of ours."""

from __future__ import annotations

from compiler.expr import Symbol, symbols
from compiler.flat.nodes import FLAT
from compiler.ir import (
    Call,
    Input,
    Layer,
    Node,
    Region,
    Repeat,
    Scan,
    Tap,
    children,
    choices,
    expressions,
)
from compiler.program import Program


class IllegalIR(AssertionError):
    """A broken invariant, with the region it was found in."""


def verify(program: Program, after: str = "lowering") -> None:
    """Raises:
    IllegalIR: naming the invariant that does not hold, and the pass it was found after.
    """
    try:
        _program(program)
    except IllegalIR as error:
        raise IllegalIR(f"{error} (after {after})") from None


def _program(program: Program) -> None:
    for region in program.regions():
        _region(region)
    names = [r.name for r in program.regions() if not r.is_branch]
    _require(len(names) == len(set(names)), program.network, "declared regions have one name each")


def _region(region: Region) -> None:
    _require(bool(region.outputs), region, "a region has an output")
    numbers = list(region.values)
    _require(numbers == list(range(len(numbers))), region, "values are numbered in program order")
    for number, node in region.nodes():
        _require(
            all(o < number for o in node.operands), region, f"value {number} reads earlier ones"
        )
        _require(
            isinstance(node, Input) or bool(node.operands), region, f"value {number} reads one"
        )
    if region.states is not None:
        _require(len(region.outputs) == max(region.states, 1), region, "states are given back")
    elif region.kind == "network":
        promised = len(region.outputs) == len(region.promises)
        _require(promised, region, "a network gives back what it promises")
    elif region.kind != FLAT:
        _require(len(region.outputs) == 1, region, "a region has one output")
    if not region.is_branch:
        _decided(region)
        _closed(region)
        _shared(region)


def _decided(region: Region) -> None:
    """Choices, in branches too, obey decisions of the declared region that they stand in."""
    known = {decision.path: decision for decision in region.decisions}
    _require(len(known) == len(region.decisions), region, "decisions have one path each")
    for _, _, node in choices(region):
        _require(node.decision in known, region, f"`{node.decision}` is listed")
        outcomes = tuple((option.label, option.sink) for option in node.region.options)
        listed = known[node.decision].options
        _require(outcomes == listed, region, f"`{node.decision}` has the options that are listed")


def _closed(region: Region) -> None:
    """A declared region reads no symbols but its own."""
    own = set(region.parameters) | {"step", "stage"}
    own |= {s.name for _, n in region.inputs for s in n.shape if isinstance(s, Symbol)}

    def check(inner: Region, known: set[str]) -> None:
        known = set(known)
        for _, node in inner.nodes():
            if isinstance(node, Repeat | Tap):
                known |= {s.name for s in node.shape if isinstance(s, Symbol)}
            for value in expressions(node):
                free = set(symbols(value)) - known
                _require(not free, region, f"symbols are bound: {', '.join(sorted(free))}")
            if isinstance(node, Repeat):
                sizes = {f"{w}_{d}" for w in node.window for d in "chw"}
                for step in node.steps:
                    check(step.body, known | sizes)
        for child in children(inner):
            if child.is_branch and child.name != "step":
                check(child, known)

    check(region, own)
    for _, node in region.nodes():
        if isinstance(node, Call | Scan):
            given, wanted = {n for n, _ in node.arguments}, set(node.region.parameters)
            _require(given == wanted, region, f"`{node.region.name}` is given what it takes")


def _shared(region: Region) -> None:
    """What bears one name in `shared` is one and the same thing."""
    first: dict[str, Node] = {}

    def check(inner: Region) -> None:
        for _, node in inner.nodes():
            if node.shared:
                other = first.setdefault(node.shared, node)
                same = type(other) is type(node) and _made_of(other) == _made_of(node)
                _require(same, region, f"`{node.shared}` is one thing")
        for child in children(inner):
            if child.is_branch:
                check(child)

    check(region)


def _made_of(node: Node) -> tuple[object, ...]:
    """What a node is made with; how much of a window counts is said when it is called."""
    what = node.layer if isinstance(node, Layer) else id(getattr(node, "region", None))
    arguments = dict(getattr(node, "arguments", ()))
    for how_much in ("active", "centre"):  # in which the uses of one layer may differ
        arguments.pop(how_much, None)
    return what, arguments


def _require(holds: bool, region: Region, invariant: str) -> None:
    if not holds:
        raise IllegalIR(f"in {region.kind} `{region.name}`: {invariant}")
