"""Draws the ops and named sets that a random space declares."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from random_bodies import Body
from random_draws import ACTIVATIONS, Draw, Op, Shape, Width, bracketed, named
from random_options import literal, options


@dataclass
class Stock:
    """The ops and sets that a space has declared so far, with the text of their declarations."""

    draw: Draw
    declarations: list[str] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    sets: dict[tuple[int, int, bool], list[str]] = field(default_factory=dict)
    uses_std: bool = True
    count: int = 0

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    # -- ops

    def op(self, shape: Shape, arity: int = 1, pure: bool = False, depth: int = 1) -> Op:
        """An op for values of `shape`, one of those there are or a new one."""
        fitting = [
            op
            for op in self.ops
            if (op.rank, op.arity) == (shape.rank, arity)
            and op.is_pure >= pure
            and (shape.width.is_even or not op.needs_even)
        ]
        if fitting and self.draw.chance(0.6):
            return self.draw.random.choice(fitting)
        return self.declare(shape, arity, pure, depth)

    def declare(self, shape: Shape, arity: int, pure: bool, depth: int) -> Op:
        draw, even = self.draw, shape.width.is_even
        pattern = even and draw.chance(0.6, "pattern")
        body = Body(self, pure=pure, depth=depth)
        wanted = [("act", 0.4), ("d", 0.4), ("k", 0.3 if shape.rank == 3 and not pure else 0.0)]
        parameters = [name for name, p in wanted if draw.chance(p, f"parameter {name}")]
        body.functions += [p for p in parameters if p == "act"]
        body.kernels += [p for p in parameters if p == "k"]
        body.numbers += [p for p in parameters if p == "d"]
        body.lasting += ["d > 2", "d == 3"] if "d" in parameters else []
        if not pure and draw.chance(0.3, "flag"):
            parameters.append("on")
            body.lasting += ["on", "not on"]
        own = Shape(shape.rank, named("c") if pattern else Width(Fraction(1), "?"), "own")
        name = self.fresh("pure" if pure else "op")
        written = {"k": "k", "act": "act", "d": "d", "on": "on = no"}
        head = f"op {name}" + bracketed([written[p] for p in parameters])
        if arity == 1 and not pure and not pattern and draw.chance(0.4, "chain"):
            text = f"{head} = {body.chain(own)}"
        else:
            names = ["x", "y", "z"][:arity]
            sizes = "c, h, _" if shape.rank == 3 else "c"
            if pattern:
                body.open += ["c > 4", "c // 2 == 1 or c >= 6"]
                body.open += ["h > 2", "h * h > 9 or c < 3", "h // 2 >= c"] * (shape.rank == 3)
            inputs = [f"{n}[{sizes}]" if pattern else n for n in names]
            if arity > 1 and draw.chance(0.3, "unread"):
                inputs[-1], names = "_", names[:-1]
            body.values.update(dict.fromkeys(names, own))
            text = f"{head} from {', '.join(inputs)} {body.block(own)}"
        self.declarations.append(text)
        made = Op(name, shape.rank, arity, tuple(parameters), pure, pattern)
        self.ops.append(made)
        return made

    def deciding(self, shape: Shape) -> str:
        """An op that makes one decision, which keeps zeros where edges may be dropped."""
        name = self.fresh("edge")
        own = Shape(shape.rank, Width(Fraction(1), "?"), "own")
        inner = Body(self, depth=1)
        choice = f"choose {options(inner, own)}"
        if self.draw.chance(0.5):
            text = f"op {name} = {choice}"
        else:
            text = f"op {name} from x = x -> {self.draw.pick(*ACTIVATIONS)} -> {choice}"
        self.declarations.append(text)
        return name

    def joint(self, shape: Shape, function: str) -> str:
        """An op that lets a value and what is shared make of it flow into a decision."""
        name = self.fresh("joint")
        own = Shape(shape.rank, Width(Fraction(1), "?"), "own")
        choice = options(Body(self, depth=1), own, 2)
        self.declarations.append(f"op {name}(W) from s = (s, s -> W) -> choose {choice}")
        return f"{name}({function})"

    def plain(self, rank: int) -> str:
        """An op without arguments."""
        name = self.fresh("plain")
        step = self.draw.pick("bn", "tanh", "sigmoid") if rank != 2 else "sigmoid"
        self.declarations.append(f"op {name} from x = x + (x -> {step})")
        return name

    def attending(self) -> str:
        """An op that lets the pixels of an image attend to each other."""
        name = self.fresh("attending")
        extra = self.draw.pick("", ", bias: no", ", width: 3", ", width: auto, bias: yes")
        heads = self.draw.pick("1", "2, width: 2") if not extra else "1"
        position = self.draw.pick("", "position -> ")
        self.declarations.append(
            f"op {name} from x[_, h, _] ="
            f" x -> tokens -> {position}attention({heads}{extra}) -> as_image(h)"
        )
        return name

    def applying(self) -> str:
        """An op of one operation, which it applies."""
        name = self.fresh("applied")
        self.declarations.append(f"op {name}(f) from x = (x -> f) * 2 - x")
        return name

    def scaling(self) -> str:
        """An op of one number."""
        name = self.fresh("scaled")
        self.declarations.append(f"op {name}(n) from x = x / n")
        return name

    # -- sets

    def set(self, rank: int, arity: int = 1, strided: bool = False) -> str:
        """The name of a set whose options fit any values of a rank."""
        known = self.sets.setdefault((rank, arity, strided), [])
        if not known or self.draw.chance(0.2):
            own = Shape(rank, Width(Fraction(1), "?"), "own")
            name = self.fresh("set")
            text = literal(Body(self, depth=1), own, arity, strided)
            self.declarations.append(f"set {name} = {text}")
            known.append(name)
        return self.draw.random.choice(known)
