"""What options and modules are called when the file gives them no name."""

from __future__ import annotations

import re
from typing import Any

from compiler.expr import Const
from compiler.lowering.values import (
    Captured,
    Composed,
    Conditional,
    Declared,
    LayerCall,
    LayerOperation,
    Shared,
    Value,
    kind,
)
from dsl.vocabulary import LAYERS


def attribute(path: str) -> str:
    """`n[2]` as an identifier, `n2`; `n[0] from a as block` as `n0_from_a_as_block`."""
    return re.sub(r"\W+", "_", re.sub(r"[\[\]]", "", path)).rstrip("_")


def label(operation: Value) -> str:
    """What an option without a label is called: its op and what stands there by position."""
    match operation:
        case Declared():
            own = [p.name for p in operation.declaration.parameters if p.default is None]
            given = dict(operation.given)
            parts = [given[n] for n in own if n in given and not isinstance(given[n], Shared)]
            return "_".join([operation.name, *map(_worded, parts)])
        case LayerOperation():
            required = [a.name for a in LAYERS[operation.layer].required]
            given_here = dict(operation.arguments)
            parts = [given_here[n] for n in required if n in given_here]
            return "_".join([operation.layer, *map(_worded, parts)])
        case Composed():
            return "_".join(label(step) for step in operation.steps) or "identity"
        case Conditional():
            return label(operation.then)
        case Const() | LayerCall():
            return _worded(operation) if isinstance(operation, Const) else operation.layer
        case Captured():
            return operation.name or "value"
    return "option"


def _worded(value: Any) -> str:
    if isinstance(value, LayerOperation | Declared):
        return label(value)
    text = str(value.value) if isinstance(value, Const) else kind(value).split()[-1]
    return "".join(c if c.isalnum() else "_" for c in text)


def name_of(operation: Value) -> str:
    match operation:
        case Declared():
            return operation.declaration.name.name
        case LayerOperation():
            return operation.layer
    return ""
