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
    (3,): "an image",
    (1, 2): "a vector or a sequence",
    (1, 3): "a vector or an image",
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
IMAGE = (3,)
WORDS_ALONE = (0,)
"""What an embedding reads: the numbers of a network's input that is `below` something."""

_ALL = (
    Layer(
        "conv",
        "a convolution with a square kernel",
        (Argument("k"),),
        (
            Argument("out", default=SAME),
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
        (STRIDE, DILATION, PADDING, BIAS),
        IMAGE,
    ),
    Layer(
        "pool",
        "the maximum or the mean under a square window; the mean does not count padding",
        (Argument("of", "word", words=("max", "mean")), Argument("k")),
        (STRIDE, PADDING),
        IMAGE,
    ),
    Layer(
        "global_pool",
        "the maximum or the mean of every channel",
        (Argument("of", "word", words=("max", "mean")),),
        ranks=IMAGE,
    ),
    Layer(
        "linear",
        "a matrix, and a bias; `tied` to a shared embedding, the matrix is its table",
        (Argument("out"),),
        (Argument("bias", "flag", default=True), Argument("tied", "operation", default=NOTHING)),
        (1, 2),
    ),
    Layer("bn", "batch normalisation", (), (Argument("affine", "flag", default=True),), (1, 3)),
    Layer("zero", "zeros of the shape that a layer of this stride would give", (), (STRIDE,)),
    Layer("crop", "all but the first pixels of both axes", (Argument("n"),), ranks=IMAGE),
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
    Layer("drop_path", "drops an edge while the final network trains"),
    Layer("identity", "nothing"),
    Layer("relu", "max(x, 0)"),
    Layer("relu6", "min(max(x, 0), 6)"),
    Layer("gelu", "x Φ(x)"),
    Layer("silu", "x σ(x)"),
    Layer("tanh", "the hyperbolic tangent"),
    Layer("sigmoid", "σ(x)"),
)

LAYERS: dict[str, Layer] = {layer.name: layer for layer in _ALL}

JOINS: dict[str, str] = {
    "sum": "the sum of values of one shape",
    "mean": "the mean of values of one shape",
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
}

_RESERVED = """
    above and as at auxiliary below by cell choose each earlier else entangled extend for from if
    import in keep language loose network no node not of op or over profile repeat return set shared
    sink to when yes
"""
RESERVED = frozenset(_RESERVED.split())
"""Words of the language, those of coming versions included; none may name anything."""

NOT_YET = frozenset({"above", "entangled", "loose", "of"})
"""Reserved words that no program can use yet."""

BUILT_IN = (
    frozenset(LAYERS) | frozenset(JOINS) | {SPLIT} | WORDS | frozenset(PHASES) | frozenset(COUNTERS)
)
STRENGTHS: dict[str, str] = {
    "weight": "the softmax weight, the mass of sinks counted",
    "weight without sinks": "the softmax weight among the options that may be selected",
    "alpha": "the raw parameter",
}
"""What `keep` ranks edges by."""
