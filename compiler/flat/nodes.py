"""What stands in a flat region besides layers, joins and arithmetic.

In a flat region nothing is called, selected, repeated or chosen any more: a layer's `name` is the
path of its module in the `state_dict`, and all numbers are constants. Choices have become mixtures,
whose weights are inputs of the region like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compiler.expr import Const
from compiler.ir import Input, Layer, Node, Region
from compiler.layers import Shape

FLAT = "flat"
"""The kind of a flat region."""


@dataclass(frozen=True, kw_only=True)
class SharedLayer(Layer):
    """A layer that stands for several equal ones; their statistics are kept under all names."""

    also: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.name, *self.also)


@dataclass(frozen=True, kw_only=True)
class MixingWeights(Input):
    """An input of mixing weights [decisions, options]: a stack of a kind's decisions."""

    kind: str


@dataclass(frozen=True, kw_only=True)
class State(Input):
    """An input that a recurrence starts from."""


@dataclass(frozen=True)
class Norm:
    """A batch norm that a term goes through, by the paths of its modules."""

    paths: tuple[str, ...]
    affine: bool


@dataclass(frozen=True)
class Weight:
    """One of the mixing weights: of which input, in which row and column, and its sign in a sum."""

    tensor: int
    row: int
    column: int
    sign: int = 1


@dataclass(frozen=True)
class Term:
    """What a mixture does to one of its operands before it adds it up.

    It is multiplied by `constant` plus the sum of some mixing weights.
    """

    weights: tuple[Weight, ...] = ()
    constant: int = 0
    norm: Norm | None = None


ONE = Term(constant=1)


@dataclass(frozen=True, kw_only=True)
class Mixture(Node):
    """The sum of its first operands, each through its norm and times its weight.

    The inputs of the weights follow them. With several `lanes` the operands have a lane for each
    along a first axis, or serve all lanes; `terms` are those of the first lane.
    """

    terms: tuple[Term, ...]
    lanes: tuple[tuple[Term, ...], ...] = ()

    @property
    def values(self) -> tuple[int, ...]:
        return self.operands[: len(self.terms)]

    @property
    def all_lanes(self) -> tuple[tuple[Term, ...], ...]:
        return self.lanes or (self.terms,)


@dataclass(frozen=True, kw_only=True)
class Sliced(Node):
    """The sum of slices of one value, its first operand, each times its weight.

    A term's slice ends where `ends` says. The inputs of the weights follow.
    """

    terms: tuple[Term, ...]
    ends: tuple[int, ...]

    @property
    def values(self) -> tuple[int, ...]:
        return self.operands[:1]

    @property
    def lanes(self) -> tuple[tuple[Term, ...], ...]:
        return ()

    @property
    def all_lanes(self) -> tuple[tuple[Term, ...], ...]:
        return (self.terms,)


@dataclass(frozen=True, kw_only=True)
class Slices(Sliced):
    """So many of the first channels of the value, and zeros for the others."""


@dataclass(frozen=True, kw_only=True)
class Windows(Sliced):
    """Convolutions of the value by squares of that size in the middle of one window."""

    layer: SharedLayer


@dataclass(frozen=True, kw_only=True)
class StackedLinear(Node):
    """Linear maps of one value side by side, [lanes, batch, out]; `layers` are what they were."""

    layers: tuple[SharedLayer, ...]


@dataclass(frozen=True, kw_only=True)
class Lane(Node):
    """Lane `index` of a value that has several."""

    index: int


@dataclass(frozen=True, kw_only=True)
class Mask(Node):
    """A dropout mask, zeros and 1 / (1 - p), of the shape of its operand.

    One for a whole `sequence` has the shape of one step, and serves all steps.
    """

    p: float
    sequence: bool = False


@dataclass(frozen=True, kw_only=True)
class Loop(Node):
    """A flat region run along the first dimension of its first `sequences` operands.

    The next `states` operands are what it starts from, the rest is the same at every step. Its
    value is a tuple: the outputs of all steps, then the states after the last.
    """

    region: Region
    sequences: int
    states: int


@dataclass(frozen=True, kw_only=True)
class Item(Node):
    """Member `index` of a tuple."""

    index: int


def mixture(
    values: tuple[int, ...],
    terms: tuple[Term, ...],
    shape: Any,
    lanes: tuple[tuple[Term, ...], ...] = (),
    **rest: Any,
) -> Mixture:
    """A mixture whose weights' inputs follow its values, each once."""
    every = (w.tensor for lane in lanes or (terms,) for term in lane for w in term.weights)
    operands = (*values, *dict.fromkeys(every))
    return Mixture(operands=operands, terms=terms, lanes=lanes, shape=shape, **rest)


def numbers(node: Layer) -> dict[str, Any]:
    """The arguments of a layer in a flat region."""
    return {name: value.value for name, value in node.arguments if isinstance(value, Const)}


def sizes(node: Node) -> Shape:
    """The shape of a value in a flat region, without its batch."""
    return tuple(size.value for size in node.shape if isinstance(size, Const))
