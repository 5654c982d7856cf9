"""The words the language begins with: layers, joins and counters, and how each is called.

Required arguments stand by position, optional ones are always named. What a layer does to a shape
is `compiler.layers`; how it is written in torch is `compiler.codegen.torch_layers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SAME = "same"
AUTO = "auto"
NOTHING = "nothing"


@dataclass(frozen=True)
class Argument:
    """An argument of a layer; `words` are those allowed.

    `kind` is "number", "flag", "word" or "operation".

    A number whose default is a word (`same`, `auto`) may also be given as that word.
    """

    name: str
    kind: str = "number"
    default: int | float | bool | str | None = None
    words: tuple[str, ...] = ()

    @property
    def allowed_words(self) -> tuple[str, ...]:
        return (*self.words, self.default) if isinstance(self.default, str) else self.words


_READS = {
    (0,): "the words of a text",
    (2,): "a sequence",
    (3,): "an image",
    (1, 2): "a vector or a sequence",
    (1, 3): "a vector or an image",
    (2, 3): "a sequence or an image",
}


@dataclass(frozen=True)
class Layer:
    name: str
    doc: str
    required: tuple[Argument, ...] = ()
    optional: tuple[Argument, ...] = ()
    ranks: tuple[int, ...] = field(default=(1, 2, 3))
    """How many dimensions, the batch left out, the value may have that the layer reads."""

    @property
    def arguments(self) -> tuple[Argument, ...]:
        return self.required + self.optional

    @property
    def reads(self) -> str:
        """What the layer reads, in words."""
        return _READS.get(self.ranks, "anything")


STRIDE = Argument("stride", default=1)
DILATION = Argument("dilation", default=1)
PADDING = Argument("padding", default=AUTO)
BIAS = Argument("bias", "flag", default=False)
SEQUENCE = (2,)
ACROSS = Argument("across", default=SAME)
IMAGE = (3,)
WORDS_ALONE = (0,)
"""What an embedding reads: the numbers of a network's input that is `below` something."""

