"""One step of the bilevel optimisation of DARTS (Liu, Simonyan & Yang, ICLR 2019).

The alphas minimise the validation loss at weights that minimise the training loss (equations 3
and 4 of the paper). One step replaces the inner minimum by the current weights (first order) or by
the weights after one more step of their own optimiser (second order, section 2.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from runtime.objective import Forward, Gradients, Loss, Objective, Outcome, gradients, held
from runtime.unrolled import Hessian, Unrolled

Penalty = Callable[[], Tensor | float]


class Supernet(Protocol):
    """What a step asks of a network, besides being an `nn.Module`."""

    def arch_parameters(self) -> Iterator[nn.Parameter]: ...

    def weight_parameters(self) -> Iterator[nn.Parameter]: ...


@dataclass(frozen=True)
class StepLosses:
    """What both halves of a step computed, detached, on the device.

    `training` was computed before the weight step, with the new alphas and without penalties;
    `validation` before the architecture step, at the weights it used: the virtual ones in the
    second order. The properties are their losses.
    """

    training: Outcome
    validation: Outcome

    @property
    def train(self) -> Tensor:
        return self.training.loss

    @property
    def valid(self) -> Tensor:
        return self.validation.loss


def classification(forward: Forward, batch: tuple[Tensor, Tensor]) -> Outcome:
    """Cross-entropy of images [batch, channels, height, width] with labels [batch]."""
    images, labels = batch
    logits = forward(images)
    correct = (logits.detach().argmax(1) == labels).sum()
    return Outcome(F.cross_entropy(logits, labels), len(labels), correct)


class BilevelStep:
    """Steps the alphas on a validation batch, then the weights on a training batch.

    What a batch is only `loss` knows: images and labels, or words and a state to start from.

    Args:
        net: the supernet, an `nn.Module` with `arch_parameters()` and `weight_parameters()`.
        weight_optimiser: plain SGD over the weights, in one group. The virtual step of the second
            order reads its lr, momentum, momentum buffers and weight decay as they are each time.
        alpha_optimiser: Adam in the paper; any optimiser over the alphas will do.
        order: 1 or 2.
        clip: the largest norm of the weights' gradient in the weight step; 0 clips nothing.
        clip_virtual: whether the second order clips too, as it does for recurrent networks.
        hessian: `finite_difference` or `exact`, for the second order; see `Unrolled`.
        epsilon: the distance of the finite difference, in units of 1 / ‖∇w' L_val‖.
        loss: of the network at some weights, as a callable, and of a batch.
        penalty: called after the forward pass of the weight step, for what to add to its loss.
    """

    def __init__(
        self,
        net: nn.Module,
        weight_optimiser: torch.optim.SGD,
        alpha_optimiser: torch.optim.Optimizer,
        *,
        order: int = 1,
        clip: float = 5.0,
        clip_virtual: bool = False,
        hessian: Hessian = "finite_difference",
        epsilon: float = 0.01,
        loss: Loss = classification,
        penalty: Penalty | None = None,
    ) -> None:
        if order not in (1, 2):
            raise ValueError(f"the order is 1 or 2, not {order}")
        self.net = net
        self.weight_optimiser = weight_optimiser
        self.alpha_optimiser = alpha_optimiser
        self.order, self.clip, self.penalty = order, clip, penalty
        supernet = cast(Supernet, net)
        self.alphas = list(supernet.arch_parameters())
        self.weights = list(supernet.weight_parameters())
        self.objective = Objective(net, self.weights, loss)
        self.unrolled = Unrolled(
            self.objective,
            self.alphas,
            self.weights,
            weight_optimiser,
            hessian=hessian,
            epsilon=epsilon,
            clip=clip if clip_virtual else 0,
        )

    def __call__(self, train: Any, valid: Any) -> StepLosses:
        """One step on a training and a validation batch; every parameter's gradient is overwritten.

        Raises:
            RuntimeError: when the exact Hessian is asked of a network that cannot be
                differentiated twice.
        """
        validation = self._architecture_step(train, valid)
        return StepLosses(self._weight_step(train), validation)

    def set_lr(self, lr: float) -> None:
        """The learning rate of the weights, virtual ones too, from the next step on.

        An optimiser whose learning rate is a tensor keeps that tensor.
        """
        group = self.weight_optimiser.param_groups[0]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr

    def _architecture_step(self, train: Any, valid: Any) -> Outcome:
        with running_statistics_kept(self.net):
            if self.order == 1:
                with held(self.weights):
                    outcome = self.objective(valid)
                found = gradients(outcome.loss, self.alphas)
            else:
                outcome, found = self.unrolled(train, valid)
        _assign(self.alphas, found)
        self.alpha_optimiser.step()
        return outcome.detach()

    def _weight_step(self, train: Any) -> Outcome:
        with held(self.alphas):
            outcome = self.objective(train)
        loss = outcome.loss if self.penalty is None else outcome.loss + self.penalty()
        _assign(self.weights, gradients(loss, self.weights))
        if self.clip > 0:
            clip_grad_norm_(self.weights, self.clip)
        self.weight_optimiser.step()
        return outcome.detach()


@contextmanager
def running_statistics_kept(net: nn.Module) -> Iterator[None]:
    """Puts every buffer of `net` back at the end: batch norm's means, variances and counts.

    Within it a training network normalises by its batch as ever. Backward passes belong within it
    too, since autograd refuses buffers that changed between the two passes.
    """
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for buffer in net.buffers():
        by_type.setdefault(buffer.dtype, []).append(buffer)
    kept = {dtype: [torch.empty_like(b) for b in buffers] for dtype, buffers in by_type.items()}
    # One call for all: a network has thousands of these small tensors.
    for dtype, buffers in by_type.items():
        torch._foreach_copy_(kept[dtype], buffers)
    try:
        yield
    finally:
        for dtype, buffers in by_type.items():
            torch._foreach_copy_(buffers, kept[dtype])


def _assign(parameters: Sequence[nn.Parameter], found: Gradients) -> None:
    for parameter, gradient in zip(parameters, found, strict=True):
        parameter.grad = None if gradient is None else laid_out(gradient, parameter)


def laid_out(gradient: Tensor, parameter: Tensor) -> Tensor:
    """A gradient with the strides of its parameter, as one call for all parameters demands.

    Where they differ along axes of size one alone, as in the weights of 1x1 and of depthwise
    convolutions, no number moves.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    axes = zip(gradient.shape, gradient.stride(), parameter.stride(), strict=True)
    if all(size == 1 or own == other for size, own, other in axes):
        return gradient.as_strided(parameter.shape, parameter.stride())
    return torch.empty_like(parameter).copy_(gradient)
