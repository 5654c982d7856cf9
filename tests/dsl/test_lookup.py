"""What names mean at a place, in files that are sound and in files that are not."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import ast, files
from dsl.lookup import Definition, at, declarations, occurrences, readable
from dsl.parse import parse
from dsl.scope import Named
from dsl.source import Source

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("spaces/*.darts"), *ROOT.glob("tests/compiler/programs/*.darts")])
STD = declarations(parse(Source("std", (ROOT / "spaces/std.darts").read_text(encoding="utf-8"))))
TEXT = """\
language 1
import std

set steps = { sep_conv(k) for k in (3, 5) as k, skip }
op twice(f, depth = 2) from x[c, _, _] = x -> f -> f
cell unit(C) from x {
    shared W = conv(3, out: C)
    a, b = split(x -> W, 2)
    node n[2] = sum(a, each earlier n -> twice(relu, depth: 3))
    keep 1 edge per node by weight without sinks
    return n[-1] -> choose steps(stride: 2)
}
network(C, channels = 3) from image[channels, 8, 8] to class[10] {
    y = image -> unit(C) -> pool(mean, 3)
    return (y when final else mean(y, y)) -> crop(index)
}
profile search { C = 8  epochs = 3 }
profile short = search { C = 4 }
"""


def meaning(mark: str, text: str = TEXT) -> Definition | None:
    """What the name after the `|` in `mark` means, which stands once in the text."""
    before, after = mark.split("|")
    assert text.count(before + after) == 1, mark
    found = occurrences(readable(Source("text", text)), STD)
    occurrence = at(found, text.index(before + after) + len(before))
    return None if occurrence is None else occurrence.definition


@pytest.mark.parametrize(
    ("mark", "kind", "owner"),
    [
        ("import |std", "import", ""),
        ("{ |sep_conv", "op", ""),
        ("for |k in", "loop", "steps"),
        ("sep_conv(|k)", "loop", "steps"),
        ("as |k,", "loop", "steps"),
        ("-> |f -> f", "parameter", "twice"),
        ("from x[|c, _, _]", "size", "twice"),
        ("= |x -> f", "input", "twice"),
        ("|unit(C) from", "cell", ""),
        ("3, |out:", "argument", "conv"),
        ("out: |C", "parameter", "unit"),
        ("|split(", "function", ""),
        ("-> |W, 2", "shared", "unit"),
        ("sum(|a,", "value", "unit"),
        ("earlier |n", "group", "unit"),
        ("-> |twice(", "op", ""),
        ("relu, |depth", "parameter", "twice"),
        ("by |weight", "strength", ""),
        ("choose |steps(", "set", ""),
        ("steps(|stride:", "argument", "steps"),
        ("|network(C", "network", ""),
        ("image[|channels", "parameter", "network"),
        ("pool(|mean, 3", "word", ""),
        ("else |mean(y", "join", ""),
        ("when |final", "phase", ""),
        ("crop(|index", "counter", ""),
        ("{ |C = 8", "parameter", "network"),
        ("|epochs =", "setting", ""),
        ("short = |search", "profile", ""),
    ],
)
def test_meaning(mark: str, kind: str, owner: str) -> None:
    found = meaning(mark)
    assert found is not None and (found.kind, found.owner) == (kind, owner)


@pytest.mark.parametrize(
    ("read", "bound"),
    [
        ("sum(|a,", "    |a, b ="),
        ("n|[-1]", "node |n[2]"),
        ("-> |W, 2", "shared |W"),
        ("relu, |depth", "twice(f, |depth"),
        ("choose |steps", "set |steps"),
        ("{ |C = 8", "network(|C, channels"),
        ("short = |search", "profile |search"),
    ],
)
def test_the_binding_is_found(read: str, bound: str) -> None:
    before, after = bound.split("|")
    span = getattr(meaning(read), "span", None)
    assert span is not None and span.start == TEXT.index(before + after) + len(before)


def test_imported() -> None:
    """The binding of an imported name stands in its own file."""
    found = meaning("{ |sep_conv")
    assert found is not None and found.span is not None
    assert found.span.source.name == "std" and found.span.text == "sep_conv"


@pytest.mark.parametrize("mark", ["from x[c, |_, _] =", "|language", "to |class", "C = |8"])
def test_no_name(mark: str) -> None:
    assert meaning(mark) is None


def test_ends_of_a_name() -> None:
    """The cursor may stand before a name or behind it."""
    found = occurrences(readable(Source("text", TEXT)), STD)
    start = TEXT.index("steps =")
    assert [at(found, start + i) is not None for i in (-1, 0, 5, 6)] == [False, True, True, False]


def test_names_of_two_groups_are_two() -> None:
    """Bodies of two groups may bind one name, which means something else in each."""
    text = dedent("""\
        language 1
        cell unit(C) from x {
            node n[2] { a = x -> relu return sum(a, each earlier n -> relu) }
            node m[2] { a = n[0] -> tanh return sum(a, each earlier m -> relu) }
            return sum(n[1], m[1])
        }
        """)
    found = [o for o in occurrences(readable(Source("", text)), {}) if o.span.text == "a"]
    first, second = found[0].definition, found[2].definition
    assert [o.definition for o in found] == [first, first, second, second] and first != second


def names(file: ast.File) -> list[str]:
    return ["network" if isinstance(d, ast.NetworkDecl) else d.name.name for d in file.declarations]


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("-> f -> f", "-> f ->", "twice"),
        ("return n[-1]", "return n[-1", "unit"),
        ("{ C = 8", "{ C = ", "search"),
        ("for k in (3, 5)", "for k in (3, 5", "steps"),
        ("8] to", "8 to", "network"),
    ],
)
def test_what_is_broken_is_left_out(old: str, new: str, lost: str) -> None:
    """The other declarations keep their places and the comments above them."""
    text = TEXT.replace(old, new).replace("cell unit", "# One unit\ncell unit")
    file = readable(Source("text", text))
    every = ["steps", "twice", "unit", "network", "search", "short"]
    assert names(file) == [name for name in every if name != lost]
    assert len(file.imports) == 1
    for declaration in file.declarations:
        assert text.startswith(declaration.span.text, declaration.span.start)
        if isinstance(declaration, ast.CellDecl):
            assert declaration.comment == "One unit"


def test_nothing_can_be_read() -> None:
    assert readable(Source("text", "nonsense")).declarations == ()
    assert readable(Source("text", "op one = relu")).declarations == ()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files(path: Path) -> None:
    """In a sound file every name that the tree reads means something, at a place of its own."""
    file = readable(Source(path.name, path.read_text(encoding="utf-8")))
    below = extended(file, path.parent)
    seen = {name: d for each in (*reversed(below), file) for name, d in seen_by(each, path).items()}
    found = occurrences(file, seen, below)
    places = {(o.span.start, o.span.end) for o in found}
    assert len(places) == len(found)
    for declaration in file.declarations:
        for node in declaration.walk():
            if isinstance(node, ast.Name) and not is_new(node, declaration):
                assert (node.span.start, node.span.end) in places, node


def seen_by(file: ast.File, path: Path) -> dict[str, Named]:
    """What a file declares and imports."""
    found = declarations(file)
    for node in file.imports:
        found |= declarations(other(node, path.parent))
    return found


def extended(file: ast.File, folder: Path) -> list[ast.File]:
    found = [file]
    while found[-1].extends is not None:
        found.append(other(found[-1].extends, folder))
    return found[1:]


def other(node: ast.Reference, folder: Path) -> ast.File:
    path = files.find_import(node.path, folder, node.span)
    return parse(files.read(path, path.name))


def is_new(node: ast.Name, declaration: ast.Declaration) -> bool:
    """Whether a name is a pattern's `_`, or that of an output, which mean nothing."""
    outputs = declaration.outputs if isinstance(declaration, ast.NetworkDecl) else ()
    return node.name == "_" or any(node is output.name for output in outputs)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(TEXT)), st.integers(0, 40), st.sampled_from(["", "{", "op", ") =", "#"]))
def test_any_text_is_read(start: int, length: int, put: str) -> None:
    """Whatever is cut out of a text and put in, what is found has the name that it stands for."""
    text = TEXT[:start] + put + TEXT[start + length :]
    for occurrence in occurrences(readable(Source("text", text)), STD):
        written = text[occurrence.span.start : occurrence.span.end]
        assert "".join(written.split()) == "".join(occurrence.definition.name.split())
