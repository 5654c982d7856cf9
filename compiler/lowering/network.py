"""The network of a space as a region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compiler.expr import Symbol, const
from compiler.ir import Region, Scan
from compiler.lowering import inputs, outputs
from compiler.lowering.body import Body
from compiler.lowering.nature import header
from compiler.lowering.values import Frame, Poison, StaticNeeded
from dsl import ast
from dsl.diagnostics import DartsError, fault

if TYPE_CHECKING:
    from compiler.lowering.declarations import Lowering


def network(lowering: Lowering, values: Mapping[str, Any]) -> Region:
    """The network over its parameters; those on which its structure hangs are folded."""
    declaration = lowering.space.network
    assert declaration is not None
    while True:
        try:
            return _lowered(lowering, declaration, values)
        except StaticNeeded as needed:
            own = {p.name for p in declaration.parameters} & set(needed.names)
            if not own:
                lowering.report(needed.fault("of the network alone"))
                return Region("network", "network")
            lowering.static[id(declaration)] |= dict.fromkeys(own, needed.origin)
        except DartsError as error:
            lowering.report(error)
            return Region("network", "network")


def _lowered(lowering: Lowering, declaration: ast.NetworkDecl, values: Mapping[str, Any]) -> Region:
    lowering.regions.clear()
    lowering.kinds.clear()
    lowering.stages.clear()
    region = Region(
        "network",
        "network",
        header=header(declaration),
        span=declaration.span,
        order=lowering.order(declaration.span),
    )
    body = Body(lowering, region, Frame({}, lowering.space.scope(declaration)))
    # sizes of the input are the data's, so they stand in the source as numbers
    sizes = (size for i in declaration.inputs for size in i.shape or ())
    given = {n.name for size in sizes for n in size.walk() if isinstance(n, ast.Name)}
    for parameter in declaration.parameters:
        value = const(values[parameter.name])
        is_static = parameter.name in lowering.static[id(declaration)].keys() | given
        if is_static or isinstance(values[parameter.name], str | bool):
            body.frame.names[parameter.name] = value
        else:
            body.frame.names[parameter.name] = Symbol(parameter.name)
            region.parameters[parameter.name] = value
    inputs.add_inputs(
        body, declaration.inputs, tuple(len(i.shape or "chw") for i in declaration.inputs)
    )
    result = body.block(declaration.body)
    results = result if isinstance(result, tuple) else (result,)
    if any(isinstance(each, Poison) for each in results):
        return region
    outputs.check(body, declaration, results)
    if body.is_open(results):
        message = "the width of what the network gives is still to be chosen"
        span = declaration.body.result.span
        raise fault("E0612", message, span, "a layer of a known width behind it")
    if region.auxiliary and any(isinstance(n, Scan) for _, n in region.nodes()):
        heads = [s for s in declaration.body.statements if isinstance(s, ast.Auxiliary)]
        raise fault("E0715", "a recurrent network has no auxiliary output", heads[0].span)
    even = [name for name in sorted(region.kernels) if values[name] % 2 == 0]
    if even:
        raise StaticNeeded(tuple(even), declaration.span)
    region.promises = tuple(
        tuple(
            None if isinstance(size, ast.Name) and size.name == "_" else body.number(size)
            for size in output.shape or ()
        )
        for output in declaration.outputs
    )
    return body.finish(*results)
