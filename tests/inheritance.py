"""Open programs run as they are decided, and which weights a final network takes of a supernet.

What is not chosen is not computed here: no option that has lost, no edge that is not kept and
nothing behind it. So this is what a final network must compute, found without specialising.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from compiler.codegen.names import attributes, camel, inner_attributes, key, shared_attributes
from compiler.decision import winners
from compiler.expr import Symbol, evaluate
from compiler.interpret import Run, given_back, sizes_of
from compiler.ir import (
    Choice,
    Form,
    Input,
    Join,
    Layer,
    Node,
    Region,
    Repeat,
    Scan,
    Tap,
    is_mask,
    is_term_by_term,
)
from compiler.layers import STATEFUL
from compiler.program import Program

Chosen = Mapping[str, Mapping[str, str]]


class Watched(Run):
    """Notes which layers with weights are run, in order: their paths, and what they read first."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.visits: dict[str, Tensor] = {}
        self.chosen_channels: list[tuple[Tensor, Tensor]] = []
        """Values of which some stand side by side, with the channels whose weight is not 0."""

    def layer(self, layer: str, x: Tensor, arguments: dict[str, Any], at: str) -> Tensor:
        if layer in STATEFUL:
            self.visits.setdefault(at, x)
        return super().layer(layer, x, arguments, at)

    def choice(self, node: Choice, env: dict[str, Any], operands: list[Tensor], at: str) -> Tensor:
        result = super().choice(node, env, operands, at)
        if node.how == "concat":
            assert self.kind is not None
            paths = [decision.path for decision in self.kind.decisions]
            weights = self.weights[self.kind.name][paths.index(node.decision)]
            width = result.shape[1 if result.dim() == 4 else -1] // len(weights)
            channels = weights.repeat_interleave(width).nonzero().flatten()
            self.chosen_channels.append((result, channels))
        return result

    def channels_of(self, path: str, part: Tensor) -> Tensor:
        """The channels that a layer reads of those in `part`, in order."""
        whole = self.visits[path]
        for value, channels in self.chosen_channels:
            if value is whole:
                return channels
        found: list[int] = []
        for channel in part.unbind(1):
            rest = range(found[-1] + 1 if found else 0, whole.shape[1])
            found.append(next(i for i in rest if torch.allclose(whole[:, i], channel, atol=1e-9)))
        return torch.tensor(found)


class Decided(Run):
    """Runs an open program by what is chosen.

    Weights are those of a final network, in the order in which this comes upon layers; `found` has
    the path there of every path here.
    """

    def __init__(self, chosen: Chosen, paths: Sequence[str], *given: Any) -> None:
        super().__init__({}, {}, *given)
        self.chosen = chosen
        self.paths = iter(paths)
        self.found: dict[str, str] = {}
        self.weights_of: Mapping[str, Tensor] = {}
        self.steps: dict[tuple[int, int], list[Tensor]] = {}
        """The outputs of repeats, by the region and the number of each."""

    def layer(self, layer: str, x: Tensor, arguments: dict[str, Any], at: str) -> Tensor:
        if layer not in STATEFUL:
            return super().layer(layer, x, arguments, at)
        if at not in self.found:
            self.found[at] = next(self.paths)
        there = f"{self.found[at]}."
        own = {n.removeprefix(there): v for n, v in self.weights_of.items() if n.startswith(there)}
        self.state = {f"{at}.{name}": value for name, value in own.items()}
        return super().layer(layer, x, arguments, at)

    def options_of(self, path: str) -> tuple[str, ...]:
        assert self.kind is not None
        return winners(self.chosen[self.kind.name].get(path, ""))

    def region(
        self, region: Region, env: dict[str, Any], inputs: list[Any], at: str
    ) -> list[Tensor]:
        around = self.owner, self.kind, self.inner, self.shared
        if not region.is_branch:
            self.owner, self.kind = at, region
            self.inner, self.shared = inner_attributes(region), shared_attributes(region)
        names, heads = attributes(region), region.heads()
        left = self.left(region, [value is not None for value in inputs])
        read = {o for n in left for o in self.reads(region.node(n))}
        values: dict[int, Any] = {}
        given = iter(inputs)
        for number, node in region.nodes():
            if isinstance(node, Input):
                values[number] = next(given)
            elif number in left - heads:
                path = names.get(number, "") if region.form is Form.GRAPH else region.path(number)
                own = self.inner.get((id(region), number), self.shared.get(node.shared))
                parts = (self.owner, own) if own else (at, path)
                place = ".".join(part for part in parts if part)
                operands = [values.get(o) for o in node.operands]
                if isinstance(node, Join):
                    operands = [
                        values[o]
                        for i, o in enumerate(node.operands)
                        if o in left and not (i in node.loose and o in read)
                    ]
                values[number] = self.one(region, number, node, env, operands, place)
        self.owner, self.kind, self.inner, self.shared = around
        return [values[output] for output in region.outputs]

    def one(
        self,
        region: Region,
        number: int,
        node: Node,
        env: dict[str, Any],
        operands: list[Any],
        place: str,
    ) -> Tensor:
        match node:
            case Repeat():
                steps = self.repeat(node, env, operands, place)
                self.steps[id(region), number] = steps
                self.learn(node, steps[-1], env)
                return steps[-1]
            case Tap():
                taken = self.steps[id(region), node.operands[0]][evaluate(node.index, env)]
                self.learn(node, taken, env)
                return taken
            case Choice():
                return self.choice(node, env, operands, place)
            case Scan():
                return self.scan(node, env, operands, place)
            case Layer(layer="dropout") if is_mask(node):
                key = (self.owner, node.shared) if node.shared else (id(region), number)
                return self.masked(key, node, env, operands[0])
        return self.node(node, env, operands, place)

    def left(self, region: Region, given: list[bool]) -> set[int]:
        """The values that are there once everything is decided."""
        left: set[int] = set()
        there = iter(given)
        for number, node in region.nodes():
            are = [operand in left for operand in node.operands]
            match node:
                case Input():
                    stays = next(there)
                case Choice():
                    stays = bool(self.options_of(node.decision))
                case Join():
                    stays = any(are)
                case _:
                    stays = all(are)
            if stays and all({*self.options_of(path)} & labels for path, labels in node.under):
                left.add(number)
        return left

    def reads(self, node: Node) -> Iterator[int]:
        """What a node reads, by what is chosen, except what it joins if nothing else reads it."""
        loose = node.loose if isinstance(node, Join) else ()
        for place, operand in enumerate(node.operands):
            if isinstance(node, Choice):
                taken = [
                    o for o in node.region.options if o.label in self.options_of(node.decision)
                ]
                if any(_reads_input(option.body, place) for option in taken):
                    yield operand
            elif place not in loose:
                yield operand

    def choice(self, node: Choice, env: dict[str, Any], operands: list[Any], at: str) -> Tensor:
        labels = self.options_of(node.decision)
        inner = self.bound(node, env, operands)
        joint = len(operands) > 1 and not is_term_by_term(node)
        run = self.step if joint else self.value
        terms = [
            run(option.body, dict(inner), operands, f"{at}.{key(option.label)}")
            for option in node.region.options
            if option.label in labels
        ]
        if node.how == "concat":
            return torch.cat(terms, dim=1 if len(node.shape) == 3 else -1)
        return reduce(torch.add, terms)


