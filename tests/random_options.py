"""Draws sets, for any body: their options keep the shape of what flows into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from random_draws import ACTIVATIONS, Shape

if TYPE_CHECKING:
    from random_bodies import Body


def options(body: Body, shape: Shape, arity: int = 1) -> str:
    """What follows `choose`: a set written here, or the name of one."""
    if body.draw.chance(0.4, "named set"):
        return body.stock.set(shape.rank, arity)
    return literal(body, shape, arity)


def literal(body: Body, shape: Shape, arity: int = 1, strided: bool = False) -> str:
    items: list[str] = []
    labels: set[str] = set()
    if body.draw.chance(0.3, "sink"):
        items.append(f"sink {sink(body, arity, strided)}")
    wanted = len(items) + body.draw.random.choice((2, 2, 3))
    while len(items) < wanted:
        items += item(body, shape, arity, strided, labels)
    return "{ " + ", ".join(items) + " }"


def sink(body: Body, arity: int, strided: bool) -> str:
    if arity > 1:
        name = body.stock.fresh("silence")
        body.stock.declarations.append(f"op {name} from s, _ = s -> zero")
        return name
    return body.draw.pick("none", "zero") if body.stock.uses_std else "zero"


def item(body: Body, shape: Shape, arity: int, strided: bool, labels: set[str]) -> list[str]:
    """One more item, or none where its label is taken; `labels` are those so far."""
    if arity == 1 and body.draw.chance(0.2, "for"):
        made, text = loop(body, shape, strided)
        if made & labels:
            return []
        labels |= made
        return [text]
    if strided:
        text = body.draw.pick(
            "none", "skip", "sep_conv(3)", "dil_conv(5)", "max_pool(3)", "avg_pool(3)",
            "relu_conv_bn(3)", "conv(3)", "depthwise(5)", "pool(mean, 3)", "zero",
        )  # fmt: skip
    elif arity == 1:
        text = body.operation(shape, body.depth)
    else:
        text = body.call(body.stock.op(shape, arity, body.draw.chance(0.7), 1))
    label = text if text in (*ACTIVATIONS, "skip", "bn") else f"o{len(labels)}"
    if label in labels:
        return []
    labels.add(label)
    condition = ""
    if body.lasting and len(labels) > 2 and body.draw.chance(0.2, "if"):
        condition = f" if {body.draw.random.choice(body.lasting)}"
    return [text + condition + (f" as {label}" if label != text else "")]


def loop(body: Body, shape: Shape, strided: bool) -> tuple[set[str], str]:
    """An item that stands for several options, and words that tell it from other items."""
    where = body.draw.pick("", " if k > 3", " if k < 4 or k % 5 == 0")
    if strided or (shape.rank == 3 and body.draw.chance(0.5)):
        stem = body.draw.pick("conv", "depthwise")
        if body.stock.uses_std:
            stem = body.draw.pick(stem, "sep_conv", "relu_conv_bn", "dil_conv")
        return {stem}, f"{stem}(k) for k in (3, 5){where}"
    if body.draw.chance(0.5):
        functions = body.draw.random.sample(ACTIVATIONS, 2)
        name = body.stock.applying()
        return set(functions), f"{name}(f) for f in ({', '.join(functions)}) as f"
    name = body.stock.scaling()
    return {name}, f"{name}(k) for k in (2, 3, 5){where}"
