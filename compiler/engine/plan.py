"""The order of one pass and of its derivative: reverse mode over a flat region.

What a plan says is decided before anything runs: which values the backward pass finds kept, which
it computes again, and after which instruction each of them is let go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from compiler.engine.operation import Operation, Wanted
from compiler.flat.nodes import Loop, MixingWeights
from compiler.ir import Input, Region

Policy = Callable[[Operation], bool]
"""Whether a value that the backward pass reads is rather computed again than kept."""


@dataclass(frozen=True)
class Compute:
    """Computes a value; in the backward pass once more."""

    operation: Operation
    reads: tuple[int, ...]


@dataclass(frozen=True)
class Contribute:
    """Adds to the gradient by `target` what comes from operand `index` of an operation."""

    operation: Operation
    index: int
    target: int
    reads: tuple[int, ...]
    operands: tuple[int | None, ...]
    """The operands' values that are there, None for the others."""


@dataclass(frozen=True)
class WeightGradients:
    """Adds to the gradients by an operation's weights."""

    operation: Operation
    wanted: Wanted
    reads: tuple[int, ...]
    operands: tuple[int | None, ...]


Instruction = Compute | Contribute | WeightGradients


@dataclass(frozen=True)
class Step:
    """An instruction, and the values and gradients that nothing needs after it."""

    instruction: Instruction
    values: tuple[int, ...] = ()
    gradients: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """`kept` are the values there at the end of the forward pass, `inner` the plans of loops."""

    size: int
    forward: tuple[Step, ...]
    backward: tuple[Step, ...]
    kept: frozenset[int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    wants_weights: bool
    mixing: tuple[int, ...]
    """The inputs of mixing weights by which there are gradients."""
    inner: Mapping[int, Plan]


def plan(
    region: Region,
    operations: Mapping[int, Operation],
    inputs: frozenset[int],
    weights: frozenset[str],
    recompute: Policy,
) -> Plan:
    """The plan that gives the gradients by some of the region's inputs and weights.

    `weights` are paths of the `state_dict`; `inputs` are numbers.
    """
    return _Planner(region, operations, inputs, weights, recompute).plan()


class _Planner:
    def __init__(
        self,
        region: Region,
        operations: Mapping[int, Operation],
        inputs: frozenset[int],
        weights: frozenset[str],
        recompute: Policy,
    ) -> None:
        self.region, self.operations, self.recompute = region, operations, recompute
        self.inputs, self.weights = inputs, weights
        self.wanted = self.wants()
        self.graded = self.reached()

    def wants(self) -> dict[int, Wanted]:
        """What every operation is to give gradients by, for the wanted ones to be found."""
        active = set(self.inputs)
        found: dict[int, Wanted] = {}
        for number, operation in self.operations.items():
            operands = frozenset(i for i, o in enumerate(operation.operands) if o in active)
            weights = not self.weights.isdisjoint(operation.parameters)
            weights |= operation.joint and any(i >= operation.joint_from for i in operands)
            if (operands or weights) and not operation.is_constant:
                active.add(number)
                found[number] = Wanted(operands, weights)
        return found

    def reached(self) -> set[int]:
        """The values by which there are gradients: those that outputs hang on."""
        found = {o for o in self.region.outputs if o in self.wanted or o in self.inputs}
        for number in reversed(list(self.operations)):
            if number in found:
                operation = self.operations[number]
                found.update(operation.operands[i] for i in self.wanted[number].operands)
        return found

    def plan(self) -> Plan:
        instructions = list(self.derivative())
        needed = self.needed(instructions)
        again = {n for n in needed if n in self.operations and self.recompute(self.operations[n])}
        kept = frozenset(needed - again)
        inputs = sorted(self.inputs)
        mixing = [n for n in inputs if isinstance(self.region.node(n), MixingWeights)]
        return Plan(
            len(self.region.values),
            self.forward(kept),
            self.backward(instructions, again),
            kept,
            tuple(n for n, _ in self.region.inputs),
            self.region.outputs,
            bool(self.weights),
            tuple(mixing),
            dict(self.inner()),
        )

    def inner(self) -> Iterator[tuple[int, Plan]]:
        """The plans of loops' steps."""
        for number, operation in self.operations.items():
            if operation.body is None or not isinstance(operation.node, Loop):
                continue
            inputs: frozenset[int] = frozenset()
            weights: frozenset[str] = frozenset()
            if number in self.graded:
                inputs, weights = self.step_inputs(operation.node, number), self.weights
            region = operation.node.region
            yield number, plan(region, operation.body, inputs, weights, self.recompute)

    def step_inputs(self, loop: Loop, number: int) -> frozenset[int]:
        """The inputs by which a step gives gradients: states too, as it goes on from them."""
        inputs = [n for n, _ in loop.region.inputs]
        states = range(loop.sequences, loop.sequences + loop.states)
        return frozenset(inputs[i] for i in {*self.wanted[number].operands, *states})

    # -- backward

    def derivative(self) -> Iterator[Instruction]:
        """The gradients in the order of reverse mode.

        What an operation of several operands gives to one that nothing else reads is found only
        when that one's turn comes, so that few gradients are there at any time.
        """
        readers: dict[int, int] = defaultdict(int)
        for number in self.graded:
            if number in self.operations:
                for i in self.wanted[number].operands:
                    readers[self.operations[number].operands[i]] += 1
        waiting: dict[int, Contribute] = {}
        for number in reversed(list(self.operations)):
            if number not in self.graded:
                continue
            if number in waiting:
                yield waiting.pop(number)
            operation, wanted = self.operations[number], self.wanted[number]
            if wanted.weights or operation.whole:
                yield self.weight_gradients(operation, wanted)
            for index in sorted(wanted.operands):
                if operation.joint and index >= operation.joint_from:
                    continue
                made = self.contribute(operation, index, wanted)
                if (
                    len(wanted.operands) > 1
                    and readers[made.target] == 1
                    and made.target in self.operations
                ):
                    waiting[made.target] = made
                else:
                    yield made
        yield from waiting.values()

    def contribute(self, operation: Operation, index: int, wanted: Wanted) -> Contribute:
        one = Wanted(frozenset([index]), wanted.weights and operation.joint)
        reads, operands = self.read(operation, one)
        return Contribute(operation, index, operation.operands[index], reads, operands)

    def weight_gradients(self, operation: Operation, wanted: Wanted) -> WeightGradients:
        reads, operands = self.read(operation, Wanted(frozenset(), True))
        if operation.joint:  # the terms that are gone through do their own
            skipped = {operation.operands[i] for i in wanted.operands}
            reads = tuple(r for r in reads if r not in skipped)
            operands = tuple(None if o in skipped else o for o in operands)
        return WeightGradients(operation, wanted, reads, operands)

    def read(
        self, operation: Operation, wanted: Wanted
    ) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
        found = operation.reads(wanted)
        operands = tuple(
            o if i in found.operands else None for i, o in enumerate(operation.operands)
        )
        reads = tuple(o for o in operands if o is not None)
        return ((*reads, operation.number) if found.output else reads), operands

    def needed(self, instructions: Sequence[Instruction]) -> set[int]:
        """The values that the backward pass reads, and those that they are computed from again."""
        waiting = [n for instruction in instructions for n in instruction.reads]
        found: set[int] = set()
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                operation = self.operations.get(number)
                if operation is not None and self.recompute(operation):
                    waiting += operation.operands
        return found

    def backward(self, instructions: Sequence[Instruction], again: set[int]) -> tuple[Step, ...]:
        everything: list[Instruction] = []
        there: set[int] = set()

        def require(numbers: Sequence[int]) -> None:
            for number in numbers:
                if number in again and number not in there:
                    operation = self.operations[number]
                    require(operation.operands)
                    there.add(number)
                    everything.append(Compute(operation, operation.operands))

        for instruction in instructions:
            require(instruction.reads)
            everything.append(instruction)
        return self.freeing(everything)

    def freeing(self, instructions: Sequence[Instruction]) -> tuple[Step, ...]:
        """The instructions, each with what it is the last to use."""
        seen_values: set[int] = set(self.inputs_of_region)
        seen_gradients: set[int] = set()
        steps = []
        for instruction in reversed(instructions):
            used = set(instruction.reads)
            if isinstance(instruction, Compute):
                used.add(instruction.operation.number)
                gradients: set[int] = set()
            else:
                gradients = {instruction.operation.number}
            steps.append(
                Step(
                    instruction,
                    tuple(sorted(used - seen_values)),
                    tuple(sorted(gradients - seen_gradients)),
                )
            )
            seen_values |= used
            seen_gradients |= gradients
        return tuple(reversed(steps))

    # -- forward

    @property
    def inputs_of_region(self) -> set[int]:
        return {n for n, _ in self.region.inputs}

    def forward(self, kept: frozenset[int]) -> tuple[Step, ...]:
        held = {*kept, *self.region.outputs, *self.inputs_of_region}
        seen = set(held)
        steps = []
        for operation in reversed(list(self.operations.values())):
            used = {*operation.operands, operation.number}
            steps.append(Step(Compute(operation, operation.operands), tuple(sorted(used - seen))))
            seen |= used
        return tuple(reversed(steps))


def computed(region: Region) -> list[int]:
    """The numbers of the values that are no inputs, in order."""
    return [n for n, node in region.nodes() if not isinstance(node, Input)]
