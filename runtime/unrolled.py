"""The second order of DARTS (Liu, Simonyan & Yang, ICLR 2019, section 2.3): one virtual step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import get_total_norm

from runtime.objective import Gradients, Objective, Outcome, gradients, held

Hessian = Literal["finite_difference", "exact"]


class Unrolled:
    """L_val at the weights after one virtual step of their optimiser, and its derivative.

    Args:
        objective: the loss, of both the training and the validation batch.
        alphas, weights: the network's parameters.
        optimiser: plain SGD over the weights in one group; its lr, momentum, momentum buffers and
            weight decay are read each time.
        hessian: how to multiply by the Hessian of equation 7: by the paper's central
            `finite_difference` (equation 8) or `exact`, by differentiating twice.
        epsilon: the distance of the finite difference, in units of 1 / ‖∇w' L_val‖.
        clip: the largest norm of the virtual step's gradient and of v below; 0 clips neither.
    """

    def __init__(
        self,
        objective: Objective,
        alphas: Sequence[nn.Parameter],
        weights: Sequence[nn.Parameter],
        optimiser: torch.optim.SGD,
        *,
        hessian: Hessian,
        epsilon: float,
        clip: float,
    ) -> None:
        if hessian not in ("finite_difference", "exact"):
            raise ValueError(f"the Hessian is `finite_difference` or `exact`, not `{hessian}`")
        _check_sgd(optimiser)
        self.objective = objective
        self.alphas, self.weights = list(alphas), list(weights)
        self.optimiser = optimiser
        self.hessian, self.epsilon, self.clip = hessian, epsilon, clip

    def __call__(self, train: Any, valid: Any) -> tuple[Outcome, Gradients]:
        """L_val at the virtual weights w', and its whole derivative by the alphas (equation 7).

        With w'(α) = w − lr (momentum · buffer + ∇w L_train(w, α) + decay · w), that is
        ∇α L_val(w', α) − lr ∇²α,w L_train(w, α) v, where v = ∇w' L_val(w', α).

        Where `clip` is positive, the virtual gradient is multiplied by c = min(1, clip / its norm)
        and v clipped likewise; the implicit term is then lr · c · ∇²α,w L_train(w, α) v. The
        authors' code does not keep its c below 1.

        Raises:
            RuntimeError: when the exact Hessian is asked of a network that cannot be
                differentiated twice.
        """
        exact = self.hessian == "exact"
        with held([] if exact else self.alphas), _attention(exact):
            loss = self.objective(train).loss
        inner = gradients(loss, self.weights, create_graph=exact)
        virtual_gradients, coefficient = _clipped(inner, self.clip)
        virtual = self._virtual_weights(virtual_gradients)

        outcome = self.objective(valid, virtual)
        found = gradients(outcome.loss, [*self.alphas, *virtual])
        direct, vector = found[: len(self.alphas)], found[len(self.alphas) :]
        vector, _ = _clipped(vector, self.clip)
        if exact:
            product = self._exact_product(inner, vector)
            _check_twice_differentiable(direct, product)
        else:
            product = self._finite_difference(train, vector)
        product = [None if p is None else p * coefficient for p in product]
        lr = self._sgd["lr"]
        return outcome, [_minus(d, p, lr) for d, p in zip(direct, product, strict=True)]

    def _virtual_weights(self, found: Gradients) -> list[Tensor]:
        """The weights after one step of their optimiser, as leaves of a new graph."""
        momentum, decay, lr = (self._sgd[key] for key in ("momentum", "weight_decay", "lr"))
        # The optimiser leaves a weight without gradient alone, decay and all.
        used = {w: g.detach() for w, g in zip(self.weights, found, strict=True) if g is not None}
        current = [weight.detach() for weight in used]
        moves = torch._foreach_add(list(used.values()), current, alpha=decay)
        torch._foreach_add_(moves, [self._momentum_buffer(w) for w in used], alpha=momentum)
        if isinstance(lr, Tensor):  # as a number it would have to be read from its device
            torch._foreach_mul_(moves, lr)
            lr = 1.0
        stepped = dict(zip(used, torch._foreach_sub(current, moves, alpha=lr), strict=True))
        return [stepped.get(w, w.detach()).requires_grad_() for w in self.weights]

    def _momentum_buffer(self, weight: nn.Parameter) -> Tensor:
        buffer = self.optimiser.state[weight].get("momentum_buffer")
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
        found, vectors = zip(*pairs, strict=True)
        return torch.autograd.grad(found, self.alphas, vectors, allow_unused=True)

    def _finite_difference(self, train: Any, vector: Gradients) -> Gradients:
        """∇²α,w L_train(w, α) v ≈ (∇α L_train(w⁺) − ∇α L_train(w⁻)) / 2ε (equation 8).

        w± = w ± ε v around the current weights, with ε = `epsilon` / ‖v‖.
        """
        norm = _norm(vector)
        # A vector of zeros has no direction: the floor makes w⁺ = w⁻ and the product 0, not NaN.
        distance = self.epsilon / norm.clamp_min(torch.finfo(norm.dtype).tiny)

        used = {w: v for w, v in zip(self.weights, vector, strict=True) if v is not None}
        current = [weight.detach() for weight in used]
        offsets = torch._foreach_mul(list(used.values()), distance)

        def alpha_gradients(sign: int) -> Gradients:
            shifted = torch._foreach_add(current, offsets, alpha=sign)
            moved = dict(zip(used, shifted, strict=True))
            outcome = self.objective(train, [moved.get(w, w.detach()) for w in self.weights])
            return gradients(outcome.loss, self.alphas)

        # Both sides draw the same random numbers (dropout, noise): the difference of two draws
        # divided by ε would drown the derivative.
        with torch.random.fork_rng([w.device for w in self.weights[:1] if _is_random(w)]):
            plus = alpha_gradients(1)
        minus = alpha_gradients(-1)
        return [
            None if (rise := _minus(p, m)) is None else rise / (2 * distance)
            for p, m in zip(plus, minus, strict=True)
        ]

    @property
    def _sgd(self) -> dict[str, Any]:
        """The weight optimiser's hyperparameters as they are now."""
        return self.optimiser.param_groups[0]


def _clipped(found: Gradients, clip: float) -> tuple[Gradients, Tensor | float]:
    """The gradients with a norm of at most `clip`, as constants, and what they were multiplied by.

    The coefficient is that of `torch.nn.utils.clip_grad_norm_`; a `clip` of 0 clips nothing.
    """
    if clip == 0:
        return found, 1.0
    coefficient = (clip / (_norm(found) + 1e-6)).clamp(max=1)
    return [None if g is None else g.detach() * coefficient for g in found], coefficient


def _is_random(weight: Tensor) -> bool:
    """Whether its device has a state of random numbers to put back: not while a graph is captured,
    and then nothing is drawn (see `runtime.captured`)."""
    return weight.is_cuda and not torch.cuda.is_current_stream_capturing()


def _norm(found: Gradients) -> Tensor:
    return get_total_norm([g.detach() for g in found if g is not None])


def _minus(left: Tensor | None, right: Tensor | None, factor: float | Tensor = 1) -> Tensor | None:
    """left − factor · right, where None is zero."""
    if right is None:
        return left
    if left is None:
        return right * -factor
    if isinstance(factor, Tensor):
        return left - right * factor
    return left.sub(right, alpha=factor)


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


def _attention(twice: bool) -> AbstractContextManager[None]:
    """Lets torch compute attention in a way that can be differentiated twice, if it must be: its
    faster kernels cannot."""
    return sdpa_kernel(SDPBackend.MATH) if twice else nullcontext()
