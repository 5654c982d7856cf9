"""Batch norms, and mixtures whose terms go through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from compiler.engine.operation import LayerOperation, Operation, Reads, Wanted
from compiler.engine.run import Run, Statistics
from compiler.flat.nodes import Mixture as MixtureNode
from compiler.flat.nodes import SharedLayer
from compiler.kernels.mixtures import weighted_sum
from compiler.kernels.statistics import moments, norm_gradient

EPSILON = 1e-5
"""What torch's batch norms add to a variance."""
_normalise = torch.ops.aten.native_batch_norm.default


def affine_paths(path: str) -> tuple[str, str]:
    return f"{path}.weight", f"{path}.bias"


class BatchNorm(LayerOperation):
    """Normalises by the statistics of the batch, and notes them for the running ones."""

    node: SharedLayer

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.affine = bool(self.given["affine"])
        self.parameters = affine_paths(self.path) if self.affine else ()

    def forward(self, run: Run, *operands: Any) -> Any:
        (x,) = operands
        means, variances = moments([x])
        run.statistics.append(
            Statistics(self.node.paths, means[0], variances[0], x.numel() // x.shape[1])
        )
        run.notes[self.number] = means[0], variances[0], (variances[0] + EPSILON).rsqrt()
        return self.again(run, x)

    def again(self, run: Run, *operands: Any) -> Any:
        mean, variance, _ = run.notes[self.number]
        weight, bias = (
            (run.weights[path] for path in self.parameters) if self.affine else (None, None)
        )
        return _normalise(operands[0], weight, bias, mean, variance, False, 0.0, EPSILON)[0]

    def reads(self, wanted: Wanted) -> Reads:
        if self.affine:  # a scale may be zero, so the output does not tell the normalised value
            return Reads(frozenset([0]))
        return Reads(output=True)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        mean, _, rstd = run.notes[self.number]
        if self.affine:
            weight = run.weights[self.parameters[0]]
            return norm_gradient(g, operands[0], mean, rstd, weight)[0]
        zeros, ones = torch.zeros_like(mean), torch.ones_like(mean)
        return norm_gradient(g, output, zeros, ones, rstd)[0]

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        mean, _, rstd = run.notes[self.number]
        _, products, sums = norm_gradient(g, operands[0], mean, rstd, None, sums_only=True)
        for path, gradient in zip(self.parameters, (products, sums), strict=True):
            run.add_weight_gradient(path, gradient)


class Mixture(Operation):
    """Σ weight · norm(value): the statistics of all values, then one scaled accumulation."""

    joint = True
    node: MixtureNode

    def __init__(self, number: int, node: MixtureNode) -> None:
        super().__init__(number, node)
        self.terms = node.terms
        self.joint_from = len(node.terms)
        self.normed = [i for i, term in enumerate(self.terms) if term.norm is not None]
        norms = [term.norm for term in self.terms if term.norm is not None]
        self.parameters = tuple(p for n in norms if n.affine for p in affine_paths(n.paths[0]))

    def forward(self, run: Run, *operands: Any) -> Any:
        values = operands[: len(self.terms)]
        plain = self.weights(operands[len(self.terms) :], values[0])
        channels = values[0].shape[1 if values[0].dim() == 4 else -1]
        scales = plain[:, None].expand(len(plain), channels)
        if not self.normed:
            run.notes[self.number] = plain, None, None
            return weighted_sum(values, scales, None)
        means, variances = moments([values[i] for i in self.normed])
        rstds = (variances + EPSILON).rsqrt()
        scales = scales.clone()
        shift = torch.zeros_like(means[0])
        normed = scales[self.normed] * rstds
        count = values[0].numel() // channels
        for row, i in enumerate(self.normed):
            norm = self.terms[i].norm
            assert norm is not None
            run.statistics.append(Statistics(norm.paths, means[row], variances[row], count))
            if norm.affine:
                weight, bias = (run.weights[path] for path in affine_paths(norm.paths[0]))
                normed[row] *= weight
                shift += plain[i] * bias
        scales[self.normed] = normed
        shift -= (normed * means).sum(0)
        run.notes[self.number] = plain, means, rstds
        return weighted_sum(values, scales, shift)

    def weights(self, tensors: Sequence[Tensor], like: Tensor) -> Tensor:
        """The weights of all terms."""
        found = like.new_ones(len(self.terms))
        inputs = self.operands[len(self.terms) :]
        for number, tensor in zip(inputs, tensors, strict=True):
            at = [i for i, t in enumerate(self.terms) if t.weight and t.weight[0] == number]
            weights = [self.terms[i].weight or (0, 0, 0) for i in at]
            columns = tensor.shape[1]
            cells = torch.tensor([row * columns + column for _, row, column in weights])
            found[torch.tensor(at)] = tensor.flatten()[cells].to(like.dtype)
        return found

    def reads(self, wanted: Wanted) -> Reads:
        asked = frozenset(i for i in wanted.operands if i < len(self.terms))
        if wanted.operands:
            return Reads(asked if wanted.weights else asked.intersection(self.normed))
        return Reads(frozenset(range(len(self.terms))))

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        return self.term(run, index, g, operands, True, into)

    def weight_gradients(
        self, run: Run, g: Any, operands: Sequence[Any], output: Any, wanted: Wanted
    ) -> None:
        """The gradients by the weights of those terms whose values need none."""
        for index in range(len(self.terms)):
            if index not in wanted.operands:
                self.term(run, index, g, operands, False, None)

    def term(
        self,
        run: Run,
        index: int,
        g: Tensor,
        operands: Sequence[Any],
        through: bool,
        into: Tensor | None,
    ) -> Tensor | None:
        """The gradient by a value (if `through`), noting those by its weight and its norm."""
        term, value = self.terms[index], operands[index]
        plain, means, rstds = run.notes[self.number]
        weight = plain[index]
        if term.norm is None:
            if term.weight is not None and run.plan.mixing:
                run.add_mixing_gradient(term.weight, (g * value).sum())
            if not through:
                return None
            if into is not None:
                return into.addcmul_(g, weight)
            return g * weight
        row = self.normed.index(index)
        mean, rstd = means[row], rstds[row]
        scale, gamma = weight.expand_as(mean), None
        if term.norm.affine:
            gamma, beta = (run.weights[path] for path in affine_paths(term.norm.paths[0]))
            scale = scale * gamma
        dz, products, sums = norm_gradient(g, value, mean, rstd, scale.contiguous(), not through)
        if term.weight is not None and run.plan.mixing:
            total = products.sum() if gamma is None else (products * gamma + sums * beta).sum()
            run.add_mixing_gradient(term.weight, total)
        if term.norm.affine and run.plan.wants_weights:
            for path, found in zip(affine_paths(term.norm.paths[0]), (products, sums), strict=True):
                run.add_weight_gradient(path, found * weight)
        return dz
