"""Cells, branching ops and the network as classes."""

from __future__ import annotations

import textwrap

from compiler.codegen.constructor import Constructor
from compiler.codegen.forward import Forward
from compiler.codegen.layout import Call, docstring, function_head, lines
from compiler.codegen.scope import Context
from compiler.ir import Layer, Region, Scan, is_open

INIT = "        super().__init__()"


def cell(context: Context, region: Region) -> str:
    """A cell kind, or an op with branches."""
    constructor = Constructor(context, region)
    name = context.names[id(region)]
    forward = Forward(context, region)
    statements = forward.write()
    body = constructor.write(forward.stored)
    body += drop_path(region)
    parts = [described(region)]
    if body:
        parts.append([*constructor.head(), INIT, *body])
    parts.append([*_forward_head(forward), *_kind_weights(context, region), *statements])
    return "\n".join([f"class {name}(nn.Module):", *spaced(parts)])


def drop_path(region: Region) -> list[str]:
    """The module that drops edges, in the constructor of a class that does."""
    nodes = map(region.node, region.live())
    drops = any(isinstance(node, Layer) and node.layer == "drop_path" for node in nodes)
    return ["        self.drop_path = DropPath()"] if drops else []


def spaced(parts: list[list[str]]) -> list[str]:
    """Groups of lines with an empty line between those that are there."""
    there = [part for part in parts if part]
    return [line for i, part in enumerate(there) for line in ([""] * (i > 0) + part)]


def network(context: Context, region: Region) -> str:
    search = context.program.phase == "search"
    constructor = Constructor(context, region)
    forward = Forward(context, region)
    statements = forward.write()
    hidden = _init_hidden(forward)
    body = [*constructor.write(forward.stored), *drop_path(region)]
    name = "Supernet" if search else "Network"
    parts = [
        f"class {name}(nn.Module):",
        *described(region, _network_arguments(context, region)),
        "",
        *constructor.head(),
        INIT,
        *body,
    ]
    if "DropPath" in context.used:
        parts.append("        self.set_drop_path(drop_path)")
    parts += ["", *_forward_head(forward), *_kind_weights(context, region), *statements]
    if hidden:
        parts += ["", *hidden]
    if "DropPath" in context.used:
        parts += ["", *SET_DROP_PATH]
    return "\n".join(parts)


SET_DROP_PATH = '''\
    def set_drop_path(self, p: float) -> None:
        """Sets the probability of dropping an edge (the paper raises it over the epochs)."""
        for module in self.modules():
            if isinstance(module, DropPath):
                module.p = p'''.splitlines()


def described(region: Region, extra: list[str] | None = None) -> list[str]:
    """The comment above the declaration; for a cell or network its header and what it decided."""
    if region.kind == "op":
        return [f'    """{docstring(region.comment)}."""'] if region.comment else []
    extra = extra or list(region.decided)
    header = [docstring(s) for s in textwrap.wrap(region.header, 90, break_long_words=False)]
    if not extra and len(header) == 1:
        return [f'    """{header[0]}"""']
    first, *rest = [*header, *([""] if extra else []), *extra]
    return [f'    """{first}', *(f"    {line}".rstrip() for line in rest), '    """']


def _init_hidden(forward: Forward) -> list[str]:
    """The method that gives the states at the start of a stream."""
    shapes = [
        state
        for _, node in forward.region.nodes()
        if isinstance(node, Scan)
        for state in node.region.state_dims(node.arguments)
    ]
    if not shapes:
        return []
    sizes = [", ".join(["batch", *map(forward.show, shape)]) for shape in shapes]
    many = _outputs(len(shapes))
    head = [
        f"    def init_hidden(self, batch: int) -> {many}:",
        '        """The state at the start of a stream, all zeros."""',
    ]
    zeros = [f"torch.zeros({size})" for size in sizes]
    if forward.context.facts.weights:
        head.append("        weight = next(self.parameters())")
        zeros = [f"weight.new_zeros({size})" for size in sizes]
    if len(zeros) == 1:
        return [*head, f"        return {zeros[0]}"]
    return [*head, *lines(Call("", *zeros), 8, "return ")]


def _network_arguments(context: Context, region: Region) -> list[str]:
    text: list[str] = []
    if any(isinstance(n, Scan) and n.region.states for _, n in region.nodes()):
        words = any(node.below is not None for _, node in region.inputs)
        reads = "words [time, batch]" if words else "values [time, batch, width]"
        text += [
            f"`forward` reads {reads} and gives values [time, batch, width]. It also",
            "takes the state, zeros if left out, and gives it back behind. Nothing is detached.",
        ]
    if is_open(region):
        text += ["`forward` takes the mixing weights of every kind, a row for each decision."]
    arguments = []
    if "DropPath" in context.used:
        arguments += ["drop_path: the probability of dropping an edge while training."]
    if region.auxiliary:
        arguments += [
            "auxiliary: builds the auxiliary head. While training, `forward` then returns "
            + ("a pair," if len(region.outputs) == 1 else "its"),
            "    the logits and those of the head."
            if len(region.outputs) == 1
            else "    outputs and that of the head.",
        ]
    return [*text, *(["Args:", *(f"    {d}" for d in arguments)] if arguments else [])]


def _forward_head(forward: Forward) -> list[str]:
    context, region = forward.context, forward.region
    inputs = [f"{forward.values[i].doc.flat()}: Tensor" for i, _ in region.inputs]
    if is_open(region):
        context.used.add("Weights")
        inputs.append("weights: Weights")
    output = _outputs(len(region.outputs))
    headed = f"{output} | {_outputs(len(region.outputs) + 1)}"
    result = headed if region.auxiliary else output
    states = [name for names in forward.scan_states.values() for name in names]
    if not states:
        return function_head("forward", ["self", *inputs], result)
    kind = _outputs(len(states))
    axis = region.inputs[0][1].batch_axis
    first = forward.values[region.inputs[0][0]].doc.flat()
    head = function_head(
        "forward", ["self", *inputs, f"state: {kind} | None = None"], f"tuple[{output}, {kind}]"
    )
    body = [
        "        if state is None:",
        f"            state = self.init_hidden({first}.shape[{axis}])",
    ]
    unpack = [f"        {', '.join(states)} = state"] if len(states) > 1 else []
    return [*head, *body, *unpack]


def _outputs(count: int) -> str:
    """The type of one tensor, or of a tuple of several."""
    return "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"


def _kind_weights(context: Context, region: Region) -> list[str]:
    return [f'        w = weights["{region.name}"]'] if region.decisions else []