_ALL = (
    Layer(
        "conv",
        "a convolution",
        (Argument("k"),),
        (
            Argument("out", default=SAME),
            ACROSS,
            STRIDE,
            DILATION,
            Argument("groups", default=1),
            PADDING,
            BIAS,
        ),
        IMAGE,
    ),
    Layer(
        "depthwise",
        "a convolution of every channel by itself",
        (Argument("k"),),
        (ACROSS, STRIDE, DILATION, PADDING, BIAS),
        IMAGE,
    ),
    Layer(
        "conv_transpose",
        "a transposed convolution, which makes an image larger",
        (Argument("k"),),
        (
            Argument("out", default=SAME),
            Argument("stride", default=2),
            PADDING,
            Argument("groups", default=1),
            BIAS,
        ),
        IMAGE,
    ),
    Layer(
        "pool",
        "the maximum or the mean under a window; the mean does not count padding",
        (Argument("of", "word", words=("max", "mean")), Argument("k")),
        (ACROSS, STRIDE, PADDING),
        IMAGE,
    ),
    Layer(
        "global_pool",
        "the maximum or the mean of every channel, over all pixels or steps",
        (Argument("of", "word", words=("max", "mean")),),
        ranks=(2, 3),
    ),
    Layer(
        "linear",
        "a matrix, and a bias; `tied` to a shared embedding, the matrix is its table",
        (Argument("out"),),
        (Argument("bias", "flag", default=True), Argument("tied", "operation", default=NOTHING)),
        (1, 2),
    ),
    Layer("bn", "batch normalisation", (), (Argument("affine", "flag", default=True),), (1, 3)),
    Layer(
        "layer_norm",
        "normalisation over the channels: of a vector, of each step or of each pixel",
        (),
        (Argument("affine", "flag", default=True),),
    ),
    Layer(
        "group_norm",
        "normalisation over the pixels and channels of each of so many groups of channels",
        (Argument("groups"),),
        ranks=(1, 3),
    ),
    Layer(
        "attention",
        "self-attention in so many heads of `width` numbers; `auto` shares the channels out",
        (Argument("heads"),),
        (Argument("width", default=AUTO), Argument("bias", "flag", default=True)),
        SEQUENCE,
    ),
    Layer("position", "adds a learned table with a row for every step", ranks=SEQUENCE),
    Layer("tokens", "the pixels, row by row, as the steps of a sequence", ranks=IMAGE),
    Layer(
        "as_image",
        "the steps as the pixels of an image of so many rows; it undoes `tokens`",
        (Argument("rows"),),
        ranks=SEQUENCE,
    ),
    Layer("zero", "zeros of the shape that a layer of this stride would give", (), (STRIDE,)),
    Layer("crop", "all but the first pixels of both axes", (Argument("n"),), ranks=IMAGE),
    Layer("pad", "`n` pixels of zeros on all sides", (Argument("n"),), ranks=IMAGE),
    Layer("upsample", "every pixel, n times along both axes", (Argument("n"),), ranks=IMAGE),
    Layer(
        "shuffle",
        "the channels in another order: the first of every group, then the second of every group",
        (Argument("groups"),),
        ranks=IMAGE,
    ),
    Layer("flatten", "all numbers in one vector", ranks=(1, 3)),
    Layer(
        "embedding",
        "a table of `n` rows, one for each number that flows in; `drop` drops rows while training",
        (Argument("n"), Argument("d")),
        (Argument("drop", default=0),),
        WORDS_ALONE,
    ),
    Layer(
        "dropout",
        "zeroes numbers while training, each by itself or, per sequence, alike at all its steps",
        (Argument("p"),),
        (Argument("per", "word", default="element", words=("element", "sequence")),),
    ),
    Layer("gaussian", "standard-normal numbers, drawn anew every time, training or not"),
    Layer("drop_path", "drops an edge while the final network trains"),
    Layer("identity", "nothing"),
    Layer("relu", "max(x, 0)"),
    Layer("relu6", "min(max(x, 0), 6)"),
    Layer("gelu", "x Φ(x)"),
    Layer("silu", "x σ(x)"),
    Layer("tanh", "the hyperbolic tangent"),
    Layer("sigmoid", "σ(x)"),
    Layer("softmax", "exp(x), divided by its sum over the channels"),
    Layer("leaky_relu", "x, and x / 100 below 0"),
    Layer("elu", "x, and exp(x) - 1 below 0"),
    Layer("selu", "1.0507 x, and 1.7581 (exp(x) - 1) below 0"),
    Layer("softplus", "log(1 + exp(x))"),
    Layer("hardsigmoid", "relu6(x + 3) / 6"),
    Layer("hardswish", "x relu6(x + 3) / 6"),
    Layer("mish", "x tanh(log(1 + exp(x)))"),
    Layer("square", "x²"),
    Layer("sin", "the sine"),
)

LAYERS: dict[str, Layer] = {layer.name: layer for layer in _ALL}

JOINS: dict[str, str] = {
    "sum": "the sum of values of one shape",
    "mean": "the mean of values of one shape",
    "max": "the largest of values of one shape, number by number",
    "product": "the product of values of one shape, number by number",
    "concat": "values side by side, channel after channel",
}
"""Calls whose arguments are values, and lists of values, that become one."""

SPLIT = "split"
"""`split(x, n)`: the channels of a value in n equal parts, a list; it undoes `concat`."""

WORDS = frozenset({"max", "mean", SAME, AUTO, "element", "sequence"})
PHASES = ("search", "final")
"""Flags: which of the two networks is being built."""

COUNTERS: dict[str, str] = {
    "index": "the number of a member, inside a `node` group",
    "step": "the number of a step, inside a `repeat`",
    "stage": "how many `at` places of a `repeat` have been passed",
    "edge": "how many edges of joins this body has written so far",
}

_RESERVED = """
    above and as at auxiliary below by cell choose each earlier else entangled extend for from if
    import in keep language loose network no node not of op or over profile repeat return set shared
    sink to when yes
"""
RESERVED = frozenset(_RESERVED.split())
"""Words of the language; none may name anything."""

BUILT_IN = (
    frozenset(LAYERS) | frozenset(JOINS) | {SPLIT} | WORDS | frozenset(PHASES) | frozenset(COUNTERS)
)
STRENGTHS: dict[str, str] = {
    "weight": "the softmax weight, the mass of sinks counted",
    "weight without sinks": "the softmax weight among the options that may be selected",
    "alpha": "the raw parameter",
}
"""What `keep` ranks edges by."""
