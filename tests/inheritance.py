"""Which weights of a supernet a network made of it takes over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from compiler.codegen.names import attributes, camel, inner_attributes, key, shared_attributes
from compiler.ir import Choice, Input, Join, Region, is_in_place
from compiler.program import Program

Chosen = Mapping[str, Mapping[str, str]]


def inherited(
    program: Program, supernet: nn.Module, final: Program, network: nn.Module, chosen: Chosen
) -> dict[str, str]:
    """By the name of every weight and statistic of `network`, the name of its like in `supernet`.

    `final` is `program` specialised to what is chosen. Both programs make their modules in one
    order, so what is left when those of losing options and of edges not kept are taken away
    belongs together in that order. What is shared is made where it is first used, which may
    change, so that is found by its name.
    """
    lost = tuple(name for at, cell in cells(program, supernet) for name in losers(cell, at, chosen))
    ours, shared = _parted(supernet, shared_paths(program, supernet))
    theirs, theirs_shared = _parted(network, shared_paths(final, network))
    kept = [name for name in ours if not name.startswith(lost)]
    pairs = dict(zip(theirs, kept, strict=True))
    return pairs | {name: shared[what] for what, name in theirs_shared.items()}


def cells(program: Program, network: nn.Module) -> Iterator[tuple[str, Region]]:
    """The instances of the cells, by their path with a dot behind."""
    kinds = {camel(r.name): r for r in program.regions() if r.kind == "cell"}
    for path, module in network.named_modules():
        kind = kinds.get(type(module).__name__)
        if kind is not None:
            yield f"{path}.", kind


def losers(cell: Region, at: str, chosen: Chosen) -> Iterator[str]:
    """The paths of what only losing options hold, and edges that are not kept."""
    names, inner = attributes(cell), inner_attributes(cell)
    gone: set[int] = set()
    for number, node in cell.nodes():
        label = None
        if isinstance(node, Choice):
            label = chosen[cell.name].get(node.decision)
            for option in node.region.options:
                if option.label == label:
                    continue
                if not is_in_place(node.region):
                    yield f"{at}{names[number]}.{key(option.label)}."
                for (body, _), name in inner.items():
                    if body == id(option.body):
                        yield f"{at}{name}."
        missing = [o in gone for o in node.operands]
        if isinstance(node, Choice):
            is_gone = label is None
        elif isinstance(node, Join):
            is_gone = all(missing)
        else:
            is_gone = any(missing) and not isinstance(node, Input)
        if is_gone:
            gone.add(number)
            if number in names and not node.shared:
                yield f"{at}{names[number]}."


def shared_paths(program: Program, network: nn.Module) -> dict[str, tuple[int, str]]:
    """The paths of what cells share, with the number of the instance and the name in the file."""
    return {
        f"{at}{attribute}.": (number, name)
        for number, (at, cell) in enumerate(cells(program, network))
        for name, attribute in shared_attributes(cell).items()
    }


def _parted(
    network: nn.Module, shared: Mapping[str, tuple[int, str]]
) -> tuple[list[str], dict[tuple[int, str, str], str]]:
    """The names that are nobody's but one module's, and those that are shared by what they are."""
    own: list[str] = []
    found: dict[tuple[int, str, str], str] = {}
    for name in network.state_dict():
        path = next((p for p in shared if name.startswith(p)), None)
        if path is None:
            own.append(name)
        else:
            found[*shared[path], name.removeprefix(path)] = name
    return own, found
