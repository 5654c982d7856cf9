"""The canonical layout: it says the same, keeps comments, and is one for all texts of a program."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import DartsError, ast
from dsl.layout import formatted, printed
from dsl.parse import parse
from dsl.settings import SETTINGS
from dsl.source import Source, Span
from dsl.vocabulary import RESERVED

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted([*ROOT.glob("spaces/*.darts"), *ROOT.glob("tests/compiler/programs/*.darts")])
BLOCK = re.compile(r"^```darts( fragment)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WORD = re.compile(
    r"#[^\n]*|[A-Za-z_]\w*|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|->|//|\.\.|[=!<>]=|\S"
)
DECLARING = {"import", "set", "op", "cell", "network", "profile"}
T = TypeVar("T")
NOWHERE = Span(Source("", ""), 0, 0)


def layout(text: str) -> str:
    return formatted(Source("test", text))


def tree(text: str) -> ast.File:
    return parse(Source("test", text))


def comments(text: str) -> list[str]:
    return [comment.rstrip() for comment in re.findall(r"#[^\n]*", text)]


def hold_laws(text: str) -> None:
    made = layout(text)
    assert repr(tree(made)) == repr(tree(text))
    assert comments(made) == comments(text)
    assert layout(made) == made
    assert not re.search(r"[ \t]\n|\n\n\n", made)


# ---- trees at random -----------------------------------------------------------------------------

NAMES = ["x", "conv", "_", "W2", "edges", "drop_path", "a_name_that_is_rather_long"]
SIGNS = ["+", "-", "*", "/", "//", "%", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or"]
STRENGTHS = ["weight", "alpha", "weight without sinks"]


class Trees:
    """Trees whose spans mean nothing, drawn from a stream of random numbers."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def name(self) -> str:
        return self.chance.choice(NAMES)

    def word(self) -> ast.Name:
        return ast.Name(NOWHERE, self.name())

    def maybe(self, make: Callable[[], T]) -> T | None:
        return make() if self.chance.random() < 0.4 else None

    def some(self, make: Callable[[], T], least: int, most: int = 4) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.chance.randint(least, most)))

    def number(self) -> int | float:
        return self.chance.choice([0, 3, 10**9, 0.5, 3e-4, 1e-9, 1.0, self.chance.random()])

    def expr(self, depth: int = 4) -> Any:
        chance = self.chance

        def sub() -> Any:
            return self.expr(chance.randint(0, depth - 1))

        def at() -> ast.At:
            return ast.At(NOWHERE, self.some(sub, 1, 2), sub())

        def argument() -> ast.Argument:
            return ast.Argument(NOWHERE, self.maybe(self.name), sub())

        def loop() -> ast.For:
            return ast.For(NOWHERE, self.name(), sub(), NOWHERE)

        def item() -> ast.Item:
            loops, sink = self.some(loop, 0, 2), chance.random() < 0.3
            value = spread() if chance.random() < 0.2 else sub()
            return ast.Item(NOWHERE, value, sink, loops, self.maybe(sub), self.maybe(self.name))

        def spread() -> ast.Range:
            return ast.Range(NOWHERE, sub(), sub(), self.maybe(sub))

        atoms: list[Callable[[], Any]] = [
            self.word,
            lambda: ast.Number(NOWHERE, self.number()),
            lambda: ast.Flag(NOWHERE, chance.random() < 0.5),
            lambda: ast.Earlier(NOWHERE, self.name()),
            lambda: ast.Loose(NOWHERE, self.name()),
        ]
        larger: list[Callable[[], Any]] = [
            lambda: ast.Unary(NOWHERE, chance.choice(["-", "not"]), sub()),
            lambda: ast.Binary(NOWHERE, chance.choice(SIGNS), sub(), sub()),
            lambda: ast.When(NOWHERE, sub(), sub(), self.maybe(sub)),
            lambda: ast.Flow(NOWHERE, self.some(sub, 2)),
            lambda: ast.Each(NOWHERE, sub(), self.some(sub, 1)),
            lambda: ast.Choose(NOWHERE, sub(), entangled=chance.random() < 0.5),
            lambda: ast.Choose(NOWHERE, sub(), sub(), self.maybe(sub), self.maybe(sub)),
            lambda: ast.Repeat(NOWHERE, sub(), sub(), self.some(at, 0, 2)),
            lambda: ast.Over(NOWHERE, sub(), self.word()),
            lambda: ast.Call(NOWHERE, sub(), self.some(argument, 1)),
            lambda: ast.Index(NOWHERE, sub(), sub()),
            lambda: ast.ListExpr(NOWHERE, self.some(sub, 2)),
            lambda: ast.SetExpr(NOWHERE, self.some(item, 1)),
        ]
        return chance.choice(larger if depth else atoms)()

    def statement(self, depth: int) -> ast.Statement:
        makes: list[Callable[[], ast.Statement]] = [
            lambda: ast.Bind(NOWHERE, self.some(self.word, 1, 3), self.expr()),
            lambda: ast.Shared(NOWHERE, self.word(), self.expr()),
            lambda: ast.Auxiliary(NOWHERE, self.expr()),
            self.keep,
            lambda: ast.Group(NOWHERE, self.word(), self.expr(1), self.body(depth - 1)),
        ]
        return self.chance.choice(makes if depth else makes[:-1])()

    def keep(self) -> ast.Keep:
        chance = self.chance
        unit, strength = chance.choice(["edges", "candidates"]), chance.choice(STRENGTHS)
        number = ast.Number(NOWHERE, chance.randint(1, 9))
        count: Any = chance.choice([number, ast.Name(NOWHERE, "W2"), None])
        above = self.expr(1) if count is None else self.maybe(lambda: self.expr(1))
        in_all = count is not None and chance.random() < 0.5
        return ast.Keep(NOWHERE, count, unit, in_all, strength, above, NOWHERE)

    def body(self, depth: int = 2) -> ast.Body:
        return ast.Body(NOWHERE, self.some(lambda: self.statement(depth), 0, 3), self.expr())

    def parameter(self) -> ast.Parameter:
        return ast.Parameter(NOWHERE, self.name(), self.maybe(lambda: self.expr(1)))

    def input(self) -> ast.Input:
        below = self.maybe(lambda: self.expr(1))
        return ast.Input(NOWHERE, self.word(), self.maybe(self.shape), below)

    def output(self) -> ast.Input:
        return ast.Input(NOWHERE, self.word(), self.shape())

    def shape(self) -> tuple[Any, ...]:
        return self.some(lambda: self.expr(self.chance.randint(0, 2)), 1, 3)

    def value(self, depth: int = 2) -> Any:
        kind = self.chance.randint(0, 4)
        if kind == 0 and depth:
            return self.some(lambda: self.value(depth - 1), 1)
        return [self.number(), -self.number(), self.name(), True, False][kind]

    def setting(self) -> ast.Setting:
        name = self.chance.choice([*NAMES, *SETTINGS])
        return ast.Setting(NOWHERE, ast.Name(NOWHERE, name), self.value(), NOWHERE)

    def declaration(self) -> ast.Declaration:
        word, parameters, body = self.word(), self.some(self.parameter, 0, 6), self.body()
        inputs, comment = self.some(self.input, 1), self.comment()
        operation = word, parameters, inputs if self.chance.random() < 0.6 else None, body, comment
        outputs, settings = self.some(self.output, 1, 2), self.some(self.setting, 0, 12)
        makes: list[Callable[[], ast.Declaration]] = [
            lambda: ast.SetDecl(NOWHERE, word, self.expr()),
            lambda: ast.OpDecl(NOWHERE, *operation),
            lambda: ast.CellDecl(
                NOWHERE,
                *operation,
                family=self.maybe(lambda: self.expr(1)),
                per_stage=self.chance.random() < 0.3,
            ),
            lambda: ast.NetworkDecl(NOWHERE, parameters, inputs, outputs, body),
            lambda: ast.ProfileDecl(NOWHERE, word, self.maybe(self.word), settings),
        ]
        return self.chance.choice(makes)()

    def comment(self) -> str | None:
        return self.chance.choice([None, None, "a comment", "another: `x`", "# twice"])

    def file(self) -> ast.File:
        imports = self.some(lambda: ast.Import(NOWHERE, self.some(self.name, 1, 2)), 0, 3)
        extends = self.maybe(lambda: ast.Extend(NOWHERE, self.some(self.name, 1, 2)))
        declarations = self.some(self.declaration, 0)
        return ast.File(NOWHERE, 1, imports, extends, declarations, self.comment())


