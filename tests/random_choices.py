"""Draws bodies that decide in every way: cells, networks, and ops that are used in them."""

from __future__ import annotations

from dataclasses import dataclass, field

from random_bodies import Body
from random_cells import bring
from random_draws import ACTIVATIONS, ZERO_PRESERVING, Draw, Shape, Width, block, named
from random_options import literal
from random_stock import Stock

ZERO_KEEPING_JOINS = ("sum", "sum", "max", "product")


@dataclass
class Deciding:
    """A body that decides: what stands in it has the shape `base`.

    `functions` are decisions between operations that are bound to a name, with the number of uses
    that they may still have; `groups` are groups and lists, `cells` calls that may be options.
    """

    draw: Draw
    stock: Stock
    body: Body
    base: Shape
    keeps: bool = False
    strided: dict[str, str] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)

    # -- values

    def value(self, depth: int = 1) -> str:
        """A value that hangs on a decision, as a flow, a call or a `choose`."""
        kinds = ["operations", "values", "several", "of operations", "op", "repeat"]
        kinds += ["bound"] * (2 * bool(self.functions)) + ["gate"] * bool(self.activations)
        kinds += ["cell"] * bool(self.cells) + ["deep"] * (depth > 0)
        match self.draw.pick(*kinds):
            case "operations":
                return f"{self.known()} -> choose {literal(self.body, self.base)}"
            case "values":
                return f"choose {self.values(depth)}"
            case "several":
                return self.several(depth)
            case "of operations":
                return f"{self.known()} -> {self.of_operations()}"
            case "op":
                return f"{self.known()} -> {self.op()}"
            case "repeat":
                return f"{self.known()} -> {self.repeat(depth)}"
            case "bound":
                return f"{self.known()} -> {self.draw.random.choice(self.functions)}"
            case "gate":
                function = self.draw.random.choice(self.activations)
                return f"{self.known()} -> {self.stock.applying()}({function})"
            case "cell":
                return f"{self.known()} -> {self.draw.random.choice(self.cells)}"
        return f"{self.known()} -> choose {self.deciding_options()}"

    def known(self) -> str:
        return self.body.known(self.base)

    def values(self, depth: int, least: int = 2, extra: tuple[str, ...] = ()) -> str:
        """A set of values; each bears a label of its own, or is called after what it is made of."""
        items = [*extra]
        if self.draw.chance(0.15, "sink"):
            items.append(f"sink {self.known()} -> zero as silent")
        wanted = len(items) + least + self.draw.random.choice((0, 0, 1))
        while len(items) < wanted:
            items.append(self.item(depth, len(items)))
        self.draw.random.shuffle(items)
        return "{ " + ", ".join(items) + " }"

    def item(self, depth: int, number: int) -> str:
        kinds = ["name", "flow", "flow", "label", "each", "join", "for", "list"]
        kinds += ["sized"] * ("y" not in self.body.values)  # a repeat gives what has no known size
        kinds += ["group"] * bool(self.groups) + ["decision"] * (depth > 0)
        one, other = self.known(), self.known()
        match self.draw.pick(*kinds):
            case "name":
                return f"({one}, {other})"
            case "flow":
                return f"({other}, {one} -> {self.step()})"
            case "label":
                return f"{one} -> {self.step()} as v{number}"
            case "each":
                return f"each ({one}, {other}) -> {self.step()}"
            case "join":
                return (
                    f"{self.draw.pick('sum', 'max')}({one} -> {self.step()}, {other}) as v{number}"
                )
            case "for":
                first, second = self.draw.random.sample(ACTIVATIONS, 2)
                return f"({one} -> f, {other} -> f) for f in ({first}, {second})"
            case "sized":
                return f"({one}, {other}) -> {self.sized()} as v{number}"
            case "list":
                return f"({one}, {other} -> {self.step()})"
            case "group":
                return self.draw.random.choice(self.groups)
        return f"{self.value(depth - 1)} as v{number}"

    def step(self) -> str:
        rare = ["(square -> tanh)"] + ["conv(3, across: 1)", "depthwise(3, across: 1)"] * (
            self.base.rank == 3
        )
        if self.draw.chance(0.08):
            return self.draw.random.choice(rare)
        return self.body.operation(self.base, 1)

    def sized(self) -> str:
        """An op of two values whose result hangs on the sizes of the first."""
        name, sizes = self.stock.fresh("sized"), "c, _, _" if self.base.rank == 3 else "c"
        how, step = self.draw.pick("sum", "max"), self.draw.pick(*ACTIVATIONS)
        limit = self.draw.pick("c > 3", "c == 2", "c // 2 > 1 and c < 9")
        text = f"{how}(x, y -> {step}) when {limit} else x -> {self.draw.pick(*ACTIVATIONS)}"
        self.stock.declarations.append(f"op {name} from x[{sizes}], y = {text}")
        return name

    def several(self, depth: int) -> str:
        """Some of a set of values, joined."""
        how = self.draw.pick("sum", "sum", "concat")
        amount, above = self.amount(2)
        chosen = f"choose {amount} of {self.values(depth, 2)}{above}"
        if how == "concat":
            return f"concat({chosen}) -> {bring(self.base)}"
        rest = [self.known()] if self.draw.chance(0.3) else []
        return f"sum({', '.join([*rest, chosen])})"

    def of_operations(self) -> str:
        """Some of a set of operations."""
        amount, above = self.amount(2)
        return f"choose {amount} of {literal(self.body, self.base)}{above}"

    def amount(self, most: int) -> tuple[str, str]:
        """How many are chosen, and above which weight; at most that many."""
        if self.draw.chance(0.5, "above"):
            least = self.draw.random.choice((1, most))
            return f"{least}..{most}", f" above {self.draw.pick('0.5', '0.45', '0.85')}"
        return str(self.draw.random.choice((1, most))), ""

    # -- operations that decide

    def op(self, depth: int = 1) -> str:
        """An op that decides where it is used, perhaps by ops that decide."""
        draw, name = self.draw, self.stock.fresh("decides")
        own = Shape(self.base.rank, Width(self.base.width.times, "?"), "own")
        inner = Deciding(draw, self.stock, Body(self.stock, depth=1), own)
        inner.body.values["x"] = own
        form = draw.pick("chain", "values", "several", "nested", "steps")
        if form == "chain":
            text = f"op {name} = {inner.step()} -> choose {literal(inner.body, own)}"
        elif form == "values":
            text = f"op {name} from x = choose {inner.values(0)}"
        elif form == "several":
            text = f"op {name} from x = sum(choose 2 of {inner.values(0, 3)})"
        elif form == "steps":
            choice = f"choose {literal(inner.body, own)}"
            text = f"op {name} from x = x -> repeat 2 {{ {choice} at 1: {inner.step()} }}"
        elif depth > 0:
            text = f"op {name} from x = x -> {inner.op(depth - 1)} -> {inner.step()}"
        else:
            text = f"op {name} from x = x -> choose {{ relu, tanh, sigmoid as s }}"
        self.stock.declarations.append(text)
        return name

    def deciding_options(self) -> str:
        """A set of operations some of which decide themselves."""
        items = [f"{self.op()} as o0"]
        kinds = ["plain", "flow", "op"] + ["cell"] * bool(self.cells)
        for number in (1, 2):
            match self.draw.pick(*kinds):
                case "plain":
                    items.append(f"{self.step()} as o{number}")
                case "flow":
                    flow = f"{self.step()} -> choose {literal(self.body, self.base)}"
                    items.append(f"{flow} as o{number}")
                case "op":
                    items.append(f"{self.op()} as o{number}")
                case "cell":
                    items.append(f"{self.draw.random.choice(self.cells)} as o{number}")
        self.draw.random.shuffle(items)
        return "{ " + ", ".join(items) + " }"

    def repeat(self, depth: int) -> str:
        """A repeat, most of whose steps decide."""
        step = self.draw.pick(f"choose {literal(self.body, self.base)}", self.op(), self.step())
        at = ""
        if self.draw.chance(0.4):
            at = f" at {self.draw.pick('0', '1')}: {self.step()}"
        return f"repeat 2 {{ {step}{at} }}"

    # -- statements

    def bound(self) -> str:
        """A decision that is bound, which all its uses obey."""
        name = self.stock.fresh("f")
        if self.draw.chance(0.3, "activations"):
            self.activations.append(name)
            one, other = self.draw.random.sample(ACTIVATIONS, 2)
            return f"{name} = choose {{ {one}, {other} }}"
        self.functions.append(name)
        return f"{name} = choose {literal(self.body, self.base)}"

    def bind(self, depth: int = 1) -> str:
        name = self.stock.fresh("v")
        text = f"{name} = {self.value(depth)}"
        self.body.values[name] = self.base
        return text

    def group(self) -> tuple[str, str]:
        """A group of nodes, its name and its text."""
        name = self.stock.fresh("n")
        form = self.draw.pick("arms", "values", "several", "edges")
        if form == "arms":
            return name, self.arms(name)
        count = self.draw.random.choice((2, 3))
        a, b = self.known(), self.known()
        if form == "values":
            spread = f"each ({a}, {b}) -> {self.step()}" if self.draw.chance(0.5) else f"({a}, {b})"
            return name, f"node {name}[{count}] = choose {{ {spread}, earlier {name} }}"
        if form == "several":
            how = self.draw.pick("sum", "sum", "concat")
            amount = self.draw.pick("2", "(1, 2, 2)[index]", "(1 + index // 2)")
            above = " above 0.5" if self.draw.chance(0.3) else ""
            amount = "1..2" if above else amount
            text = (
                f"{how}(choose {amount} of {{ {a}, {b} -> {self.step()} as s, each earlier {name}"
            )
            text += f" -> {self.step()} }}{above})"
            text += f" -> {bring(self.base)}" if how == "concat" else ""
            if self.draw.chance(0.5):
                text += f" -> choose {literal(self.body, self.base)}"
            return name, f"node {name}[{count}] = {text}"
        return name, self.edges(name, count, a, b)

    def arms(self, name: str) -> str:
        """Nodes that join two arms, each of which chooses its operation and its input."""
        a, b = self.known(), self.known()
        inner = self.stock.fresh("arm")
        f = self.stock.fresh("f")
        options = literal(self.body, self.base)
        last = self.draw.pick("", "", " -> relu")
        form = self.draw.pick("bound", "given", "plain")
        if form == "bound":
            lines = [
                f"{f} = choose {options}",
                f"return choose {{ each ({a}, {b}) -> {f}, each earlier {name} -> {f} }}{last}",
            ]
        elif form == "given":
            gate = self.stock.applying()
            lines = [
                f"{f} = choose {{ relu, tanh, sigmoid }}",
                f"return choose {{ ({a}, {b}), earlier {name} }} -> {gate}({f})",
            ]
        else:
            lines = [f"return choose {{ ({a}, {b}), earlier {name} }} -> choose {options}"]
        arm = f"node {inner}[2] " + block(lines).replace("\n", "\n    ")
        joined = self.draw.pick("sum", "max", "mean")
        return f"node {name}[2] {block([arm, f'return {joined}({inner})'])}"

    def edges(self, name: str, count: int, a: str, b: str) -> str:
        """Nodes with a decision on every edge, perhaps one of a list of sets."""
        how = self.draw.pick(*ZERO_KEEPING_JOINS) if not self.keeps else "sum"
        last = f" -> {self.draw.pick(*ZERO_PRESERVING)}" if self.draw.chance(0.3) else ""
        if self.draw.chance(0.4, "edge"):
            sets = ", ".join(literal(self.body, self.base) for _ in range(3))
            choice = f"choose ({sets})[edge % 3]{last}"
        else:
            choice = f"choose {literal(self.body, self.base)}{last}"
        text = f"{how}(each ({a}, {b}) -> {choice}, each earlier {name} -> {choice})"
        text += " -> tanh" if how == "product" else ""
        return f"node {name}[{count}] = {text}"

    def keep(self) -> str:
        strength = self.draw.pick("alpha", "weight", "weight without sinks")
        form = self.draw.pick(
            "edges", "candidates", "edges in all", "edges in all", "candidates in all", "above"
        )  # fmt: skip
        if form == "above":
            return f"keep edges per node by {strength} above 0.3"
        unit, _, scope = form.partition(" ")
        many = self.draw.random.choice((4, 5)) if scope else self.draw.random.choice((1, 2))
        above = " above 0.3" if self.draw.chance(0.2) else ""
        unit = unit if many > 1 else unit.removesuffix("s")
        return f"keep {many} {unit} {scope or 'per node'} by {strength}{above}"

    def statements(self) -> tuple[list[str], str]:
        """Some statements, and the name of a group that they end in."""
        lines = [self.bound()] if self.draw.chance(0.4, "bound") else []
        lines += [self.bind() for _ in range(self.draw.random.choice((0, 1, 1, 2)))]
        if self.keeps:
            name = self.stock.fresh("n")
            group = self.edges(name, self.draw.random.choice((2, 3)), self.known(), self.known())
            return [*lines, group, self.keep()], name
        name, group = self.group()
        return [*lines, group], name

    def result(self, group: str) -> str:
        """What a body gives back, made of the members of a group, in the width of the body."""
        how = self.draw.pick("sum", "mean", "last", "max", "concat", "loose", "choice", "several")
        if self.keeps and how in ("choice", "several"):
            how = "sum"
        match how:
            case "last":
                return f"{group}[-1]"
            case "concat":
                return f"concat({group}) -> {bring(self.base)}"
            case "loose":
                joined = f"concat({group}) when search else concat(loose {group})"
                return f"({joined}) -> {bring(self.base)}"
            case "choice":
                return f"choose {{ {group}, ({self.known()}, {self.known()}) }}"
            case "several":
                pair = f"({self.known()}, {self.known()})"
                return f"concat(choose 2 of {{ {group}, {pair} }}) -> {bring(self.base)}"
        return f"{how}({group})"


