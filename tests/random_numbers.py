"""Random programs with numbers that are chosen: program `i` is a function of `i` alone.

Widths, kernels, heads and depths are entangled, others chosen between calls, in the network and in
a cell. What every weight does shows in the output, so that nothing is used and without a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

SMOOTH = ("tanh", "sigmoid", "gelu", "softplus", "silu", "mish")
"""Activations whose gradients are never all zeros."""
OPS = """
op squeezed(k, m) from x[c, _, _] = x -> conv(k, out: m * c) -> bn -> tanh -> conv(1, out: c)
op widened(r) from x[_, c] = x -> linear(r * c) -> gelu -> linear(c)
op through(f) from x = x -> f -> tanh
"""


@dataclass(frozen=True)
class Value:
    """A value that has been bound: an image or a sequence, and its width as it is written."""

    name: str
    rank: int
    width: str
    open: bool = False


def random_numbers(number: int) -> str:
    """The text of program `number`."""
    return _Program(number).text()


class _Program:
    def __init__(self, number: int) -> None:
        self.random = Random(f"numbers {number}")
        self.count = 0
        self.factor = ""
        """What widths are multiplied by, in a cell whose width is given."""

    def text(self) -> str:
        rank = self.random.choice((3, 3, 2))
        source = "image[2, 6, 6]" if rank == 3 else "x[4, 3]"
        first = Value(source.split("[")[0], rank, "2" if rank == 3 else "3")
        declarations, lines = [OPS], []
        value = first
        if self.random.random() < 0.5:
            declarations.append(self.cell(rank))
            value = Value("seen", rank, "4")
            lines.append(f"seen = {first.name} -> kind(3) -> kind(4)")
        value = self.body(value, lines)
        lines.append(f"return {value.name} -> global_pool(mean) -> linear(classes)")
        body = "".join(f"    {line}\n" for line in lines)
        declarations.append(f"network(classes = 3) from {source} to class[classes] {{\n{body}}}")
        return "language 1\n" + "\n".join(declarations) + "\n"

    def cell(self, rank: int) -> str:
        self.factor = "C"
        lines: list[str] = []
        value = self.body(Value("x", rank, "c"), lines)
        last = "conv(1, out: C)" if rank == 3 else "linear(C)"
        body = "".join(f"    {line}\n" for line in [*lines, f"return {value.name} -> {last}"])
        self.factor = ""
        pattern = "x[c, _, _]" if rank == 3 else "x[_, c]"
        return f"cell kind(C) from {pattern} {{\n{body}}}"

    def body(self, value: Value, lines: list[str]) -> Value:
        """Some statements that begin with a value; what they end in."""
        value = self.opened(value, lines)
        for _ in range(self.random.choice((2, 3, 4))):
            value = self.bound(value, self.step(value, lines), lines)
            if self.random.random() < 0.25:
                value = self.opened(value, lines)
        return value

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def bound(self, value: Value, text: str, lines: list[str]) -> Value:
        name = self.fresh("y")
        lines.append(f"{name} = {text}")
        return replace(value, name=name)

    def number(self, numbers: tuple[int, ...], lines: list[str]) -> str:
        """An entangled number, bound or written where it stands."""
        count = min(len(numbers), self.random.choice((2, 2, 3)))
        drawn = self.random.sample(numbers, count)
        text = f"choose entangled {{{', '.join(map(str, drawn))}}}"
        if self.random.random() < 0.4:
            return text
        name = self.fresh("e")
        lines.append(f"{name} = {text}")
        return name

    def opened(self, value: Value, lines: list[str]) -> Value:
        """Brings a value to another width, which is mostly open."""
        width = self.number((3, 4, 5, 6), lines)
        if " " in width:  # a value of its width needs the name
            name = self.fresh("e")
            lines.append(f"{name} = {width}")
            width = name
        if self.factor and self.random.random() < 0.5:
            width = f"{width} * {self.factor}"
        elif self.random.random() < 0.3:
            width = self.random.choice((f"2 * {width}", f"{width} + 1", f"{width} // 2 + 2"))
        wide = replace(value, width=width, open=True)
        if value.rank == 2:
            return self.bound(wide, f"{value.name} -> linear({width}) -> tanh", lines)
        k = self.number((1, 3, 5), lines) if self.random.random() < 0.3 else "3"
        stride = self.random.choice(("", "", ", dilation: 2"))
        text = f"{value.name} -> conv({k}, out: {width}{stride})"
        return self.bound(wide, f"{text} -> {self.random.choice(('bn', 'tanh'))}", lines)

    def step(self, value: Value, lines: list[str]) -> str:
        """A flow that keeps the shape of a value."""
        x, width = value.name, value.width
        form = self.random.choice(IMAGES if value.rank == 3 else SERIES)
        smooth = self.random.choice(SMOOTH)
        same = f"conv(1, out: {width})" if value.rank == 3 else f"linear({width})"
        match form:
            case "kernel":
                layer = self.random.choice(("conv", "depthwise"))
                bias = self.random.choice(("", ", bias: yes"))
                return f"{x} -> {layer}({self.number((1, 3, 5), lines)}{bias}) -> {smooth}"
            case "squeezed":
                given = self.random.choice(("{1, 3}", "{3, 5}"))
                return f"{x} -> squeezed(choose {given}, choose {{1, 2}})"
            case "calls":
                return f"{x} -> conv(choose {{1, 3}}) -> {smooth}"
            case "heads":
                heads = self.number((1, 2, 3), lines)
                return f"sum({x}, {x} -> layer_norm -> attention({heads}, width: 2))"
            case "ratio":
                return f"sum({x}, {x} -> widened({self.number((1, 2, 3), lines)}))"
            case "position":
                return f"{x} -> position -> {smooth}"
            case "norm":
                return f"{x} -> {self.random.choice(('layer_norm', smooth))}"
            case "pool":
                return f"{x} -> pool(mean, 3) -> {smooth}"
            case "depth":
                depth = self.number((0, 1, 2, 3), lines)
                inner = f"conv({self.number((1, 3), lines)})" if value.rank == 3 else same
                return f"{x} -> repeat {depth} {{ {inner} -> {smooth} }}"
            case "sum":
                how = self.random.choice(("sum", "mean", "product"))
                return f"{how}({x} -> {smooth}, {x} -> {same})"
            case "arithmetic":
                return f"(1 - {x} * ({x} -> {same})) / 2 + ({x} -> {smooth})"
            case "gate":
                gate = f"{x} -> global_pool(mean) -> linear({width}) -> sigmoid"
                return f"{x} * ({gate})" if value.rank == 3 else f"{x} * ({x} -> {same})"
            case "concat":
                fixed = "conv(1, out: 2)" if value.rank == 3 else "linear(2)"
                return f"concat({x} -> {fixed}, {x}) -> {same}"
            case "options":
                given = self.random.choice(("through(tanh)", f"through({same})"))
                return f"{x} -> choose {{ {same} -> {smooth} as one, {given} as two }}"
            case "values":
                return f"choose {{ {x} -> {smooth} as one, {x} -> {same} as two }}"
            case "shared":
                name = self.fresh("s")
                k = self.number((1, 3), lines) if value.rank == 3 else ""
                layer = f"conv({k}, out: {width})" if k else f"linear({width})"
                lines.append(f"shared {name} = {layer}")
                return f"{x} -> {name} -> {smooth} -> {name}"
        raise ValueError(form)


COMMON = ("norm", "depth", "sum", "arithmetic", "gate", "concat", "options", "values", "shared")
IMAGES = ("kernel", "kernel", "squeezed", "calls", "pool", *COMMON)
SERIES = ("heads", "heads", "ratio", "ratio", "position", *COMMON)
