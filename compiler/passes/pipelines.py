"""Which passes run, in which order, under which name.

| pipeline | passes | exact second order |
|---|---|---|
| none | (nothing: one module for every candidate, the baseline) | yes |
| simple | drop_zeros | yes |
| fast | drop_zeros, expand, simplify, share, slice, factor, stack, fuse_mixtures | no |

From `expand` on a program is flat, and `compiler.engine` runs it, with a backward of its own that
can be gone through once.
"""

from __future__ import annotations

from typing import Protocol

from compiler.passes.drop_zeros import DropZeros
from compiler.passes.expand import Expand
from compiler.passes.factor import Factor
from compiler.passes.fuse_mixtures import FuseMixtures
from compiler.passes.share import Share
from compiler.passes.simplify import Simplify
from compiler.passes.slice import Slice
from compiler.passes.stack import Stack
from compiler.program import Program
from dsl.diagnostics import did_you_mean, fault


class Pass(Protocol):
    """A rewrite of a program that changes nothing but how it is computed."""

    @property
    def name(self) -> str: ...

    def apply(self, program: Program) -> Program: ...


PIPELINES: dict[str, tuple[Pass, ...]] = {
    "none": (),
    "simple": (DropZeros(),),
    "fast": (
        DropZeros(),
        Expand(),
        Simplify(),
        Share(),
        Slice(),
        Factor(),
        Stack(),
        FuseMixtures(),
    ),
}


ONCE = frozenset({"fast"})
"""Pipelines whose networks can be differentiated once only."""


def usual(twice: bool = False) -> str:
    """The pipeline that a supernet goes through where none is named: the fastest there is.

    `twice` leaves out those that cannot be differentiated twice.
    """
    return "simple" if twice else "fast"


def pipeline(name: str) -> tuple[Pass, ...]:
    """Raises:
    DartsError: when there is no pipeline of that name.
    """
    if name not in PIPELINES:
        known = ", ".join(f"`{p}`" for p in PIPELINES)
        raise fault(
            "E0901", f"there is no pipeline `{name}`", None,
            did_you_mean(name, PIPELINES) or f"one of {known}",
        )  # fmt: skip
    return PIPELINES[name]
