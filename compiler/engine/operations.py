"""Which operation runs which node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.engine import elementwise, images, joins, layers, mixing, norms, sequences, slices
from compiler.engine.layers import StackedLinear as StackedLinearOperation
from compiler.engine.loop import Loop as LoopOperation
from compiler.engine.operation import Function, Operation
from compiler.flat.nodes import (
    Item,
    Lane,
    Loop,
    Mask,
    Mixture,
    SharedLayer,
    Slices,
    StackedLinear,
    Windows,
    numbers,
)
from compiler.ir import Elementwise, Input, Join, Part, Region
from compiler.layers import window

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu6": F.relu6,
    "gelu": F.gelu,
    "silu": F.silu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "mish": F.mish,
    "square": torch.square,
    "sin": torch.sin,
}
OPERATIONS: dict[str, type[Operation]] = {
    "relu": elementwise.Relu,
    "tanh": elementwise.Tanh,
    "sigmoid": elementwise.Sigmoid,
    "softmax": elementwise.Softmax,
    "zero": elementwise.Zero,
    "crop": elementwise.Crop,
    "pad": images.Pad,
    "upsample": images.Upsample,
    "shuffle": images.Shuffle,
    "gaussian": elementwise.Gaussian,
    "narrow": elementwise.Narrow,
    "flatten": elementwise.Flatten,
    "conv": layers.Convolution,
    "conv_transpose": layers.TransposedConvolution,
    "depthwise": layers.Depthwise,
    "linear": layers.Linear,
    "embedding": layers.Embedding,
    "bn": mixing.BatchNorm,
    "layer_norm": norms.LayerNorm,
    "group_norm": norms.GroupNorm,
    "attention": sequences.Attention,
    "position": sequences.Position,
    "tokens": sequences.Tokens,
    "as_image": sequences.Pixels,
}


def operations(region: Region) -> dict[int, Operation]:
    """The operations of a flat region by the numbers of their values, in order."""
    return {n: _operation(n, node) for n, node in region.nodes() if not isinstance(node, Input)}


def _operation(number: int, node: Any) -> Operation:
    match node:
        case SharedLayer():
            return _layer(number, node)
        case Mixture():
            return mixing.Mixture(number, node)
        case Slices():
            return slices.Slices(number, node)
        case Windows():
            return slices.Windows(number, node)
        case Loop():
            return LoopOperation(number, node, operations)
        case StackedLinear():
            return StackedLinearOperation(number, node)
        case Lane():
            return elementwise.Lane(number, node)
        case Mask():
            return elementwise.Mask(number, node)
        case Item():
            return elementwise.Item(number, node)
        case Join(how="concat"):
            return elementwise.Concat(number, node)
        case Join(how="max"):
            return joins.Maximum(number, node)
        case Join(how="product"):
            return joins.Product(number, node)
        case Join():
            return elementwise.Sum(number, node)
        case Elementwise():
            return elementwise.Arithmetic(number, node)
        case Part():
            return elementwise.Slice(number, node)
    raise TypeError(f"nothing runs {type(node).__name__}")


def _layer(number: int, node: SharedLayer) -> Operation:
    layer, given = node.layer, numbers(node)
    if layer == "apply":
        layer = given["f"]
    if layer == "pool":
        return (layers.MaxPool if given["of"] == "max" else layers.MeanPool)(number, node)
    if layer == "global_pool":
        if given["of"] == "mean":
            return elementwise.GlobalMean(number, node)
        return Function(number, node, lambda x: x.amax((2, 3) if x.dim() == 4 else 0))
    if layer == "dropout":
        return elementwise.Dropout(number, node, given["p"])
    if layer == "depthwise" and len(set(window(given))) > 1:
        return layers.Convolution(number, node)
    if layer in FUNCTIONS:
        return Function(number, node, FUNCTIONS[layer])
    if layer not in OPERATIONS:
        raise TypeError(f"nothing runs the layer {layer!r}")
    return OPERATIONS[layer](number, node)
