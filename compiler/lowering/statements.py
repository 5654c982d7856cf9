"""Statements: what they bind, share, keep, and put into a group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compiler.builder import is_module
from compiler.decision import Keep
from compiler.expr import Const
from compiler.ir import Choice, Part, Scan
from compiler.lowering import choices, labels, widths
from compiler.lowering.values import (
    POISON,
    Poison,
    Ref,
    Several,
    Shared,
    Value,
    is_operation,
    joins,
    kind,
    shown,
)
from dsl import ast
from dsl.diagnostics import DartsError, fault

if TYPE_CHECKING:
    from compiler.lowering.body import Body

MOST_MEMBERS = 1000


def keep(body: Body, node: ast.Keep) -> Keep:
    count = None if node.count is None else body.constant(node.count)
    if node.count is not None and not (type(count) is int and count >= 1):
        message = f"what is kept is a whole number of at least 1, this is {shown(count)}"
        raise fault("E0607", message, node.count.span)
    above: Any = None if node.above is None else body.constant(node.above)
    if node.above is not None and isinstance(above, bool | str):
        message = f"what edges are kept `above` is a number, this is {shown(above)}"
        raise fault("E0607", message, node.above.span)
    if node.above is not None and node.strength != "alpha" and not 0 <= above < 1:
        message = f"a weight is from 0 to 1, so none is compared with {above}"
        raise fault("E0607", message, node.above.span)
    return Keep(count, node.strength, node.unit, node.in_all, above, node.span)


def bind(body: Body, statement: ast.Bind) -> None:
    names = [n.name for n in statement.names]
    paths = [f"{body.member}.{name}" if body.member else name for name in names]
    if len(names) == 1:
        body.frame.names[names[0]] = named(body, paths[0], statement.value)
        return
    value = body.evaluate(statement.value)
    if not isinstance(value, Poison) and (not isinstance(value, tuple) or len(value) != len(names)):
        found = f"a list of {len(value)}" if isinstance(value, tuple) else kind(value)
        message = f"{len(names)} names are bound, this is {found}"
        help = joins(value) if isinstance(value, Several) else None
        raise fault("E0401", message, statement.value.span, help)
    values = value if isinstance(value, tuple) else (POISON,) * len(names)
    body.frame.names.update(zip(names, values, strict=True))
    for path, part in zip(paths, values, strict=True):
        if isinstance(part, Ref) and isinstance(body.region.node(part.number), Part):
            body.region.replace(part.number, bound=path)


def named(body: Body, name: str, value: ast.Expr, prefix: str = "") -> Value:
    """Evaluates what is bound to `name`; the value and its only module bear that name."""
    start = len(body.region.values)
    outer, body.node = body.node, name
    try:
        if isinstance(value, ast.Choose):
            result = choices.choose(body, value, name)
        else:
            result = body.evaluate(value, whole=True)
    finally:
        body.node = outer
    new = range(start, len(body.region.values))
    if isinstance(result, Ref) and result.number in new:
        body.region.replace(result.number, bound=name)
        result = replace(result, origin="")
    elif isinstance(result, Ref) and isinstance(value, ast.Flow):
        body.decisions.aliases[name] = start - 0.5
        result = replace(result, name=name)
    modules = [
        i
        for i in new
        if is_module(body.region.node(i)) and not widths.is_slice(body.region.node(i))
    ]
    own = [
        i
        for i in modules
        if not isinstance(body.region.node(i), Choice) and not body.region.node(i).shared
    ]
    attribute = labels.attribute(name)
    if len(modules) == 1 and own and not isinstance(body.region.node(own[0]), Scan):
        body.region.replace(own[0], name=attribute)
    elif prefix:
        for number in own:
            if body.region.node(number).name.startswith(f"{prefix}_from_"):
                continue
            body.region.replace(number, name=f"{prefix}_{body.region.node(number).name}")
    return result


def shared(body: Body, statement: ast.Shared) -> None:
    """`shared W = …`: in a member of a group, that member's own."""
    name = statement.name.name
    operation = body.evaluate(statement.value)
    if isinstance(operation, Poison):
        raise DartsError(())
    if not is_operation(operation):
        raise fault(
            "E0401",
            f"operations are shared, this is {kind(operation)}",
            statement.value.span,
            f"`{name} = …` binds it",
        )
    unique = f"{labels.attribute(body.member)}_{name}" if body.member else name
    while unique in body.shared_names:
        unique += "_"
    body.shared_names.add(unique)
    body.frame.names[name] = Shared(unique, operation, body.region, statement.name.span)  # type: ignore[arg-type]


def group(body: Body, statement: ast.Group) -> None:
    """`node n[4] = …`: evaluates the body once for every member."""
    name = statement.name.name
    count = body.constant(statement.count)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_MEMBERS:
        raise fault(
            "E0404",
            f"a group has from 1 to {MOST_MEMBERS} members, this is {count}",
            statement.count.span,
        )
    members: list[Value] = []
    outer = body.frame
    for index in range(count):
        frame = outer.extended(index=Const(index), **{f"earlier {name}": tuple(members)})
        around = body.member
        path = body.member = f"{around}.{name}[{index}]" if around else f"{name}[{index}]"
        with body.looking_up(frame):
            for inner in statement.body.statements:
                body.statement(inner)
            member = named(body, path, statement.body.result, labels.attribute(path))
        body.member = around
        if isinstance(member, Several) and member.chosen.amount.most == 1:
            member = choices.joined(body, member, "sum", statement.body.result.span)
        if not isinstance(member, Ref | Poison):
            raise fault(
                "E0401",
                f"a member of `{name}` is one value, this is {kind(member)}",
                statement.body.result.span,
                joins(member),
            )
        members.append(member)
    body.frame.names[name] = tuple(members)


def auxiliary(body: Body, statement: ast.Auxiliary) -> None:
    """An auxiliary head belongs to the final network alone."""
    if not body.lowering.auxiliary:
        return
    if body.region.auxiliary:
        raise fault("E0715", "a network has one auxiliary output", statement.span)
    clock = body.decisions.clock
    result = named(body, "auxiliary", statement.value)
    if body.decisions.clock > clock:
        message = "a head that is there in the final network alone cannot decide"
        raise fault("E0605", message, statement.value.span, "decide outside of it")
    if isinstance(result, Ref):
        known, span = "a `linear` of a known width at its end", statement.value.span
        widths.check_known(body, (result,), "the network gives back", span, known)
        body.region.auxiliary += (result.number,)
    elif not isinstance(result, Poison):
        message = f"this is {kind(result)}, not one value"
        raise fault("E0401", message, statement.value.span, joins(result))
