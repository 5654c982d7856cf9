"""Runs the IR node by node: slow, obvious, and what every pass and the generated code must equal.

Weights are looked up by the same paths as in a generated module's `state_dict`. Batch norm uses
batch statistics while training and never updates running ones; drop-path does nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler import slow_layers
from compiler.codegen.names import attributes, inner_attributes, key, shared_attributes
from compiler.expr import Symbol, evaluate
from compiler.ir import (
    Call,
    Choice,
    Elementwise,
    Form,
    Inline,
    Input,
    Join,
    Layer,
    Part,
    Region,
    Repeat,
    Scan,
    Select,
    Tap,
    is_mask,
    is_term_by_term,
)
from compiler.layers import padding, window
from compiler.program import Program

OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""For which unit mean and variance are a fixed point (Klambauer et al., 2017)."""
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu, "relu6": F.relu6, "gelu": F.gelu, "silu": F.silu,
    "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "leaky_relu": lambda x: torch.where(x > 0, x, x / 100),
    # what is not taken must be finite, for its gradient is multiplied by 0
    "elu": lambda x: torch.where(x > 0, x, torch.where(x > 0, 0, x).expm1()),
    "selu": lambda x: SELU_SCALE
    * torch.where(x > 0, x, SELU_ALPHA * torch.where(x > 0, 0, x).expm1()),
    "softplus": F.softplus, "mish": lambda x: x * F.softplus(x).tanh(),
    # torch takes a sixth in single precision, so these have to be its own
    "hardsigmoid": F.hardsigmoid, "hardswish": F.hardswish,
    "square": lambda x: x * x, "sin": torch.sin,
}  # fmt: skip


def interpret(
    program: Program,
    inputs: Sequence[Tensor],
    state: Mapping[str, Tensor],
    weights: Mapping[str, Sequence[Tensor]] | None = None,
    training: bool = True,
    hidden: Sequence[Tensor] | None = None,
) -> Any:
    """The network's output for `inputs`, a tuple of several; `weights[kind]` are the rows of mixing
    weights.

    With states in the network, the output and the state after it, as the generated code has them;
    `hidden` are the states before, zeros if None.
    """
    run = Run(state, weights or {}, training, hidden)
    env = dict(program.values)
    for (_, node), value in zip(program.network.inputs, inputs, strict=True):
        sizes = sizes_of(value, len(node.shape))
        pairs = zip(node.shape, sizes, strict=True)
        env.update({size.name: n for size, n in pairs if isinstance(size, Symbol)})
    outputs = run.region(program.network, env, list(inputs), "")
    return given_back(outputs, run.after)


def given_back(outputs: Sequence[Tensor], after: Sequence[Tensor]) -> Any:
    """What a network gives back: its outputs, and behind them the states where it has some.

    Several of either are a tuple.
    """
    output = outputs[0] if len(outputs) == 1 else tuple(outputs)
    if not after:
        return output
    return output, after[0] if len(after) == 1 else tuple(after)


def sizes_of(x: Tensor, rank: int) -> tuple[int, ...]:
    """A tensor's sizes without its batch, which comes first, in a sequence second."""
    shape = tuple(x.shape)
    return (shape[0], *shape[2:]) if rank == 2 or not x.is_floating_point() else shape[1:]


