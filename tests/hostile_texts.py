"""Texts made to break the compiler, or to keep it busy, by what they try."""

from __future__ import annotations

from collections.abc import Iterator

MEGABYTE = 1_000_000
HEADER = "language 1\nimport std\n"

NESTED = {
    "parentheses": "(",
    "square brackets": "[",
    "braces": "{",
    "calls": "f(",
    "repeats": "repeat 2 {",
    "minus": "- ",
    "not": "not ",
    "sums": "a + ",
    "products": "a * ",
    "powers": "2^",
    "ands": "a and ",
    "flows": "x -> ",
    "eachs": "each x -> ",
    "whens": "a when b else ",
    "choices": "choose ",
    "overs": "f over T ",
    "lists": "a, ",
    "nodes": "node n[2] {",
    "indices": "a[0]",
    "called": "a(1)",
    "sinks": "{ sink ",
}
RUNS = {
    "a name": "a",
    "digits": "9",
    "zeros": "0",
    "points": "1.",
    "exponents": "1e",
    "underscores": "_",
    "a comment": "#",
    "tabs": "\t",
    "blanks": " ",
    "line ends": "\n",
    "returns": "\r",
    "zero bytes": "\0",
    "quotes": '"',
    "backslashes": "\\",
    "equals": "=",
    "commas": ",",
    "slashes": "/",
    "arrows": "->",
    "wide letters": "字",
    "look-alikes": "а",
    "turning marks": "\u202e",
    "accents": "\u0301",
    "half characters": "\ud800",
    "letters beyond": "𝒳",
}
DECLARATIONS = {
    "imports": "import std\n",
    "ops": "op f = relu\n",
    "sets": "set s = {a}\n",
    "cells": "cell c = a\n",
    "networks": "network from x[1] to y[1] = x\n",
    "profiles": "profile p { a = 1 }\n",
}


