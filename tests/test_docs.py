"""The documentation: its programs hold, and its tables are those of the program."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compiler.describe import check
from dsl import load_text
from dsl.codes import CODES
from dsl.format import formatted
from dsl.settings import SETTINGS
from dsl.source import Source
from dsl.vocabulary import JOINS, LAYERS, RESERVED, Argument, Layer

ROOT = Path(__file__).resolve().parent.parent
LANGUAGE = ROOT / "docs" / "language.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```darts( fragment)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETTING_HEAD = ("setting", "takes", "default", "is")
READS = {
    (0,): "words",
    (3,): "an image",
    (1, 2): "a vector or a sequence",
    (1, 3): "a vector or an image",
}


FRAGMENTS_USED = """
network(classes = 10) from image[4, 8, 8] to class[classes] {
    a = image -> shrink(4) -> squeeze(relu)
    b = (a, a) -> both -> chain(stride: 2)
    return (b, b) -> pair(4) -> flatten -> linear(classes)
}
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
    return f"`{call}`", READS.get(layer.ranks, "anything"), layer.doc + words(layer.arguments)


def words(arguments: tuple[Argument, ...]) -> str:
    return "".join(
        f"; `{a.name}` is {' or '.join(f'`{word}`' for word in a.words)}"
        for a in arguments
        if a.words
    )


def setting_row(name: str) -> tuple[str, ...]:
    setting = SETTINGS[name]
    about = setting.metadata
    takes = {
        "whole": f"a whole number, at least {about.get('at_least')}",
        "number": f"a number, at least {about.get('at_least')}",
        "flag": "`yes` or `no`",
        "word": " or ".join(f"`{word}`" for word in about.get("choices", ())) or "a word",
        "pair": "two numbers, at least 0 and below 1",
    }[about["kind"]]
    if about.get("at_most", math.inf) < math.inf:
        takes += f" and at most {about['at_most']}"
    return f"`{name}`", takes, f"`{worded(setting.default)}`", str(about["doc"])


def worded(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else f"{value}"
