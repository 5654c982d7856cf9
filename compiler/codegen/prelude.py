"""What generated files define for themselves, when they use it."""

from __future__ import annotations

PRELUDE: dict[str, str] = {
    "identity": """\
def identity(x: Tensor) -> Tensor:
    return x
""",
    "Function": '''\
class Function(nn.Module):
    """A function as a module, with what it takes after the values."""

    def __init__(self, function: Callable[..., Tensor], *arguments: object) -> None:
        super().__init__()
        self.function = function
        self.arguments = arguments

    def forward(self, *values: Tensor) -> Tensor:
        return self.function(*values, *self.arguments)
''',
    "sequence_mask": '''\
def sequence_mask(x: Tensor, p: float, training: bool) -> Tensor:
    """A dropout mask for a whole sequence, of the shape of one of its steps x [batch, width]."""
    return F.dropout(torch.ones_like(x), p, training)
''',
    "word_mask": '''\
def word_mask(table: nn.Embedding, p: float, training: bool) -> Tensor:
    """A dropout mask [words, 1]: a word that is dropped is gone wherever it stands."""
    return F.dropout(table.weight.new_ones(table.num_embeddings, 1), p, training)
''',
    "mixture": '''\
def mixture(weights: Tensor, terms: list[Tensor]) -> Tensor:
    """The sum of what the candidates give, each times its weight."""
    return sum(w * term for w, term in zip(weights, terms, strict=True))
''',
    "DropPath": '''\
class DropPath(nn.Module):
    """While training, zeroes its input with probability `p`, for each sample on its own."""

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        batch = 1 if x.dim() == 3 else 0  # in a sequence the time comes first
        sizes = [n if axis == batch else 1 for axis, n in enumerate(x.shape)]
        keep = x.new_empty(sizes).bernoulli_(1 - self.p)
        return x * keep / (1 - self.p)
''',
    "dropped": '''\
def dropped(drop_path: DropPath, edge: nn.Module, x: Tensor) -> Tensor:
    """What an edge makes of `x`, with drop-path around it unless it is the identity."""
    return x if isinstance(edge, nn.Identity) else drop_path(edge(x))
''',
    "GlobalMeanPool": '''\
class GlobalMeanPool(nn.Module):
    """The mean of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))
''',
    "GlobalMaxPool": '''\
class GlobalMaxPool(nn.Module):
    """The maximum of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))
''',
    "TimeMeanPool": '''\
class TimeMeanPool(nn.Module):
    """The mean of every channel over the steps of a sequence [time, batch, width]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(0)
''',
    "TimeMaxPool": '''\
class TimeMaxPool(nn.Module):
    """The maximum of every channel over the steps of a sequence [time, batch, width]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(0)
''',
    "PixelNorm": '''\
class PixelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of every pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
''',
    "PartialLayerNorm": '''\
class PartialLayerNorm(nn.Module):
    """Layer normalisation over the first `active` channels, or all; the others become zero."""

    def __init__(self, width: int, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if affine else None

    def forward(self, x: Tensor, active: int | None = None) -> Tensor:
        channels = x.movedim(1, -1) if x.dim() == 4 else x
        width = channels.shape[-1]
        active = width if active is None else active
        weight, bias = (None if p is None else p[:active] for p in (self.weight, self.bias))
        normed = F.layer_norm(channels[..., :active], (active,), weight, bias)
        normed = F.pad(normed, (0, width - active))
        return normed.movedim(-1, 1) if x.dim() == 4 else normed
''',
    "Attention": '''\
class Attention(nn.Module):
    """Self-attention of a sequence [time, batch, width] in several heads."""

    def __init__(self, width: int, heads: int, head_width: int, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * heads * head_width, bias=bias)
        self.out = nn.Linear(heads * head_width, width, bias=bias)

    def mixed(self, x: Tensor) -> Tensor:
        """What every head makes of the sequence, [time, batch, heads, head_width]."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 1, 3, 0, 4).unbind()
        return F.scaled_dot_product_attention(q, k, v).permute(2, 0, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.mixed(x).flatten(2))
''',
    "PartialAttention": '''\
class PartialAttention(Attention):
    """Self-attention of which the first `active` heads, or all, take part."""

    def forward(self, x: Tensor, active: int | None = None) -> Tensor:
        active = self.heads if active is None else active
        mixed = F.pad(self.mixed(x)[:, :, :active], (0, 0, 0, self.heads - active))
        return self.out(mixed.flatten(2))
''',
    "Position": '''\
class Position(nn.Module):
    """Adds a learned table to a sequence [time, batch, width]."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, width))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight[:, None]
''',
    "Tokens": '''\
class Tokens(nn.Module):
    """The pixels of an image as the steps of a sequence [time, batch, channels]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).permute(2, 0, 1)
''',
    "Pixels": '''\
class Pixels(nn.Module):
    """The steps of a sequence as the pixels of an image of so many rows."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(1, 2, 0).unflatten(2, (self.rows, -1))
''',
    "Zero": '''\
class Zero(nn.Module):
    """Zeros of the shape that a layer of this stride would give."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            x = x[:, :, :: self.stride, :: self.stride]
        return torch.zeros_like(x)
''',
    "Crop": '''\
class Crop(nn.Module):
    """All but the first `n` pixels of both axes."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.n :, self.n :]
''',
    "MixedOp": '''\
class MixedOp(nn.ModuleDict):
    """The sum of what its candidates make of one value, each times its weight."""

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return sum(w * op(x) for w, op in zip(weights, self.values(), strict=True))
''',
    "JointMixedOp": '''\
class JointMixedOp(nn.ModuleDict):
    """The sum of what its candidates make of several values, each times its weight."""

    def forward(self, *inputs: Tensor) -> Tensor:
        *values, weights = inputs
        return sum(w * op(*values) for w, op in zip(weights, self.values(), strict=True))
''',
    "SkippingMixedOp": '''\
class SkippingMixedOp(nn.ModuleDict):
    """What its candidates make of one value, each times its weight; zeros add nothing."""

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        pairs = zip(weights, self.values(), strict=True)
        return sum(w * op(x) for w, op in pairs if not isinstance(op, Zero))
''',
    "gaussian": '''\
def gaussian(x: Tensor) -> Tensor:
    """Standard-normal numbers in the shape of `x`, others every time."""
    return torch.randn_like(x, memory_format=torch.contiguous_format)
''',
    "narrow": '''\
def narrow(x: Tensor, n: int) -> Tensor:
    """The first `n` channels of `x`, and zeros for the others."""
    if x.dim() == 4:
        return F.pad(x[:, :n], (0, 0, 0, 0, 0, x.shape[1] - n))
    return F.pad(x[..., :n], (0, x.shape[-1] - n))
''',
    "CentredConv2d": '''\
class CentredConv2d(nn.Conv2d):
    """A convolution that can take the weights around the centre of its window for zeros."""

    def forward(self, x: Tensor, centre: int | None = None) -> Tensor:
        if centre is None:
            return super().forward(x)
        margin = (self.kernel_size[0] - centre) // 2
        inner = self.weight[:, :, margin : margin + centre, margin : margin + centre]
        weight = F.pad(inner, [margin] * 4)
        return F.conv2d(
            x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )
''',
    "conv_transpose": '''\
def conv_transpose(
    in_channels: int,
    out_channels: int,
    k: int,
    stride: int = 2,
    groups: int = 1,
    bias: bool = False,
) -> nn.ConvTranspose2d:
    """What it makes is `stride` times as large as what it reads."""
    padding = max(0, (k - stride + 1) // 2)
    return nn.ConvTranspose2d(
        in_channels,
        out_channels,
        k,
        stride=stride,
        padding=padding,
        output_padding=2 * padding + stride - k,
        groups=groups,
        bias=bias,
    )
''',
    "depthwise": """\
def depthwise(channels: int, k: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        channels,
        channels,
        k,
        stride=stride,
        padding=dilation * (k // 2),
        dilation=dilation,
        groups=channels,
        bias=False,
    )
""",
}
