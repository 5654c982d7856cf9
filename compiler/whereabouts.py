"""Where a walk through a program stands, and how a fault is told from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from compiler.expr import DivisionByZero, Expr, InexactDivision, Plain, evaluate, show, symbols
from compiler.facts import Sizes
from compiler.ir import Node, Region
from compiler.layers import dimensions
from compiler.program import Program
from compiler.ways import ways
from dsl.diagnostics import Collector, DartsError, Label, fault
from dsl.source import Span

SHAPE_FAULTS = frozenset({"E0501", "E0503", "E0505"})


class Whereabouts:
    """The way from the network down to the node at hand."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.main = program.network.span.source.main if program.network.span else None
        self.collector = Collector()
        self.inexact: set[Expr] = set()
        self.stack: list[Span] = []
        """Where the regions are used that lead here."""
        self.calls: list[tuple[str, Sizes]] = []
        """Their names, and the shapes that flow into them."""
        self.frames: list[tuple[Region, dict[int, Sizes | None], Node]] = []
        """The regions with the shapes found in them, and the node at hand in each."""

    def value(self, expr: Expr, env: Mapping[str, Plain], node: Node) -> Any:
        try:
            return evaluate(expr, env, self.inexact)
        except KeyError:
            if not len(self.collector):
                raise
            raise DartsError(()) from None  # it hangs on something that has a fault
        except InexactDivision as error:
            span = error.division.span or node.span
            message = str(error) + self.known_as(symbols(expr), env)
            raise self.fault("E0504", message, span, "`//` rounds down") from None
        except DivisionByZero as error:
            message = str(error) + self.known_as(symbols(expr), env)
            raise self.fault("E0504", message, error.division.span or node.span) from None
        except (TypeError, OverflowError) as error:
            shown = show(expr).replace("**", "^")
            raise self.fault("E0401", f"`{shown}` has no value: {error}", node.span) from None

    def known_as(self, names: Iterable[str], env: Mapping[str, Plain]) -> str:
        """Which values names have, in brackets behind a message."""
        names = sorted({name for name in names if name in env})
        values = ", ".join(f"`{name}` is {env[name]}" for name in names)
        where = f" in profile `{self.program.profile}`" if self.program.profile else ""
        return f" ({values}{where})" if names else ""

    def fault(
        self,
        code: str,
        message: str,
        span: Span | None,
        help: str | None = None,
        label: Label | None = None,
    ) -> DartsError:
        """A diagnostic at the innermost use in the user's own file; others become labels.

        Where no use is, a place in a file that it extends will do. A fault of size also shows where
        the shapes come from.
        """
        places = [*self.stack, *([span] if span else [])]
        own = [s for s in places if s.source is self.main]
        own = own or [s for s in places if s.source.main is self.main]
        labels = [*([label] if label else []), *(self.ways() if code in SHAPE_FAULTS else [])]
        if span is None or span.source is self.main or not own or own[-1] is span:
            return fault(code, message, span, help, *_apart(labels, span))
        name, shape = self.calls[-1] if self.calls else ("this", ())
        if any(size % 2 for size in shape[1:]):
            message = f"`{name}` cannot halve {dimensions(shape)}: {message}"
            help = "sizes that are even wherever the network halves them"
        else:
            message = f"`{name}` on {dimensions(shape)}: {message}"
        return fault(code, message, own[-1], help, Label(span, "here"), *_apart(labels, own[-1]))

    def ways(self) -> list[Label]:
        """Where the shapes come from, at the innermost place that the user's own file can tell.

        Where they flow in from outside, the use is shown too.
        """
        for depth, (region, found, node) in reversed(list(enumerate(self.frames))):
            labels = ways(region, found, node, self.main)
            if labels:
                inputs = [node.span for _, node in region.inputs]
                use = self.frames[depth - 1][2].span if depth else None
                if use is not None and use.source.main is self.main and labels[-1].span in inputs:
                    labels.append(Label(use, "flows in here"))
                return labels
        return []


def _apart(labels: list[Label], span: Span | None) -> list[Label]:
    """Labels at other places than the fault itself."""
    return [label for label in labels if label.span != span]
