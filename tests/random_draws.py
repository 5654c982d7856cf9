"""What random spaces are drawn with: sizes and shapes as they are written, and weighted choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

NOT_ZERO_AT_ZERO = ("sigmoid", "softplus", "hardsigmoid")
ZERO_AT_ZERO = (
    "relu", "relu6", "gelu", "silu", "tanh", "leaky_relu", "elu", "selu", "hardswish", "mish",
    "sin",
)  # fmt: skip
ACTIVATIONS = (*ZERO_AT_ZERO, *NOT_ZERO_AT_ZERO)
ZERO_PRESERVING = (*ZERO_AT_ZERO, "drop_path", "identity", "dropout(0)")


@dataclass(frozen=True)
class Width:
    """So many times a size that has a name, which is even; of nothing, a number.

    The width of an input without a pattern is of `?`, and cannot be written.
    """

    times: Fraction
    of: str = ""

    def __str__(self) -> str:
        if not self.of:
            return str(self.times)
        if self.times < 1:
            return f"{self.of} / {1 / self.times}"
        return self.of if self.times == 1 else f"{self.times} * {self.of}"

    def times_by(self, factor: int | Fraction) -> Width:
        return Width(self.times * factor, self.of)

    @property
    def is_known(self) -> bool:
        return self.of != "?"

    @property
    def is_even(self) -> bool:
        if not self.of:
            return self.times % 2 == 0
        return self.is_known and self.times.denominator == 1


def number(value: int) -> Width:
    return Width(Fraction(value))


def named(name: str) -> Width:
    return Width(Fraction(1), name)


@dataclass(frozen=True)
class Shape:
    """Of a vector (rank 1), a sequence (2) or a square image (3); `side` tells images apart."""

    rank: int
    width: Width
    side: str = ""

    def of_width(self, width: Width) -> Shape:
        return replace(self, width=width)


class Draw:
    """Random choices in which some words, the favourites of a space, come up more often."""

    def __init__(self, seed: int, favourites: Sequence[str]) -> None:
        self.random = Random(seed)
        self.favourites = self.random.sample(list(favourites), 5)

    def pick(self, *words: str) -> str:
        weights = [8 if word in self.favourites else 1 for word in words]
        return self.random.choices(words, weights)[0]

    def chance(self, p: float, word: str = "") -> bool:
        return self.random.random() < (max(p, 0.6) if word in self.favourites else p)

    def kernel(self) -> str:
        return self.random.choice(("1", "3", "3", "5"))


@dataclass(frozen=True)
class Op:
    """A declared op that keeps the shape of its values; `parameters` are of known meaning."""

    name: str
    rank: int
    arity: int
    parameters: tuple[str, ...]
    is_pure: bool
    needs_even: bool


def bracketed(parts: Sequence[str]) -> str:
    return f"({', '.join(parts)})" if parts else ""


def block(lines: Sequence[str]) -> str:
    return "{\n" + "".join(f"    {line}\n" for line in lines) + "}"
