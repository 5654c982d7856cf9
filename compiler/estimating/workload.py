"""What one step of a search computes, and in what sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from compiler.engine.memory import Sizes
from compiler.engine.network import Engine
from compiler.engine.plan import Plan
from compiler.estimating.data_sizes import DataSizes
from compiler.facts import OpenSize
from compiler.flat.nodes import MixingWeights
from compiler.ir import Input, Region
from compiler.supernet import Supernet
from dsl.settings import Settings

ARCHITECTURE, WEIGHTS, BOTH = "architecture", "weights", "both"
OF_ORDER = {
    1: {ARCHITECTURE: 1, WEIGHTS: 1},
    # the virtual step, the gradients behind it, the finite difference, the step of the weights
    2: {WEIGHTS: 2, BOTH: 1, ARCHITECTURE: 2},
}
"""How often a step of each order takes the gradients of what; see `runtime.unrolled`."""


@dataclass(frozen=True)
class Workload:
    """A supernet under the pipeline `fast`, and how it is to be searched."""

    net: Supernet
    settings: Settings
    data: DataSizes | None
    """None where the network reads other data than the settings name."""
    order: int

    @property
    def engine(self) -> Engine:
        assert self.net.optimised is not None
        return self.net.optimised.engine

    @property
    def region(self) -> Region:
        return self.engine.region

    @property
    def first_input(self) -> Input:
        """What the network reads."""
        node = self.region.inputs[0][1]
        assert isinstance(node, Input)
        return node

    @property
    def reads_words(self) -> bool:
        return self.first_input.below is not None

    @property
    def is_searchable(self) -> bool:
        """Whether there is something to decide, by data of a kind that a search takes: those have
        one input and one output."""
        network = self.net.program.network
        if len(network.inputs) + len(network.outputs) > 2:
            return False
        sizes = [size.value for size in self.first_input.shape]  # type: ignore[attr-defined]
        is_image = len(sizes) == 3 and not any(isinstance(size, OpenSize) for size in sizes)
        return bool(self.mixing) and (is_image or (self.reads_words and len(sizes) == 1))

    @property
    def mixing(self) -> frozenset[int]:
        """The inputs of mixing weights."""
        return frozenset(n for n, node in self.region.inputs if isinstance(node, MixingWeights))

    @property
    def weights(self) -> list[Tensor]:
        return [weight.detach() for weight in self.net.weight_parameters()]

    def sizes(self, batch: int | None = None) -> Sizes:
        """Those of a step, with the settings' batch or another."""
        length = self.settings.bptt if self.reads_words else 1
        return Sizes(self.settings.batch if batch is None else batch, length)

    def plan(self, of: str, sizes: Sizes) -> Plan:
        """How the gradients are found of the architecture, of the weights or of both."""
        mixing = frozenset() if of == WEIGHTS else self.mixing
        weights = frozenset() if of == ARCHITECTURE else frozenset(self.engine.weights)
        return self.engine.plan(mixing, weights, sizes)

    def passes(self, sizes: Sizes) -> Iterator[tuple[str, Plan, int]]:
        """The different passes of a step, with how often it takes each."""
        for of, times in OF_ORDER[self.order].items():
            yield of, self.plan(of, sizes), times


def shape_of(node: object, sizes: Sizes) -> list[int]:
    """The shape of a value with its batch, which is second in sequences and lanes."""
    found = [sizes.number(size.value) for size in node.shape]  # type: ignore[attr-defined]
    if isinstance(node, MixingWeights):
        return found
    is_row_first = len(found) == 2 or (isinstance(node, Input) and node.below is not None)
    return [found[0], sizes.batch, *found[1:]] if is_row_first else [sizes.batch, *found]
