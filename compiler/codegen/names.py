"""Identifiers of the generated source that clash with nothing.

What a file calls `train` or `lambda` gets an underscore, since the first is a method of every torch
module and the second a word of Python.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterator
from functools import cache
from typing import Any

from compiler.builder import is_module
from compiler.codegen.prelude import PRELUDE
from compiler.codegen.torch_layers import is_function
from compiler.ir import Call as CallNode
from compiler.ir import Choice, Layer, Region, branches, is_partial, is_term_by_term

IMPORTED = frozenset({"torch", "nn", "F", "Tensor", "self"})
OWN = frozenset(
    {"kind", "out_shape", "out_channels", "drop_path", "set_drop_path", "auxiliary"}
    | {"step", "init_hidden", "recurrence", "readout", "auxiliary_modules"}
)
"""Attributes that generated classes have besides those of the file."""


@cache
def module_attributes() -> frozenset[str]:
    from torch import nn  # here, so that showing a program short of its source needs no torch

    return frozenset(dir(nn.Module())) | frozenset(dir(nn.ModuleDict())) | OWN


def local(name: str) -> str:
    """A name that is safe for a local variable or a parameter."""
    name = unmangled(name)
    known = name in IMPORTED or name in PRELUDE
    taken = keyword.iskeyword(name) or hasattr(builtins, name) or known
    return f"{name}_" if taken else name


def unmangled(name: str) -> str:
    """Python renames what begins with two underscores inside a class."""
    return f"x{name}" if name.startswith("__") else name


def key(label: str) -> str:
    """An option's key in its mixture."""
    clashes = label in module_attributes() or keyword.iskeyword(label)
    return f"{label}_" if clashes else label


def camel(name: str) -> str:
    """`factorised_reduce` as a class name, `FactorisedReduce`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_")) or "Cell"


def attributes(region: Region) -> dict[int, str]:
    """The attribute, in the region's class, of every node that is a module there."""
    found: dict[int, str] = {}
    taken: set[str] = set()
    shared = shared_attributes(region)
    taken.update(shared.values())
    for number, node in region.nodes():
        if node.shared in shared:
            found[number] = shared[node.shared]
            continue
        if not needs_attribute(node):
            continue
        name = node.name or getattr(node, "layer", "")
        auxiliary = number in region.auxiliary and name == "auxiliary"
        clashes = name in module_attributes() or keyword.iskeyword(name)
        name = unmangled(f"{name}_" if clashes and not auxiliary else name)
        while name in taken:
            name += "_"
        taken.add(name)
        found[number] = name
    return found


def shared_attributes(region: Region) -> dict[str, str]:
    """The attributes of what a region shares, with its branches too, by the shared names."""
    found: dict[str, str] = {}
    for _, node in shared_modules(region):
        name = unmangled(node.shared)
        name = f"{name}_" if name in module_attributes() or keyword.iskeyword(name) else name
        while node.shared not in found and name in found.values():
            name += "_"
        found.setdefault(node.shared, name)
    return found


def shared_modules(region: Region) -> Iterator[tuple[Region, Any]]:
    """Nodes that are shared modules, with the regions they stand in: this one or a branch of it."""
    for _, node in region.nodes():
        if node.shared and needs_attribute(node):
            yield region, node
        for inner in branches(node):
            yield from shared_modules(inner)


def maker(region: Region, shared: str) -> tuple[Region, Any]:
    """The node that says how a shared module is made, with the region or branch it stands in.

    Where one use lets only a part of the module take part, that is the module it must be.
    """
    uses = [use for use in shared_modules(region) if use[1].shared == shared]
    return next((use for use in uses if is_partial(use[1])), uses[0])


def inner_attributes(region: Region) -> dict[tuple[int, int], str]:
    """The attributes of what options written in place hold for themselves, by branch and number."""
    found: dict[tuple[int, int], str] = {}
    taken = {*attributes(region).values(), *module_attributes()}
    for _, node in region.nodes():
        if isinstance(node, Choice) and is_term_by_term(node):
            _name_inside(node, node.name, taken, found)
    return found


def _name_inside(
    choice: Choice, prefix: str, taken: set[str], found: dict[tuple[int, int], str]
) -> None:
    """Names what the options of a choice hold, and the options of choices in them."""
    for option in choice.region.options:
        nodes = list(option.body.nodes())
        path = f"{prefix}_{key(option.label)}" if option.label.isidentifier() else prefix
        own = [number for number, n in nodes if needs_attribute(n) and not n.shared]
        for count, number in enumerate(own):
            name = path + (f"_{count}" if len(own) > 1 else "")
            while name in taken:
                name += "_"
            taken.add(name)
            found[id(option.body), number] = name
        for _, node in nodes:
            if isinstance(node, Choice) and is_term_by_term(node):
                _name_inside(node, path, taken, found)


def needs_attribute(node: object) -> bool:
    """Whether a node is a module: it holds state, or what it does hangs on open numbers."""
    if isinstance(node, Choice):
        return not is_term_by_term(node)
    if isinstance(node, CallNode) and node.region.is_pure:
        return False
    if isinstance(node, Layer) and not is_module(node):
        return node.layer != "drop_path" and not is_function(node)
    return is_module(node)  # type: ignore[arg-type]
