"""Whatever stands in comments, headers and file names, the generated code stays what it is."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from random import Random

import pytest
from support import space

from compiler.codegen.layout import docstring
from compiler.codegen.module import generate
from compiler.compile import _docstring, execute
from compiler.measure import measure

COUNT = 10_000
PIECES = (
    '"',
    "'",
    '"""',
    "'''",
    '""',
    "\\",
    "\\\\",
    '\\"',
    "\\N{BULLET}",
    "\\N{no such name}",
    "\\x",
    "\\u12",
    "\\777",
    "{",
    "}",
    "{hostile}",
    "{{",
    "%s",
    "#",
    "# type: ignore",
    " ",
    "  ",
    "-",
    ".",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\f",
    "\v",
    "\x1a",
    "\x1b[0m",
    "\x85",
    "\u2028",
    "\u202e",
    "\u200b",
    "import os",
    "hostile.append(1)",
    ";",
    "return",
    "class X:",
    "    ",
    "é",
    "字",
    "𝒳",
    "\ufeff",
    '"""; hostile.append(1); """',
    '"""\nhostile.append(1)\n"""',
    "'''\nhostile.append(1)\n'''",
    '\\"""\nhostile.append(1)\n\\"""',
)


def strings(seed: int) -> Iterator[str]:
    draw = Random(seed)
    while True:
        yield "".join(draw.choices(PIECES, k=draw.choice((1, 2, 3, 3, 5, 8, 40))))


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows when a part of a comment is run."""
    grown: list[int] = []
    monkeypatch.setattr(builtins, "hostile", grown, raising=False)
    return grown


def test_a_docstring_says_what_it_was_given(hostile: list[int]) -> None:
    for text in islice(strings(0), COUNT):
        line = text.replace("\r\n", "\n").replace("\r", "\n")
        assert ast.literal_eval(f'"""{docstring(text)}."""') == line + "."
        assert ast.literal_eval(f'"""{docstring(text)}"""') == line
    assert not hostile


def test_generated_code_keeps_its_shape(hostile: list[int]) -> None:
    """As many strings as comments, headers and names of files, those of a program at a time."""
    _, program, facts = measure(
        space("""
            op plain = relu -> conv(3)
            op branching from x = sum(x -> relu, x -> plain)
            cell c(C) from x {
                y = x -> branching
                return y -> choose { plain, branching, identity }
            }
            network(C = 4) from image[4, 8, 8] to image[C, 8, 8] = image -> c(C)
        """),
        "search",
        None,
        {},
    )
    regions = [region for region in program.regions() if not region.is_branch]

    def shape_with(texts: Iterator[str]) -> str:
        for region in regions:
            region.comment, region.header = next(texts), f"cell c {next(texts)}"
        named = replace(program, name=next(texts))
        source = generate(named, facts, _docstring(named, "none"))
        execute(source, "<hostile>")
        return _shape(source)

    wanted = shape_with(iter(["harmless"] * COUNT))
    texts = strings(1)
    for _ in range(COUNT // (2 * len(regions) + 1)):
        assert shape_with(texts) == wanted
    assert not hostile


def _shape(source: str) -> str:
    """The syntax tree of a module without what its docstrings say."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant("…")
    return ast.dump(tree)


def test_comments_of_a_file(hostile: list[int]) -> None:
    """The whole way, from comments in a text."""
    texts = (text.replace("\n", " ") for text in strings(2))
    ops = "\n".join(f"# {next(texts)}\nop f{i} = relu -> conv(3)" for i in range(200))
    flow = " -> ".join(f"f{i}" for i in range(200))
    network = f"network(C = 4) from image[4, 8, 8] to image[C, 8, 8] = image -> {flow}"
    _, program, facts = measure(space(f"{ops}\n{network}\n"), "search", None, {})
    source = generate(program, facts, _docstring(program, "none"))
    execute(source, "<hostile>")
    plain = space("\n".join([*(f"op f{i} = relu -> conv(3)" for i in range(200)), network]))
    _, program, facts = measure(plain, "search", None, {})
    harmless = generate(program, facts, _docstring(program, "none"))
    assert _functions(source) == _functions(harmless)
    assert not hostile


def _functions(source: str) -> list[str]:
    """The definitions of a module, each without its docstring."""
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        found.append(ast.dump(node))
    return found
