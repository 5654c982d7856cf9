"""Which values of a final region its outputs need: what is read, and is not zeros.

Zeros that are added to something change nothing, and what makes nothing but zeros need not be
computed. A value is known to be zeros where it comes from `zero` through what is linear without a
bias or keeps zero as it is (for finite weights). Not through `bn`, which shifts them, not even
without affine parameters, since its running mean may be anything; not through `sigmoid`; and not
through cells and recurrences, which are taken to give anything and to read all they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from compiler import layers
from compiler.expr import Const
from compiler.ir import (
    Call,
    Elementwise,
    Inline,
    Input,
    Join,
    Layer,
    Node,
    Part,
    Region,
    Repeat,
    Scan,
    Select,
    Tap,
)

LINEAR = frozenset({"conv", "depthwise", "conv_transpose", "linear"})


class Zeros(IntEnum):
    """When a value is zeros."""

    UNKNOWN = 0
    KEPT = 1
    """Where all it reads is zeros."""
    ALWAYS = 2


@dataclass
class Rules:
    """When values are zeros, remembered for regions, since ops of ops come by many ways."""

    known: dict[int, Zeros] = field(default_factory=dict)

    def of(self, node: Node) -> Zeros:
        match node:
            case Layer(layer="zero"):
                return Zeros.ALWAYS
            case Layer(layer=layer, arguments=arguments):
                linear = layer in LINEAR and dict(arguments)["bias"] == Const(False)
                return Zeros.KEPT if linear or layer in layers.KEEPS_ZEROS else Zeros.UNKNOWN
            case Elementwise(number=None, operator=operator):
                return Zeros.UNKNOWN if operator == "/" else Zeros.KEPT
            case Elementwise(operator=operator, swapped=swapped):
                scales = operator == "*" or (operator == "/" and not swapped)
                return Zeros.KEPT if scales else Zeros.UNKNOWN
            case Call(region=region) | Inline(region=region):
                return self.of_region(region)
            case Select():
                return min(self.of_region(node.then), self.of_region(node.otherwise))
            case Repeat():
                return min(self.of_region(step.body) for step in node.steps)
            case Join() | Part() | Tap():
                return Zeros.KEPT
        return Zeros.UNKNOWN

    def of_region(self, region: Region) -> Zeros:
        """When a region's output is zeros."""
        if region.kind == "cell" or region.states is not None:
            return Zeros.UNKNOWN
        if id(region) not in self.known:
            found = (rule for rule in (Zeros.ALWAYS, Zeros.KEPT) if self._gives_zeros(region, rule))
            self.known[id(region)] = next(found, Zeros.UNKNOWN)
        return self.known[id(region)]

    def _gives_zeros(self, region: Region, rule: Zeros) -> bool:
        """Whether the output is zeros: `KEPT` takes the inputs for zeros."""
        zeros: set[int] = set()
        for number, node in region.nodes():
            if isinstance(node, Input):
                is_zero = rule is Zeros.KEPT
            else:
                own = self.of(node)
                kept = own is Zeros.KEPT and zeros.issuperset(node.operands)
                is_zero = kept or own is Zeros.ALWAYS
            if is_zero:
                zeros.add(number)
        return region.outputs[0] in zeros


def _keeps_shape(node: Node, operand: Node) -> bool:
    """Whether a value has the shape of one that it reads."""
    match node:
        case Join(how=how):
            return how != "concat"
        case Elementwise():
            return len(node.shape) == len(operand.shape)
    return node.shape == operand.shape


@dataclass(frozen=True)
class Needed:
    """What is left of a region.

    `same` is, for every value, the one that it is: itself, or the only one that a sum is left with.
    `reads` are the values that one reads, `live` those that reach an output, `heads` those of them
    that reach the auxiliary output alone.
    """

    same: Mapping[int, int]
    reads: Mapping[int, tuple[int, ...]]
    live: frozenset[int]
    heads: frozenset[int]


def needed(region: Region) -> Needed:
    """What the outputs of a region need."""
    flow = _Flow(region)
    for number, node in region.nodes():
        flow.add(number, node)
    states = (i for i, n in region.nodes() if isinstance(n, Scan) and n.region.states)
    live = flow.reaching([*region.outputs, *states])
    heads = flow.reaching(region.auxiliary) - live
    return Needed(flow.same, flow.reads, frozenset(live | heads), frozenset(heads))


class _Flow:
    def __init__(self, region: Region) -> None:
        self.region, self.rules = region, Rules()
        self.same: dict[int, int] = {}
        self.reads: dict[int, tuple[int, ...]] = {}
        self.twins: dict[int, int] = {}
        """For some values, one that they read and that has the same shape."""
        self.zeros: set[int] = set()

    def add(self, number: int, node: Node) -> None:
        operands = node.operands
        if isinstance(node, Join) and node.how == "sum":
            rest = tuple(o for o in operands if self.same[o] not in self.zeros)
            operands = rest or operands[:1]
        reads = tuple(self.same[operand] for operand in operands)
        if isinstance(node, Join) and len(reads) == 1:
            self.same[number] = reads[0]
            return
        alike = (self.same[o] for o in operands if _keeps_shape(node, self.region.node(o)))
        twin = next(alike, None)
        rule = self.rules.of(node)
        is_zero = rule is Zeros.ALWAYS or (rule is Zeros.KEPT and self.zeros.issuperset(reads))
        if is_zero and rule is Zeros.KEPT and twin is not None:
            self.same[number] = twin
            return
        if is_zero:
            self.zeros.add(number)
        if isinstance(node, Layer) and node.layer == "zero":
            reads = (self.first_alike(reads[0]),)
        self.same[number] = number
        self.reads[number] = reads
        if twin is not None:
            self.twins[number] = twin

    def first_alike(self, number: int) -> int:
        """Zeros read no more than a shape: the first value on the way that has the same."""
        while number in self.twins:
            number = self.twins[number]
        return number

    def reaching(self, ends: Iterable[int]) -> set[int]:
        waiting = [self.same[end] for end in ends]
        found = set(waiting)
        while waiting:
            for operand in self.reads[waiting.pop()]:
                if operand not in found:
                    found.add(operand)
                    waiting.append(operand)
        return found