SEEDS = st.integers(0, 2**32)


def drawn(seed: int) -> ast.File:
    return Trees(random.Random(seed)).file()


# ---- laws ----------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_what_is_printed_parses_to_the_tree(seed: int) -> None:
    file = drawn(seed)
    text = printed(file)
    # Unlike equality, the text of a tree tells 1 from 1.0.
    assert repr(tree(text)) == repr(file)
    assert layout(text) == text


def messy(text: str, seed: int) -> str:
    """The words of a text with line ends, comments and needless brackets thrown between them."""
    chance = random.Random(seed)
    between = [" "] * 12 + ["\n", "\n\n\n", "\t ", " # end\n", "\n# own\n", "\n#own \n\n# too\n"]
    made = ["language"]
    for before, word in pairwise(w for w in WORD.findall(text) if not w.startswith("#")):
        gap = chance.choice(between)
        # A comment above a declaration belongs to it if the declaration begins a line.
        made.append(gap + "\n" if word in DECLARING and not gap.endswith("\n") else gap)
        wrapped = before == "->" and word.isidentifier() and word not in RESERVED
        made.append(f"({chance.choice(between)}{word})" if wrapped else word)
    return "".join(made) + chance.choice(between)


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_comments_and_trees_stay_in_any_text(seed: int) -> None:
    hold_laws(messy(printed(drawn(seed)), seed))


