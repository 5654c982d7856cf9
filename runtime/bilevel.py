"""One step of the bilevel optimisation of DARTS (Liu, Simonyan & Yang, ICLR 2019).

The alphas minimise the validation loss at weights that minimise the training loss (equations 3
and 4 of the paper). One step replaces the inner minimum by the current weights (first order) or by
the weights after one more step of their own optimiser (second order, section 2.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import clip_grad_norm_, get_total_norm

Batch = tuple[Tensor, Tensor]  # images [batch, channels, height, width] and labels [batch]
Loss = Callable[[Tensor, Tensor], Tensor]
Hessian = Literal["finite_difference", "exact"]
Gradients = Sequence[Tensor | None]  # None for a parameter that the loss does not depend on


class Supernet(Protocol):
    """What a step asks of a network, besides being an `nn.Module` from images to logits."""

    def arch_parameters(self) -> Iterator[nn.Parameter]: ...

    def weight_parameters(self) -> Iterator[nn.Parameter]: ...


@dataclass(frozen=True)
class StepLosses:
    """Losses (batch means) and counts of correct predictions, as detached scalars on the device.

    `train` was measured before the weight step, with the new alphas; `valid` before the
    architecture step, at the weights it used: the virtual ones in the second order.
    """

    train: Tensor
    valid: Tensor
    train_correct: Tensor
    valid_correct: Tensor


class BilevelStep:
    """Steps the alphas on a validation batch, then the weights on a training batch.

    Args:
        net: the supernet, an `nn.Module` with `arch_parameters()` and `weight_parameters()`.
        weight_optimiser: plain SGD over the weights, in one group. The virtual step of the second
            order reads its lr, momentum, momentum buffers and weight decay as they are each time.
        alpha_optimiser: Adam in the paper; any optimiser over the alphas will do.
        order: 1 or 2.
        clip: the largest norm of the weights' gradient in the weight step; 0 clips nothing.
        hessian: how the second order multiplies by the Hessian of equation 7: by the paper's
            central `finite_difference` (equation 8) or `exact`, by differentiating twice.
        epsilon: the distance of the finite difference, in units of 1 / ‖∇w' L_val‖.
        loss: from logits [batch, classes] and labels [batch] to a scalar.
    """

    def __init__(
        self,
        net: nn.Module,
        weight_optimiser: torch.optim.SGD,
        alpha_optimiser: torch.optim.Optimizer,
        *,
        order: int = 1,
        clip: float = 5.0,
        hessian: Hessian = "finite_difference",
        epsilon: float = 0.01,
        loss: Loss = F.cross_entropy,
    ) -> None:
        if order not in (1, 2):
            raise ValueError(f"the order is 1 or 2, not {order}")
        if hessian not in ("finite_difference", "exact"):
            raise ValueError(f"the Hessian is `finite_difference` or `exact`, not `{hessian}`")
        _check_sgd(weight_optimiser)
        self.net = net
        self.weight_optimiser = weight_optimiser
        self.alpha_optimiser = alpha_optimiser
        self.order, self.clip, self.hessian, self.epsilon = order, clip, hessian, epsilon
        self.loss = loss
        supernet = cast(Supernet, net)
        self.alphas = list(supernet.arch_parameters())
        self.weights = list(supernet.weight_parameters())
        names = {parameter: name for name, parameter in net.named_parameters()}
        self._weight_names = [names[weight] for weight in self.weights]

    def __call__(self, train: Batch, valid: Batch) -> StepLosses:
        """One step; every parameter's gradient is overwritten.

        Raises:
            RuntimeError: when the exact Hessian is asked of a network that cannot be
                differentiated twice.
        """
        valid_loss, valid_correct = self._architecture_step(train, valid)
        train_loss, train_correct = self._weight_step(train)
        return StepLosses(train_loss, valid_loss, train_correct, valid_correct)

    def _architecture_step(self, train: Batch, valid: Batch) -> tuple[Tensor, Tensor]:
        with running_statistics_kept(self.net):
            if self.order == 1:
                loss, logits = self._forward(valid)
                gradients: Gradients = _gradients(loss, self.alphas)
            else:
                loss, logits, gradients = self._unrolled(train, valid)
        _assign(self.alphas, gradients)
        self.alpha_optimiser.step()
        return loss.detach(), _correct(logits, valid)

    def _weight_step(self, train: Batch) -> tuple[Tensor, Tensor]:
        loss, logits = self._forward(train)
        _assign(self.weights, _gradients(loss, self.weights))
        if self.clip > 0:
            clip_grad_norm_(self.weights, self.clip)
        self.weight_optimiser.step()
        return loss.detach(), _correct(logits, train)

    def _unrolled(self, train: Batch, valid: Batch) -> tuple[Tensor, Tensor, Gradients]:
        """L_val at the virtual weights w', and its whole derivative by the alphas (equation 7).

        With w'(α) = w − lr (momentum · buffer + ∇w L_train(w, α) + decay · w), that is
        ∇α L_val(w', α) − lr ∇²α,w L_train(w, α) v, where v = ∇w' L_val(w', α).
        """
        exact = self.hessian == "exact"
        train_loss, _ = self._forward(train)
        train_gradients = _gradients(train_loss, self.weights, create_graph=exact)
        virtual = self._virtual_weights(train_gradients)

        loss, logits = self._forward(valid, virtual)
        found = _gradients(loss, [*self.alphas, *virtual])
        direct, vector = found[: len(self.alphas)], found[len(self.alphas) :]
        if exact:
            product = self._exact_product(train_gradients, vector)
            _check_twice_differentiable(direct, product)
        else:
            product = self._finite_difference(train, vector)
        lr = self._sgd["lr"]
        return loss, logits, [_minus(d, p, lr) for d, p in zip(direct, product, strict=True)]

    def _virtual_weights(self, gradients: Gradients) -> list[Tensor]:
        """The weights after one step of their optimiser, unclipped, as leaves of a new graph."""
        momentum, decay, lr = (self._sgd[key] for key in ("momentum", "weight_decay", "lr"))
        # The optimiser leaves a weight without gradient alone, decay and all.
        used = {
            w: g.detach() for w, g in zip(self.weights, gradients, strict=True) if g is not None
        }
        current = [weight.detach() for weight in used]
        moves = torch._foreach_add(list(used.values()), current, alpha=decay)
        torch._foreach_add_(moves, [self._momentum_buffer(w) for w in used], alpha=momentum)
        stepped = dict(zip(used, torch._foreach_sub(current, moves, alpha=lr), strict=True))
        return [stepped.get(w, w.detach()).requires_grad_() for w in self.weights]

    def _momentum_buffer(self, weight: nn.Parameter) -> Tensor:
        buffer = self.weight_optimiser.state[weight].get("momentum_buffer")
        return torch.zeros_like(weight) if buffer is None else buffer  # none before the first step

    def _exact_product(self, train_gradients: Gradients, vector: Gradients) -> Gradients:
        """∇²α,w L_train(w, α) v, by differentiating ∇w L_train once more."""
        pairs = [
            (gradient, v)
            for gradient, v in zip(train_gradients, vector, strict=True)
            if gradient is not None and v is not None and gradient.requires_grad
        ]
        if not pairs:
            return [None] * len(self.alphas)
        gradients, vectors = zip(*pairs, strict=True)
        return torch.autograd.grad(gradients, self.alphas, vectors, allow_unused=True)

    def _finite_difference(self, train: Batch, vector: Gradients) -> Gradients:
        """∇²α,w L_train(w, α) v ≈ (∇α L_train(w⁺) − ∇α L_train(w⁻)) / 2ε (equation 8).

        w± = w ± ε v around the current weights, with ε = `epsilon` / ‖v‖.
        """
        norm = get_total_norm([v for v in vector if v is not None])
        # A vector of zeros has no direction: the floor makes w⁺ = w⁻ and the product 0, not NaN.
        distance = self.epsilon / norm.clamp_min(torch.finfo(norm.dtype).tiny)

        used = {w: v for w, v in zip(self.weights, vector, strict=True) if v is not None}
        current = [weight.detach() for weight in used]
        offsets = torch._foreach_mul(list(used.values()), distance)

        def alpha_gradients(sign: int) -> Gradients:
            shifted = torch._foreach_add(current, offsets, alpha=sign)
            moved = dict(zip(used, shifted, strict=True))
            loss, _ = self._forward(train, [moved.get(w, w.detach()) for w in self.weights])
            return _gradients(loss, self.alphas)

        # Both sides draw the same random numbers (dropout, noise): the difference of two draws
        # divided by ε would drown the derivative.
        with torch.random.fork_rng([w.device for w in self.weights[:1] if w.is_cuda]):
            plus = alpha_gradients(1)
        minus = alpha_gradients(-1)
        return [
            None if (rise := _minus(p, m)) is None else rise / (2 * distance)
            for p, m in zip(plus, minus, strict=True)
        ]

    @property
    def _sgd(self) -> dict[str, Any]:
        """The weight optimiser's hyperparameters as they are now."""
        return self.weight_optimiser.param_groups[0]

    def _forward(
        self, batch: Batch, weights: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The loss and the logits of a batch, at other weights than the network's own if given."""
        images, labels = batch
        if weights is None:
            logits = self.net(images)
        else:
            named = dict(zip(self._weight_names, weights, strict=True))
            logits = functional_call(self.net, named, (images,))
        return self.loss(logits, labels), logits


@contextmanager
def running_statistics_kept(net: nn.Module) -> Iterator[None]:
    """Puts every buffer of `net` back at the end: batch norm's means, variances and counts.

    Within it a training network normalises by its batch as ever. Backward passes belong within it
    too, since autograd refuses buffers that changed between the two passes.
    """
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for buffer in net.buffers():
        by_type.setdefault(buffer.dtype, []).append(buffer)
    kept = {dtype: [buffer.clone() for buffer in buffers] for dtype, buffers in by_type.items()}
    try:
        yield
    finally:
        for dtype, buffers in by_type.items():
            # One call for all: a network has thousands of these small tensors.
            torch._foreach_copy_(buffers, kept[dtype])


def _gradients(loss: Tensor, by: Sequence[Tensor], *, create_graph: bool = False) -> Gradients:
    return torch.autograd.grad(loss, by, create_graph=create_graph, allow_unused=True)


def _assign(parameters: Sequence[nn.Parameter], gradients: Gradients) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _minus(left: Tensor | None, right: Tensor | None, factor: float = 1) -> Tensor | None:
    """left − factor · right, where None is zero."""
    if right is None:
        return left
    return right * -factor if left is None else left.sub(right, alpha=factor)


def _correct(logits: Tensor, batch: Batch) -> Tensor:
    return (logits.detach().argmax(1) == batch[1]).sum()


def _check_sgd(optimiser: torch.optim.Optimizer) -> None:
    if not isinstance(optimiser, torch.optim.SGD):
        name = type(optimiser).__name__
        raise TypeError(f"the weights are trained by torch.optim.SGD here, not by {name}")
    if len(optimiser.param_groups) != 1:
        raise ValueError("the weights' optimiser has one group of parameters")
    for option in ("nesterov", "dampening", "maximize"):
        if optimiser.param_groups[0][option]:
            raise ValueError(f"the virtual step knows no `{option}`")


def _check_twice_differentiable(direct: Gradients, product: Gradients) -> None:
    # A custom autograd function whose backward records no graph cuts the second derivative off
    # without any error. This sees only alphas that are cut off altogether, so such functions
    # should be marked `once_differentiable`, which makes autograd itself refuse.
    if any(d is not None and p is None for d, p in zip(direct, product, strict=True)):
        raise RuntimeError(
            "the exact Hessian needs a network that can be differentiated twice: "
            "alphas that the loss depends on have no second derivative"
        )
