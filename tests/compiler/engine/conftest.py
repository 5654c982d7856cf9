"""What tests of the engine share: a space as two supernets, one plain and one optimised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from support import inputs, randomise, space
from torch import Tensor, nn

import compiler
from compiler import Supernet
from compiler.engine.operation import Operation
from compiler.engine.operations import operations
from compiler.flat.nodes import Loop
from compiler.ir import Region
from dsl import Space

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
GROUPS = ("alphas", "weights", "input", "state")
IMAGES = """
    network from image[2, 6, 6] to class[3] {{
        y = image -> conv(1, out: 4)
        return {}
    }}
"""
VECTORS = """
    network from x[5] to class[3] {{
        y = x -> linear(4)
        return {}
    }}
"""
SEQUENCES = VECTORS.replace("x[5] to class[3]", "x[T, 5] to y[T, 3]")


@dataclass(frozen=True)
class Result:
    """What a pass gives: outputs and states, gradients by name, and the buffers after it."""

    values: list[Tensor]
    gradients: dict[str, Tensor | None]
    buffers: dict[str, Tensor]


class Pair:
    """One space as a plain supernet and as an optimised one, with equal numbers."""

    def __init__(self, space: Space | Any, batch: int, **overrides: Any) -> None:
        nets = (compiler.build(space, passes=p, **overrides) for p in ("none", "fast"))
        self.plain, self.fast = nets
        draw(self.plain)
        self.state = {name: value.clone() for name, value in self.plain.state_dict().items()}
        self.fast.load_state_dict(self.state)
        self.x, *self.others = inputs(self.plain.program, batch)
        recurrent = hasattr(self.plain.model, "init_hidden")
        hidden = flattened(self.plain.init_hidden(batch)) if recurrent else []
        self.hidden = [torch.randn_like(value) for value in hidden]

    def run(self, net: Supernet, asked: Sequence[str] = GROUPS) -> Result:
        """A pass from the same numbers and the same seed; gradients by groups or by names."""
        net.load_state_dict(self.state)
        net.train()
        assert net is self.plain or net.optimised.stands_for(self.x, *self.others)
        hidden = [value.clone() for value in self.hidden]
        read = [value.clone() for value in (self.x, *self.others)]
        leaves = {f"x {number}": value for number, value in enumerate(read)}
        leaves |= {f"state {number}": value for number, value in enumerate(hidden)}
        leaves.update(net.named_parameters())
        for name, leaf in leaves.items():
            wanted = group(name) in asked or name in asked
            leaf.requires_grad_(leaf.is_floating_point() and wanted)
        torch.manual_seed(1)
        values = flattened(net(*read, state_of(hidden)))
        by = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
        loss = projected(values)
        found = gradients(loss, list(by.values())) if loss.requires_grad else [None] * len(by)
        net.requires_grad_(True)
        buffers = {name: value.clone() for name, value in net.named_buffers()}
        return Result(values, dict(zip(by, found, strict=True)), buffers)


def draw(net: Supernet) -> None:
    """Numbers that are nowhere equal by accident; scales of norms are negative too."""
    randomise(net)
    for module in net.modules():
        if isinstance(module, NORMS) and module.weight is not None:
            module.weight.data.uniform_(0.5, 1.5)[::2] *= -1
            module.bias.data.normal_()


def group(name: str) -> str:
    """The group of gradients that one belongs to."""
    if name.startswith("alphas."):
        return "alphas"
    return {"x": "input", "state": "state"}.get(name.partition(" ")[0], "weights")


def state_of(hidden: Sequence[Tensor]) -> Any:
    if not hidden:
        return None
    return hidden[0] if len(hidden) == 1 else tuple(hidden)


def flattened(result: Any) -> list[Tensor]:
    """All outputs, and the states behind them."""
    return list(_flattened(result))


def _flattened(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    else:
        for part in result:
            yield from _flattened(part)


def projected(values: Sequence[Tensor]) -> Tensor:
    """A loss on which all values act, each number by another weight."""
    torch.manual_seed(2)
    return torch.stack([(torch.randn(value.shape) * value).sum() for value in values]).sum()


def gradients(loss: Tensor, by: Sequence[Tensor]) -> list[Tensor | None]:
    return list(torch.autograd.grad(loss, by, allow_unused=True))


def same(found: Tensor | None, expected: Tensor | None, size: float, name: str) -> None:
    """Equal up to rounding at this scale. A gradient that is left out is one of zeros."""
    first, second = (torch.zeros(()) if v is None else v.double() for v in (found, expected))
    torch.testing.assert_close(
        *torch.broadcast_tensors(first, second), rtol=0, atol=1e-9 * size,
        msg=lambda text: f"{name}: {text}",
    )  # fmt: skip


def scale(tensors: Sequence[Tensor | None]) -> float:
    return max([1.0, *(float(t.detach().abs().max()) for t in tensors if t is not None)])


def agree(found: Result, expected: Result) -> None:
    """Outputs, buffers, and those gradients that `found` has, are the same."""
    size = scale(expected.values)
    for number, (value, other) in enumerate(zip(found.values, expected.values, strict=True)):
        same(value, other, size, f"output {number}")
    size = scale(list(expected.gradients.values()))
    for name, gradient in found.gradients.items():
        same(gradient, expected.gradients[name], size, name)
    for name, value in expected.buffers.items():
        same(found.buffers[name], value, scale([value.double()]), name)


@pytest.fixture
def pair() -> Callable[..., Pair]:
    """Makes the two supernets of a space."""

    def made(space: Space | Any, batch: int = 7, **overrides: Any) -> Pair:
        return Pair(space, batch, **overrides)

    return made


@pytest.fixture(name="agree")
def _agree() -> Callable[[Result, Result], None]:
    return agree


@pytest.fixture
def check() -> Callable[..., None]:
    """Compares a pair, for gradients asked for together and for some of them alone."""

    def checked(two: Pair, plain: Result | None = None, alone: Sequence[str] = GROUPS) -> None:
        expected = plain or two.run(two.plain)
        agree(two.run(two.fast), expected)
        for asked in alone:
            if any(group(name) == asked for name in expected.gradients):
                agree(two.run(two.fast, (asked,)), expected)

    return checked


def classes_of(region: Region) -> set[type[Operation]]:
    """The operations that run a region, in loops too."""
    found: set[type[Operation]] = set()
    for operation in operations(region).values():
        found.add(type(operation))
        if isinstance(operation.node, Loop):
            found |= classes_of(operation.node.region)
    return found


@pytest.fixture
def runs(check: Callable[..., None]) -> Callable[..., None]:
    """Compares the two supernets of a text, of which one runs operations of a class."""

    def checked(text: str, operation: type[Operation]) -> None:
        two = Pair(space(text), 3)
        assert operation in classes_of(two.fast.optimised.engine.region)
        check(two)

    return checked


@pytest.fixture
def on_images(runs: Callable[..., None]) -> Callable[..., None]:
    """An operation of images whose operand another one reads too, before it and after it."""

    def checked(text: str, operation: type[Operation]) -> None:
        one, other = (f"(y -> {op} -> flatten -> linear(3))" for op in (text, "gelu"))
        for both in (f"{one} + {other}", f"{other} + {one}"):
            runs(IMAGES.format(both), operation)

    return checked


@pytest.fixture
def on_vectors(runs: Callable[..., None]) -> Callable[..., None]:
    """An operation of vectors, alone and along a sequence."""

    def checked(text: str, operation: type[Operation]) -> None:
        both = f"(y -> {text} -> linear(3)) + (y -> gelu -> linear(3))"
        runs(VECTORS.format(both), operation)
        runs(SEQUENCES.format(both), operation)

    return checked
