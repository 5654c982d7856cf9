"""How each layer is written in torch: as a module, or as a function where it holds no state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.codegen.layout import Call, Doc
from compiler.expr import Const, Expr
from compiler.ir import Dims, Layer, channel_axis, is_mask, is_partial
from compiler.layers import head_width, padding, window
from dsl.vocabulary import AUTO, SAME

Show = Callable[[Expr], str]

ACTIVATIONS = {
    "relu": ("nn.ReLU", "F.relu"),
    "relu6": ("nn.ReLU6", "F.relu6"),
    "gelu": ("nn.GELU", "F.gelu"),
    "silu": ("nn.SiLU", "F.silu"),
    "tanh": ("nn.Tanh", "torch.tanh"),
    "sigmoid": ("nn.Sigmoid", "torch.sigmoid"),
    "leaky_relu": ("nn.LeakyReLU", "F.leaky_relu"),
    "elu": ("nn.ELU", "F.elu"),
    "selu": ("nn.SELU", "F.selu"),
    "softplus": ("nn.Softplus", "F.softplus"),
    "hardsigmoid": ("nn.Hardsigmoid", "F.hardsigmoid"),
    "hardswish": ("nn.Hardswish", "F.hardswish"),
    "mish": ("nn.Mish", "F.mish"),
    "square": ("", "torch.square"),
    "sin": ("", "torch.sin"),
}
"""The module and the function of each; torch has no module for some."""

FUNCTIONS = frozenset({
    *ACTIVATIONS, "softmax", "narrow", "pool", "global_pool", "tokens", "as_image", "zero", "crop",
    "pad", "upsample", "shuffle", "flatten", "gaussian", "dropout",
})  # fmt: skip


def is_function(node: Layer) -> bool:
    """Whether a layer can be called without a module: no state, and no open numbers."""
    fixed = all(isinstance(value, Const) for _, value in node.arguments)
    return node.layer == "apply" or is_mask(node) or (node.layer in FUNCTIONS and fixed)


def module(node: Layer, shape: Dims, show: Show, used: set[str]) -> Doc:
    """The constructor of a layer that reads `shape`; items of the prelude are added to `used`."""
    arguments = dict(node.arguments)
    channels = show(shape[channel_axis(len(shape))])

    def optional(**defaults: Any) -> list[str]:
        """Arguments of the layer that are not torch's default, by torch's name."""
        return [
            f"{name}={show(arguments[name])}"
            for name, default in defaults.items()
            if arguments[name] != Const(default)
        ]

    match node.layer:
        case "conv":
            out = arguments["out"]
            width = channels if out == Const(SAME) else show(out)
            pad = _padding(arguments, show)
            return Call(
                _conv2d(arguments, used),
                channels, width, _window(arguments, show), *optional(stride=1), *pad,
                *optional(dilation=1, groups=1), *_bias(arguments, show),
            )  # fmt: skip
        case "conv_transpose":
            return _transposed(arguments, channels, show, used, optional)
        case "depthwise":
            return _depthwise(arguments, channels, show, used, optional)
        case "pool":
            kind = "nn.MaxPool2d" if arguments["of"] == Const("max") else "nn.AvgPool2d"
            return Call(kind, *_pool(arguments, show))
        case "global_pool":
            over = "Global" if len(shape) == 3 else "Time"
            name = f"{over}MaxPool" if arguments["of"] == Const("max") else f"{over}MeanPool"
            used.add(name)
            return Call(name)
        case "tokens":
            used.add("Tokens")
            return Call("Tokens")
        case "as_image":
            used.add("Pixels")
            return Call("Pixels", show(arguments["rows"]))
        case "embedding":
            return Call("nn.Embedding", show(arguments["n"]), show(arguments["d"]))
        case "linear":
            bias = [] if arguments["bias"] == Const(True) else [f"bias={show(arguments['bias'])}"]
            return Call("nn.Linear", channels, show(arguments["out"]), *bias)
        case "attention":
            return _attention(node, shape, show, used)
        case "position":
            used.add("Position")
            return Call("Position", show(shape[0]), channels)
        case "bn":
            name = "nn.BatchNorm2d" if len(shape) == 3 else "nn.BatchNorm1d"
            return Call(name, channels, *optional(affine=True))
        case "layer_norm":
            return _layer_norm(node, shape, show, used)
        case "group_norm":
            return Call("nn.GroupNorm", show(arguments["groups"]), channels)
        case "softmax":
            return Call("nn.Softmax", f"dim={_channel_dim(len(shape))}")
        case "zero":
            used.add("Zero")
            return Call("Zero", *([show(arguments["stride"])] if len(shape) == 3 else []))
        case "crop":
            used.add("Crop")
            return Call("Crop", show(arguments["n"]))
        case "pad":
            return Call("nn.ZeroPad2d", show(arguments["n"]))
        case "upsample":
            return Call("nn.Upsample", f"scale_factor={show(arguments['n'])}")
        case "shuffle":
            return Call("nn.ChannelShuffle", show(arguments["groups"]))
        case "gaussian":
            used.add("gaussian")
            return _as_module("gaussian", used)
        case "narrow":
            used.add("narrow")
            return _as_module("narrow", used, show(arguments["n"]))
        case "flatten":
            return Call("nn.Flatten")
        case "dropout":
            return Call("nn.Dropout", show(arguments["p"]))
        case "drop_path":
            used.add("DropPath")
            return Call("DropPath")
    kind, plain = ACTIVATIONS[node.layer]
    return Call(kind) if kind else _as_module(plain, used)


def _as_module(name: str, used: set[str], *arguments: str) -> Doc:
    """A function as a module, with what it takes after the value."""
    used.add("Function")
    return Call("Function", name, *arguments)


def function(node: Layer, rank: int, operand: Doc, show: Show, used: set[str]) -> Doc:
    """The call of a layer without state on `operand`, which has `rank` sizes.

    Items of the prelude are added to `used`.
    """
    arguments = dict(node.arguments)
    match node.layer:
        case "pool":
            name = "F.max_pool2d" if arguments["of"] == Const("max") else "F.avg_pool2d"
            return Call(name, operand, *_pool(arguments, show))
        case "global_pool":
            reduction = "amax" if arguments["of"] == Const("max") else "mean"
            return operand.then(f".{reduction}({'(2, 3)' if rank == 3 else '0'})")
        case "tokens":
            return operand.then(".flatten(2).permute(2, 0, 1)")
        case "as_image":
            rows = show(arguments["rows"])
            return operand.then(f".permute(1, 2, 0).unflatten(2, ({rows}, -1))")
        case "softmax":
            return Call("F.softmax", operand, f"dim={_channel_dim(rank)}")
        case "zero":
            stride = show(arguments["stride"])
            if rank < 3 or stride == "1":
                return Call("torch.zeros_like", operand)
            return Call("torch.zeros_like", operand.then(f"[:, :, ::{stride}, ::{stride}]"))
        case "crop":
            n = show(arguments["n"])
            return operand.then(f"[:, :, {n}:, {n}:]")
        case "pad":
            n = show(arguments["n"])
            return Call("F.pad", operand, f"({', '.join([n] * 4)})")
        case "upsample":
            return Call("F.interpolate", operand, f"scale_factor={show(arguments['n'])}")
        case "shuffle":
            return Call("F.channel_shuffle", operand, show(arguments["groups"]))
        case "gaussian":
            used.add("gaussian")
            return Call("gaussian", operand)
        case "narrow":
            used.add("narrow")
            return Call("narrow", operand, show(arguments["n"]))
        case "flatten":
            return operand.then(".flatten(1)")
        case "dropout":
            return Call("F.dropout", operand, show(arguments["p"]), "self.training")
        case "apply":
            return Call(show(arguments["f"]), operand)
    return Call(ACTIVATIONS[node.layer][1], operand)


def named_function(activation: str, used: set[str]) -> str:
    """An activation as an argument: the function itself."""
    if activation == "identity":
        used.add("identity")
        return "identity"
    return ACTIVATIONS[activation][1]


def sizes_read(node: Layer, shape: Dims) -> Dims:
    """Which sizes of what a layer with weights reads stand in its constructor."""
    width = shape[channel_axis(len(shape))]
    return (shape[0], width) if node.layer == "position" else (width,)


def _channel_dim(rank: int) -> int:
    """The dimension of a tensor that is its value's channels."""
    return 1 if rank == 3 else -1


