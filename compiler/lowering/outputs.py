"""What a network gives back: as many values as it promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.lowering import widths
from compiler.lowering.values import Ref, Value, kind
from dsl import ast
from dsl.calls import counted
from dsl.diagnostics import fault

if TYPE_CHECKING:
    from compiler.lowering.body import Body


def check(body: Body, declaration: ast.NetworkDecl, results: tuple[Value, ...]) -> None:
    """Raises:
    DartsError: where what is given back is not a value for every output.
    """
    span, promised = declaration.body.result.span, len(declaration.outputs)
    for result in results:
        if not isinstance(result, Ref):
            raise fault("E0401", f"the network gives back {kind(result)}, not a value", span)
        if body.rank(result) == 0:
            message = "the network gives back the words that it reads"
            raise fault("E0502", message, span, "let an `embedding` read them")
        known = "a `linear` of a known width at its end"
        widths.check_known(body, (result,), "the network gives back", span, known)
    if len(results) != promised:
        values = "value" if promised == 1 else "values"
        raise fault(
            "E0716",
            f"the network promises {counted(promised)} {values}, this gives back "
            f"{counted(len(results))}",
            span,
            "join them with `concat` or `sum`, or promise each behind `to`"
            if promised == 1
            else f"a list of {counted(promised)}, in the order of `to`",
        )
