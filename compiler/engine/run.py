"""The state of one pass through a flat region, forwards and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from compiler.engine.plan import Plan


@dataclass
class Statistics:
    """What a batch norm saw: means and biased variances [channels] of `count` numbers each."""

    paths: tuple[str, ...]
    mean: Tensor
    variance: Tensor
    count: int


class Run:
    """Values, notes and gradients by the numbers of their nodes, and what the region refers to.

    Args:
        plan: what is to be done.
        weights: by their paths in the `state_dict`.
        around: the run that this one is a step of; gradients by weights and statistics go there.
    """

    def __init__(
        self, plan: Plan, weights: Mapping[str, Tensor], around: Run | None = None
    ) -> None:
        self.plan = plan
        self.values: list[Any] = [None] * plan.size
        self.notes: list[Any] = [None] * plan.size
        self.gradients: list[Any] = [None] * plan.size
        self.owned = [False] * plan.size
        self.weights = weights
        self.weight_gradients: dict[str, Tensor] = around.weight_gradients if around else {}
        self.statistics: list[Statistics] = around.statistics if around else []
        self.mixing: dict[int, list[tuple[int, int, Tensor]]] = {}
        self.products: dict[str, list[tuple[Tensor, Tensor]]] | None = None
        """In a loop, the factors of weights' gradients, to be multiplied for many steps at once."""

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
        self.weight_gradients[path] = gradient if known is None else known.add_(gradient)

    def add_mixing_gradient(self, weight: tuple[int, int, int], gradient: Tensor) -> None:
        """Notes the gradient, a scalar, by one of the mixing weights."""
        number, row, column = weight
        self.mixing.setdefault(number, []).append((row, column, gradient))

    def add_product(self, path: str, left: Tensor, right: Tensor) -> None:
        """Adds leftᵀ right to a weight's gradient, of left [rows, out] and right [rows, width]."""
        if self.products is not None:
            self.products.setdefault(path, []).append((left, right))
            return
        known = self.weight_gradients.get(path)
        if known is None:
            self.weight_gradients[path] = left.t() @ right
        else:
            known.addmm_(left.t(), right)

    def multiply_products(self) -> None:
        """Turns the factors noted so far into gradients, in one product for each weight."""
        products, self.products = self.products or {}, None
        for path, pairs in products.items():
            self.add_product(path, *(torch.cat(side) for side in zip(*pairs, strict=True)))


def gathered(found: Sequence[tuple[int, int, Tensor]], like: Tensor) -> Tensor | None:
    """The gradient by mixing weights [decisions, options], of scalars with their places."""
    if not found:
        return None
    rows, columns, gradients = zip(*found, strict=True)
    at = torch.tensor([rows, columns], device=like.device)
    total = torch.zeros_like(like)
    return total.index_put_((at[0], at[1]), torch.stack(gradients).to(like.dtype), accumulate=True)
