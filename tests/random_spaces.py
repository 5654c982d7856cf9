"""Random spaces that are valid by construction: space `i` is a function of `i` alone."""

from __future__ import annotations

from random import Random

from random_cells import Cell, Cells
from random_choices import choosing_network
from random_draws import Draw, block
from random_stock import Stock

FAVOURITES = (
    "conv", "depthwise", "pool", "crop", "zero", "groups", "dilation", "padding", "stride", "split",
    "named set", "sink", "for", "if", "choose of several", "op given an op", "deciding", "joint",
    "flag", "several", "weighed", "conditional", "shared", "inner cell", "derived", "strided",
    "window", "tap", "auxiliary", "when", "halves", "unread", "chain", "chained", "gelu", "silu",
    "relu6", "layer_norm", "group_norm", "attention", "index", "block", "mean", "concat", "last",
    "profiles", "alpha", "without", "step",
)  # fmt: skip
OF_CHOICES = (
    "operations", "values", "several", "of operations", "op", "repeat", "bound", "gate", "cell",
    "deep", "arms", "edges", "edge", "keep", "family", "per stage", "loose", "above", "each",
    "group", "decision", "list", "concat", "candidates", "edges in all", "candidates in all",
    "named set", "sink", "for", "conditional", "shared", "product", "max", "weight", "nested",
)  # fmt: skip

ANEW = (
    "op norm = bn(affine: yes)",
    "op sep_conv(k, stride = 1) = relu -> conv(k, stride: stride) -> norm",
    "op dil_conv(k, stride = 1, dilation = 2) = relu -> sep_conv(k, stride: stride)",
    "op relu_conv_bn(k, out = same, stride = 1) = conv(k, out: out, stride: stride) -> norm",
)


def random_space(number: int) -> str:
    """The text of space `number`; two in five are made to decide in every way."""
    return _choosing(number) if number % 5 in (2, 4) else _Space(number).text()


def _choosing(number: int) -> str:
    draw = Draw(number, OF_CHOICES)
    stock = Stock(draw, uses_std=draw.chance(0.8))
    network = choosing_network(draw, stock)
    head = ["language 1", *["import std"] * stock.uses_std, ""]
    return "\n".join([*head, *stock.declarations, network, ""])


