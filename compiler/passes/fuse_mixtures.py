"""A node's choices, their sum and the norms before it become one mixture.

before   %5 = bn `x` <- %3, %6 = mixture(w0 · %4 + w1 · %5), %9 = sum <- %6, mixture(w2 · %7)
after    %9 = mixture(w0 · %4 + w1 · x(%3) + w2 · %7)

So neither a normalised value nor a product is ever held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from compiler.flat.nodes import ONE, Mixture, Norm, Term, mixture, numbers
from compiler.flat.rewriting import movable_norms, readers, rebuilt, without_dead
from compiler.ir import Join, Region
from compiler.program import Program


@dataclass(frozen=True)
class FuseMixtures:
    name: str = "fuse_mixtures"

    def apply(self, program: Program) -> Program:
        fused = rebuilt(program.network, _Fusion)
        return replace(program, network=without_dead(fused))


class _Fusion:
    """Numbers stay what they were, as what is fused into its reader is only left for dead."""

    def __init__(self, region: Region) -> None:
        self.readers = readers(region)
        self.movable = movable_norms(region)

    def __call__(self, new: Region, node: Any) -> int:
        if isinstance(node, Join) and node.how == "sum":
            inner = [new.node(o) for o in node.operands]
            if any(
                isinstance(n, Mixture) and self.once(o)
                for o, n in zip(node.operands, inner, strict=True)
            ):
                return new.add(self.summed(new, node))
        if isinstance(node, Mixture):
            if node.lanes:
                return new.add(node)
            pairs = [self.term(new, v, t) for v, t in zip(node.values, node.terms, strict=True)]
            values, terms = zip(*pairs, strict=True)
            return new.add(mixture(values, terms, node.shape, span=node.span))
        return new.add(node)

    def once(self, number: int) -> bool:
        return self.readers[number] == 1

    def summed(self, new: Region, node: Join) -> Mixture:
        pairs: list[tuple[int, Term]] = []
        for operand in node.operands:
            inner = new.node(operand)
            if isinstance(inner, Mixture) and self.once(operand):
                pairs += zip(inner.values, inner.terms, strict=True)
            else:
                pairs.append(self.term(new, operand, ONE))
        values, terms = zip(*pairs, strict=True)
        return mixture(values, terms, node.shape, span=node.span)

    def term(self, new: Region, value: int, term: Term) -> tuple[int, Term]:
        """A term, with the norm it goes through where nothing else reads what that gives."""
        node = new.node(value)
        if term.norm is None and value in self.movable and self.once(value):
            norm = Norm(node.paths, bool(numbers(node)["affine"]))
            new.replace(value, layer="identity", also=())  # no longer a norm, so it may go
            return node.operands[0], replace(term, norm=norm)
        return value, term
