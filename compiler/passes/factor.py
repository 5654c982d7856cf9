"""What the terms of a mixture have in common is taken out of it.

before   w1 · (s + g · (tanh(h) - s)) + w2 · (s + g · (relu(h) - s))
after    (w1 + w2) · s + g · (w1 · tanh(h) + w2 · relu(h) - (w1 + w2) · s)

So a choice between activations behind one gate costs one product with the gate, not one for each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from compiler.flat.nodes import ONE, Mixture, Term, mixture
from compiler.flat.rewriting import readers, rebuilt, without_dead
from compiler.ir import Elementwise, Input, Region
from compiler.program import Program

Parts = list[tuple[int, Term]]
"""Values and what they are multiplied by."""


@dataclass(frozen=True)
class Factor:
    name: str = "factor"

    def apply(self, program: Program) -> Program:
        factored = rebuilt(program.network, _Factoring)
        return replace(program, network=without_dead(factored))


class _Factoring:
    def __init__(self, region: Region) -> None:
        self.readers = readers(region)
        self.left = iter([n for n, node in region.nodes() if not isinstance(node, Input)])
        self.was: dict[int, int] = {}
        """What the new region's values were numbered."""

    def __call__(self, new: Region, node: Any) -> int:
        old = next(self.left)
        if isinstance(node, Mixture):
            number = self.mixture(new, list(zip(node.values, node.terms, strict=True)), node)
        else:
            number = new.add(node)
        self.was[number] = old
        return number

    def mixture(self, new: Region, parts: Parts, like: Mixture) -> int:
        """The mixture of some parts; as it was where they have nothing in common."""
        apart = [inner for value, term in parts for inner in self.apart(new, value, term)]
        joined = _joined(apart)
        rest, by_factor = self.products(new, joined)
        if not by_factor and len(joined) == len(apart):
            rest = parts
        for factor, inner in by_factor.items():
            mixed = self.mixture(new, inner, like)
            product = Elementwise(operator="*", operands=(factor, mixed), shape=like.shape)
            rest.append((new.add(product), ONE))
        values, terms = zip(*rest, strict=True)
        return new.add(mixture(values, terms, like.shape, span=like.span))

    def apart(self, new: Region, value: int, term: Term) -> Parts:
        """The terms of a sum or difference that only this mixture reads."""
        node = self.reckoned(new, value, term)
        if node is None or node.operator not in "+-":
            return [(value, term)]
        left, right = node.operands
        other = _negative(term) if node.operator == "-" else term
        return [*self.apart(new, left, term), *self.apart(new, right, other)]

    def products(self, new: Region, parts: Parts) -> tuple[Parts, dict[int, Parts]]:
        """The parts that are no products with a factor that others have too, and those by it."""
        nodes = [self.reckoned(new, value, term) for value, term in parts]
        factors = [n.operands if n is not None and n.operator == "*" else () for n in nodes]
        counts = Counter(factor for both in factors for factor in set(both))
        rest: Parts = []
        by_factor: dict[int, Parts] = {}
        for part, both in zip(parts, factors, strict=True):
            common = max(both, key=lambda f: (counts[f], -f)) if both else None
            if common is None or counts[common] < 2:
                rest.append(part)
                continue
            other = both[1] if both[0] == common else both[0]
            by_factor.setdefault(common, []).append((other, part[1]))
        return rest, by_factor

    def reckoned(self, new: Region, value: int, term: Term) -> Elementwise | None:
        """The arithmetic of two values of one shape that makes a part which is read here alone."""
        node = new.node(value)
        if term.norm is not None or not isinstance(node, Elementwise) or node.number is not None:
            return None
        shapes = {new.node(operand).shape for operand in node.operands}
        once = value in self.was and self.readers[self.was[value]] == 1
        return node if once and shapes == {node.shape} else None


def _negative(term: Term) -> Term:
    weights = tuple(replace(weight, sign=-weight.sign) for weight in term.weights)
    return replace(term, weights=weights, constant=-term.constant)


def _joined(parts: Parts) -> Parts:
    """Each value once, times the sum of what it was multiplied by."""
    found: dict[Any, tuple[int, Term]] = {}
    for number, (value, term) in enumerate(parts):
        key = value if term.norm is None else (value, number)
        if key not in found:
            found[key] = value, term
            continue
        known = found[key][1]
        constant, weights = known.constant + term.constant, known.weights + term.weights
        found[key] = value, replace(term, constant=constant, weights=weights)
    return list(found.values())