def _layer_norm(node: Layer, shape: Dims, show: Show, used: set[str]) -> Doc:
    arguments = dict(node.arguments)
    name, affine = "nn.LayerNorm", "elementwise_affine"
    if is_partial(node):
        name, affine = "PartialLayerNorm", "affine"
    elif len(shape) == 3:
        name = "PixelNorm"
    used.update({name} - {"nn.LayerNorm"})
    plain = arguments["affine"] == Const(True)
    given = [] if plain else [f"{affine}={show(arguments['affine'])}"]
    return Call(name, show(shape[channel_axis(len(shape))]), *given)


def _attention(node: Layer, shape: Dims, show: Show, used: set[str]) -> Doc:
    arguments = dict(node.arguments)
    used.add("Attention")
    name = "Attention"
    if is_partial(node):
        name = "PartialAttention"
        used.add(name)
    width = show(head_width(shape, arguments))
    bias = [] if arguments["bias"] == Const(True) else [f"bias={show(arguments['bias'])}"]
    return Call(name, show(shape[-1]), show(arguments["heads"]), width, *bias)


def _window(arguments: dict[str, Expr], show: Show) -> str:
    return _pair(window(arguments), show)


def _padding(arguments: dict[str, Expr], show: Show) -> list[str]:
    text = _pair(padding(arguments), show)
    return [] if text == "0" else [f"padding={text}"]


