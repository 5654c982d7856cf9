"""What tests of the passes share: a program after some passes, as lines to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import compiled

from compiler.expr import show
from compiler.flat.nodes import (
    Item,
    Loop,
    Mask,
    Mixture,
    Norm,
    SharedLayer,
    Sliced,
    Term,
    Windows,
    numbers,
)
from compiler.ir import Elementwise, Input, Join, Part, Region
from compiler.layers import STATEFUL
from compiler.passes.pipelines import Pass
from compiler.verify import verify


@pytest.fixture
def after() -> Callable[..., str]:
    """A text's flat program after some passes, each verified, as lines."""

    def shown(text: str, *passes: Pass) -> str:
        program = compiled(text).program
        for each in passes:
            program = each.apply(program)
            verify(program, after=each.name)
        return "\n".join(_region(program.network))

    return shown


def _region(region: Region) -> Iterator[str]:
    """`%number = what <- operands`, those of loops indented; inputs by their names."""
    for number, node in region.nodes():
        if isinstance(node, Input):
            yield f"%{number} = {node.name}"
        elif isinstance(node, Loop):
            reads = _numbers(node.operands)
            yield f"%{number} = loop({node.sequences}, {node.states}) <- {reads}"
            yield from (f"    {line}" for line in _region(node.region))
        else:
            yield f"%{number} = {_shown(node)}"
    yield f"return {_numbers(region.outputs)}"


def _shown(node: Any) -> str:
    if isinstance(node, Mixture):
        pairs = zip(node.values, node.terms, strict=True)
        return f"mixture({' + '.join(_term(value, term) for value, term in pairs)})"
    return f"{_what(node)} <- {_numbers(node.operands)}"


def _what(node: Any) -> str:
    match node:
        case SharedLayer():
            name = str(numbers(node)["f"]) if node.layer == "apply" else node.layer
            paths = ", ".join(node.paths) if node.layer in STATEFUL else ""
            return f"{name} `{paths}`" if paths else name
        case Sliced():
            pairs = zip(node.terms, node.ends, strict=True)
            ends = " + ".join(_factor(term) + str(end) for term, end in pairs)
            if isinstance(node, Windows):
                return f"windows({ends}) of {_what(node.layer)}"
            return f"slices({ends})"
        case Join():
            return node.how
        case Elementwise():
            value = "" if node.number is None else f" {show(node.number)}"
            return f"{node.operator}{value}{' swapped' * node.swapped}"
        case Part():
            return f"part {node.index} of {node.count}"
        case Item():
            return f"item {node.index}"
        case Mask():
            return "mask"
    raise TypeError(f"cannot show {type(node).__name__}")


def _term(value: int, term: Term) -> str:
    """`%input[row, column] · norm(%value)`; the first factor is left out where it is 1."""
    return f"{_factor(term)}{_normed(value, term.norm)}"


def _factor(term: Term) -> str:
    factors = [str(term.constant)] if term.constant and term.weights else []
    for weight in term.weights:
        sign = "-" * (weight.sign < 0)
        factors.append(f"{sign}%{weight.tensor}[{weight.row}, {weight.column}]")
    factor = " + ".join(factors)
    return f"({factor}) · " if len(factors) > 1 else f"{factor} · " if factors else ""


def _normed(value: int, norm: Norm | None) -> str:
    return f"%{value}" if norm is None else f"{', '.join(norm.paths)}(%{value})"


def _numbers(values: tuple[int, ...]) -> str:
    return ", ".join(f"%{value}" for value in values)