def collapsed(text: str) -> str:
    """The text on as few lines as its comments allow."""
    made, end = "", 0
    for match in WORD.finditer(text):
        if match.group().startswith("#"):
            own = "\n" in text[end : match.start()] or end == 0
            apart = re.match(r"[ \t\r\f]*\n[ \t\r\f]*\n", text[match.end() :])
            line = "\n" if own and not made.endswith("\n") else " "
            made += line + match.group() + ("\n\n" if apart else "\n")
        else:
            made += (" " if made and not made.endswith("\n") else "") + match.group()
        end = match.end()
    return made


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_line_ends_and_blanks_do_not_matter(seed: int) -> None:
    text = messy(printed(drawn(seed)), seed)
    assert layout(collapsed(text)) == layout(text)


def programs() -> Iterator[Any]:
    faults = sorted(ROOT.glob("tests/*/faults/*.darts"))
    for path in (*SHIPPED, *faults):
        yield pytest.param(path.read_text(encoding="utf-8"), id=str(path.relative_to(ROOT)))
    for page in sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")]):
        for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8"))):
            fragment, text = block.groups()
            yield pytest.param("language 1\n" * bool(fragment) + text, id=f"{page.name}-{number}")


@pytest.mark.parametrize("text", [*programs()])
def test_laws_hold_for_all_programs(text: str) -> None:
    try:
        parsed = tree(text)
    except DartsError as error:
        with pytest.raises(DartsError) as raised:
            layout(text)
        assert str(raised.value) == str(error)
        return
    hold_laws(text)
    assert repr(tree(printed(parsed))) == repr(parsed)
    assert layout(collapsed(text)) == layout(text)
    for seed in range(3):
        hold_laws(messy(text, seed))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_programs_are_in_the_layout(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert layout(text) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("f(", ")"),
        ("f(a, ", ")"),
        ("(a, ", ")"),
        ("{a, sink ", "}"),
        ("(", " over T)"),
        ("- ", ""),
        ("x^", ""),
        ("x when p else ", ""),
        ("repeat 2 {", "}"),
        ("(x -> # c\n", ") # d\n"),
    ],
)
def test_depth_up_to_the_limit(before: str, after: str) -> None:
    hold_laws(f"language 1\nop f from x = {before * 98}x{after * 98}\n")


def test_nested_bodies_up_to_the_limit() -> None:
    hold_laws(
        "language 1\nop f from x {" + " node n[2] { a = x" * 98 + " return n}" * 98 + "return n}"
    )


def test_refuses_what_does_not_parse() -> None:
    with pytest.raises(DartsError):
        layout("language 1\nop f = conv(")


# ---- the layout ----------------------------------------------------------------------------------


def example(text: str) -> tuple[str, str]:
    """What a text is laid out as, and what it should be: what follows `=>` in it."""
    given, expected = text.split("\n=>\n")
    return layout("language 1\n" + given), "language 1\n\n" + expected


