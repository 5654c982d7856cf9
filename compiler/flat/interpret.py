"""Runs a flat region node by node, as `compiler.interpret` runs a program: the oracle of passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.expr import Const, evaluate
from compiler.flat.nodes import (
    Item,
    Lane,
    Loop,
    Mask,
    MixingWeights,
    Mixture,
    Norm,
    SharedLayer,
    Sliced,
    Slices,
    StackedLinear,
    Term,
    Windows,
)
from compiler.interpret import Run, given_back
from compiler.ir import Input, Layer, Region
from compiler.program import Program


def interpret_flat(
    program: Program,
    inputs: Sequence[Tensor],
    state: Mapping[str, Tensor],
    weights: Mapping[str, Sequence[Tensor]] | None = None,
    training: bool = True,
    hidden: Sequence[Tensor] | None = None,
) -> Any:
    """What `compiler.interpret.interpret` gives, of a program that has been expanded."""
    given = list(inputs)
    left = {kind: list(rows) for kind, rows in (weights or {}).items()}
    for _, node in program.network.inputs:
        if isinstance(node, MixingWeights):
            rows = left[node.kind]
            count = evaluate(node.shape[0], {})
            given.append(torch.stack(rows[:count]))
            left[node.kind] = rows[count:]
    states = [node for _, node in program.network.inputs[len(given) :]]
    like = next(value for value in state.values() if value.is_floating_point())
    batch = inputs[0].shape[program.network.inputs[0][1].batch_axis]
    zeros = [like.new_zeros(batch, *(evaluate(s, {}) for s in node.shape)) for node in states]
    given += zeros if hidden is None else list(hidden)
    found = _FlatRun(state, {}, training, None).flat(program.network, given)
    count = len(program.network.promises)
    return given_back(found[:count], found[count:][: len(states)])


class _FlatRun(Run):
    def flat(self, region: Region, inputs: Sequence[Any]) -> list[Any]:
        values: dict[int, Any] = {}
        given = iter(inputs)
        for number, node in region.nodes():
            operands = [values[o] for o in node.operands]
            match node:
                case Input():
                    values[number] = next(given)
                case Mixture():
                    values[number] = self.mixture(node, values)
                case Slices():
                    parts = [self.slice(operands[0], end) for end in node.ends]
                    values[number] = self.sliced(node, parts, values)
                case Windows(layer=layer):
                    parts = [self.window(layer, operands[0], end) for end in node.ends]
                    values[number] = self.sliced(node, parts, values)
                case Mask():
                    values[number] = self.mask(node, operands[0])
                case Loop():
                    values[number] = self.loop(node, operands)
                case StackedLinear():
                    parts = [self.node(n, {}, operands, n.name) for n in node.layers]
                    values[number] = torch.stack(parts)
                case Lane():
                    values[number] = operands[0][node.index]
                case Item():
                    values[number] = operands[0][node.index]
                case Layer(layer="bn"):
                    values[number] = self.norm(Norm((node.name,), True), operands[0])
                case _:
                    values[number] = self.node(node, {}, operands, node.name)
        return [values[number] for number in region.outputs]

    def mixture(self, node: Mixture, values: Mapping[int, Any]) -> Tensor:
        lanes = [
            reduce(
                torch.add,
                [
                    self.term(term, in_lane(values[n], lane) if node.lanes else values[n], values)
                    for n, term in pairs
                ],
            )
            for lane, terms in enumerate(node.all_lanes)
            for pairs in [list(zip(node.values, terms, strict=True))]
        ]
        return torch.stack(lanes) if node.lanes else lanes[0]

    def sliced(self, node: Sliced, parts: list[Tensor], values: Mapping[int, Any]) -> Tensor:
        pairs = zip(node.terms, parts, strict=True)
        return reduce(torch.add, [self.term(term, part, values) for term, part in pairs])

    def slice(self, x: Tensor, end: int) -> Tensor:
        narrow = SharedLayer(shape=(), layer="narrow", arguments=(("n", Const(end)),))
        return self.node(narrow, {}, [x], "")

    def window(self, layer: SharedLayer, x: Tensor, end: int) -> Tensor:
        given = (*layer.arguments, ("centre", Const(end)))
        return self.node(replace(layer, arguments=given), {}, [x], layer.name)

    def term(self, term: Term, value: Tensor, values: Mapping[int, Any]) -> Tensor:
        if term.norm is not None:
            value = self.norm(term.norm, value)
        weights = [w.sign * values[w.tensor][w.row, w.column] for w in term.weights]
        return (term.constant + sum(weights)) * value

    def norm(self, norm: Norm, x: Tensor) -> Tensor:
        at = norm.paths[0]
        weight, bias = self.state.get(f"{at}.weight"), self.state.get(f"{at}.bias")
        if self.training:
            return F.batch_norm(x, None, None, weight, bias, True)
        mean, variance = self.state[f"{at}.running_mean"], self.state[f"{at}.running_var"]
        return F.batch_norm(x, mean, variance, weight, bias, False)

    def mask(self, node: Mask, x: Tensor) -> Tensor:
        sizes = [evaluate(size, {}) for size in node.shape]
        batch = x.shape[1:2] if x.dim() == 3 and len(sizes) == 1 else x.shape[:1]
        like = x.new_ones(*batch, *sizes) if node.sequence else torch.ones_like(x)
        return F.dropout(like, node.p, self.training)

    def loop(self, node: Loop, operands: Sequence[Any]) -> tuple[Tensor, ...]:
        sequences = operands[: node.sequences]
        states = list(operands[node.sequences :][: node.states])
        constant = operands[node.sequences + node.states :]
        outputs = []
        for now in zip(*sequences, strict=True):
            given = self.flat(node.region, [*now, *states, *constant])
            outputs.append(given[0])
            states = given if states else []
        return (torch.stack(outputs), *states)


def in_lane(value: Tensor, lane: int) -> Tensor:
    """One lane of a value that has several, [lanes, batch, width]; or what serves all lanes."""
    return value[lane] if value.dim() == 3 else value
