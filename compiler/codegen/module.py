"""IR to readable Python: one class for every cell kind, one helper for every op, the network last.

`__init__` says what there is and `forward` how it is wired. What `build` runs and `emit` saves is
this text.
"""

from __future__ import annotations

from compiler.codegen import classes, functions, recurrences
from compiler.codegen.prelude import PRELUDE
from compiler.codegen.scope import Context
from compiler.codegen.signatures import Signatures
from compiler.facts import Facts
from compiler.ir import Form, Region, is_in_place
from compiler.program import Program

SHAPE = "Shape = tuple[{sizes}]  # {words}"
SIZES = ("channels", "height", "width")


def generate(program: Program, facts: Facts, docstring: str) -> str:
    """The source of a module that defines the program's network.

    The class is called `Supernet` in the search phase and `Network` in the final one.
    """
    signatures = Signatures(program, facts)
    context = Context(program, facts, signatures)
    blocks = [block for region in declared(program) for block in _region(context, region)]
    aliases = [text for text in (_shape(context), _weights(context)) if text]
    prelude = [PRELUDE[name].rstrip("\n") for name in PRELUDE if name in context.used]
    body = "\n\n\n".join([*prelude, *blocks])
    imports = _imports("\n".join([*aliases, body]))
    head = f'"""{docstring}"""\n\n{imports}\n'
    if aliases:
        head += "\n" + "\n".join(aliases) + "\n"
    return f"{head}\n\n{body}\n"


def declared(program: Program) -> list[Region]:
    """The regions that get a definition of their own, each after those it uses."""
    return [r for r in program.regions() if not r.is_branch and r.kind != "step"]


def _region(context: Context, region: Region) -> list[str]:
    if region.kind == "set" and is_in_place(region):
        return [functions.joint_mixture(context, region)]
    if region.kind == "set":
        return [functions.mixture(context, region)]
    if region.is_pure:
        return [functions.pure(context, region)]
    if region.kind == "op" and region.form is not Form.GRAPH:
        return [functions.function(context, region)]
    if region.kind == "network":
        return [classes.network(context, region)]
    if region.states is not None:
        return [recurrences.recurrence(context, region)]
    return [classes.cell(context, region)]


def _imports(body: str) -> str:
    lines = []
    if "Callable[" in body:
        lines += ["from collections.abc import Callable", ""]
    if "torch." in body:
        lines.append("import torch")
    if "F." in body:
        lines.append("import torch.nn.functional as F")
    lines.append("from torch import Tensor, nn")
    return "\n".join(lines)


def _shape(context: Context) -> str | None:
    if "Shape" not in context.used:
        return None
    layout = context.signatures.layout
    words = ", ".join(SIZES[i] for i in layout)
    return SHAPE.format(sizes=", ".join(["int"] * len(layout)), words=words)


def _weights(context: Context) -> str | None:
    return context.weights_alias() if "Weights" in context.used else None
