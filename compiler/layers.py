"""What the layers of the vocabulary do to a shape, and how many weights they have; no torch here.

A shape leaves out the batch: (channels, height, width), (time, width) or (width,). The rules are
plain arithmetic, so that they serve numbers and expressions alike; what only numbers can show
(a kernel larger than its image) is in `complaint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from compiler.expr import Const, Expr, Plain, binary, ceil_div, const
from compiler.facts import OpenSize
from dsl.vocabulary import AUTO, NOTHING, SAME

Shape = tuple[Any, ...]
"""Dimensions, all plain numbers or all expressions."""

SHIFTING = frozenset({"sigmoid", "softplus", "hardsigmoid"})
"""Activations that are not 0 at 0."""
ZERO_KEEPING = frozenset({
    "identity", "relu", "relu6", "gelu", "silu", "tanh", "leaky_relu", "elu", "selu", "hardswish",
    "mish", "square", "sin",
})  # fmt: skip
"""Activations that are 0 at 0."""
KEEPS_ZEROS = ZERO_KEEPING | {
    "pool", "global_pool", "zero", "crop", "pad", "upsample", "shuffle", "narrow", "flatten",
    "tokens", "as_image", "dropout", "drop_path",
}  # fmt: skip
"""Layers that give zeros where they read zeros."""
ACTIVATIONS = ZERO_KEEPING | SHIFTING
"""What an op can be given to apply (as `apply(f)`, a layer of the IR alone)."""
NORMS = frozenset({"bn", "layer_norm", "group_norm"})
SHAPE_KEEPING = (
    ACTIVATIONS
    | NORMS
    | {"dropout", "drop_path", "apply", "softmax", "attention", "position"}
    | {"shuffle", "gaussian", "narrow"}
)
"""What gives back the shape it reads. `narrow(n)`, which zeroes all but the first n channels, is a
layer of the IR alone."""
PARTIAL = frozenset({"active", "centre"})
"""Arguments of the IR alone. `active` says how many channels of a `layer_norm`, or heads of an
`attention`, take part, the first ones. `centre` of `conv` and `depthwise` is the size of the square
in the middle of the window that counts, where the weights around it are taken for zeros."""
STATEFUL = NORMS | {
    "conv", "depthwise", "conv_transpose", "linear", "embedding", "attention", "position",
}  # fmt: skip
RANDOM = frozenset({"dropout", "drop_path", "gaussian"})
WINDOWED = frozenset({"conv", "depthwise", "pool"})
_COUNTS = (
    "k", "across", "stride", "dilation", "out", "groups", "heads", "width", "rows", "active",
)  # fmt: skip
_OF_SEQUENCES = frozenset({"attention", "position", "as_image"})
"""Layers that are made for a sequence of a known length."""


def channel_axis(rank: int) -> int:
    """Which of a value's sizes its channels are."""
    return 1 if rank == 2 else 0


