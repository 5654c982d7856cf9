"""A loss as a function of weights: of the network's own, or of others in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

Gradients = Sequence[Tensor | None]  # None for a parameter that the loss does not depend on
Forward = Callable[..., Any]  # the network at some weights, from its inputs to its outputs


class Outcome(NamedTuple):
    """What a loss makes of a batch.

    `loss` is a scalar, the mean over `size` predictions; `correct` counts the right ones where the
    task does; `state` is what a recurrent network carries on to the next batch, detached.
    """

    loss: Tensor
    size: int
    correct: Tensor | None = None
    state: Any = None

    def detach(self) -> Outcome:
        return self._replace(loss=self.loss.detach())


Loss = Callable[[Forward, Any], Outcome]  # of the network at some weights and of a batch


class Objective:
    """A loss of a network, at its own weights or at others.

    Args:
        net: the network.
        weights: the parameters that may be replaced.
        loss: how a batch is computed.
    """

    def __init__(self, net: nn.Module, weights: Sequence[nn.Parameter], loss: Loss) -> None:
        self.net, self.loss = net, loss
        names = {parameter: name for name, parameter in net.named_parameters()}
        self._names = [names[weight] for weight in weights]

    def __call__(self, batch: Any, weights: Sequence[Tensor] | None = None) -> Outcome:
        """The loss of a batch; `weights` take the place of the network's own."""
        if weights is None:
            return self.loss(self.net, batch)
        named = dict(zip(self._names, weights, strict=True))
        return self.loss(lambda *inputs: functional_call(self.net, named, inputs), batch)


@contextmanager
def held(parameters: Iterable[Tensor]) -> Iterator[None]:
    """Forward passes within take these parameters for constants.

    So a network knows which gradients nobody asks for, and keeps nothing for them.
    """
    changed = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in changed:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in changed:
            parameter.requires_grad_(True)


def gradients(loss: Tensor, by: Sequence[Tensor], *, create_graph: bool = False) -> Gradients:
    return torch.autograd.grad(loss, by, create_graph=create_graph, allow_unused=True)