class Run:
    """One run: the weights by their paths, and the masks drawn so far."""

    def __init__(
        self,
        state: Mapping[str, Tensor],
        weights: Mapping[str, Sequence[Tensor]],
        training: bool,
        hidden: Sequence[Tensor] | None,
    ) -> None:
        self.state, self.weights, self.training = state, weights, training
        self.before = None if hidden is None else list(hidden)
        self.after: list[Tensor] = []
        self.masks: dict[Any, Tensor] = {}
        self.owner = ""
        self.kind: Region | None = None
        """The declared region being run, whose decisions its branches obey."""
        self.inner: dict[tuple[int, int], str] = {}
        self.shared: dict[str, str] = {}

    def region(
        self, region: Region, env: dict[str, Any], inputs: list[Tensor], at: str
    ) -> list[Tensor]:
        """What a region gives back, several values where it has states."""
        around = self.owner, self.kind, self.inner, self.shared
        if not region.is_branch:
            self.owner, self.kind = at, region
            self.inner = inner_attributes(region)
            self.shared = shared_attributes(region)
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
            own = self.inner.get((id(region), number), self.shared.get(node.shared))
            if own:
                place = ".".join(p for p in (self.owner, own) if p)
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
                    values[number] = self.choice(node, env, operands, place)
                case Scan():
                    values[number] = self.scan(node, env, operands, place)
                case Layer(layer="dropout") if is_mask(node):
                    key = (self.owner, node.shared) if node.shared else (id(region), number)
                    values[number] = self.masked(key, node, env, operands[0])
                case _:
                    values[number] = self.node(node, env, operands, place)
        self.owner, self.kind, self.inner, self.shared = around
        return [values[output] for output in region.outputs]

    def scan(self, node: Scan, env: dict[str, Any], operands: list[Tensor], at: str) -> Tensor:
        """A recurrence, step by step; a mask per sequence is drawn when it is first needed."""
        batch = operands[0].shape[1]
        arguments = tuple((n, evaluate(v, env)) for n, v in node.arguments)
        inner = dict(arguments)
        shapes = [[evaluate(s, inner) for s in state] for state in node.region.state_dims(())]
        states = [operands[0].new_zeros(batch, *shape) for shape in shapes]
        if self.before is not None:
            states = [self.before.pop(0) for _ in states]
        around, self.masks = self.masks, {}
        outputs = []
        for now in zip(*operands, strict=True):
            read = [*now, *states]
            sizes = [tuple(value.shape[1:]) for value in read]
            given = self.region(node.region, node.region.bind(arguments, sizes), read, at)
            outputs.append(given[0])
            states = given if states else []
        self.masks = around
        self.after += states
        return torch.stack(outputs)

    def masked(self, key: Any, node: Layer, env: dict[str, Any], x: Tensor) -> Tensor:
        if key not in self.masks:
            arguments = {n: evaluate(v, env) for n, v in node.arguments}
            is_sequence = arguments["per"] == "sequence" and len(node.shape) == 2
            like = torch.ones_like(x[0] if is_sequence else x)
            self.masks[key] = F.dropout(like, arguments["p"], self.training)
        return x * self.masks[key]

    def learn(self, node: Any, value: Tensor, env: dict[str, Any]) -> None:
        """The sizes of a stack's output are symbols of what follows."""
        sizes = sizes_of(value, len(node.shape))
        env.update({s.name: n for s, n in zip(node.shape, sizes, strict=True)})

    def node(self, node: Any, env: dict[str, Any], operands: list[Tensor], at: str) -> Tensor:
        match node:
            case Layer():
                arguments = {n: evaluate(v, env) for n, v in node.arguments}
                return self.layer(node.layer, operands[0], arguments, at)
            case Join(how="concat"):
                return torch.cat(operands, dim=1 if len(node.shape) == 3 else -1)
            case Elementwise():
                return self.arithmetic(node, env, operands)
            case Part():
                axis = 1 if len(node.shape) == 3 else -1
                return operands[0].chunk(node.count, axis)[node.index]
            case Join(how="max"):
                return torch.stack(operands).amax(0)
            case Join(how="product"):
                return torch.stack(operands).prod(0)
            case Join():
                total = reduce(torch.add, operands)
                return total / len(operands) if node.how == "mean" else total
            case Call():
                return self.region(node.region, self.bound(node, env, operands), operands, at)[0]
            case Inline():
                return self.region(node.region, env, operands, at)[0]
            case Select():
                taken = node.then if evaluate(node.condition, env) else node.otherwise
                return self.region(taken, env, operands, at)[0]
        raise TypeError(f"cannot run {type(node).__name__}")

    def bound(self, node: Any, env: dict[str, Any], operands: list[Tensor]) -> dict[str, Any]:
        if node.region.is_branch:
            return env
        arguments = tuple((n, evaluate(v, env)) for n, v in node.arguments)
        ranks = [len(inner.shape) for _, inner in node.region.inputs]
        sizes = [sizes_of(o, rank) for o, rank in zip(operands, ranks, strict=True)]
        return node.region.bind(arguments, sizes)

    def arithmetic(self, node: Elementwise, env: dict[str, Any], operands: list[Tensor]) -> Tensor:
        rank = len(node.shape)
        values: list[Any] = [
            o[:, :, None, None] if rank == 3 > o.dim() - 1 else o for o in operands
        ]
        if node.number is not None:
            values.insert(0 if node.swapped else 1, evaluate(node.number, env))
        return OPERATORS[node.operator](*values)

    def choice(self, node: Choice, env: dict[str, Any], operands: list[Tensor], at: str) -> Tensor:
        assert self.kind is not None
        paths = [d.path for d in self.kind.decisions]
        weights = self.weights[self.kind.name][paths.index(node.decision)]
        inner = self.bound(node, env, operands)
        joint = len(operands) > 1 and not is_term_by_term(node)
        run = self.step if joint else self.value
        terms = [
            weight * run(option.body, dict(inner), operands, f"{at}.{key(option.label)}")
            for weight, option in zip(weights, node.region.options, strict=True)
        ]
        if node.how == "concat":
            return torch.cat(terms, dim=1 if len(node.shape) == 3 else -1)
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

    def value(self, body: Region, env: dict[str, Any], inputs: list[Tensor], at: str) -> Tensor:
        return self.region(body, env, inputs, at)[0]

    def step(self, body: Region, env: dict[str, Any], inputs: list[Tensor], at: str) -> Tensor:
        """A step that is one call is the module itself; its place in the stack is its path."""
        nodes = [n for _, n in body.nodes() if not isinstance(n, Input)]
        if len(nodes) == 1:
            return self.node(nodes[0], env, inputs, at)
        return self.region(body, env, inputs, at)[0]

    def layer(self, layer: str, x: Tensor, arguments: dict[str, Any], at: str) -> Tensor:
        weight, bias = self.state.get(f"{at}.weight"), self.state.get(f"{at}.bias")
        match layer:
            case "conv" | "depthwise":
                assert weight is not None
                groups = arguments.get("groups", x.shape[1])
                stride, dilation = arguments["stride"], arguments["dilation"]
                if "centre" in arguments:
                    weight = weight * centred(arguments["k"], arguments["centre"]).to(weight)
                return F.conv2d(x, weight, bias, stride, padding(arguments), dilation, groups)
            case "conv_transpose":
                assert weight is not None
                return transposed(x, weight, bias, arguments)
            case "pool":
                k, stride, pad = window(arguments), arguments["stride"], padding(arguments)
                if arguments["of"] == "max":
                    return F.max_pool2d(x, k, stride, pad)
                return F.avg_pool2d(x, k, stride, pad, count_include_pad=False)
            case "global_pool":
                over = (2, 3) if x.dim() == 4 else 0
                return x.amax(over) if arguments["of"] == "max" else x.mean(over)
            case "layer_norm":
                return slow_layers.layer_norm(x, weight, bias, arguments.get("active"))
            case "group_norm":
                return slow_layers.group_norm(x, weight, bias, arguments["groups"])
            case "attention":
                heads, active = arguments["heads"], arguments.get("active")
                return slow_layers.attention(x, self.state, at, heads, active)
            case "position":
                assert weight is not None
                return x + weight[:, None]
            case "tokens":
                return slow_layers.tokens(x)
            case "as_image":
                return slow_layers.pixels(x, arguments["rows"])
            case "softmax":
                return slow_layers.softmax(x)
            case "embedding":
                assert weight is not None
                kept = F.dropout(weight.new_ones(len(weight), 1), arguments["drop"], self.training)
                return weight[x] * kept[x]
            case "apply":
                return x if arguments["f"] == "identity" else ACTIVATIONS[arguments["f"]](x)
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
            case "pad":
                rows, columns = (x.shape[axis] + 2 * arguments["n"] for axis in (2, 3))
                larger = x.new_zeros(*x.shape[:2], rows, columns)
                n = arguments["n"]
                larger[:, :, n : rows - n, n : columns - n] = x
                return larger
            case "upsample":
                n = arguments["n"]
                return x.repeat_interleave(n, 2).repeat_interleave(n, 3)
            case "shuffle":
                each = x.shape[1] // arguments["groups"]
                return torch.cat([x[:, first::each] for first in range(each)], 1)
            case "narrow":
                axis = 1 if x.dim() == 4 else x.dim() - 1
                counts = torch.arange(x.shape[axis], device=x.device) < arguments["n"]
                return x * (counts[:, None, None] if x.dim() == 4 else counts)
            case "gaussian":
                return torch.randn(x.shape, dtype=x.dtype, device=x.device)
            case "flatten":
                return x.flatten(1)
            case "dropout":
                return F.dropout(x, arguments["p"], self.training)
            case "identity" | "drop_path":
                return x
        return ACTIVATIONS[layer](x)


def transposed(
    x: Tensor, weight: Tensor, bias: Tensor | None, arguments: Mapping[str, Any]
) -> Tensor:
    """A transposed convolution, all of which is computed and then cut to its size."""
    k, stride = arguments["k"], arguments["stride"]
    full = F.conv_transpose2d(x, weight, None, stride, groups=arguments["groups"])
    sizes = [stride * n for n in x.shape[2:]]
    start = max(0, -((stride - k) // 2))
    if arguments["padding"] != "auto":
        start = arguments["padding"]
        sizes = [n - 2 * start for n in full.shape[2:]]
    rows, columns = sizes
    cut = full[:, :, start : start + rows, start : start + columns]
    out = F.pad(cut, (0, columns - cut.shape[3], 0, rows - cut.shape[2]))
    return out if bias is None else out + bias[:, None, None]


def centred(k: int, size: int) -> Tensor:
    """Ones in a square of `size` in the middle of k x k zeros."""
    near = torch.tensor([abs(2 * i - k + 1) < size for i in range(k)])
    return near[:, None] & near
