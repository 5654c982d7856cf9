"""What is offered at a cursor, in texts that are broken there. `|` is the cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dsl.settings import SETTINGS
from dsl.vocabulary import STRENGTHS
from runtime.server.completion import complete

Labels = Callable[[str], list[str]]
SOUND = """language 1
import std
import b

set steps = { sep_conv(3), skip }
op twice(f, depth = 2) from x = x -> f -> f
cell unit(C) from x { return x -> choose steps }
network(C, N = 2) from image[3, s, _] to class[10] {
    return image -> unit(C) -> global_pool(mean) -> linear(10)
}
profile search { C = 8 }
profile final { C = 16 }
"""


@pytest.fixture
def labels(open_text: Callable[..., Any]) -> Labels:
    """The labels that are offered at the `|` of a text, beside a file `b` with an op `beside`."""

    def offered(text: str) -> list[str]:
        documents, document = open_text(
            text.replace("|", ""), b="language 1\nop beside = relu\n", c="language 1\n"
        )
        position = document.lines.position(text.index("|"))
        return [item.label for item in complete(documents, document, position)]

    return offered


def test_operations(labels: Labels) -> None:
    """After an arrow: what a value can flow into, of this file, of its imports, and layers."""
    found = labels(SOUND + "cell other(C, act) from x {\n    shared W = conv(1)\n    y = x -> |\n}")
    assert {"W", "act", "unit", "twice", "beside", "sep_conv", "conv", "choose"} <= set(found)
    assert not {"steps", "other", "x", "y", "sum", "return"} & set(found)
    assert found[0] == "W"


def test_a_repeat_stands_anywhere(labels: Labels) -> None:
    assert "repeat" in labels(SOUND + "cell other from x = x -> |")
    assert "repeat" in labels("language 1\nnetwork(C) from x[1] to y[2] { return x -> |")


@pytest.mark.parametrize("end", ["", "\n}", " -> relu\n    return y\n}", "(", "\n    return"])
def test_sets(labels: Labels, end: str) -> None:
    """After `choose`: the sets, however the text goes on, and what makes slices of numbers."""
    found = labels(SOUND + "cell other(options) from x {\n    y = x -> choose |" + end)
    assert found == ["steps", "options", "entangled"]
    for words in ("entangled |", "2 of |", "1..3 of |"):
        text = SOUND + "cell other(options) from x {\n    y = x -> choose " + words
        assert labels(text + end) == ["steps", "options"]


def test_amounts(labels: Labels) -> None:
    """Behind how many are chosen: `of`; behind the set: the threshold."""
    start = SOUND + "cell other(options) from x {\n    y = x -> choose "
    assert "of" in labels(start + "2 |")
    assert "above" in labels(start + "1..2 of options |")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("keep |", ["edges", "candidates", "k"]),
        ("keep 2 |", ["edges", "candidates"]),
        ("keep 2 edges |", ["per node", "in all", "by"]),
        ("keep 2 edges per node |", ["by"]),
        ("keep 2 edges in all |", ["by"]),
        ("keep 2 edges by |", ["weight", "alpha", "weight without sinks"]),
        ("keep edges by weight |", ["without sinks", "above"]),
        ("keep edges by weight without |", ["sinks"]),
        ("keep edges by weight without sinks |", ["above"]),
    ],
)
def test_keep(labels: Labels, words: str, expected: list[str]) -> None:
    found = labels(SOUND + "cell other(k) from x {\n    " + words)
    assert sorted(found) == sorted(expected)


def test_loose(labels: Labels) -> None:
    start = SOUND + "cell other from x {\n    node n[3] = x -> relu\n    return concat("
    assert "loose" in labels(start + "|")
    assert labels(start + "loose |") == ["n"]


def test_named_arguments(labels: Labels) -> None:
    """Inside a call: the names it takes and was not given, of layers, ops and sets."""
    start = SOUND + "cell other(C) from x { return x -> "
    assert labels(start + "conv(3, |")[:2] == ["out: ", "across: "]
    assert "stride: " not in labels(start + "conv(3, stride: 2, |)")
    assert labels(start + "twice(|)")[:2] == ["f: ", "depth: "]
    assert labels(start + "choose steps(|")[:2] == ["k: ", "stride: "]
    assert "out: " not in labels(start + "conv(3) -> concat(|")


def test_words(labels: Labels) -> None:
    """Where an argument takes a word or a flag, those come first."""
    start = SOUND + "cell other(C) from x { return x -> "
    assert labels(start + "pool(|")[:2] == ["max", "mean"]
    assert labels(start + "dropout(0.1, per: |")[:2] == ["element", "sequence"]
    assert labels(start + "conv(3, bias: |")[:2] == ["yes", "no"]


def test_values(labels: Labels) -> None:
    """Where an expression begins: the names bound so far, the latest first, then the rest."""
    start = (
        SOUND + "cell other(C) from x[c, _, _], z {\n    a = x -> relu\n    p, q = split(a, 2)\n"
    )
    found = labels(start + "    return sum(|)\n}")
    assert {"a", "p", "q", "x", "z", "c", "C"} == set(found[:7])
    assert set(found[:3]) == {"a", "p", "q"}
    assert {"each", "split", "concat", "search"} <= set(found)
    assert "earlier" not in found


def test_names_of_other_declarations_are_not_offered(labels: Labels) -> None:
    found = labels(SOUND + "op other from v = (v, |")
    assert "v" in found and not {"x", "image", "C", "depth"} & set(found)


def test_groups(labels: Labels) -> None:
    """`earlier` is offered in a group, and after it the groups around the cursor."""
    start = SOUND + "cell other(C) from x {\n    node m[2] = sum(x, each earlier m -> relu)\n"
    assert labels(start + "    node n[2] = sum(each earlier |") == ["n"]
    assert labels(start + "    node n[2] {\n        a = x -> relu\n        return earlier |") == [
        "n"
    ]
    assert "earlier" in labels(start + "    node n[2] = sum(x, each |")
    assert labels(start + "    a = earlier |") == []


def test_loops(labels: Labels) -> None:
    """A loop that stands behind the cursor binds what stands before it."""
    assert "width" in labels("language 1\nset s = { conv(| for width in (3, 5) }")
    assert labels("language 1\nset s = { f(k) for k in (3, 5) as | }") == ["k"]


def test_statements(labels: Labels) -> None:
    """Where a line of a body begins, the words that begin a statement."""
    cell = SOUND + "cell other(C) from x {\n    a = x -> relu\n    |\n}"
    assert labels(cell) == ["node", "shared", "keep", "return"]
    assert "auxiliary" in labels("language 1\nnetwork(C) from x[1] to y[2] {\n    |")
    assert "relu" in labels(SOUND + "cell other(C) from x {\n    a = x ->\n    |\n}")


def test_declarations(labels: Labels) -> None:
    """Between declarations, the words that begin one."""
    assert "cell" in labels(SOUND + "|") and "language 1" in labels("|")
    assert "cell" in labels(SOUND.replace("cell unit", "|\ncell unit"))
    assert "relu" not in labels(SOUND + "|")
    assert "when" in labels(SOUND + "op other = relu |")


def test_imports(labels: Labels) -> None:
    """The files beside this one, and the shipped ones."""
    found = labels("language 1\nimport |")
    assert found[:2] == ["b", "c"]
    assert {"std", "cifar_cell"} <= set(found) and "main" not in found


def test_strengths(labels: Labels) -> None:
    assert labels(SOUND + "cell a from x { keep 1 edge per node by |") == list(STRENGTHS)
    assert labels(SOUND + "cell a from x { keep 1 edge per node by weight without |") == ["sinks"]


def test_profiles(labels: Labels) -> None:
    """In a profile: the parameters of the network and the settings, without those that are set."""
    found = labels(SOUND + "profile more = search { epochs = 3  | }")
    assert found[:2] == ["C = ", "N = "]
    assert set(found[2:]) == {f"{name} = " for name in SETTINGS if name != "epochs"}
    assert labels(SOUND + "profile more = |") == ["search", "final"]
    assert labels(SOUND + "profile more { flip = |") == ["yes", "no"]
    assert labels(SOUND + "profile more { schedule = |") == ["cosine", "exponential", "constant"]


@pytest.mark.parametrize("text", ["op |", "cell a(|", "set |", "op a from |", "# op a = x -> |"])
def test_new_names_and_comments(labels: Labels, text: str) -> None:
    """Nothing is offered where a name is made up, or in a comment."""
    assert labels(SOUND + text) == []


def test_the_next_declaration_may_be_broken_too(labels: Labels) -> None:
    found = labels(
        SOUND.replace("cell unit(C)", "op more = (\ncell unit(") + "op other = relu -> |"
    )
    assert {"twice", "beside", "sep_conv"} <= set(found)


@pytest.mark.parametrize("cut", range(0, len(SOUND), 7))
def test_every_place_has_an_answer(labels: Labels, cut: int) -> None:
    """A text that ends anywhere, and one with a hole, are answered and not a fault of ours."""
    labels(SOUND[:cut] + "|")
    labels(SOUND[:cut] + "|" + SOUND[cut + 5 :])
    labels(SOUND[:cut] + ")]}= |" + SOUND[cut:])


def test_behind_extend(open_text: Callable[..., Any]) -> None:
    """What the extended file declares and imports, its profiles and its network's parameters."""

    def offered(text: str) -> list[str]:
        documents, document = open_text("language 1\nextend b\n" + text.replace("|", ""), b=SOUND)
        place = document.lines.text.index(text.replace("|", "")) + text.index("|")
        items = complete(documents, document, document.lines.position(place))
        return [item.label for item in items]

    assert {"twice", "unit", "sep_conv"} <= set(offered("op new from x = x -> |"))
    assert offered("profile long = |") == ["search", "final"]
    assert offered("profile long { |")[:2] == ["C = ", "N = "]
    assert offered("cell c from x = x -> choose |")[:1] == ["steps"]


def test_files_to_extend(labels: Labels) -> None:
    assert labels("language 1\nextend |") == labels("language 1\nimport |")