@dataclass
class Kinds:
    """Declares cells that decide."""

    draw: Draw
    stock: Stock
    rank: int
    size: str

    def declare(self, inner: list[str]) -> list[str]:
        """A new cell behind what it uses: calls of it that keep the width `size`."""
        draw, stock, size = self.draw, self.stock, self.size
        name = stock.fresh("kind")
        base = Shape(self.rank, named(size), "s")
        body = Body(stock, depth=1)
        body.values["a"] = base
        body.open += [f"{size} > 4", f"{size} // 2 == 1 or {size} >= 6"]
        cell = Deciding(draw, stock, body, base, keeps=draw.chance(0.55, "keep"), cells=inner)
        lines, group = cell.statements()
        lines = [f"a = x -> {bring(base)}", *lines, f"return {cell.result(group)}"]
        family = "[2]" if draw.chance(0.25, "family") else ""
        stage = " per stage" if not family and draw.chance(0.25, "per stage") else ""
        stock.declarations.append(f"cell {name}{family}({size}) from x{stage} {block(lines)}")
        if family:
            return [f"{name}[0]({size})", f"{name}[1]({size})"]
        return [f"{name}({size})"]


def choosing_network(draw: Draw, stock: Stock) -> str:
    """A network that decides, or whose cells do, declared behind what it uses."""
    rank = draw.random.choice((3, 3, 1))
    size = "C" if rank == 3 else "H"
    base = Shape(rank, named(size), "s")
    kinds = Kinds(draw, stock, rank, size)
    calls: list[str] = []
    for _ in range(draw.random.choice((0, 1, 1, 2))):
        calls += kinds.declare(calls[-1:])
    body = Body(stock, depth=1)
    stem = "image -> conv(3, out: C)" if rank == 3 else "x -> linear(H)"
    body.values["stem"] = base
    net = Deciding(draw, stock, body, base, keeps=draw.chance(0.35, "keep"), cells=calls)
    lines = [f"stem = {stem}"]
    if calls and draw.chance(0.7):
        at = f" at 1: {draw.random.choice(calls)}" if draw.chance(0.5) else ""
        lines.append(f"y = stem -> repeat N {{ {draw.random.choice(calls)}{at} }}")
        body.values["y"] = base
    if not calls or draw.chance(0.4):
        own, group = net.statements()
        lines += [*own, f"z = {net.result(group)}"]
    else:
        lines.append(f"z = y -> {calls[-1]}" if "y" in body.values else f"z = stem -> {calls[-1]}")
    tail = "global_pool(mean) -> linear(classes)" if rank == 3 else "linear(classes)"
    lines.append(f"return z -> {tail}")
    parameters = f"{size} = {draw.random.choice((2, 4))}, N = 2, classes = 3"
    source = "image[3, 6, 6]" if rank == 3 else "x[5]"
    return f"network({parameters}) from {source} to class[classes] {block(lines)}"
