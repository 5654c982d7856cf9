"""What is shown for a name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compiler.describe import describe
from dsl import load
from dsl.lookup import at
from dsl.settings import SETTINGS
from dsl.vocabulary import LAYERS
from runtime.server import hover
from runtime.server.documents import Documents, uri_of

ROOT = Path(__file__).resolve().parents[3]
CIFAR = ROOT / "spaces" / "cifar_cell.darts"
RNN = ROOT / "spaces" / "rnn_cell.darts"
TEXT = """language 1
import b

# Halves the resolution
op half(C, stride = 2) from x = x -> conv(3, out: C, stride: stride) -> bn
network(C = 4) from image[3, 8, 8] to class[10] {
    a = image -> half(C)
    b = a -> bump -> half(2 * C) -> half(C)
    return b -> global_pool(mean) -> linear(10)
}
"""
Shown = Callable[..., str]


@pytest.fixture
def shown(open_text: Callable[..., Any]) -> Shown:
    """What is shown for the name at the `|` of a mark, which stands in a text or a file."""

    def hovered(mark: str, where: str | Path = TEXT) -> str:
        before, after = mark.split("|")
        if isinstance(where, Path):
            documents, uri = Documents(), uri_of(where)
            documents.put(uri, where.read_text(encoding="utf-8"), 1)
            document = documents.open[uri]
        else:
            other = "# Others\nlanguage 1\nop bump from x { a = x -> relu return a }\n"
            documents, document = open_text(where, b=other)
        offset = document.lines.text.index(before + after) + len(before)
        found = at(documents.occurrences(document), offset)
        return "" if found is None else hover.hover(documents, document, found.definition) or ""

    return hovered


def test_op(shown: Shown) -> None:
    """Its signature and the comment above it, and where it was imported from."""
    assert shown("|half(C)") == (
        "```darts\nop half(C, stride = 2) from x\n```\n\nHalves the resolution"
    )
    assert shown("|bump").endswith("of `b`")


def test_layer(shown: Shown) -> None:
    text = shown("|conv(3")
    assert "conv(k, out: same, across: same, stride: 1" in text and LAYERS["conv"].doc in text


def test_argument(shown: Shown) -> None:
    assert shown("|out: C") == "`out` of `conv`: a number; by default `same`"


def test_set(shown: Shown) -> None:
    """Its options as they are written."""
    text = shown("choose |candidates", CIFAR)
    assert "sink none" in text and "sep_conv(3) as sep_conv_3x3" in text


def test_setting(shown: Shown) -> None:
    text = shown("|epochs =", CIFAR)
    assert str(SETTINGS["epochs"].metadata["doc"]) in text
    assert "a whole number, at least 1; by default `50`" in text


def test_profile(shown: Shown) -> None:
    text = "language 1\nprofile a { epochs = 3 }\nprofile b = a { batch = 2 }"
    assert "profile a { epochs = 3 }" in shown("= |a", text)


def test_import(shown: Shown) -> None:
    assert shown("|b\n\n#") == "```darts\nimport b\n```\n\nOthers\n\nbrings `bump`"


def test_network(shown: Shown) -> None:
    """How many architectures there are and what the supernet weighs, as the command says."""
    text = shown("|network(", CIFAR)
    for line in describe(load(CIFAR), None, {}).lines():
        assert line in text
    assert "1,037,664,180 ways to decide" in shown("|normal(C, stride", CIFAR)


def test_shapes(shown: Shown) -> None:
    """The inferred shape of what is bound; where it hangs on the use, those of the first uses."""
    assert "in `network`: `4 x 4 x 4`" in shown("|a =")
    assert "in `half`: `3 x 8 x 8`, `4 x 4 x 4`, `8 x 2 x 2`" in shown("|x = x")
    assert "in `network`: `256 x 8 x 8`" in shown("|cells", CIFAR)
    text = shown("|a = before", CIFAR)
    assert "in `normal`: `16 x 32 x 32`" in text and "in `reduce`: `32 x 32 x 32`" in text
    assert "in `normal`: `16 x 32 x 32`" in shown("node |n[4]", CIFAR)
    assert "in `network`: `T x 300`" in shown("|x = word", RNN)


def test_no_shape_of_an_imported_name_alike(shown: Shown) -> None:
    """The `a` in an imported op is another one, though it has the same name."""
    assert "bump" not in shown("|a =")


def test_a_faulty_file_has_no_shapes(shown: Shown) -> None:
    """What needs no sound file is shown all the same."""
    text = TEXT.replace("linear(10)", "linear(11)")
    assert shown("|a =", text) == "```darts\na = image -> half(C)\n```\n\nbound in `network`"
    assert "Halves" in shown("|half(C)", text + "op")


def test_parameter(shown: Shown) -> None:
    """The values that the profiles give a parameter of the network."""
    text = shown("network(|C", CIFAR)
    assert "`16` in profile `search`" in text and "`36` in profile `final`" in text


@pytest.mark.parametrize("path", [CIFAR, RNN, ROOT / "spaces" / "std.darts"], ids=lambda p: p.stem)
def test_every_name(path: Path) -> None:
    """Every name has something to show; words such as `same` speak for themselves."""
    documents, uri = Documents(), uri_of(path)
    documents.put(uri, path.read_text(encoding="utf-8"), 1)
    document = documents.open[uri]
    for occurrence in documents.occurrences(document):
        text = hover.hover(documents, document, occurrence.definition)
        assert bool(text) is (occurrence.definition.kind != "word"), occurrence


def test_what_is_extended(open_text: Callable[..., Any]) -> None:
    """A reference says what the file brings; what is declared anew says in place of what."""
    documents, document = open_text(
        "language 1\nextend b\nop bump(k) = conv(k)\n",
        b="# Ops\nlanguage 1\nextend c\nop bump(k) = relu\n",
        c="language 1\nop other = gelu\n",
    )
    found = {o.span.text: o.definition for o in documents.occurrences(document)}
    assert hover.hover(documents, document, found["b"]) == (
        "```darts\nextend b\n```\n\nOps\n\nbrings `other`, `bump`"
    )
    assert "in place of that of `b`" in str(hover.hover(documents, document, found["bump"]))
