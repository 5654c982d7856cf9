"""The state of one pass through a flat region, forwards and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from compiler.engine.mixing import Mixture
    from compiler.engine.plan import Plan


@dataclass
class Statistics:
    """What a batch norm saw: means and biased variances [channels] of `count` numbers each."""

    paths: tuple[str, ...]
    mean: Tensor
    variance: Tensor
    count: int


Mixing = dict["Mixture", dict[int, list[Tensor]]]
"""The gradients by the coefficients of mixtures' terms, as they are found."""


@dataclass(frozen=True)
class Factors:
    """What convolutions and linear maps multiply by in half precision."""

    dtype: torch.dtype
    weights: Mapping[str, Tensor]


class Run:
    """Values, notes and gradients by the numbers of their nodes, and what the region refers to.

    Args:
        plan: what is to be done.
        weights: by their paths in the `state_dict`.
        around: the run that this one is a step of; gradients by weights and statistics go there.
        factors: in half precision, copies of those weights that are multiplied in it.
    """

    def __init__(
        self,
        plan: Plan,
        weights: Mapping[str, Tensor],
        around: Run | None = None,
        factors: Factors | None = None,
    ) -> None:
        self.plan = plan
        self.values: list[Any] = [None] * plan.size
        self.notes: list[Any] = [None] * plan.size
        self.gradients: list[Any] = [None] * plan.size
        self.owned = [False] * plan.size
        self.weights = weights
        self.factors: Factors | None = around.factors if around else factors
        self.weight_gradients: dict[str, Tensor] = around.weight_gradients if around else {}
        self.statistics: list[Statistics] = around.statistics if around else []
        self.mixing: Mixing = {}
        self.products: dict[str, list[tuple[Tensor, Tensor]]] | None = None
        """In a loop, the factors of weights' gradients, to be multiplied for many steps at once."""

    def factor(self, path: str) -> Tensor:
        """A weight in the precision in which convolutions and linear maps multiply."""
        return self.weights[path] if self.factors is None else self.factors.weights[path]

    def multiplied(self, value: Tensor) -> Tensor:
        """A value, or a gradient by one, in that precision."""
        return value if self.factors is None else value.to(self.factors.dtype)

    def add_gradient(self, number: int, gradient: Any, owned: bool) -> None:
        """Adds to the gradient by a value; `owned` tensors may be written to from then on."""
        known = self.gradients[number]
        if known is None:
            self.gradients[number], self.owned[number] = gradient, owned
        elif self.owned[number]:
            if known is not gradient:
                known.add_(gradient)
        elif owned:
            self.gradients[number] = gradient.add_(known)
            self.owned[number] = True
        else:
            self.gradients[number], self.owned[number] = known + gradient, True

    def add_weight_gradient(self, path: str, gradient: Tensor) -> None:
        known = self.weight_gradients.get(path)
        if known is None:
            self.weight_gradients[path] = gradient
        elif self.factors is None:
            known.add_(gradient)
        else:
            self.weight_gradients[path] = known.to(self.weights[path].dtype).add_(gradient)

    def add_mixing_gradient(self, mixture: Mixture, index: int, gradient: Tensor) -> None:
        """Notes the gradient by the coefficient of a mixture's term.

        Without lanes it may be [channels], to be summed over them together with other terms'.
        """
        self.mixing.setdefault(mixture, {}).setdefault(index, []).append(gradient)

    def add_product(self, path: str, left: Tensor, right: Tensor) -> None:
        """Adds leftᵀ right to a weight's gradient, of left [rows, out] and right [rows, width]."""
        if self.products is not None:
            self.products.setdefault(path, []).append((left, right))
            return
        known = self.weight_gradients.get(path)
        if known is None or self.factors is not None:
            self.add_weight_gradient(path, left.t() @ right)
        else:
            known.addmm_(left.t(), right)

    def widen(self) -> None:
        """Gives the gradients by weights the weights' own precision, all in one call."""
        known = self.weight_gradients
        half = [path for path, g in known.items() if g.dtype != self.weights[path].dtype]
        if half:
            copies = [torch.empty_like(known[p], dtype=self.weights[p].dtype) for p in half]
            torch._foreach_copy_(copies, [known[path] for path in half])
            known.update(zip(half, copies, strict=True))

    def multiply_products(self) -> None:
        """Turns the factors noted so far into gradients, in one product for each weight."""
        products, self.products = self.products or {}, None
        for path, pairs in products.items():
            self.add_product(path, *(torch.cat(side) for side in zip(*pairs, strict=True)))


def _by_terms(mixture: Mixture, by_term: Mapping[int, list[Tensor]]) -> Tensor:
    """The gradients by a mixture's coefficients, [terms] or [lanes, terms]."""
    totals = {i: _total(found) for i, found in by_term.items()}
    if not mixture.node.lanes:
        spread = [i for i, total in totals.items() if total.dim()]
        if spread:  # one sum for all, as every kernel takes a device a while to begin with
            sums = torch.stack([totals[i] for i in spread]).sum(1)
            totals.update(zip(spread, sums.unbind(), strict=True))
    zero = torch.zeros_like(next(iter(totals.values())))
    return torch.stack([totals.get(i, zero) for i in range(len(mixture.terms))], -1)


def _total(found: list[Tensor]) -> Tensor:
    return found[0] if len(found) == 1 else torch.stack(found).sum(0)


def gathered(mixing: Mixing, number: int, like: Tensor) -> Tensor | None:
    """The gradient by an input of mixing weights [decisions, options], from those by terms."""
    total: Tensor | None = None
    for mixture, by_term in mixing.items():
        if number not in mixture.coefficients.tensors:
            continue
        for tensor, found in mixture.coefficients.gradients(_by_terms(mixture, by_term)):
            if tensor == number:
                total = found if total is None else total.add_(found)
    return None if total is None else total.view_as(like).to(like.dtype)