def _pair(sizes: tuple[Any, Any], show: Show) -> str:
    """A number for each axis, or one where it is the same for both."""
    along, across = (show(size) if isinstance(size, Expr) else str(size) for size in sizes)
    return along if along == across else f"({along}, {across})"


def _bias(arguments: dict[str, Expr], show: Show) -> list[str]:
    return [] if arguments["bias"] == Const(True) else [f"bias={show(arguments['bias'])}"]


def _pool(arguments: dict[str, Expr], show: Show) -> list[str]:
    parts = [_window(arguments, show)]
    if set(window(arguments)) != {arguments["stride"]}:
        parts.append(f"stride={show(arguments['stride'])}")
    pad = _padding(arguments, show)
    # without padding there is nothing to leave out of the mean
    mean = pad and arguments["of"] == Const("mean")
    return [*parts, *pad, *(["count_include_pad=False"] if mean else [])]


def _conv2d(arguments: dict[str, Expr], used: set[str]) -> str:
    """The class of a convolution: one whose window can be narrowed says how, when it is called."""
    if "centre" not in arguments:
        return "nn.Conv2d"
    used.add("CentredConv2d")
    return "CentredConv2d"


def _transposed(
    arguments: dict[str, Expr],
    channels: str,
    show: Show,
    used: set[str],
    optional: Callable[..., list[str]],
) -> Doc:
    out = arguments["out"]
    width = channels if out == Const(SAME) else show(out)
    k = show(arguments["k"])
    if arguments["padding"] == Const(AUTO):
        used.add("conv_transpose")
        more = optional(stride=2, groups=1, bias=False)
        return Call("conv_transpose", channels, width, k, *more)
    more = optional(stride=1, padding=0, groups=1, bias=True)
    return Call("nn.ConvTranspose2d", channels, width, k, *more)


def _depthwise(
    arguments: dict[str, Expr],
    channels: str,
    show: Show,
    used: set[str],
    optional: Callable[..., list[str]],
) -> Doc:
    k = arguments["k"]
    even = isinstance(k, Const) and isinstance(k.value, int) and k.value % 2 == 0
    square = len(set(window(arguments))) == 1
    plain = arguments["padding"] == Const(AUTO) and arguments["bias"] == Const(False)
    kind = _conv2d(arguments, used)
    if plain and square and not even and kind == "nn.Conv2d":
        used.add("depthwise")
        return Call("depthwise", channels, show(k), *optional(stride=1, dilation=1))
    return Call(
        kind,
        channels, channels, _window(arguments, show), *optional(stride=1),
        *_padding(arguments, show),
        *optional(dilation=1), f"groups={channels}", *_bias(arguments, show),
    )  # fmt: skip
