"""The documentation: its programs hold, and its tables are those of the program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compiler import Genotype
from compiler.compile import compile_space
from compiler.describe import check
from compiler.fitting import output_of, resolve
from dsl import DartsError, load_text
from dsl.codes import CODES
from dsl.layout import formatted
from dsl.settings import SETTINGS, takes, worded
from dsl.source import Source
from dsl.vocabulary import JOINS, LAYERS, RESERVED, Argument, Layer

ROOT = Path(__file__).resolve().parent.parent
LANGUAGE = ROOT / "docs" / "language.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```darts( fragment)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETTING_HEAD = ("setting", "takes", "default", "is")


FRAGMENTS_USED = """
network(classes = 10) from image[4, 8, 8] to class[classes] {
    a = image -> shrink(4) -> squeeze(relu)
    b = (a, a) -> both -> chain(stride: 2)
    return (b, b) -> pair(4) -> flatten -> linear(classes)
}
"""

SMALL_PRINT = """language 1
import std
set steps = {{ skip, max_pool(3) }}
cell small from x = {}
network from image[4, 8, 8] to y[4, 8, 8] = image -> small
"""


def programs() -> Iterator[Any]:
    for page in PAGES:
        for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8"))):
            fragment, text = block.groups()
            if not fragment:
                yield pytest.param(text, id=f"{page.name}-{number}")


@pytest.mark.parametrize("text", [*programs()])
def test_program_holds(text: str) -> None:
    assert check(load_text(text)) == ()
    assert formatted(Source("<text>", text)) == text


def test_fragments_hold() -> None:
    """Fragments are declarations: put together they make a file with the network above."""
    blocks = BLOCK.findall(LANGUAGE.read_text(encoding="utf-8"))
    fragments = [text for fragment, text in blocks if fragment]
    check(load_text("\n".join(["language 1", "import std", *fragments, FRAGMENTS_USED])))


def test_genotypes_are_one() -> None:
    """The two forms on the page are one genotype of the page's first program."""
    page = LANGUAGE.read_text(encoding="utf-8")
    (names,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tuples,) = re.findall(r"^```python\n(Genotype.*?)^```$", page, re.MULTILINE | re.DOTALL)
    program = next(text for fragment, text in BLOCK.findall(page) if not fragment)
    kinds = compile_space(load_text(program)).program.kinds
    genotype = Genotype.parse(names)
    assert resolve(genotype, kinds) == resolve(Genotype.parse(tuples), kinds)
    for kind in kinds:
        assert genotype.cells[kind.name].sources == kind.sources
        assert genotype.cells[kind.name].output == output_of(kind)


@pytest.mark.parametrize(
    ("flow", "error"),
    [
        ("sum(x,) -> choose steps", None),
        ("sum((x,)) -> choose steps", "E0105"),
        ("(x, x)[0:1] -> choose steps", "E0105"),
        ("x -> max_pool(k: 3) -> choose steps", None),
        ("x -> pool(of: max, k: 3) -> choose steps", "E0204"),
        ("x -> choose { steps, relu }", None),
        ("x -> choose { { relu, tanh }, gelu }", None),
        ("x -> choose { zero, relu }", None),
        ("x -> choose { relu as conv, tanh }", None),
        ("x -> choose { relu as loose, tanh }", "E0204"),
        ("x -> entangled choose steps", "E0105"),
        ("x -> conv(1, groups: 1 + no) -> choose steps", "E0401"),
    ],
)
def test_small_print(flow: str, error: str | None) -> None:
    """What `language.md` says of lists, names, arguments, sets and flags."""
    try:
        check(load_text(SMALL_PRINT.format(flow)))
        codes = []
    except DartsError as fault:
        codes = [diagnostic.code for diagnostic in fault.diagnostics]
    assert codes == ([error] if error else [])


@pytest.mark.parametrize("title", ["reserved", "joins", "layers", "settings", "codes"])
def test_table(title: str, request: pytest.FixtureRequest) -> None:
    """`--update-golden` writes the tables anew."""
    written = LANGUAGE.read_text(encoding="utf-8")
    made = {
        "reserved": lambda: ", ".join(sorted(RESERVED)) + "\n",
        "joins": lambda: table(("join", "gives"), ((f"`{n}`", doc) for n, doc in JOINS.items())),
        "layers": lambda: table(("layer", "reads", "is"), map(layer_row, LAYERS.values())),
        "settings": lambda: table(SETTING_HEAD, map(setting_row, SETTINGS)),
        "codes": lambda: table(("code", "means"), ((f"`{c}`", text) for c, text in CODES.items())),
    }[title]()
    section = re.compile(rf"(<!-- {title} -->\n).*?(<!-- end -->)", re.DOTALL)
    expected, found = section.subn(lambda match: match[1] + made + match[2], written)
    assert found == 1
    if request.config.getoption("--update-golden"):
        LANGUAGE.write_text(expected, encoding="utf-8")
    else:
        assert written == expected


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def layer_row(layer: Layer) -> tuple[str, ...]:
    arguments = [a.name for a in layer.required]
    arguments += [f"{a.name}: {worded(a.default)}" for a in layer.optional]
    call = f"{layer.name}({', '.join(arguments)})" if arguments else layer.name
    return f"`{call}`", layer.reads, layer.doc + words(layer.arguments)


def words(arguments: tuple[Argument, ...]) -> str:
    return "".join(
        f"; `{a.name}` is {' or '.join(f'`{word}`' for word in a.words)}"
        for a in arguments
        if a.words
    )


def setting_row(name: str) -> tuple[str, ...]:
    setting = SETTINGS[name]
    return f"`{name}`", takes(name), f"`{worded(setting.default)}`", str(setting.metadata["doc"])
