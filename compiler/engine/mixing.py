"""Batch norms, and mixtures whose terms go through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from compiler.engine.operation import LayerOperation, Operation, Reads, Wanted
from compiler.engine.run import Run, Statistics
from compiler.flat.nodes import Mixture as MixtureNode
from compiler.flat.nodes import SharedLayer, Slices, Windows
from compiler.kernels.mixtures import norm_sums, weighted_sum
from compiler.kernels.precision import common, wide
from compiler.kernels.statistics import moments, norm_gradient, normalised

EPSILON = 1e-5
"""What torch's batch norms add to a variance."""


def affine_paths(path: str) -> tuple[str, str]:
    return f"{path}.weight", f"{path}.bias"


class BatchNorm(LayerOperation):
    """Normalises by the statistics of the batch, and notes them for the running ones."""

    price = 3
    node: SharedLayer

    def __init__(self, number: int, node: SharedLayer) -> None:
        super().__init__(number, node)
        self.affine = bool(self.given["affine"])
        self.known: dict[Any, tuple[Tensor, Tensor]] = {}
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
        mean, variance, rstd = run.notes[self.number]
        weight, bias = (
            (run.weights[path] for path in self.parameters) if self.affine else (None, None)
        )
        return normalised(operands[0], mean, variance, rstd, EPSILON, weight, bias)

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
        key = mean.device, mean.dtype
        if key not in self.known:
            self.known[key] = torch.zeros_like(mean), torch.ones_like(mean)
        return norm_gradient(g, output, *self.known[key], rstd)[0]

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
        self.coefficients = Coefficients(node)
        self.normed = {i: row for row, i in enumerate(_normed(node))}
        norms = [term.norm for term in self.terms if term.norm is not None]
        self.parameters = tuple(p for n in norms if n.affine for p in affine_paths(n.paths[0]))

    def forward(self, run: Run, *operands: Any) -> Any:
        values = operands[: len(self.terms)]
        plain = self.coefficients(operands[len(self.terms) :], values[0])
        if values[0].dim() != 4 and not self.normed:
            run.notes[self.number] = plain, None, [value.dim() for value in values], None
            return _few(values, plain)
        channels = values[0].shape[1]
        scales = plain[:, None].expand(len(plain), channels)
        if not self.normed:
            run.notes[self.number] = plain, None, None, None
            return weighted_sum(values, scales, None)
        means, variances = moments([values[i] for i in self.normed])
        rstds = (variances + EPSILON).rsqrt()
        rows = self.coefficients.places(self.normed, rstds.device)
        scales = scales.clone()
        gains = scales.index_select(0, rows)
        shift = torch.zeros_like(means[0])
        count = values[0].numel() // channels
        for i, row in self.normed.items():
            norm = self.terms[i].norm
            assert norm is not None
            run.statistics.append(Statistics(norm.paths, means[row], variances[row], count))
            if norm.affine:
                weight, bias = (run.weights[path] for path in affine_paths(norm.paths[0]))
                gains[row] *= weight
                shift += plain[i] * bias
        normed = gains * rstds
        scales.index_copy_(0, rows, normed)
        shift -= (normed * means).sum(0)
        run.notes[self.number] = plain, means, rstds, gains
        return weighted_sum(values, scales, shift)

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
        rest = [i for i in range(len(self.terms)) if i not in wanted.operands]
        normed = [i for i in rest if i in self.normed]
        for index in rest:
            if index not in self.normed:
                self.term(run, index, g, operands, False, None)
        if normed:
            _, means, rstds, _ = run.notes[self.number]
            rows = [self.normed[i] for i in normed]
            if len(rows) < len(means):
                places = self.coefficients.places(rows, means.device)
                means, rstds = (known.index_select(0, places) for known in (means, rstds))
            terms = [operands[i] for i in normed]
            products, sums = norm_sums(g, terms, means, rstds)
            for index, found in zip(normed, products, strict=True):
                self.add_sums(run, index, found, sums)

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
        plain, means, rstds, gains = run.notes[self.number]
        if term.norm is None:
            if self.coefficients.varies(index, run.plan.mixing):
                run.add_mixing_gradient(self, index, _inner(g, value, self.node.lanes))
            return _scaled(g, plain[..., index], rstds, index, into) if through else None
        row = self.normed[index]
        dz, products, sums = norm_gradient(g, value, means[row], rstds[row], gains[row])
        self.add_sums(run, index, products, sums)
        return dz

    def add_sums(self, run: Run, index: int, products: Tensor, sums: Tensor) -> None:
        """Notes the gradients by a term's weight and by its norm, from sums [C] over pixels."""
        norm, weight = self.terms[index].norm, run.notes[self.number][0][index]
        assert norm is not None
        paths = affine_paths(norm.paths[0])
        if self.coefficients.varies(index, run.plan.mixing):
            if norm.affine:
                gamma, beta = (run.weights[path] for path in paths)
                run.add_mixing_gradient(self, index, (products * gamma + sums * beta).sum())
            else:
                run.add_mixing_gradient(self, index, products)
        if norm.affine and run.plan.wants_weights:
            for path, found in zip(paths, (products, sums), strict=True):
                run.add_weight_gradient(path, found * weight)