def out_shape(layer: str, shape: Shape, arguments: Mapping[str, Any]) -> Shape:
    """The shape that a layer makes of `shape`; arguments are plain or expressions, all present."""
    if layer in SHAPE_KEEPING:
        return shape
    match layer:
        case "conv":
            width = shape[0] if _is(arguments["out"], SAME) else arguments["out"]
            return (width, *_slid(shape[1:], arguments))
        case "depthwise" | "pool":
            return (shape[0], *_slid(shape[1:], arguments))
        case "conv_transpose":
            width = shape[0] if _is(arguments["out"], SAME) else arguments["out"]
            return (width, *(_spread(n, arguments) for n in shape[1:]))
        case "zero":
            if len(shape) < 3:
                return shape
            return (shape[0], *(ceil_div(n, arguments["stride"]) for n in shape[1:]))
        case "crop":
            return (shape[0], *(n - arguments["n"] for n in shape[1:]))
        case "pad":
            return (shape[0], *(n + 2 * arguments["n"] for n in shape[1:]))
        case "upsample":
            return (shape[0], *(n * arguments["n"] for n in shape[1:]))
        case "global_pool":
            return shape[:1] if len(shape) == 3 else shape[-1:]
        case "tokens":
            return (shape[1] * shape[2], shape[0])
        case "as_image":
            return (shape[1], arguments["rows"], shape[0] // arguments["rows"])
        case "flatten":
            return (prod(shape[1:], start=shape[0]),)
        case "linear":
            return (*shape[:-1], arguments["out"])
        case "embedding":
            return (*shape, arguments["d"])
    raise ValueError(f"no shape rule for layer {layer!r}")


def weights(layer: str, shape: Shape, arguments: Mapping[str, Any]) -> int:
    """How many trained numbers a layer has that reads `shape` (all plain)."""
    match layer:
        case "conv":
            out = shape[0] if arguments["out"] == SAME else arguments["out"]
            kernel = shape[0] // arguments["groups"] * prod(window(arguments))
            return out * (kernel + bool(arguments["bias"]))
        case "depthwise":
            return shape[0] * (prod(window(arguments)) + bool(arguments["bias"]))
        case "conv_transpose":
            out = shape[0] if arguments["out"] == SAME else arguments["out"]
            kernel = shape[0] // arguments["groups"] * arguments["k"] ** 2
            return out * (kernel + bool(arguments["bias"]))
        case "linear":
            own = shape[-1] if arguments["tied"] == NOTHING else 0
            return arguments["out"] * (own + bool(arguments["bias"]))
        case "embedding":
            return arguments["n"] * arguments["d"]
        case "bn":
            return 2 * shape[0] if arguments["affine"] else 0
        case "layer_norm":
            return 2 * channels(shape) if arguments["affine"] else 0
        case "group_norm":
            return 2 * shape[0]
        case "attention":
            inner = arguments["heads"] * head_width(shape, arguments)
            return 4 * shape[-1] * inner + bool(arguments["bias"]) * (3 * inner + shape[-1])
        case "position":
            return prod(shape)
    return 0


def macs(layer: str, shape: Shape, out: Shape, arguments: Mapping[str, Any]) -> int:
    """How many products a layer adds up that makes `out` of `shape` (all plain) for one sample.

    Convolutions and matrices count, without their biases; of a sequence whose length is open, one
    step counts. A step of an attention is compared with every step, and takes something of each.
    What a transposed convolution multiplies are the pixels it reads.
    """
    steps = shape[0] if len(shape) == 2 and not isinstance(shape[0], OpenSize) else 1
    match layer:
        case "conv":
            return prod(out) * int(shape[0] // arguments["groups"] * _counting(arguments))
        case "depthwise":
            return prod(out) * int(_counting(arguments))
        case "conv_transpose":
            return prod(shape) * int(out[0] // arguments["groups"] * arguments["k"] ** 2)
        case "linear":
            return int(steps * shape[-1] * out[-1])
        case "attention":
            inner = arguments["heads"] * head_width(shape, arguments)
            return int(steps * (4 * shape[-1] + 2 * shape[0]) * inner)
    return 0


def channels(shape: Shape) -> Any:
    """How many channels a value has."""
    return shape[channel_axis(len(shape))]


def head_width(shape: Shape, arguments: Mapping[str, Any]) -> Any:
    """How many numbers each head of an attention has, at a sequence of `shape`."""
    if _is(arguments["width"], AUTO):
        return shape[-1] // arguments["heads"]
    return arguments["width"]


def settled(layer: str, shape: Shape, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without an `active` or a `centre` that is everything there is."""
    whole = {
        "active": arguments.get("heads", channels(shape)),
        "centre": arguments.get("k"),
    }
    return {n: v for n, v in arguments.items() if n not in PARTIAL or v != whole[n]}


def window(arguments: Mapping[str, Any]) -> tuple[Any, Any]:
    """The height and the width of a window."""
    k, across = arguments["k"], arguments["across"]
    return (k, k) if _is(across, SAME) else (k, across)


def _counting(arguments: Mapping[str, Any]) -> Any:
    """How many pixels of a window count."""
    if "centre" in arguments:
        return arguments["centre"] ** 2
    return prod(window(arguments))


def padding(arguments: Mapping[str, Any]) -> tuple[Any, Any]:
    """What a window is padded by above and below, and to either side.

    Where a size is odd, that keeps the size of its axis; an even one is not padded at all. A size
    that is an expression is taken to be odd; lowering sees to it that it is.
    """
    along, across = (_padding(size, arguments) for size in window(arguments))
    return along, across


def _padding(k: Any, arguments: Mapping[str, Any]) -> Any:
    given = arguments["padding"]
    if not _is(given, AUTO):
        return given
    plain = k.value if isinstance(k, Const) else k
    if not isinstance(plain, Expr) and plain % 2 == 0:
        return 0 if k is plain else Const(0)
    half = binary("//", k, Const(2)) if isinstance(k, Expr) else k // 2
    return half * arguments.get("dilation", 1)


def cropping(k: int, stride: int) -> tuple[int, int]:
    """How much a transposed convolution leaves out at both ends of an axis, and then adds at the
    far end, for `stride` times the size that it reads: torch's padding and output padding.
    """
    padding = max(0, (k - stride + 1) // 2)
    return padding, 2 * padding + stride - k


def padded_unlike(written: Mapping[str, Expr], arguments: Mapping[str, Plain]) -> int | None:
    """The size of a window that was taken to be odd, before it was known, and is even."""
    if arguments.get("padding") != AUTO or "across" not in arguments:
        return None
    pairs = zip(window(written), window(arguments), strict=True)
    return next((n for size, n in pairs if not isinstance(size, Const) and n % 2 == 0), None)


def complaint(layer: str, shape: Shape, arguments: Mapping[str, Plain]) -> str | None:
    """What is impossible about a layer at this shape (all plain), or None."""
    sizes = dict.fromkeys(_COUNTS, 1) | {"n": 0}
    if layer == "embedding":
        sizes = {"n": 1, "d": 1}
    if layer in ("upsample", "narrow"):
        sizes = {"n": 1}
    for name, least in sizes.items():
        value = arguments.get(name)
        if isinstance(value, str) and name in ("out", "across", "width"):
            continue
        if value is not None and (not isinstance(value, int) or value < least):
            return f"`{name}` is {_worded(value)}, but must be a whole number of at least {least}"
    for name in (n for n in ("p", "drop") if n in arguments):
        if not _between_0_and_1(arguments[name]):
            return f"`{name}` is {_worded(arguments[name])}, but must be a number from 0 to 1"
    if "groups" in arguments:
        out = shape[0] if arguments.get("out", SAME) == SAME else arguments["out"]
        groups = arguments["groups"]
        if shape[0] % groups or out % groups:  # type: ignore[operator]
            into = f" into {out}" if "out" in arguments else ""
            return f"{groups} groups do not divide {shape[0]} channels{into}"
    if layer in _OF_SEQUENCES or layer == "group_norm":
        return _unlike(layer, shape, arguments)
    if layer == "conv_transpose":
        return _transposed_complaint(shape, arguments)
    if layer == "narrow" and arguments["n"] > channels(shape):
        return f"`n` is {arguments['n']}, but there are fewer channels"
    if "active" in arguments and arguments["active"] > arguments.get("heads", channels(shape)):
        return f"`active` is {arguments['active']}, but there are fewer of them"
    if "centre" in arguments and not _is_centred(arguments):
        return f"`centre` is {_worded(arguments['centre'])}, which has no place in the window"
    if layer in WINDOWED:
        for size, pad in zip(window(arguments), padding(arguments), strict=True):
            if not isinstance(pad, int) or pad < 0:
                return f"`padding` is {_worded(pad)}, but must be a whole number of at least 0"
            if layer == "pool" and pad > size // 2:
                return f"a pool of {size} takes at most {size // 2} of padding"
    if any(n < 1 for n in out_shape(layer, shape, arguments)):
        if layer not in WINDOWED:
            return f"nothing is left of {dimensions(shape)}"
        dilation = arguments.get("dilation", 1)
        reach = dict.fromkeys((size - 1) * dilation + 1 for size in window(arguments))
        return (
            f"a window of {dimensions(tuple(reach))} does not fit into {dimensions(shape[1:])} and "
            "its padding"
        )
    return None


def _is_centred(arguments: Mapping[str, Any]) -> bool:
    k, centre = arguments["k"], arguments["centre"]
    fits = isinstance(centre, int) and 1 <= centre <= k and (k - centre) % 2 == 0
    return fits and window(arguments) == (k, k)


def _transposed_complaint(shape: Shape, arguments: Mapping[str, Any]) -> str | None:
    k, stride, pad = arguments["k"], arguments["stride"], arguments["padding"]
    if pad == AUTO:
        if stride == 1 and k % 2 == 0:
            return f"`k` is {k}, but without a stride only an odd window keeps the size"
        return None
    if not isinstance(pad, int) or pad < 0:
        return f"`padding` is {_worded(pad)}, but must be a whole number of at least 0"
    if any(_spread(n, arguments) < 1 for n in shape[1:]):
        return f"nothing is left of {dimensions(shape)}"
    return None


def _unlike(layer: str, shape: Shape, arguments: Mapping[str, Any]) -> str | None:
    """What does not go with a length or a number of channels, or None."""
    if layer in _OF_SEQUENCES and isinstance(shape[0], OpenSize):
        return f"the sequence must have a known length, `{shape[0]}` is open until the network runs"
    match layer:
        case "group_norm" if shape[0] % arguments["groups"]:
            return f"{arguments['groups']} groups do not divide {shape[0]} channels"
        case "attention" if arguments["width"] == AUTO and shape[-1] % arguments["heads"]:
            return f"{arguments['heads']} heads do not divide {shape[-1]} channels"
        case "as_image" if shape[0] % arguments["rows"]:
            return f"{arguments['rows']} rows do not divide {shape[0]} steps"
    return None


def dimensions(shape: Shape) -> str:
    """A shape as messages write it: `16 x 32 x 32`."""
    return " x ".join(map(str, shape))


def _slid(sizes: Shape, arguments: Mapping[str, Any]) -> Shape:
    """The lengths that a window makes of those of an image."""
    pairs = zip(sizes, window(arguments), strict=True)
    return tuple(_windows(n, k, arguments) for n, k in pairs)


def _windows(n: Any, k: Any, arguments: Mapping[str, Any]) -> Any:
    """How many windows of size k, odd with automatic padding or any other, have room in `n`."""
    stride = arguments["stride"]
    plain = k.value if isinstance(k, Const) else k
    odd = isinstance(plain, Expr) or plain % 2 == 1
    if odd and _is(arguments["padding"], AUTO):
        return ceil_div(n, stride)
    reach = arguments.get("dilation", 1) * (k - 1)
    return (n + 2 * _padding(k, arguments) - reach - 1) // stride + 1


def _spread(n: Any, arguments: Mapping[str, Any]) -> Any:
    """The length that a transposed convolution makes of `n`."""
    stride = arguments["stride"]
    if _is(arguments["padding"], AUTO):
        return n * stride
    return (n - 1) * stride + arguments["k"] - 2 * arguments["padding"]


def _is(value: Any, word: str) -> bool:
    return value == word or value == const(word)


def _worded(value: Any) -> str:
    return {True: "`yes`", False: "`no`"}[value] if isinstance(value, bool) else str(value)


def _between_0_and_1(value: Plain) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