def texts() -> dict[str, str]:
    found = {}
    for what, piece in {**NESTED, **RUNS}.items():
        for size in (MEGABYTE, 19_000):
            found[f"{size} bytes of {what}"] = (
                f"{HEADER}op f from x = {piece * (size // len(piece))} x"
            )
    for what, piece in DECLARATIONS.items():
        for size in (MEGABYTE, 60_000):
            found[f"{size} bytes of {what}"] = HEADER + piece * (size // len(piece))
    found |= {f"layer: {layer}": network(layer) for layer in LAYERS}
    for count in (20, 60):
        found |= {f"{count} {what}": text for what, text in _doubling(count)}
        found |= {f"{count} steps of {what}": text for what, text in _bound(count)}
    found |= dict(_many())
    return found


BIG = 10**9
LAYERS = (
    f"conv({BIG})",
    f"conv(3, out: {BIG})",
    f"conv(3, groups: {BIG})",
    f"conv(3, stride: {BIG})",
    f"conv(3, padding: {BIG})",
    f"conv(3, dilation: {BIG})",
    f"crop({BIG})",
    f"zero(stride: {BIG})",
    f"flatten -> linear({BIG}) -> linear({BIG})",
    f"embedding({BIG}, {BIG})",
    f"dropout({BIG})",
    f"repeat {BIG} {{ relu }}",
    "repeat 10000 { conv(3) }" + " -> repeat 10000 { conv(3) }" * 11,
    "conv(3, out: 9^9^9^9)",
    "conv(3, out: 2^2^2^2^2^2)",
    "conv(3, out: (C^C)^(C^C)^C)",
    "conv(3, out: 2^-1)",
    "conv(3, out: 0^-1)",
    "conv(3, out: 0.5^-9999)",
    "conv(3, out: (-8)^0.5)",
    "conv(3, out: C % 0)",
    "conv(3, out: C // 0)",
    "conv(3, out: C / 0)",
    "conv(3, out: 0.5 // 0)",
    "conv(3, out: 1e999)",
    "conv(3, out: 1e9^99.5)",
    "conv(3, out: -1)",
    "conv(3, out: 0.5)",
    "conv(3, out: 1e9^1e9 - 1e9^1e9)",
    f"conv(3, out: {' * '.join(['999999999'] * 90)})",
    "conv(C)",
    "pool(max, C, stride: 2)",
    "conv(yes)",
    "conv(3, out: max)",
    "conv(3, out: relu)",
    f"conv(choose {{ 1..{BIG} }})",
    "conv(choose { 1..999 by 2 }, out: choose entangled { 8..1000 }) -> conv(1, out: C)",
    "repeat 10000 { choose { relu, tanh } }",
    "repeat 1000 { repeat 1000 { choose { relu, tanh } } }",
    "repeat choose entangled { 1..1000 } { choose { relu, tanh } }",
    "repeat 99 { conv(3, out: C * 2^stage) at " + ", ".join(map(str, range(1, 99))) + ": relu }",
)


def network(flow: str, declarations: str = "") -> str:
    return (
        f"{HEADER}{declarations}\n"
        "network(C = 4) from image[3, 8, 8] to image[C, 8, 8] ="
        f" image -> conv(3, out: C) -> {flow}\n"
    )


def _doubling(count: int) -> Iterator[tuple[str, str]]:
    """Declarations each of which uses the one before it twice."""
    later_ones = range(1, count + 1)
    for what, first, later in (
        ("ops in flows", "op a0 = conv(3)", "op a{i} from x = x -> a{j} -> a{j}"),
        ("chains", "op a0 = conv(3)", "op a{i} = a{j} -> a{j}"),
        ("ops in sums", "op a0 = conv(3)", "op a{i} from x = sum(x -> a{j}, x -> a{j})"),
        (
            "ops by default",
            "op a0(k = 1) = relu",
            "op a{i}(k = 1) = a{j}(k: k + k) -> a{j}(k: k * k)",
        ),
        (
            "cells",
            "cell a0 from x = x -> choose {conv(3), relu}",
            "cell a{i} from x = x -> a{j} -> a{j}",
        ),
        ("choices", "cell a0 from x = x", "cell a{i} from x = x -> choose {a{j}, a{j} as b}"),
        ("nested choices", "op a0 = relu", "op a{i} from x = x -> choose {a{j}, a{j} as b}"),
    ):
        steps = (
            later.replace("{i}", str(i)).replace("{j}", str(i - 1)) for i in range(1, count + 1)
        )
        yield what, network(f"a{count}", "\n".join([first, *steps]))
    given = (f"op a{i}(f) from x = x -> a{i - 1}(f) -> a{i - 1}(f)" for i in later_ones)
    yield "ops of ops", network(f"a{count}(relu)", "\n".join(["op a0(f) = f", *given]))
    sets = (f"set s{i} = {{ s{i - 1}, s{i - 1} }}" for i in later_ones)
    choice = f"cell c from x = x -> choose s{count}"
    yield "sets of sets", network("c", "\n".join(["set s0 = { relu, tanh }", *sets, choice]))
    loops = " ".join(f"for a{i} in (1, 2)" for i in range(count))
    for end in ("", "if no"):
        choice = f"cell c from x = x -> choose {{ relu, conv(1) {loops} {end} }}"
        yield f"loops {end}", network("c", choice)


def _bound(count: int) -> Iterator[tuple[str, str]]:
    """Names of one body, each bound to the one before it twice."""
    for what, first, later, result in (
        ("operations", "conv(3)", "b{j} -> b{j}", "x -> b{n}"),
        ("lists", "(x, x)", "(b{j}, b{j})", "sum(b{n})"),
        ("edges", "(x, x)", "each (each b{j} -> relu, each b{j} -> tanh) -> relu", "sum(b{n})"),
        ("products", "k", "b{j} * b{j}", "x -> conv(3, out: b{n})"),
        ("sums", "k", "b{j} + b{j}", "x -> conv(3, out: b{n})"),
        ("remainders", "k", "b{j} * b{j} % 7", "x -> conv(3, out: b{n})"),
        ("conditions", "k", "b{j} when b{j} > 2 else b{j} + 1", "x -> conv(3, out: b{n})"),
    ):
        steps = "\n".join(f"b{i} = {later.replace('{j}', str(i - 1))}" for i in range(1, count + 1))
        body = f"b0 = {first}\n{steps}\nreturn {result.replace('{n}', str(count))}"
        yield what, network("q(3)", f"op q(k) from x {{ {body} }}")


def _many() -> Iterator[tuple[str, str]]:
    edges = "sum(x, each earlier n -> choose { OPTIONS })"
    options = {"two": "relu, tanh", "300": ", ".join(f"conv(1) as o{i}" for i in range(300))}
    for size in (60, 1000, BIG):
        for count, written in options.items():
            group = f"node n[{size}] = {edges.replace('OPTIONS', written)}"
            cell = f"cell c from x {{ {group} return sum(n) }}"
            yield f"{size} nodes of {count} options", network("repeat 100 { c }", cell)
    nodes = " ".join(f"node n{i}[9] {{" for i in range(12)) + " return x -> relu "
    nodes += " ".join(f"}} return concat(n{i})" for i in reversed(range(12)))
    yield "nodes in nodes", network("c", f"op c from x {{ {nodes} }}")
    profiles = "".join(f"profile p{i} {{ C = {i + 1} }}\n" for i in range(2000))
    yield "2000 profiles", network("relu") + profiles
    chain = "".join(f"profile p{i} = p{i + 1} {{ }}\n" for i in range(1500))
    yield "profiles of profiles", f"{HEADER}{chain}"
    yield "1000 options", network("c", f"cell c from x = x -> choose {{ {options['300']} }}")
    yield "unknown names", HEADER + "".join(f"op f{i} = zzz{i}\n" for i in range(2000))
    yield "a long number", f"{HEADER}op f = conv({'0' * 5000})\n"
    yield "a long name", f"{HEADER}op {'a' * 10_000} = relu\n"
    yield "a path", f"{HEADER}import {'a/' * 5000}a\n"
    yield "a long name in a path", f"{HEADER}import {'a' * 252}\n"
    sizes = "[1000000000, 1000000000, 1000000000]"
    yield "a big image", f"{HEADER}network from x{sizes} to y[9] = x -> flatten -> linear(9)\n"