class Coefficients:
    """What the terms of a mixture are multiplied by, as linear functions of the mixing weights.

    With lanes they are [lanes, terms], else [terms].
    """

    def __init__(self, node: MixtureNode | Slices | Windows) -> None:
        self.lanes = len(node.lanes)
        self.tensors = node.operands[len(node.values) :]
        every = [term for lane in node.all_lanes for term in lane]
        self.constants = [float(term.constant) for term in every]
        self.weights = {
            tensor: [
                (i, w.row, w.column, w.sign)
                for i, term in enumerate(every)
                for w in term.weights
                if w.tensor == tensor
            ]
            for tensor in self.tensors
        }
        count = len(node.terms)
        self.varying = {
            tensor: {i % count for i, *_ in cells} for tensor, cells in self.weights.items()
        }
        self.known: dict[Any, Any] = {}

    def varies(self, index: int, tensors: Sequence[int] | None = None) -> bool:
        """Whether a term hangs on mixing weights, of these inputs where they are given."""
        asked = self.tensors if tensors is None else tensors
        return any(index in self.varying.get(tensor, ()) for tensor in asked)

    def __call__(self, tensors: Sequence[Tensor], like: Tensor) -> Tensor:
        constants, matrices = self.on(tensors, like)
        found = constants
        for tensor, matrix in zip(tensors, matrices, strict=True):
            found = torch.addmv(found, matrix, tensor.flatten().to(found.dtype))
        return found.view(self.lanes, -1) if self.lanes else found

    def on(self, tensors: Sequence[Tensor], like: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The constants [terms of all lanes], and a matrix [terms, cells] for every input."""
        dtype = wide(like.dtype)
        key = like.device, dtype
        if key not in self.known:
            matrices = []
            for number, tensor in zip(self.tensors, tensors, strict=True):
                matrix = torch.zeros(len(self.constants), *tensor.shape, dtype=dtype)
                for i, row, column, sign in self.weights[number]:
                    matrix[i, row, column] += sign
                matrices.append(matrix.flatten(1).to(like.device))
            constants = torch.tensor(self.constants, dtype=dtype, device=like.device)
            self.known[key] = constants, matrices
        return self.known[key]

    def places(self, rows: Iterable[int], device: torch.device) -> Tensor:
        """Numbers of rows as a tensor, which is made once: a device would be waited for."""
        key = tuple(rows), device
        if key not in self.known:
            self.known[key] = torch.tensor(key[0], device=device)
        return self.known[key]

    def gradients(self, found: Tensor) -> list[tuple[int, Tensor]]:
        """The gradients by the inputs, flat, from those by the coefficients."""
        _, matrices = self.known[found.device, found.dtype]
        flat = found.flatten()
        return [(n, m.t() @ flat) for n, m in zip(self.tensors, matrices, strict=True)]


def _normed(node: MixtureNode) -> list[int]:
    return [i for i, term in enumerate(node.terms) if term.norm is not None]


def _few(values: Sequence[Tensor], weights: Tensor) -> Tensor:
    """The weighted sum of vectors [batch, width], with lanes [lanes, batch, width]."""
    each = weights.movedim(-1, 0)
    if weights.dim() == 2:
        each = each[..., None, None]
    total = values[0].to(weights.dtype) * each[0]
    for value, weight in zip(values[1:], each[1:], strict=True):
        total.addcmul_(value, weight)
    return total.to(common(values))


def _inner(g: Tensor, value: Tensor, lanes: Any) -> Tensor:
    """The sum of products, for each lane where there are several."""
    g = g.to(wide(g.dtype))
    if lanes:
        return (g * value).sum((1, 2))
    return (g * value).sum()


def _scaled(g: Tensor, weight: Tensor, ranks: Any, index: int, into: Tensor | None) -> Tensor:
    """The gradient by a value from that by the mixture: for one that serves all lanes their sum."""
    if weight.dim():
        weight = weight.to(g.dtype)
        if ranks[index] < g.dim():
            found = torch.tensordot(weight, g, 1)
            return found if into is None else into.add_(found)
        weight = weight[:, None, None]
    return g * weight if into is None else into.addcmul_(g, weight)
