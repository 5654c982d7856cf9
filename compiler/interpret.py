"""Runs the IR node by node: slow, obvious, and what every pass and the generated code must equal.

Weights are looked up by the same paths as in a generated module's `state_dict`. Batch norm uses
batch statistics while training and never updates running ones; drop-path does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.codegen.names import attributes, key
from compiler.expr import evaluate
from compiler.ir import (
    Call,
    Choice,
    Form,
    Inline,
    Input,
    Join,
    Layer,
    Program,
    Region,
    Repeat,
    Select,
    Tap,
)
from compiler.layers import padding

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu, "relu6": F.relu6, "gelu": F.gelu, "silu": F.silu,
    "tanh": torch.tanh, "sigmoid": torch.sigmoid,
}  # fmt: skip


def interpret(
    program: Program,
    inputs: Sequence[Tensor],
    state: Mapping[str, Tensor],
    weights: Mapping[str, Sequence[Tensor]] | None = None,
    training: bool = True,
) -> Tensor:
    """The network's output for `inputs`; `weights[kind]` are the rows of mixing weights."""
    run = _Run(state, weights or {}, training)
    env = dict(program.values)
    return run.region(program.network, env, list(inputs), "")


class _Run:
    def __init__(
        self,
        state: Mapping[str, Tensor],
        weights: Mapping[str, Sequence[Tensor]],
        training: bool,
    ) -> None:
        self.state, self.weights, self.training = state, weights, training

    def region(self, region: Region, env: dict[str, Any], inputs: list[Tensor], at: str) -> Tensor:
        names = attributes(region)
        values: dict[int, Any] = {}
        stacks: dict[int, list[Tensor]] = {}
        given = iter(inputs)
        heads = region.heads()
        for number, node in region.nodes():
            if number in heads:
                continue
            if isinstance(node, Input):
                values[number] = next(given)
                continue
            path = region.path(number)
            if region.form is Form.GRAPH:
                path = names.get(number, "")
            place = ".".join(p for p in (at, path) if p)
            operands = [values[o] for o in node.operands]
            match node:
                case Repeat():
                    stacks[number] = self.repeat(node, env, operands, place)
                    values[number] = stacks[number][-1]
                    self.learn(node, values[number], env)
                case Tap():
                    values[number] = stacks[node.operands[0]][evaluate(node.index, env)]
                    self.learn(node, values[number], env)
                case Choice():
                    values[number] = self.choice(region, node, env, operands[0], place)
                case _:
                    values[number] = self.node(node, env, operands, place)
        return values[region.outputs[0]]

    def learn(self, node: Any, value: Tensor, env: dict[str, Any]) -> None:
        """The sizes of a stack's output are symbols of what follows."""
        env.update({s.name: n for s, n in zip(node.shape, value.shape[1:], strict=True)})

    def node(self, node: Any, env: dict[str, Any], operands: list[Tensor], at: str) -> Tensor:
        match node:
            case Layer():
                arguments = {n: evaluate(v, env) for n, v in node.arguments}
                return self.layer(node.layer, operands[0], arguments, at)
            case Join(how="concat"):
                return torch.cat(operands, dim=1)
            case Join():
                total = reduce(torch.add, operands)
                return total / len(operands) if node.how == "mean" else total
            case Call():
                return self.region(node.region, self.bound(node, env, operands), operands, at)
            case Inline():
                return self.region(node.region, env, operands, at)
            case Select():
                taken = node.then if evaluate(node.condition, env) else node.otherwise
                return self.region(taken, env, operands, at)
        raise TypeError(f"cannot run {type(node).__name__}")

    def bound(self, node: Any, env: dict[str, Any], operands: list[Tensor]) -> dict[str, Any]:
        if node.region.is_branch:
            return env
        arguments = tuple((n, evaluate(v, env)) for n, v in node.arguments)
        return node.region.bind(arguments, [tuple(o.shape[1:]) for o in operands])

    def choice(
        self, region: Region, node: Choice, env: dict[str, Any], x: Tensor, at: str
    ) -> Tensor:
        paths = [d.path for d in region.decisions]
        weights = self.weights[region.name][paths.index(node.decision)]
        inner = self.bound(node, env, [x])
        terms = [
            weight * self.region(option.body, dict(inner), [x], f"{at}.{key(option.label)}")
            for weight, option in zip(weights, node.region.options, strict=True)
        ]
        return reduce(torch.add, terms)

    def repeat(
        self, node: Repeat, env: dict[str, Any], window: list[Tensor], at: str
    ) -> list[Tensor]:
        places = {
            evaluate(place, env): step for step in node.steps[1:] for place in step.places or ()
        }
        outputs, stage = [], 0
        for index in range(evaluate(node.count, env)):
            step = places.get(index, node.steps[0])
            stage += index in places
            inner = {**env, "step": index, "stage": stage}
            for name, value in zip(node.window, window, strict=True):
                inner.update(
                    {f"{name}_{d}": n for d, n in zip("chw", value.shape[1:], strict=False)}
                )
            reads = len(step.body.inputs)
            value = self.step(step.body, inner, window[len(window) - reads :], f"{at}.{index}")
            outputs.append(value)
            window = [*window[1:], value]
        return outputs

    def step(self, body: Region, env: dict[str, Any], inputs: list[Tensor], at: str) -> Tensor:
        """A step that is one call is the module itself; its place in the stack is its path."""
        nodes = [n for _, n in body.nodes() if not isinstance(n, Input)]
        if len(nodes) == 1:
            return self.node(nodes[0], env, inputs, at)
        return self.region(body, env, inputs, at)

    def layer(self, layer: str, x: Tensor, arguments: dict[str, Any], at: str) -> Tensor:
        weight, bias = self.state.get(f"{at}.weight"), self.state.get(f"{at}.bias")
        match layer:
            case "conv" | "depthwise":
                assert weight is not None
                groups = arguments.get("groups", x.shape[1])
                stride, dilation = arguments["stride"], arguments["dilation"]
                return F.conv2d(x, weight, bias, stride, padding(arguments), dilation, groups)
            case "pool":
                k, stride, pad = arguments["k"], arguments["stride"], padding(arguments)
                if arguments["of"] == "max":
                    return F.max_pool2d(x, k, stride, pad)
                return F.avg_pool2d(x, k, stride, pad, count_include_pad=False)
            case "global_pool":
                return x.amax((2, 3)) if arguments["of"] == "max" else x.mean((2, 3))
            case "linear":
                assert weight is not None
                return F.linear(x, weight, bias)
            case "bn":
                mean, variance = None, None
                if not self.training:
                    mean, variance = (
                        self.state[f"{at}.running_mean"],
                        self.state[f"{at}.running_var"],
                    )
                return F.batch_norm(x, mean, variance, weight, bias, self.training)
            case "zero":
                stride = arguments["stride"]
                return torch.zeros_like(x[:, :, ::stride, ::stride] if x.dim() == 4 else x)
            case "crop":
                return x[:, :, arguments["n"] :, arguments["n"] :]
            case "flatten":
                return x.flatten(1)
            case "dropout":
                return F.dropout(x, arguments["p"], self.training)
            case "identity" | "drop_path":
                return x
        return ACTIVATIONS[layer](x)