class _Space:
    def __init__(self, number: int) -> None:
        self.draw = Draw(number, FAVOURITES)
        self.ends = Random(f"ends {number}")
        self.stock = Stock(self.draw, uses_std=self.draw.chance(0.8))
        self.kinds = Cells(self.draw, self.stock)
        self.cells: list[Cell] = []
        self.reductions = 2

    def text(self) -> str:
        family = self.draw.random.choice(("image", "image", "image", "vector", "series", "words"))
        match family:
            case "image":
                network = self.image()
            case "vector":
                network = self.vector()
            case _:
                network = self.recurrent(words=family == "words")
        head = ["language 1"]
        declarations = [*self.stock.declarations, network]
        if self.stock.uses_std:
            extends = self.draw.chance(0.15)
            head.append("extend std" if extends else "import std")
            declarations += self.anew() if extends else []
        return "\n".join([*head, "", *declarations, ""])

    def anew(self) -> list[str]:
        """Some operations of `std` in other words, which its others are made of too."""
        return self.draw.random.sample(ANEW, self.draw.random.choice((0, 1, 2)))

    # -- networks

    def image(self) -> str:
        draw = self.draw
        for _ in range(draw.random.choice((1, 1, 2))):
            self.cells += self.kinds.declare(3)
        lines = ["stem = image -> conv(3, out: C)" + draw.pick("", " -> bn", " -> bn -> relu")]
        last, heads = "stem", []
        while self.cells:
            name = self.stock.fresh("y")
            text, taps = self.stack(last, "C")
            lines.append(f"{name} = {text}")
            last = name
            if taps and draw.chance(0.3, "tap"):
                tap = f"{name}[{draw.pick('0', '-1', 'N - 1', 'N // 2')}]"
                heads.append(f"{tap} -> global_pool(max) -> linear(classes)")
        settings = ""
        if draw.chance(0.15, "auxiliary"):
            head = f"{last} -> relu -> global_pool(mean) -> (linear(5) -> relu when N > 2)"
            lines.append(f"auxiliary {head} -> linear(classes)")
            settings = "auxiliary_weight = 0.4"
        heads.append(f"{last} -> {self.tail()} -> linear(classes)")
        lines.append(f"return {self.combined(heads)}")
        parameters = [f"C = {draw.random.choice((2, 4, 6))}", f"N = {draw.random.choice((2, 3))}"]
        return self.network(
            [*parameters, "classes = 3"], "image[3, 8, 8]", "class[classes]", lines, settings
        )

    def vector(self) -> str:
        draw = self.draw
        self.cells += self.kinds.declare(1)
        if draw.chance(0.5):
            source, stem = "image[2, 3, 3]", "image -> flatten -> linear(H)"
        else:
            source, stem = "x[5]", f"x -> linear(H) -> {draw.pick('bn', 'tanh', 'identity')}"
        lines, last = [f"stem = {stem}"], "stem"
        while self.cells:
            name = self.stock.fresh("y")
            lines.append(f"{name} = {self.stack(last, 'H')[0]}")
            last = name
        lines.append(f"return {last} -> linear(classes{draw.pick('', ', bias: no')})")
        parameters = [f"H = {draw.random.choice((2, 4, 6))}", "N = 2", "classes = 3"]
        return self.network(parameters, source, "class[classes]", lines)

    def recurrent(self, words: bool) -> str:
        """A network of recurrences over a series of vectors, or over words."""
        draw = self.draw
        for _ in range(draw.random.choice((1, 1, 2))):
            self.cells += self.kinds.declare(1, draw.random.choice((0, 1, 1, 2)))
        parameters = [f"H = {draw.random.choice((2, 4))}", "p = 0"]
        drop = draw.pick("", " -> dropout(p, per: sequence)", " -> dropout(p)")
        if not words:
            source, target, lines = "x[T, 3]", "y[T, 4]", [f"stem = x -> linear(H){drop}"]
            out = "linear(4)"
        else:
            source, target = "word[T] below V", "word[T, V]"
            parameters.insert(0, "V = 5")
            rows = draw.pick("embedding(V, H)", "embedding(V, H, drop: p)")
            if draw.chance(0.6):
                lines = [f"shared table = {rows}", f"stem = word -> table{drop}"]
                out = "linear(H) -> linear(V, tied: table)"
            else:
                lines, out = [f"stem = word -> {rows}{drop}"], "linear(V)"
        last = "stem"
        for cell in self.cells:
            name = self.stock.fresh("y")
            given = f"({last}, stem)" if cell.arity == 2 else last
            lines.append(f"{name} = {given} -> {cell.name}(H) over T -> linear(H)")
            last = name
        if draw.chance(0.4):
            op = self.stock.fresh("along")
            self.stock.declarations.append(f"op {op}(H) from x = x -> linear(H) -> tanh")
            lines.append(f"z = {last} -> {op}(H) over T")
            last = draw.pick("z", f"(z + {last})", f"concat(z, {last})")
        lines.append(f"return {last} -> {out}")
        return self.network(parameters, source, target, lines)

    def stack(self, source: str, width: str) -> tuple[str, bool]:
        """A cell once or several times, and whether there are steps to tap."""
        draw, cell = self.draw, self.cells.pop()
        given = f"({source}, {source})" if cell.arity == 2 else source
        form = draw.pick("once", "twice", "step", "repeat", "repeat")
        if form == "once":
            return f"{given} -> {self.use(cell, width, 1)}", False
        if form == "twice":
            first = f"{given} -> {self.use(cell, width, 1)}"
            second = self.use(cell, f"2 * {width}", 1)
            inner = f"({source}, {first})" if cell.arity == 2 else f"({first})"
            return f"{inner} -> {second}", False
        grown = f"{width} + 2 * step" if form == "step" else f"{width} * 2^stage"
        text = self.use(cell, grown, 3)
        if draw.chance(0.3):
            text += f" -> {draw.pick('relu', 'bn', 'drop_path')}"
        if draw.chance(0.7):
            place = draw.pick("1", "N // 2", "N - 1", "0, N - 1")
            other = self.cells.pop() if self.cells and self.cells[-1].arity <= cell.arity else cell
            at = self.use(other, grown, place.count(",") + 1)
            if width == "C" and draw.chance(0.2):
                at = f"relu -> conv(3, out: {grown})"
            text += f" at {place}: {at}"
        return f"{given} -> repeat N {{ {text} }}", True

    def use(self, cell: Cell, width: str, times: int) -> str:
        reduces = self.reductions >= times and self.draw.chance(0.7)
        if reduces and (cell.stride or cell.halved):
            self.reductions -= times
            return f"{cell.name}({width}{', stride: 2' * cell.stride})"
        return f"{cell.halved or cell.name}({width})"

    def tail(self) -> str:
        """What makes a vector of an image of two pixels a side or more."""
        return self.draw.pick(
            "global_pool(mean)", "global_pool(max)", "flatten", "crop(1) -> flatten",
            "pool(mean, 2, stride: 2) -> flatten", "conv(2) -> global_pool(mean)",
            "tokens -> global_pool(mean)", "tokens -> position -> global_pool(max)",
            "conv(3, stride: 2, out: 4) -> flatten", "depthwise(3, stride: 2) -> global_pool(max)",
        )  # fmt: skip

    def combined(self, heads: list[str]) -> str:
        if len(heads) == 1:
            return heads[0]
        return self.draw.pick(f"sum({', '.join(heads)})", " + ".join(f"({h})" for h in heads))

    def with_input(self, source: str, lines: list[str]) -> str:
        """Lets some networks read a vector too, by which the stem is multiplied."""
        if self.ends.random() >= 0.2:
            return source
        width = "C" if "8, 8" in source else "H"
        number = next(n for n, line in enumerate(lines) if line.startswith("stem = "))
        stem = lines[number].removeprefix("stem = ")
        lines[number] = f"stem = ({stem}) * (extra -> linear({width}) -> sigmoid)"
        return f"{source}, extra[5]" if self.ends.random() < 0.5 else f"extra[5], {source}"

    def with_output(self, target: str, lines: list[str]) -> str:
        """Lets some networks give something else too, or end in an op that gives back a list."""
        form = self.ends.choice(("", "", "", "", "", "two", "two by an op", "list"))
        if not form:
            return target
        lines[-1] = f"total = {lines[-1].removeprefix('return ')}"
        if form == "two":
            lines.append("return (total, total -> linear(2))")
        else:
            op = self.stock.fresh("ends")
            other = "linear(2)" if form == "two by an op" else "tanh"
            self.stock.declarations.append(f"op {op} from x = (x -> relu, x -> {other})")
            lines += (
                [f"return total -> {op}"]
                if form == "two by an op"
                else [f"first, second = total -> {op}", "return first - second"]
            )
        return target if form == "list" else f"{target}, box[{'T, ' * ('T' in target)}2]"

    def network(
        self, parameters: list[str], source: str, target: str, lines: list[str], settings: str = ""
    ) -> str:
        """The network with its profiles, which give what parameters have no default."""
        source = self.with_input(source, lines)
        target = self.with_output(target, lines)
        given = []
        for number, parameter in enumerate(parameters):
            if self.draw.chance(0.3, "profiles") and "H" not in parameter:
                parameters[number] = parameter.split(" ")[0]
                given.append(parameter)
        text = f"network({', '.join(parameters)}) from {source} to {target} {block(lines)}"
        values = "  ".join(given)
        if given or settings or self.draw.chance(0.3):
            text += f"\nprofile search {{ {values}  epochs = 2 }}"
            text += f"\nprofile final {{ {values}  {settings} }}"
            text += self.draw.pick(
                "", "\nprofile short = search { epochs = 1 }", "\nprofile demo { epochs = 1 }"
            )
        return text
