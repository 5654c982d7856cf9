"""Draws operations and values, by the types of what is in scope."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from random_draws import ACTIVATIONS, Op, Shape, Width, block, bracketed
from random_options import options

if TYPE_CHECKING:
    from random_stock import Stock


@dataclass
class Body:
    """What is in scope where an expression is drawn.

    `functions`, `kernels` and `numbers` are parameters; `fixed` are conditions on what is known
    when a body is lowered, `open` those that may hang on sizes; `shared` are operations by shape.
    """

    stock: Stock
    pure: bool = False
    decides: bool = False
    depth: int = 2
    values: dict[str, Shape] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    kernels: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=lambda: ["search", "not final", "final"])
    open: list[str] = field(default_factory=list)
    lasting: list[str] = field(default_factory=list)
    shared: dict[str, Shape] = field(default_factory=dict)
    halves: list[tuple[str, str, Shape]] = field(default_factory=list)
    over_time: bool = False

    def __post_init__(self) -> None:
        self.draw = self.stock.draw

    # -- operations that keep the shape

    def operation(self, shape: Shape, depth: int, modular: bool = False) -> str:
        """A step of a flow; `modular` where nothing shared and no mask may stand in it."""
        if self.pure:
            kinds = ["activation"] + ["function"] * bool(self.functions)
            kinds += ["pool"] * (shape.rank == 3) + ["declared"] * (depth > 0)
        else:
            kinds = ["layer", "layer", "activation"] + ["function"] * bool(self.functions)
            kinds += ["std"] * (shape.rank == 3 and self.stock.uses_std)
            if depth > 0:
                kinds += ["declared", "declared", "composed"]
            if depth >= 0:
                kinds += ["conditional"] * bool(self.fixed + self.lasting + self.open)
                kinds += ["conditional"] * 2 * bool(self.open)
            fitting = [name for name, s in self.shared.items() if s == shape]
            kinds += ["shared"] * (2 if fitting and not modular else 0)
        match self.draw.pick(*kinds):
            case "activation":
                return self.draw.pick(*ACTIVATIONS, "identity", "softmax")
            case "function":
                return self.draw.random.choice(self.functions)
            case "pool":
                return self.pool()
            case "layer":
                return self.layer(shape, modular)
            case "std":
                return self.std()
            case "shared":
                return self.draw.random.choice(fitting)
            case "declared":
                return self.call(self.stock.op(shape, 1, self.pure, depth - 1))
            case "composed":
                return f"({self.chain(shape, modular)})"
        return self.conditional(shape, depth - 1)

    def chain(self, shape: Shape, modular: bool = False) -> str:
        steps = [self.operation(shape, 0, modular) for _ in range(self.draw.random.choice((2, 3)))]
        return " -> ".join(steps)

    def conditional(self, shape: Shape, depth: int) -> str:
        then = self.operation(shape, depth, modular=True)
        condition = self.condition()
        if self.draw.chance(0.5):
            return f"({then} when {condition})"
        return f"({then} when {condition} else {self.operation(shape, depth, modular=True)})"

    def condition(self) -> str:
        known = self.fixed + self.lasting + self.open * 3
        first = self.draw.random.choice(known)
        if self.draw.chance(0.2):
            return f"{first} {self.draw.pick('and', 'or')} not ({self.draw.random.choice(known)})"
        return first

    def call(self, op: Op) -> str:
        draw, given = self.draw, []
        for parameter in op.parameters:
            match parameter:
                case "k":
                    given.append(draw.random.choice([*self.kernels, "3", "5", "1"]))
                case "d":
                    given.append(draw.random.choice([*self.numbers, "2", "3", "4"]))
                case "act":
                    given.append(self.function(op))
                case "on" if draw.chance(0.5):
                    given.append(f"on: {draw.pick('yes', 'no')}")
        return op.name + bracketed(given)

    def function(self, op: Op) -> str:
        """An operation that an op is given: an activation, or an op without arguments."""
        if self.draw.chance(0.2, "op given an op"):
            return self.stock.plain(op.rank)
        return self.draw.random.choice([*self.functions, *ACTIVATIONS, "identity"])

    # -- layers

    def layer(self, shape: Shape, modular: bool = False) -> str:
        if shape.rank == 3:
            name = self.draw.pick(
                "conv", "depthwise", "pool", "bn", "layer_norm", "group_norm", "attention", "zero",
                "crop", "pad", "transposed", "rest", *["shuffle"] * shape.width.is_even,
            )  # fmt: skip
        else:
            known = shape.width.is_known
            norm = self.draw.pick("layer_norm", "bn" if shape.rank == 1 else "rest")
            name = self.draw.pick(*["linear"] * (2 * known), norm)
        match name:
            case "conv":
                return self.conv(shape.width)
            case "depthwise":
                return self.window("depthwise")
            case "pool":
                return self.pool()
            case "crop":
                return "(crop(1) -> conv(2, padding: 1))"
            case "pad":
                return self.draw.pick("(pad(1) -> conv(3, padding: 0))", "(pad(2) -> crop(4))")
            case "transposed":
                return self.transposed(shape.width)
            case "shuffle":
                return "shuffle(2)"
            case "bn":
                return self.draw.pick("bn", "bn(affine: no)", "bn(affine: final)")
            case "layer_norm":
                return self.draw.pick("layer_norm", "layer_norm", "layer_norm(affine: no)")
            case "group_norm":
                return f"group_norm({2 if shape.width.is_even else 1})"
            case "attention":
                return self.stock.attending()
            case "linear":
                return f"linear({shape.width}{self.draw.pick('', ', bias: no', ', bias: yes')})"
            case "zero":
                return self.draw.pick("zero", "zero(stride: 1)", "(gaussian -> zero)")
        if self.over_time and not modular and self.draw.chance(0.4):
            return "dropout(0, per: sequence)"
        if self.decides and self.draw.chance(0.3):
            return "dropout(0, per: element)"
        return self.draw.pick("dropout(0)", "drop_path", "identity", "(square -> tanh)")

    def conv(self, width: Width) -> str:
        extra = ""
        if width.is_even and self.draw.chance(0.25, "groups"):
            extra += ", groups: 2"
        if width.is_known and self.draw.chance(0.25):
            extra += f", out: {width}"
        elif self.draw.chance(0.1):
            extra += ", out: same"
        return self.window("conv", extra)

    def transposed(self, width: Width) -> str:
        """What makes an image larger, with what makes it as small again."""
        half = f"pool({self.draw.pick('max', 'mean')}, 2, stride: 2)"
        if self.draw.chance(0.3):
            return f"(upsample(2) -> {half})"
        extra = f", out: {width}" if width.is_known and self.draw.chance(0.4) else ""
        extra += ", groups: 2" if width.is_even and self.draw.chance(0.5, "groups") else ""
        extra += ", bias: yes" if self.draw.chance(0.4) else ""
        if self.draw.chance(0.5):
            return f"(conv_transpose({self.draw.pick('1', '2', '3', '4')}{extra}) -> {half})"
        extra += ", padding: 1" if self.draw.chance(0.8) else ""
        return f"conv_transpose(3, stride: 1{extra})"

    def window(self, name: str, extra: str = "") -> str:
        k = self.draw.random.choice([*self.kernels, *self.draw.kernel()])
        if self.draw.chance(0.2, "across"):
            extra += f", across: {self.draw.random.choice([*self.kernels, '1', '3', 'same'])}"
        if self.draw.chance(0.2, "dilation"):
            extra += ", dilation: 2"
        if k.isdecimal() and "across" not in extra and self.draw.chance(0.25, "padding"):
            extra += f", padding: {int(k) // 2 * (2 if 'dilation' in extra else 1)}"
        elif self.draw.chance(0.1):
            extra += ", padding: auto"
        if self.draw.chance(0.2, "stride"):
            extra += ", stride: 1"
        if self.draw.chance(0.25):
            extra += f", bias: {self.draw.pick('yes', 'no', 'final', 'search')}"
        return f"{name}({k}{extra})"

    def pool(self) -> str:
        extra = self.draw.pick(
            "", ", padding: 1", ", stride: 1", ", stride: 1, padding: auto", ", across: 1"
        )
        return f"pool({self.draw.pick('max', 'mean')}, 3{extra})"

    def std(self) -> str:
        return self.draw.pick(
            "none", "skip", "sep_conv(3)", "dil_conv(3)", "dil_conv(3, dilation: 1)",
            "max_pool(3)", "avg_pool(3)", "relu_conv_bn(3)", "relu_conv_bn(1, out: same)", "norm",
            "mbconv(3, 2)", "mbconv(5, 1, out: same)",
        )  # fmt: skip

    # -- values

    def block(self, shape: Shape) -> str:
        """The body of an op: `= e`, or bindings and what is returned."""
        if self.draw.chance(0.4):
            return f"= {self.value(shape, self.depth)}"
        lines = [self.bind(shape) for _ in range(self.draw.random.choice((1, 2)))]
        return block([*lines, f"return {self.returned(shape)}"])

    def bind(self, shape: Shape) -> str:
        """A binding: of a value, or of the two halves of one."""
        if shape.width.is_even and self.draw.chance(0.3, "split"):
            name, other = self.stock.fresh("a"), self.stock.fresh("b")
            text = f"{name}, {other} = split({self.value(shape, 1)}, 2)"
            half = shape.of_width(shape.width.times_by(Fraction(1, 2)))
            self.halves.append((name, other, shape))
            self.values |= {name: half, other: half}
            return text
        name = self.stock.fresh("v")
        text = f"{name} = {self.value(shape, self.depth)}"
        self.values[name] = shape
        return text

    def returned(self, shape: Shape) -> str:
        """A value that reads what was bound last."""
        last = [name for name, own in self.values.items() if own == shape][-1]
        if self.halves and self.draw.chance(0.7):
            return self.joined_halves(shape)
        return self.draw.pick(last, f"{last} -> {self.operation(shape, 0)}")

    def value(self, shape: Shape, depth: int) -> str:
        """An expression for a value; what is no name or call stands in brackets where it must."""
        if depth <= 0:
            return self.known(shape)
        kinds = ["flow", "flow", "flow", "reckon", "join", "several"]
        kinds += ["when"] * bool(self.lasting)
        kinds += ["halves"] * any(own == shape for _, _, own in self.halves)
        kinds += ["weighed"] * (shape.rank == 3 and shape.width.is_known and not self.pure)
        kinds += ["choose"] * 3 * self.decides
        match self.draw.pick(*kinds):
            case "flow":
                return f"{self.known(shape)} -> {self.operation(shape, depth - 1)}"
            case "reckon":
                return self.reckoned(shape, depth - 1)
            case "join":
                how = self.draw.pick("sum", "mean", "max", "product")
                bounded = " -> tanh" if how == "product" else ""  # where it is repeated
                return f"{how}({self.value(shape, depth - 1)}, {self.known(shape)}){bounded}"
            case "when":
                condition = self.draw.random.choice(self.lasting)
                return f"({self.known(shape)} when {condition} else {self.known(shape)})"
            case "several":
                op = self.stock.op(shape, 2, self.pure, depth - 1)
                return f"({self.known(shape)}, {self.value(shape, depth - 1)}) -> {self.call(op)}"
            case "halves":
                return self.joined_halves(shape)
            case "weighed":
                mean = f"global_pool({self.draw.pick('mean', 'max')})"
                vector = f"{self.known(shape)} -> {mean} -> linear({shape.width}) -> sigmoid"
                return f"{self.known(shape)} {self.draw.pick('*', '+')} ({vector})"
        return self.decision(shape)

    def decision(self, shape: Shape) -> str:
        if self.draw.chance(0.3, "choose of several"):
            given = f"({self.known(shape)}, {self.known(shape)})"
            return f"{given} -> choose {options(self, shape, 2)}"
        return f"{self.known(shape)} -> choose {options(self, shape)}"

    def known(self, shape: Shape) -> str:
        return self.draw.random.choice([n for n, own in self.values.items() if own == shape])

    def joined_halves(self, shape: Shape) -> str:
        fitting = [(a, b) for a, b, own in self.halves if own == shape]
        a, b = self.draw.random.choice(fitting)
        step = f"{b} -> {self.operation(self.values[b], 0)}"
        return f"concat({a}, {self.draw.pick(b, f'-{b}', step)})"

    def reckoned(self, shape: Shape, depth: int) -> str:
        first, other = self.known(shape), f"({self.value(shape, depth)})"
        n = self.draw.random.choice([*self.numbers, "2", "3", "0.5"])
        return self.draw.pick(
            f"{first} + {other}", f"{first} * {other}", f"{first} - {other}", f"-{first}",
            f"{n} * {other} - {first}", f"1 - {other} / {n}",
            f"{first} / (2 + ({first} -> sigmoid))",
        )  # fmt: skip
