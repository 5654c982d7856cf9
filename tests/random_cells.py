"""Draws the cells of a random space."""

from __future__ import annotations

from dataclasses import dataclass

from random_bodies import Body
from random_draws import ZERO_PRESERVING, Draw, Shape, block, named
from random_options import options
from random_stock import Stock


@dataclass(frozen=True)
class Cell:
    """A declared cell: how many values and states it reads, and whether it takes a stride.

    One that always halves the resolution names the cell, in `halved`, that does not.
    """

    name: str
    arity: int
    states: int
    stride: bool
    halved: str = ""


@dataclass
class Cells:
    """Declares cells in a stock."""

    draw: Draw
    stock: Stock

    def declare(self, rank: int, states: int = 0, inner: bool = False) -> list[Cell]:
        """A new cell, declared behind what it uses, and perhaps a second kind of the same program.

        An `inner` one is for use in another: it reads one value, and holds no cell itself.
        """
        draw, stock = self.draw, self.stock
        name = stock.fresh("inner" if inner else "cell")
        size = "C" if rank == 3 else "H"
        base = Shape(rank, named(size), "s")
        arity = 2 if not inner and draw.chance(0.3, "window") else 1
        stride = rank == 3 and not inner and stock.uses_std and draw.chance(0.3, "strided")
        keep = draw.chance(0.5)
        body = Body(stock, decides=True, over_time=states > 0)
        parameters = [size] + ["stride = 1"] * stride
        if draw.chance(0.4, "when"):
            parameters.append("deep = 2")
            body.lasting += ["deep > 1", "deep != 2"]
        body.open += [f"{size} > 4", f"{size} // 2 == 1 or {size} >= 6"]
        lines = self.inputs(body, base, arity)
        inputs = ["x[_, s, _]"] if rank == 3 else ["x"]
        if arity == 2:
            inputs.insert(0, "before[_, h, _]" if rank == 3 else "before")
        for state in ("h", "c")[:states]:
            inputs.append(f"{state}[{size}]")
            body.values[state] = base
        lines += self.shared(body, base)
        lines += [body.bind(base) for _ in range(draw.random.choice((0, 1, 2)))]
        if not inner and draw.chance(0.15, "inner cell"):
            lines.append(self.nested(body, base))
        node, group = self.group(body, base, keep, stride)
        lines.append(group)
        if keep:
            strength = draw.pick("alpha", "without", "weight")
            strength = {"without": "weight without sinks"}.get(strength, strength)
            many = draw.random.choice((1, 2, 3))
            lines.append(f"keep {many} edge{'s' * (many > 1)} per node by {strength}")
        result = self.result(body, base, node, states)
        lines.append(f"return {result}")
        head = f"cell {name}({', '.join(parameters)}) from {', '.join(inputs)}"
        stock.declarations.append(f"{head} {block(lines)}")
        made = [Cell(name, arity, states, stride)]
        if not inner and draw.chance(0.2, "derived"):
            other = stock.fresh("derived")
            given = size + (", stride: 2" if stride else "")
            stock.declarations.append(f"cell {other}({size}) = {name}({given})")
            made.append(Cell(other, arity, states, False, name if stride else ""))
        return made

    def inputs(self, body: Body, base: Shape, arity: int) -> list[str]:
        """Bindings that bring what flows in to the cell's width."""
        names = ["before", "x"][2 - arity :]
        lines = []
        for name, own in zip(names, ("a", "b"), strict=False):
            stride = ", stride: h / s" if name == "before" else ""
            if base.rank == 3 and self.stock.uses_std:
                step = f"project({base.width}{stride})"
            else:
                step = bring(base, stride if base.rank == 3 else "")
            lines.append(f"{own} = {name} -> {step}")
            body.values[own] = base
        return lines

    def shared(self, body: Body, base: Shape) -> list[str]:
        lines = []
        if body.over_time and self.draw.chance(0.4):
            lines.append("shared mask = dropout(0, per: sequence)")
            body.shared["mask"] = base
        if self.draw.chance(0.3, "shared"):
            name = self.stock.fresh("W")
            step = body.layer(base)
            lines.append(f"shared {name} = {self.draw.pick(step, f'{step} -> {body.layer(base)}')}")
            body.shared[name] = base
        return lines

    def nested(self, body: Body, base: Shape) -> str:
        """A cell inside the cell, brought back to its width."""
        (inner,) = self.declare(base.rank, inner=True)
        name = self.stock.fresh("v")
        text = f"{name} = {body.known(base)} -> {inner.name}({base.width}) -> {bring(base)}"
        body.values[name] = base
        return text

    def group(self, body: Body, base: Shape, keep: bool, stride: bool) -> tuple[str, str]:
        """The name of a group of nodes, and its text.

        Where edges may be dropped they are summed, and zeros stay zeros on the way.
        """
        draw, name = self.draw, self.stock.fresh("n")
        count = draw.random.choice((2, 2, 3))
        shape = Shape(base.rank, base.width, "n") if stride else base
        known = [n for n, own in body.values.items() if own == base]
        sources = draw.random.sample(known, min(len(known), draw.random.choice((1, 2, 2))))
        lines = []
        if draw.chance(0.3, "index") and len(sources) > 1:
            lines.append(f"own = {sources[0]} when index == 0 else {sources[1]}")
            sources[0] = "own"
        outside = dict(body.shared)
        if not stride and draw.chance(0.2, "shared"):
            lines.append(f"shared M = {body.layer(base)}")
            body.shared["M"] = base
        step = self.edge(body, base, keep, stride)
        many = f"each ({', '.join(sources)})" if len(sources) > 1 else sources[0]
        edges = [f"{many} -> {step}"]
        if draw.chance(0.85):
            edges.append(f"each earlier {name} -> {self.edge(body, shape, keep, False)}")
        how = "sum" if keep else draw.pick("sum", "mean", "concat", "max", "product")
        text = f"{how}({', '.join(edges)})"
        if how == "concat":
            text += f" -> {bring(base)}"
        elif how == "product":
            text += " -> tanh"  # what is multiplied again and again has no bounds
        elif draw.chance(0.2):
            text += f" -> {body.operation(shape, 0)}"
        body.shared = outside
        if not lines and draw.chance(0.7):
            return name, f"node {name}[{count}] = {text}"
        return name, f"node {name}[{count}] {block([*lines, f'return {text}'])}"

    def edge(self, body: Body, shape: Shape, keep: bool, stride: bool) -> str:
        """The steps of an edge, one of which decides."""
        draw = self.draw
        if stride:
            choice = f"choose {self.stock.set(3, 1, True)}(stride: stride)"
        elif draw.chance(0.15, "deciding"):
            choice = self.stock.deciding(shape)
        elif body.shared and draw.chance(0.2, "joint"):
            fitting = [name for name, own in body.shared.items() if own == shape]
            choice = self.stock.joint(shape, fitting[-1]) if fitting else "choose { relu, tanh }"
        else:
            choice = f"choose {options(body, shape)}"
        steps = [choice]
        if draw.chance(0.15):
            steps.insert(0, body.operation(shape, 0))
        if draw.chance(0.3):
            steps.append(draw.pick(*ZERO_PRESERVING) if keep else body.operation(shape, 0))
        if not keep and draw.chance(0.1, "chained"):
            steps.append(f"choose {options(body, shape)}")
        return " -> ".join(steps)

    def result(self, body: Body, base: Shape, node: str, states: int) -> str:
        """What a cell gives back."""
        how = self.draw.pick("sum", "mean", "max", "concat", "last", "reckoned")
        if not states and self.draw.chance(0.2, "product"):
            how = "product"
        result = f"{node}[-1]"
        if how in ("sum", "mean", "max", "product") or (how == "concat" and not states):
            result = f"{how}({node})"
        elif how == "reckoned":
            result = f"{node}[0] - {node}[-1] / 2"
        if states:
            result = f"{result} + {[n for n, own in body.values.items() if own == base][-1]}"
        return f"({result}, {body.value(base, 1)})" if states == 2 else result


def bring(shape: Shape, stride: str = "") -> str:
    """A layer that brings values to the width of `shape`."""
    if shape.rank == 3:
        return f"conv(1, out: {shape.width}{stride})"
    return f"linear({shape.width})"
