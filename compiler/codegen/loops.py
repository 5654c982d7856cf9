"""The loop of `forward` over a stack of modules, and the window that moves along it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler.codegen.layout import Text, Value, lines
from compiler.codegen.names import local
from compiler.expr import Const, show
from compiler.ir import Repeat, Step, Tap, is_open
from compiler.program import is_cell_call

if TYPE_CHECKING:
    from compiler.codegen.forward import Forward


def repeat(forward: Forward, number: int, node: Repeat) -> None:
    pad, names = " " * forward.indent, [forward.reused(w, number) for w in node.window]
    _start_window(forward, node, names)
    modules = f"self.{forward.attributes[number]}"
    taps = [
        (t, forward.region.node(t))
        for t in forward.region.graph.successors(number)
        if isinstance(forward.region.node(t), Tap)
    ]
    counted = bool(taps) or len(set(map(how_step_reads, node.steps))) > 1
    step = forward.reused("cell" if all(map(is_cell_call, node.steps)) else "layer", number)
    head = f"step, {step} in enumerate({modules})" if counted else f"{step} in {modules}"
    forward.statements.append(f"{pad}for {head}:")
    _steps(forward, number, node, names, step)
    for reader, tap in taps:
        name = forward.tapped[reader] = forward.variable(tap.name)
        index = _tap_index(tap, f"self.{local(tap.name)}_step")
        forward.statements.append(f"{pad}    if step == {index}:")
        forward.statements.append(f"{pad}        {name} = {names[-1]}")
    forward.values[number] = Value(Text(names[-1]))
    later = any(isinstance(n, Repeat) for i, n in forward.region.nodes() if i > number)
    if later and node.bound is not None:
        forward.bind(number, forward.values[number], forward.variable(forward.name_of(node.bound)))


def _start_window(forward: Forward, node: Repeat, names: list[str]) -> None:
    operands = [forward.values[o].doc for o in node.operands]
    if len({o.flat() for o in operands}) == 1:
        chain = " = ".join(names)
        if operands[0].flat() != chain:
            forward.statements += lines(operands[0], forward.indent, f"{chain} = ")
        return
    left, right = ", ".join(names), ", ".join(o.flat() for o in operands)
    forward.statements.append(f"{' ' * forward.indent}{left} = {right}")


def _steps(forward: Forward, number: int, node: Repeat, names: list[str], step: str) -> None:
    """The body of the loop; an `if` where steps do not read alike."""
    pad = " " * (forward.indent + 4)

    def advance(kind: Any, indent: str) -> str:
        reads, weighted = how_step_reads(kind)
        arguments = [*names[len(names) - reads :], *(["weights"] if weighted else [])]
        call = f"{step}({', '.join(arguments)})"
        if len(names) == 1:
            return f"{indent}{names[0]} = {call}"
        return f"{indent}{', '.join(names)} = {', '.join(names[1:])}, {call}"

    default, *exceptions = node.steps
    if len(set(map(how_step_reads, node.steps))) == 1:
        forward.statements.append(advance(default, pad))
        return
    word = "if"
    for count, kind in enumerate(exceptions):
        places = f"self.{forward.attributes[number]}_places_{count}"
        forward.statements += [f"{pad}{word} step in {places}:", advance(kind, pad + "    ")]
        word = "elif"
    forward.statements += [f"{pad}else:", advance(default, pad + "    ")]


def how_step_reads(step: Step) -> tuple[int, bool]:
    """How many members of the window a step reads, and whether it takes mixing weights."""
    return len(step.body.inputs), is_open(step.body)


def _tap_index(tap: Tap, stored: str) -> str:
    index = tap.index
    fixed = isinstance(index, Const) and isinstance(index.value, int) and index.value >= 0
    return show(index) if fixed else stored