def _reads_input(body: Region, place: int) -> bool:
    number = body.inputs[place][0]
    return number in body.outputs or any(number in node.operands for _, node in body.nodes())


def watched(
    program: Program,
    read: Sequence[Tensor],
    state: Mapping[str, Tensor],
    weights: Mapping[str, Sequence[Tensor]],
    hidden: Sequence[Tensor],
) -> Watched:
    """The layers with weights that a program runs, in order, with what each reads first.

    That is in evaluation, where a norm of zeros gives other numbers than zeros.
    """
    run = Watched(state, weights, False, hidden or None)
    run.region(program.network, _env(program, read), list(read), "")
    return run


def decided(
    program: Program,
    chosen: Chosen,
    final: Program,
    state: Mapping[str, Tensor],
    read: Sequence[Tensor],
    training: bool,
    hidden: Sequence[Tensor] = (),
) -> tuple[Any, dict[str, str]]:
    """What an open program gives by what is chosen, with the weights of the network of `final`; and
    by their paths in that network, the paths of layers in `program`."""
    paths = watched(final, read, state, {}, hidden).visits
    run = Decided(chosen, list(paths), training, hidden or None)
    run.weights_of = state
    outputs = run.region(program.network, _env(program, read), list(read), "")
    assert next(run.paths, None) is None, "a layer is never come upon"
    return given_back(outputs, run.after), {there: own for own, there in run.found.items()}


def _env(program: Program, read: Sequence[Tensor]) -> dict[str, Any]:
    env = dict(program.values)
    for (_, node), value in zip(program.network.inputs, read, strict=True):
        sizes = sizes_of(value, len(node.shape))
        pairs = zip(node.shape, sizes, strict=True)
        env.update({size.name: n for size, n in pairs if isinstance(size, Symbol)})
    return env


def shared_paths(program: Program, network: nn.Module) -> dict[str, tuple[int, str]]:
    """The paths of what cells share, with the number of the instance and the name in the file."""
    return {
        f"{at}{attribute}.": (number, name)
        for number, (at, cell) in enumerate(cells(program, network))
        for name, attribute in shared_attributes(cell).items()
    }


def cells(program: Program, network: nn.Module) -> Iterator[tuple[str, Region]]:
    """The instances of the cells, by their path with a dot behind."""
    kinds = {camel(r.name): r for r in program.regions() if r.kind == "cell"}
    for path, module in network.named_modules():
        kind = kinds.get(type(module).__name__)
        if kind is not None:
            yield f"{path}.", kind