@pytest.mark.parametrize(
    "text",
    [
        "op a=relu op b=bn set s={a,b,} op c=relu\n=>\n"
        "op a = relu\nop b = bn\n\nset s = { a, b }\n\nop c = relu\n",
        "# one\nop a=relu\n# two\nop b = bn # end  \n\n# apart\n\nop c = gelu\n# last\n=>\n"
        "# one\nop a = relu\n\n# two\nop b = bn  # end\n\n# apart\n\nop c = gelu\n\n# last\n",
        "op f from x { return (x -> (relu)) } op g(c=2) from _ ,x[ _,h ] below 2*V = x\n=>\n"
        "op f from x = x -> relu\nop g(c = 2) from _, x[_, h] below 2 * V = x\n",
        "op f from x = (x -> g) -> (relu when (p)) -> (-x) op g from x = (2*(a+b))^(-2) - -3\n=>\n"
        "op f from x = (x -> g) -> (relu when p) -> (-x)\n"
        "op g from x = (2 * (a + b))^-2 - -3\n",
        "op f from x = x -> a + -x -> b op g from x = (a when p else b) when (not (p or q))\n=>\n"
        "op f from x = (x -> a) + -(x -> b)\n"
        "op g from x = (a when p else b) when not (p or q)\n",
        "op f = a(k:3e-4, b : 007)[1] -> repeat 2 {f} -> repeat N { f at 1,2 : g }\n=>\n"
        "op f =\n    a(k: 3e-4, b: 007)[1] -> repeat 2 { f } -> repeat N {\n"
        "        f\n        at 1, 2: g\n    }\n",
        "op f = relu # a\n -> # b\n bn\n# c\n-> gelu\n=>\n"
        "op f = relu  # a\n    ->       # b\n    bn\n    # c\n    -> gelu\n",
        "set s = { a, b # of b\n , c\n# last\n}\n=>\n"
        "set s = {\n    a, b,  # of b\n    c,\n    # last\n}\n",
        "cell c from x { a = x # first\n bc = a # second\n # third\n return bc\n # end\n}\n=>\n"
        "cell c from x {\n    a = x   # first\n    bc = a  # second\n    # third\n    return bc\n"
        "    # end\n}\n",
        "op f from x { return x # t\n # own\n }\nop g = relu\n=>\n"
        "op f from x = x  # t\n\n# own\n\nop g = relu\n",
        "profile p{} profile q=p{lr=-2 a=(1,no)} profile r{# c\n}\n=>\n"
        "profile p {}\nprofile q = p { lr = -2  a = (1, no) }\n\nprofile r {  # c\n}\n",
        "cell c from x { keep 1 edges per node by weight return x }\n=>\n"
        "cell c from x {\n    keep 1 edge per node by weight\n    return x\n}\n",
    ],
)
def test_short_programs(text: str) -> None:
    made, expected = example(text)
    assert made == expected


LONG = """op f = {steps}
op g from x = sum(x -> conv(3, stride: 2) -> conv(3), each (x, x) -> choose {{
max_pool(3) as a, avg_pool(3) as b, sep_conv(5, stride: 2) as c }}, x) -> bn -> relu
cell c(C) from before[_, h, _], last {{ a = last -> {steps} return a }}
network(C, N, size = 32) from image[channels, size, size], mask[channels, size, size]
to class[classes] = image -> repeat N {{ c at 1: c }}
set s = {{ {names} }}
=>
op f =
    conv(3, stride: 2) -> conv(3, stride: 2) -> conv(3, stride: 2) -> conv(3, stride: 2)
    -> conv(3, stride: 2) -> conv(3, stride: 2) -> conv(3, stride: 2)

op g from x = sum(
    x -> conv(3, stride: 2) -> conv(3),
    each (x, x) -> choose {{ max_pool(3) as a, avg_pool(3) as b, sep_conv(5, stride: 2) as c }},
    x,
) -> bn -> relu

cell c(C) from before[_, h, _], last {{
    a = last -> conv(3, stride: 2) -> conv(3, stride: 2) -> conv(3, stride: 2)
        -> conv(3, stride: 2) -> conv(3, stride: 2) -> conv(3, stride: 2) -> conv(3, stride: 2)
    return a
}}

network(C, N, size = 32)
from image[channels, size, size], mask[channels, size, size] to class[classes] =
    image -> repeat N {{
        c
        at 1: c
    }}

set s = {{
    number_0, number_1, number_2, number_3, number_4, number_5,
    number_6, number_7, number_8, number_9, number_10, number_11,
}}
"""


def test_lines_too_long() -> None:
    steps = " -> ".join(["conv(3, stride: 2)"] * 7)
    names = ", ".join(f"number_{n}" for n in range(12))
    made, expected = example(LONG.format(steps=steps, names=names))
    assert made == expected


def test_settings_stand_by_subject() -> None:
    made, expected = example(
        "profile p { C = 4 data = digits flip = yes width_of_it = 3 epochs = 2 batch = 32 "
        "optimiser = sgd lr = 0.1 alpha_lr = 3e-4 alpha_decay = 0 drop_path = 0.2 }"
        "\n=>\n"
        "profile p {\n"
        "    C = 4  data = digits  flip = yes\n"
        "    width_of_it = 3\n"
        "    epochs = 2  batch = 32\n"
        "    optimiser = sgd  lr = 0.1\n"
        "    alpha_lr = 3e-4  alpha_decay = 0\n"
        "    drop_path = 0.2\n"
        "}\n"
    )
    assert made == expected
