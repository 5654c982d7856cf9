"""Recurrences as classes: `step` is the body, `forward` the loop over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from compiler.codegen.classes import INIT, described, drop_path, spaced
from compiler.codegen.constructor import Constructor
from compiler.codegen.forward import Forward
from compiler.codegen.layout import Call, ListOf, function_head, lines
from compiler.codegen.names import branches, local
from compiler.codegen.scope import Context
from compiler.expr import Const
from compiler.ir import Call as CallNode
from compiler.ir import Input, Layer, Region, is_mask, is_open
from compiler.program import stacks


@dataclass(frozen=True)
class Mask:
    """A mask that is drawn once per sequence: its variable, and the first layer that uses it."""

    key: Any
    name: str
    layer: Layer
    reads: Input | None
    """The input it is drawn for; None where that is a value computed in the step."""


def recurrence(context: Context, region: Region) -> str:
    """A cell or an op that runs over a dimension."""
    constructor = Constructor(context, region)
    weights = _weights(region)
    step = Forward(context, region, taken={*OWN_NAMES})
    loop = Forward(context, region)
    loop.taken |= {*OWN_NAMES}
    masks = list(_masks(region))
    step.masks.update({mask.key: step.variable(local(mask.name)) for mask in masks})
    names = list(step.masks.values())
    statements = step.write()
    inputs = [step.values[i].doc.flat() for i, _ in region.inputs]
    loop.taken |= {*inputs, *names}
    forward = _loop(loop, region, inputs, masks, names, weights)
    body = [*constructor.write({**step.stored, **loop.stored}), *drop_path(region)]
    parts = [
        described(region),
        [*constructor.head(), INIT, *body] if body else [],
        forward,
        [*_step_head(region, [*inputs, *names, *weights]), *statements],
    ]
    return "\n".join([f"class {context.names[id(region)]}(nn.Module):", *spaced(parts)])


OWN_NAMES = ("w", "weights", "outputs")
"""What the loop calls its own variables."""


def _masks(region: Region, around: str | None = None) -> Iterator[Mask]:
    """The masks of a recurrence in the order of first use, branches included."""
    seen: set[Any] = set()

    def found(inner: Region) -> Iterator[Mask]:
        for number, node in inner.nodes():
            if isinstance(node, Layer) and _is_drawn(node):
                key = node.shared or (id(inner), number)
                if key not in seen:
                    seen.add(key)
                    operand = inner.node(node.operands[0])
                    reads = operand if isinstance(operand, Input) and inner is region else None
                    name = node.shared or f"{operand.bound or 'value'}_mask"
                    yield Mask(key, name.replace("[", "").replace("]", ""), node, reads)
            for branch in branches(node):
                yield from found(branch)

    yield from found(region)


def _is_drawn(node: Layer) -> bool:
    return is_mask(node) and ("per", Const("sequence")) in node.arguments


def _weights(region: Region) -> list[str]:
    """How mixing weights come into a step: the rows of its own kind, those of all kinds."""
    calls = [n for _, n in region.nodes() if isinstance(n, CallNode)]
    below = ["weights"] if any(is_open(call.region) for call in calls) else []
    return [*(["w"] if region.decisions else []), *below]


def _loop(
    loop: Forward,
    region: Region,
    inputs: list[str],
    masks: list[Mask],
    names: list[str],
    weights: list[str],
) -> list[str]:
    """`forward`: masks are drawn, then the step is run at every place."""
    states = inputs[len(inputs) - (region.states or 0) :]
    sequences = inputs[: len(inputs) - len(states)]
    open_ = is_open(region)
    if open_:
        loop.context.used.add("Weights")
    head = ["self", *(f"{name}: Tensor" for name in inputs)]
    head += ["weights: Weights"] if open_ else []
    several = ", ".join(["Tensor"] * (1 + len(states)))
    result = f"tuple[{several}]" if states else "Tensor"
    body = function_head("forward", head, result)
    if "w" in weights:
        body.append(f'        w = weights["{region.name}"]')
    for mask, name in zip(masks, names, strict=True):
        body += lines(_drawn(loop, mask, inputs), 8, f"{name} = ")
    steps = [loop.variable(f"{name}_t") for name in sequences]
    over = sequences[0] if len(sequences) == 1 else f"zip({', '.join(sequences)}, strict=True)"
    step = Call("self.step", *steps, *states, *names, *weights)
    if not states:
        every = f"{step.flat()} for {', '.join(steps)} in {over}"
        return [*body, *lines(Call("torch.stack", ListOf(every)), 8, "return ")]
    return [
        *body,
        "        outputs = []",
        f"        for {', '.join(steps)} in {over}:",
        *lines(step, 12, f"{', '.join(states)} = "),
        f"            outputs.append({states[0]})",
        f"        return {', '.join(['torch.stack(outputs)', *states])}",
    ]


def _drawn(loop: Forward, mask: Mask, inputs: list[str]) -> Call:
    """A mask for what it is applied to: a step of a sequence, a state, or a value of its width."""
    p = loop.show(dict(mask.layer.arguments)["p"])
    loop.context.used.add("sequence_mask")
    nodes = [node for _, node in loop.region.inputs]
    names = {id(node): name for node, name in zip(nodes, inputs, strict=True)}
    first_state = len(nodes) - (loop.region.states or 0)
    if mask.reads is None:
        sizes = ", ".join(loop.show(size) for size in mask.layer.shape)
        like = f"{inputs[0]}.new_ones({inputs[0]}.shape[1], {sizes})"
    else:
        is_state = any(mask.reads is state for state in nodes[first_state:])
        like = names[id(mask.reads)] + ("" if is_state else "[0]")
    return Call("sequence_mask", like, p, "self.training")


def _step_head(region: Region, names: list[str]) -> list[str]:
    several = len(stacks(region.decisions)) > 1
    own = {"w": "tuple[Tensor, ...]" if several else "Tensor", "weights": "Weights"}
    kinds = {name: own.get(name, "Tensor") for name in names}
    count = len(region.outputs)
    result = "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
    return function_head("step", ["self", *(f"{n}: {kind}" for n, kind in kinds.items())], result)
