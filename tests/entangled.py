"""Programs with entangled numbers, and the search networks of some calculated by hand.

The calculations take the weights of a supernet by their names, and mixing weights by the paths of
their decisions. Layers are as in evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

IMAGE = "network(classes = 3) from image[2, 4, 4] to class[classes]"
SERIES = "network(classes = 3) from x[5, 4] to class[classes]"
WORDS = "network(V = 7) from word[T] below V to word[T, V]"
END = "global_pool(mean) -> linear(classes) }"

State = dict[str, Tensor]
Mixed = dict[str, Tensor]
"""Mixing weights by the path of their decision."""


def mask(mix: Tensor, sizes: list[int]) -> Tensor:
    """How much of every channel there is, of as many as the largest size."""
    there = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    return (mix[:, None] * there).sum(0)


def on_image(vector: Tensor) -> Tensor:
    return vector[:, None, None]


def normed(x: Tensor, state: State, at: str) -> Tensor:
    mean, var = state[f"{at}.running_mean"], state[f"{at}.running_var"]
    scaled = (x - on_image(mean)) / (on_image(var) + 1e-5).sqrt()
    return scaled * on_image(state[f"{at}.weight"]) + on_image(state[f"{at}.bias"])


def headed(x: Tensor, state: State) -> Tensor:
    return F.linear(x.mean((2, 3)), state["linear.weight"], state["linear.bias"])


def centred(weight: Tensor, mix: Tensor, sizes: list[int]) -> Tensor:
    """A window of which every pixel counts as much as the kernels that reach it."""
    k = weight.shape[-1]
    reach = (torch.arange(k) - k // 2).abs()
    reach = torch.maximum(reach[:, None], reach)
    counts = sum(m * (reach <= size // 2) for m, size in zip(mix, sizes, strict=True))
    return weight * counts


def partly_normed(x: Tensor, state: State, at: str, mix: Tensor, sizes: list[int]) -> Tensor:
    """Layer norms over the first channels of every step, mixed."""
    total = torch.zeros_like(x)
    for m, n in zip(mix, sizes, strict=True):
        weight, bias = state.get(f"{at}.weight"), state.get(f"{at}.bias")
        part = x[..., :n]
        scaled = (part - part.mean(-1, keepdim=True)) / (
            part.var(-1, keepdim=True, correction=0) + 1e-5
        ).sqrt()
        if weight is not None and bias is not None:
            scaled = scaled * weight[:n] + bias[:n]
        total[..., :n] += m * scaled
    return total


def attended(x: Tensor, state: State, at: str, width: int, mix: Tensor, sizes: list[int]) -> Tensor:
    """Self-attention of x [time, batch, channels] in the first heads, mixed; every head alone."""
    qkv = F.linear(x, state[f"{at}.qkv.weight"], state.get(f"{at}.qkv.bias"))
    queries, keys, values = (part.split(width, -1) for part in qkv.chunk(3, -1))
    heads = []
    for q, k, v in zip(queries, keys, values, strict=True):
        likeness = torch.einsum("qbw,kbw->bqk", q, k) / width**0.5
        heads.append(torch.einsum("bqk,kbw->qbw", likeness.softmax(-1), v))
    total = torch.zeros_like(x)
    for m, n in zip(mix, sizes, strict=True):
        columns = state[f"{at}.out.weight"][:, : n * width]
        made = torch.cat(heads[:n], -1) @ columns.T
        total += m * (made + state.get(f"{at}.out.bias", 0))
    return total


def of_convs(x: Tensor, state: State, mixed: Mixed) -> Tensor:
    """Of convolutions and depthwise ones, norms, biases and what is not 0 at 0."""
    once, twice = mask(mixed["w"], [2, 4, 5]), mask(mixed["w"], [4, 8, 10])
    y = F.conv2d(x, state["conv_0.weight"], padding=1) * on_image(once)
    y = normed(y, state, "bn_0") * on_image(once)
    y = F.conv2d(y.relu(), state["depthwise.weight"], padding=1, groups=5)
    y = F.conv2d(y, state["conv_1.weight"], state["conv_1.bias"]) * on_image(twice)
    y = y.sigmoid() * on_image(twice)
    y = F.conv_transpose2d(y, state["conv_transpose.weight"], stride=2) * on_image(once)
    y = F.max_pool2d(normed(y, state, "bn_1") * on_image(once), 3, 1, 1)
    return headed(y, state)


def of_joins(x: Tensor, state: State, mixed: Mixed) -> Tensor:
    """Of sums, products, concat and arithmetic."""
    m = on_image(mask(mixed["w"], [1, 3]))
    a = F.conv2d(x, state["a.weight"], state["a.bias"]) * m
    b = F.conv2d(x, state["b.weight"], padding=1) * m
    c = torch.maximum(a + b, a * b)
    d = (1 - c) * m / 2 - 3 * a
    pooled = d.mean((2, 3))
    vector = mask(mixed["w"], [1, 3])
    gate = (F.linear(pooled, state["gate.weight"], state["gate.bias"]) * vector).sigmoid() * vector
    e = torch.cat([x, d * gate[:, :, None, None]], 1)
    larger = on_image(mask(mixed["w"], [3, 7]))
    return headed(F.conv2d(e, state["conv.weight"]) * larger, state)


def of_flattened(x: Tensor, state: State, mixed: Mixed) -> Tensor:
    m = mask(mixed["conv.out"], [2, 3])
    y = F.conv2d(x, state["conv.weight"], padding=1) * on_image(m)
    y = F.avg_pool2d(y, 2)
    return F.linear(y.flatten(1), state["linear.weight"], state["linear.bias"])


def of_kernels(x: Tensor, state: State, mixed: Mixed) -> Tensor:
    k, other = mixed["k"], mixed["conv.k"]
    y = F.conv2d(x, centred(state["conv.weight"], k, [1, 3, 5]), padding=2, stride=2)
    bias = state["depthwise.bias"]
    weight = centred(state["depthwise.weight"], k, [1, 3, 5])
    y = F.conv2d(y, weight, bias, padding=4, dilation=2, groups=4)
    weight = centred(state["conv_1.weight"], other, [1, 3])
    y = F.conv2d(y, weight, padding=1, groups=2)
    return headed(y, state)


def of_both(x: Tensor, state: State, mixed: Mixed) -> Tensor:
    m = on_image(mask(mixed["w"], [2, 3]))
    weight = centred(state["conv.weight"], mixed["k"], [3, 5])
    y = F.conv2d(x, weight, state["conv.bias"], padding=2) * m
    moved = partly_normed(y.movedim(1, -1), state, "layer_norm", mixed["w"], [2, 3])
    return headed(F.gelu(moved.movedim(-1, 1) * m), state)


def of_sequences(x: Tensor, state: State, mixed: Mixed) -> Tensor:
    e, heads = mixed["e"], mixed["heads"]
    m = mask(e, [2, 4])
    ratios = [r * n for r, n in product([1, 2], [2, 4])]
    wide = mask((mixed["ratio"][:, None] * e).flatten(), ratios)
    y = F.linear(x, state["linear_0.weight"], state["linear_0.bias"]) * m
    y = (y + state["position.weight"][:, None]) * m
    z = partly_normed(y, state, "layer_norm", e, [2, 4]) * m
    y = y + attended(z, state, "attention", 3, heads, [1, 2]) * m
    z = partly_normed(y, state, "layer_norm_1", e, [2, 4]) * m
    z = F.gelu(F.linear(z, state["linear_1.weight"], state["linear_1.bias"]) * wide)
    z = F.linear(z, state["linear_2.weight"], state["linear_2.bias"]) * m
    return F.linear(z.mean(0), state["linear_3.weight"], state["linear_3.bias"])


def of_words(words: Tensor, state: State, mixed: Mixed) -> Tensor:
    m = mask(mixed["e"], [2, 5])
    y = (state["table.weight"][words] * m).tanh()
    y = F.linear(y, state["linear_0.weight"], state["linear_0.bias"]) * m
    return F.linear(y, state["table.weight"], state["linear_1.bias"])


def of_depth(x: Tensor, state: State, mixed: Mixed) -> Tensor:
    outputs = [x]
    for i in range(3):
        y = F.conv2d(outputs[-1], state[f"conv_{i}.weight"], padding=1)
        outputs.append(normed(y, state, f"bn_{i}").tanh())
    return headed(sum(m * y for m, y in zip(mixed["d"], outputs, strict=True)), state)


def of_shared(x: Tensor, state: State, mixed: Mixed) -> Tensor:
    m = on_image(mask(mixed["w"], [2, 4]))

    def f(y: Tensor) -> Tensor:
        return F.conv2d(y, state["f.weight"], state["f.bias"]) * m

    def g(y: Tensor) -> Tensor:
        return F.conv2d(y, centred(state["g_conv_0.weight"], mixed["k"], [1, 3]), padding=1)

    y = F.conv2d(f(g(g(x))).relu(), state["conv.weight"])
    return headed(f(y), state)


ByHand = Callable[[Tensor, State, Mixed], Tensor]
PROGRAMS: dict[str, tuple[str, ByHand | None, int]] = {
    "convolutions": (
        IMAGE
        + """ { w = choose entangled {2, 4, 5}
            return image -> conv(3, out: w) -> bn -> relu -> depthwise(3)
                -> conv(1, out: 2 * w, bias: yes) -> sigmoid -> conv_transpose(2, out: w)
                -> bn -> pool(max, 3) -> """
        + END,
        of_convs,
        3,
    ),
    "joins": (
        IMAGE
        + """ { w = choose entangled {1, 3}
            a = image -> conv(1, out: w, bias: yes)
            b = image -> conv(3, out: w)
            c = max(sum(a, b), product(a, b))
            d = (1 - c) / 2 - 3 * a
            gate = d -> global_pool(mean) -> linear(w)
            e = concat(image, d * (gate -> sigmoid))
            return e -> conv(1, out: 2 * w + 1) -> """
        + END,
        of_joins,
        2,
    ),
    "flattened": (
        IMAGE
        + """ = image -> conv(3, out: choose entangled {2, 3}) -> pool(mean, 2, stride: 2)
            -> flatten -> linear(classes)""",
        of_flattened,
        2,
    ),
    "kernels": (
        IMAGE
        + """ { k = choose entangled {1, 3, 5}
            return image -> conv(k, out: 4, stride: 2) -> depthwise(k, dilation: 2, bias: yes)
                -> conv(choose entangled {1, 3}, groups: 2) -> """
        + END,
        of_kernels,
        6,
    ),
    "kernels of an open width": (
        IMAGE
        + """ { k = choose entangled {3, 5}  w = choose entangled {2, 3}
            return image -> conv(k, out: w, bias: yes) -> layer_norm -> gelu -> """
        + END,
        of_both,
        4,
    ),
    "sequences": (
        SERIES
        + """ { e = choose entangled {2, 4}
            heads = choose entangled {1, 2}  ratio = choose entangled {1, 2}
            a = x -> linear(e) -> position
            y = sum(a, a -> layer_norm -> attention(heads, width: 3))
            return y -> layer_norm -> linear(ratio * e) -> gelu -> linear(e) -> """
        + END,
        of_sequences,
        8,
    ),
    "words": (
        WORDS
        + """ { e = choose entangled {2, 5}
            shared table = embedding(V, e)
            return word -> table -> tanh -> linear(e) -> linear(V, tied: table) }""",
        of_words,
        2,
    ),
    "depth": (
        IMAGE
        + """ { d = choose entangled {0, 1, 2, 3}
            return image -> repeat d { conv(3) -> bn -> tanh } -> """
        + END,
        of_depth,
        4,
    ),
    "shared": (
        IMAGE
        + """ { w = choose entangled {2, 4}  k = choose entangled {1, 3}
            shared f = conv(1, out: w, bias: yes)
            shared g = conv(k)
            back = image -> g -> g -> f -> relu -> conv(1, out: 2)
            return back -> f -> """
        + END,
        of_shared,
        4,
    ),
    "without weights": (
        SERIES
        + """ { e = choose entangled {2, 4}
            return x -> linear(e, bias: no) -> layer_norm(affine: no)
                -> attention(choose entangled {1, 3}, width: 2, bias: no) -> softplus
                -> global_pool(max) -> bn(affine: no) -> linear(classes) }""",
        None,
        4,
    ),
    "a cell": (
        """cell c(C) from x { w = choose entangled {1, 2}
            y = x -> conv(choose entangled {1, 3}, out: w * C) -> bn
            z = sum(y, x -> conv(1, out: w * C))
            return z -> repeat choose entangled {1, 2} { conv(3) -> relu } -> conv(1, out: C) }
        """
        + IMAGE
        + " = image -> c(2) -> c(3) -> "
        + END.rstrip(" }"),
        None,
        8,
    ),
    "a recurrence": (
        """cell c(H) from x, h[H] { w = choose entangled {2, 3}
            shared W = linear(w, bias: no)
            return concat(x, (x -> W) * (h -> W)) -> linear(H) -> tanh }
        """
        + WORDS
        + " = word -> embedding(V, 3) -> c(3) over T -> linear(V)",
        None,
        2,
    ),
    "depth and what is chosen in it": (
        IMAGE
        + """ { w = choose entangled {2, 3}
            return image -> conv(1, out: w)
                -> repeat choose entangled {1, 2} { conv(choose entangled {1, 3}) -> bn } -> """
        + END,
        None,
        2 * (2 + 4),
    ),
    "an op": (
        """op unit(out, k) from x[c, _, _] {
            y = x -> conv(k, out: out) -> bn
            return sum(y -> relu, y -> conv(1, out: 2 * c, bias: yes) -> tanh -> conv(1, out: out))
        }
        """
        + IMAGE
        + """ { w = choose entangled {2, 3}
            return image -> unit(w, 3) -> unit(2 * w, choose entangled {3, 5}) -> """
        + END,
        None,
        4,
    ),
}
BY_HAND = [name for name, (_, by_hand, _) in PROGRAMS.items() if by_hand is not None]
PIXELS = {"flattened": {"linear.weight": 4}}
