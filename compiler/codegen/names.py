"""Identifiers of the generated source that clash with nothing.

What a file calls `train` or `lambda` gets an underscore, since the first is a method of every torch
module and the second a word of Python.
"""

from __future__ import annotations

import builtins
import keyword
from functools import cache

from torch import nn

from compiler.builder import is_module
from compiler.codegen.torch_layers import PRELUDE, is_function
from compiler.ir import Choice, Layer, Region

IMPORTED = frozenset({"torch", "nn", "F", "Tensor", "self"})
OWN = frozenset({"kind", "out_shape", "out_channels", "drop_path", "set_drop_path", "auxiliary"})
"""Attributes that generated classes have besides those of the file."""


@cache
def module_attributes() -> frozenset[str]:
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
    for number, node in region.nodes():
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


def needs_attribute(node: object) -> bool:
    """Whether a node is a module: it holds state, or what it does hangs on open numbers."""
    if isinstance(node, Layer) and not is_module(node):
        return node.layer != "drop_path" and not is_function(node)
    return isinstance(node, Choice) or is_module(node)  # type: ignore[arg-type]
