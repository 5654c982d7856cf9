"""How long a pass over images takes: every different instruction of its plan is timed once.

Each is run alone, on random tensors of the true shapes and on the true device. What an instruction
reads comes from a large block of memory that is gone through again and again, because in a pass,
too, most of it has not been touched for long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from compiler.engine.memory import Sizes
from compiler.engine.mixing import Mixture
from compiler.engine.operation import Operation
from compiler.engine.plan import Compute, Contribute, Instruction, Plan, WeightGradients
from compiler.engine.run import Run
from compiler.estimating.workload import Workload, shape_of
from compiler.flat.nodes import numbers
from compiler.ir import Layer, Node

COLD = 1 << 24
"""Numbers in the block of memory, 64 MB: more than a processor keeps near."""
REPEATS = 5
ENOUGH = 0.01
"""Seconds after which an instruction is not run once more; most take far less in all repeats."""
DETAILS = ("how", "operator", "number", "swapped", "index", "count", "p", "sequence")
"""What nodes that are no layers say besides their operands."""


class Timing(NamedTuple):
    """Seconds, and of a gradient whether it was added to the one that was there, and whether it has
    memory of its own."""

    seconds: float
    added: bool = True
    owned: bool = True


@dataclass
class Block:
    """Random numbers in a ring, in which no tensor lies where the last ones were."""

    device: torch.device
    numbers: Tensor = field(init=False)
    at: int = 0

    def __post_init__(self) -> None:
        self.numbers = torch.empty(COLD, device=self.device).uniform_(-1, 1)

    def tensor(self, shape: list[int]) -> Tensor:
        """A tensor of that shape, images in channels_last."""
        count = prod(shape)
        if count > len(self.numbers) // 4:
            flat = torch.empty(count, device=self.device).uniform_(-1, 1)
        else:
            if self.at + count > len(self.numbers):
                self.at = 0
            flat = self.numbers[self.at : self.at + count]
            self.at += count
        if len(shape) != 4:
            return flat.view(shape)
        n, channels, height, width = shape
        return flat.view(n, height, width, channels).permute(0, 3, 1, 2)


class Calibration:
    """The times of instructions, each measured when it first occurs."""

    def __init__(self, work: Workload, sizes: Sizes, device: torch.device) -> None:
        self.region, self.sizes, self.device = work.region, sizes, device
        self.weights = {path: held[name] for path, (held, name) in work.engine.weights.items()}
        self.block = Block(device)
        self.known: dict[Hashable, Timing] = {}
        self.recent: deque[Tensor] = deque()
        self.held = 0

    @torch.no_grad()
    def seconds(self, plan: Plan) -> float:
        """How long the instructions of a plan take, forwards and back."""
        total = sum(self.timing(plan, step.instruction).seconds for step in plan.forward)
        owned = dict.fromkeys(plan.outputs, False)
        for step in plan.backward:
            made = step.instruction
            if isinstance(made, Contribute):
                found = self.timing(plan, made, owned.get(made.target, False))
                total += found.seconds
                if not (found.added and owned.get(made.target, False)):
                    if made.target in owned:
                        total += self.addition(self.region.node(made.target))
                        owned[made.target] = True
                    else:
                        owned[made.target] = found.owned
            else:
                total += self.timing(plan, made, backward=True).seconds
            for number in step.gradients:
                owned.pop(number, None)
        return total

    def timing(
        self, plan: Plan, made: Instruction, into: bool = False, backward: bool = False
    ) -> Timing:
        key = self.key(plan, made, into), backward and isinstance(made, Compute)
        if key not in self.known:
            self.known[key] = self.measured(plan, made, into, backward)
        return self.known[key]

    def key(self, plan: Plan, made: Instruction, into: bool) -> Hashable:
        """What two instructions have in common that take equally long."""
        operation = made.operation
        shapes = tuple(tuple(self.shape(self.region.node(o))) for o in operation.operands)
        which: Hashable = None
        if isinstance(made, Contribute):
            which = made.index
            if isinstance(operation, Mixture):
                which = shapes[made.index], *_of_term(operation, made.index)
        elif not isinstance(made, Compute):
            which = made.wanted
        asked = bool(plan.mixing), plan.wants_weights
        return type(made), which, into, asked, _details(operation), shapes

    def measured(self, plan: Plan, made: Instruction, into: bool, backward: bool) -> Timing:
        operation, run = made.operation, Run(plan, self.weights)
        operands = [self.tensor(self.region.node(o)) for o in operation.operands]
        if isinstance(made, Compute) and not backward:
            return Timing(self.timed(lambda: operation.forward(run, *operands))[0])
        output = operation.forward(run, *operands)
        if isinstance(made, Compute):
            return Timing(self.timed(lambda: operation.again(run, *operands))[0])
        return self.derivative(made, run, operands, output, into)

    def derivative(
        self,
        made: Contribute | WeightGradients,
        run: Run,
        operands: Sequence[Tensor],
        output: Any,
        into: bool,
    ) -> Timing:
        operation = made.operation
        g = self.tensor(operation.node)
        read = [
            None if o is None else operand
            for o, operand in zip(made.operands, operands, strict=True)
        ]

        def emptied() -> None:
            run.weight_gradients.clear()
            run.mixing.clear()

        if not isinstance(made, Contribute):

            def weight_gradients() -> None:
                emptied()
                operation.weight_gradients(run, g, read, output, made.wanted)

            return Timing(self.timed(weight_gradients)[0])
        target = self.tensor(self.region.node(made.target)) if into else None

        def gradient() -> Any:
            emptied()
            return operation.gradient(run, made.index, g, read, output, target)

        seconds, found = self.timed(gradient)
        apart = found is not None and not _shares(found, g)
        return Timing(seconds, found is target, not operation.hands_on or apart)

    def addition(self, node: Node) -> float:
        """How long it takes to add two gradients."""
        key = "addition", tuple(self.shape(node))
        if key not in self.known:
            known, more = self.tensor(node), self.tensor(node)
            self.known[key] = Timing(self.timed(lambda: known.add_(more))[0])
        return self.known[key].seconds

    def timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """The median seconds of some runs, and the result."""
        times: list[float] = []
        while len(times) < REPEATS and (len(times) < 2 or sum(times) < ENOUGH):
            begun = perf_counter()
            result = work()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            times.append(perf_counter() - begun)
            self.keep(result)
        return sorted(times)[(len(times) - 1) // 2], result

    def keep(self, result: Any) -> None:
        """Keeps results for a while: the next one is written to other memory then, as in a pass."""
        for made in result if isinstance(result, tuple) else [result]:
            if isinstance(made, Tensor):
                self.held += made.numel()
                self.recent.append(made)
        while self.held > COLD and len(self.recent) > 1:
            self.held -= self.recent.popleft().numel()

    def shape(self, node: Node) -> list[int]:
        return shape_of(node, self.sizes)

    def tensor(self, node: Node) -> Tensor:
        return self.block.tensor(self.shape(node))


def _details(operation: Operation) -> Hashable:
    node = operation.node
    if isinstance(node, Layer):
        return type(operation), tuple(sorted(numbers(node).items()))
    said = tuple(str(getattr(node, name, None)) for name in DETAILS)
    if isinstance(operation, Mixture):
        terms: Iterable[int] = range(len(operation.terms))
        said += tuple(str(_of_term(operation, i)) for i in terms)
    return type(operation), said


def _of_term(operation: Mixture, index: int) -> tuple[bool, bool, bool]:
    norm = operation.terms[index].norm
    varies = operation.coefficients.varies(index)
    return norm is not None, norm is not None and norm.affine, varies


def _shares(found: Tensor, g: Tensor) -> bool:
    return found.untyped_storage().data_ptr() == g.untyped_storage().data_ptr()
