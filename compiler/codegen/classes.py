"""Cells, branching ops and the network as classes."""

from __future__ import annotations

import textwrap

from compiler.codegen.constructor import Constructor
from compiler.codegen.forward import Forward
from compiler.codegen.layout import docstring
from compiler.codegen.scope import Context
from compiler.ir import Layer, Region, is_open

INIT = "        super().__init__()"


def cell(context: Context, region: Region) -> str:
    """A cell kind, or an op with branches."""
    constructor = Constructor(context, region)
    name = context.names[id(region)]
    body = constructor.write()
    forward = Forward(context, region)
    statements = forward.write()
    drops = any(isinstance(n, Layer) and n.layer == "drop_path" for _, n in region.nodes())
    if drops:
        body.append("        self.drop_path = DropPath()")
    parts = [_docstring(region)]
    if body:
        parts.append([*constructor.head(), INIT, *body])
    parts.append([*_forward_head(forward), *_kind_weights(context, region), *statements])
    return "\n".join([f"class {name}(nn.Module):", *_spaced(parts)])


def _spaced(parts: list[list[str]]) -> list[str]:
    """Groups of lines with an empty line between those that are there."""
    there = [part for part in parts if part]
    return [line for i, part in enumerate(there) for line in ([""] * (i > 0) + part)]


def network(context: Context, region: Region) -> str:
    search = context.program.phase == "search"
    constructor = Constructor(context, region)
    body = constructor.write()
    forward = Forward(context, region)
    statements = forward.write()
    name = "Supernet" if search else "Network"
    parts = [
        f"class {name}(nn.Module):",
        *_docstring(region, _network_arguments(context, region)),
        "",
        *constructor.head(),
        INIT,
        *body,
    ]
    if "DropPath" in context.used:
        parts.append("        self.set_drop_path(drop_path)")
    parts += ["", *_forward_head(forward), *statements]
    if "DropPath" in context.used:
        parts += ["", *SET_DROP_PATH]
    return "\n".join(parts)


SET_DROP_PATH = '''\
    def set_drop_path(self, p: float) -> None:
        """Sets the probability of dropping an edge (the paper raises it over the epochs)."""
        for module in self.modules():
            if isinstance(module, DropPath):
                module.p = p'''.splitlines()


def _docstring(region: Region, extra: list[str] | None = None) -> list[str]:
    """The comment above the declaration; for a cell or network its header and what it decided."""
    if region.kind == "op":
        return [f'    """{docstring(region.comment)}."""'] if region.comment else []
    extra = extra or list(region.decided)
    header = textwrap.wrap(docstring(region.header), 90, break_long_words=False)
    if not extra and len(header) == 1:
        return [f'    """{header[0]}"""']
    first, *rest = [*header, *([""] if extra else []), *extra]
    return [f'    """{first}', *(f"    {line}".rstrip() for line in rest), '    """']


def _network_arguments(context: Context, region: Region) -> list[str]:
    lines = []
    if is_open(region):
        lines += ["`forward` takes the mixing weights of every kind, a row for each decision."]
    if "DropPath" in context.used:
        lines += ["drop_path: the probability of dropping an edge while training."]
    if region.auxiliary:
        lines += [
            "auxiliary: builds the auxiliary head. While training, `forward` then returns a pair,",
            "    the logits and those of the head.",
        ]
    described = [line for line in lines if not line.startswith("`")]
    plain = [line for line in lines if line.startswith("`")]
    return [*plain, *(["Args:", *(f"    {d}" for d in described)] if described else [])]


def _forward_head(forward: Forward) -> list[str]:
    context, region = forward.context, forward.region
    inputs = [f"{forward.values[i].doc.flat()}: Tensor" for i, _ in region.inputs]
    if is_open(region):
        context.used.add("Weights")
        inputs.append("weights: Weights")
    result = "Tensor | tuple[Tensor, Tensor]" if region.auxiliary else "Tensor"
    return [f"    def forward(self, {', '.join(inputs)}) -> {result}:"]


def _kind_weights(context: Context, region: Region) -> list[str]:
    return [f'        w = weights["{region.name}"]'] if region.decisions else []
