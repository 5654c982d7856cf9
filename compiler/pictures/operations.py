"""What kind of operation an option is: by the layers its body holds, or else by its label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from compiler.expr import Const, Expr, substitute
from compiler.ir import Call, Input, Layer, Node, Region, Select, regions_of
from compiler.layers import ACTIVATIONS


class OperationKind(Enum):
    """Kinds that pictures tell apart; the values are what a legend calls them."""

    SKIP = "identity"
    POOLING = "pooling"
    SEPARABLE = "separable convolution"
    DILATED = "dilated convolution"
    CONVOLUTION = "convolution"
    ACTIVATION = "activation"
    ZEROS = "zeros"
    OTHER = "other operation"


@dataclass(frozen=True)
class _Fact:
    """A layer, with its dilation or the operation that it is given, where it has one."""

    layer: str
    detail: Expr | None = None


_DETAILS = ("dilation", "f")


def kind_of(option: Region) -> OperationKind:
    """The kind of an option by its body."""
    if _passes_through(option, {}):
        return OperationKind.SKIP
    return _judged(_facts(option, {}))


def kind_of_nodes(nodes: Iterable[Node]) -> OperationKind:
    """The kind of some nodes that follow each other."""
    known: dict[int, frozenset[_Fact]] = {}
    return _judged(frozenset().union(*(_facts_of(node, known) for node in nodes)))


def _judged(facts: frozenset[_Fact]) -> OperationKind:
    layers = {fact.layer for fact in facts}
    windows = [fact for fact in facts if fact.layer in ("conv", "depthwise")]
    if any(fact.detail != Const(1) for fact in windows):
        return OperationKind.DILATED
    if "depthwise" in layers:
        return OperationKind.SEPARABLE
    if layers & {"conv", "conv_transpose"}:
        return OperationKind.CONVOLUTION
    if layers & {"pool", "global_pool"}:
        return OperationKind.POOLING
    if "zero" in layers:
        return OperationKind.ZEROS
    given = {fact.detail for fact in facts if fact.layer == "apply"}
    if given:
        # The frame around what an op is given to apply is the same for all that it is given.
        return OperationKind.SKIP if given == {Const("identity")} else OperationKind.ACTIVATION
    if layers & {"linear", "embedding", "attention"} or not layers & ACTIVATIONS:
        return OperationKind.OTHER
    return OperationKind.SKIP if layers & ACTIVATIONS == {"identity"} else OperationKind.ACTIVATION


def _facts(region: Region, known: dict[int, frozenset[_Fact]]) -> frozenset[_Fact]:
    """The layers of a region and of those it uses, each with its detail in the region's symbols."""
    if id(region) not in known:
        found = [_facts_of(node, known) for _, node in region.nodes()]
        found += [_facts(option.body, known) for option in region.options]
        known[id(region)] = frozenset().union(*found)
    return known[id(region)]


def _facts_of(node: Node, known: dict[int, frozenset[_Fact]]) -> frozenset[_Fact]:
    if isinstance(node, Layer):
        arguments = dict(node.arguments)
        detail = next((arguments[name] for name in _DETAILS if name in arguments), None)
        return frozenset([_Fact(node.layer, detail)])
    inner = frozenset().union(*(_facts(region, known) for region in regions_of(node)))
    arguments = dict(getattr(node, "arguments", ()))
    return frozenset(_with(fact, arguments) for fact in inner)


def _with(fact: _Fact, arguments: Mapping[str, Expr]) -> _Fact:
    detail = None if fact.detail is None else substitute(fact.detail, arguments)
    return _Fact(fact.layer, detail)


def _passes_through(region: Region, known: dict[int, bool]) -> bool:
    """Whether a region gives back a value as it is, on one side of a condition at least.

    A skip connection that must halve its image does so only where its stride says so.
    """
    if id(region) not in known:
        inputs = {number for number, _ in region.inputs}
        rest = [node for _, node in region.nodes() if not isinstance(node, Input)]
        match rest:
            case []:
                known[id(region)] = region.outputs[0] in inputs
            case [Call(region=inner)]:
                known[id(region)] = _passes_through(inner, known)
            case [Select(then=then, otherwise=otherwise)]:
                known[id(region)] = any(_passes_through(r, known) for r in (then, otherwise))
            case _:
                known[id(region)] = False
    return known[id(region)]


_WORDS = (
    (OperationKind.DILATED, r"dil|atrous"),
    (OperationKind.SEPARABLE, r"sep|depthwise|dw"),
    (OperationKind.CONVOLUTION, r"conv"),
    (OperationKind.POOLING, r"pool"),
    (OperationKind.SKIP, r"skip|identity|^id$"),
    (OperationKind.ZEROS, r"^none$|^zeros?$|zeroi[sz]e"),
    (OperationKind.ACTIVATION, r"tanh|relu|sigmoid|gelu|silu|swish|^elu$|softplus"),
)


def kind_by_label(label: str) -> OperationKind:
    """The kind that the label of an option suggests."""
    lowered = label.lower()
    return next((kind for kind, word in _WORDS if re.search(word, lowered)), OperationKind.OTHER)
