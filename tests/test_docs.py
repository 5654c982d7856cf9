"""The documentation: its programs hold, and its tables are those of the program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compiler import Genotype, build
from compiler.compile import compile_space
from compiler.describe import check, describe
from compiler.fitting import output_of, resolve
from dsl import DartsError, load_text
from dsl.codes import CODES
from dsl.layout import formatted
from dsl.settings import SETTINGS, takes, worded
from dsl.source import Source
from dsl.vocabulary import JOINS, LAYERS, RESERVED, Argument, Layer

ROOT = Path(__file__).resolve().parent.parent
LANGUAGE = ROOT / "docs" / "language.md"
RECIPES = ROOT / "docs" / "spaces.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```darts( fragment)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STATED = re.compile(r"([\d,]+)\s+architectures\.$", re.MULTILINE)
SETTING_HEAD = ("setting", "takes", "default", "is")


FRAGMENTS_USED = """
network(classes = 10) from image[4, 8, 8] to class[classes] {
    a = image -> shrink(4) -> squeeze(relu)
    b = (a, a) -> both -> chain(stride: 2)
    c = (b, b) -> pair(4) -> sized -> upper -> twice(12)
    x, y = c -> parts
    return concat(x, y) -> flatten -> linear(classes)
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


def recipes() -> Iterator[Any]:
    """A recipe's program, and how many architectures its text says there are."""
    for section in RECIPES.read_text(encoding="utf-8").split("\n## ")[1:]:
        ((_, text),) = BLOCK.findall(section)
        (stated,) = STATED.findall(section)
        yield pytest.param(text, int(stated.replace(",", "")), id=section.split("\n")[0])


@pytest.mark.parametrize(("text", "stated"), [*recipes()])
def test_recipe(text: str, stated: int) -> None:
    """It is counted as it says, every decision can be learnt, and what is derived can be built."""
    torch.manual_seed(0)
    space = load_text(text)
    net: Any = build(space)
    is_text = "below V" in text
    given = torch.randint(100, (3, 2)) if is_text else torch.randn(2, 3, 32, 32)
    searched = outputs(net(given))
    torch.stack([part.square().mean() for part in searched]).sum().backward()
    assert all(alphas.grad is not None for alphas in net.arch_parameters())
    final: Any = build(space, genotype=net.genotype())
    made = outputs(final(given))
    assert [part.shape for part in made] == [part.shape for part in searched]
    assert describe(space, None, {}).architectures == stated


def outputs(result: Any) -> list[Tensor]:
    return [*result] if isinstance(result, tuple) else [result]


def test_files_exist() -> None:
    """Those that `architecture.md` names; `model.py` is what a search leaves."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = {name for path in re.findall(r"`([\w/]+\.py)`", page) for name in [Path(path).name]}
    rooms = ("dsl", "compiler", "runtime", "tests")
    there = {path.name for room in rooms for path in (ROOT / room).rglob("*.py")}
    assert names - there == {"model.py"}


def test_fragments_hold() -> None:
    """Fragments are declarations: put together they make a file with the network above."""
    blocks = BLOCK.findall(LANGUAGE.read_text(encoding="utf-8"))
    fragments = [text for fragment, text in blocks if fragment]
    text = "\n".join(["language 1", "import std", *fragments, FRAGMENTS_USED])
    assert check(load_text(text)) == ()
    for fragment in fragments:
        assert formatted(Source("<text>", f"language 1\n\n{fragment}")).endswith(fragment)


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
        ("x -> choose { { relu, tanh }, gelu }", None),
        ("x -> choose { relu as f if 1 > 0, tanh }", "E0105"),
        ("x -> choose { relu if 1 > 0 as f, tanh }", None),
        ("sum(choose 2 of { x, x -> relu, x -> tanh })", None),
        ("choose 2 of { x, x -> relu, x -> tanh } -> choose steps", "E0610"),
        ("x -> choose 1..2 of { relu, tanh }", "E0610"),
        ("x -> choose { relu, 3 }", "E0601"),
        ("x -> conv(choose entangled { 3, 4 })", "E0611"),
        ("x -> conv(3, out: choose entangled { 2, 4 }) -> shuffle(2) -> conv(1, out: 4)", "E0612"),
        ("x -> repeat 2 { choose steps } -> repeat 0 { relu }", None),
        ("x -> choose { zero, relu }", None),
        ("x -> choose { relu as conv, tanh }", None),
        ("x -> choose { relu as loose, tanh }", "E0204"),
        ("x -> choose entangled steps", "E0611"),
        ("x -> choose { steps, relu }", None),
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
