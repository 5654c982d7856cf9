"""Genotypes as the strings of NAS-Bench-201: read, written, and told from what is none."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CIFAR, DARTS_V2, RNN, SPACES, space

import compiler
from compiler import Genotype
from compiler.compile import compile_space
from compiler.fitting import resolve
from compiler.genotype import CellGenotype
from compiler.ir import Region
from dsl import DartsError, render

NB201 = SPACES / "nas_bench_201.darts"
OPTIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
KNOWN = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"
NAMED = {
    "n[0] from x": "nor_conv_3x3",
    "n[1] from x": "nor_conv_3x3",
    "n[1] from n[0]": "nor_conv_1x1",
    "n[2] from x": "skip_connect",
    "n[2] from n[0]": "nor_conv_3x3",
    "n[2] from n[1]": "none",
}


@pytest.fixture(scope="module")
def kinds() -> list[Region]:
    return compile_space(NB201).program.kinds


def test_a_string_is_what_its_names_say(kinds: list[Region]) -> None:
    assert resolve(Genotype.parse(KNOWN), kinds) == {"unit": NAMED}


def test_a_string_is_drawn_by_its_numbers() -> None:
    ((name, cell),) = Genotype.parse(KNOWN).cells.items()
    assert name == ""
    assert cell.decisions[2] == ("2 from 1", "nor_conv_1x1")
    assert (cell.sources, cell.output) == (("0", "1", "2", "3"), ("3",))


@pytest.mark.parametrize(
    "text", [f"\n  {KNOWN}\n", f"# the best\n{KNOWN}", f"# a\n\n# b\n {KNOWN} "]
)
def test_blanks_and_comments_may_stand_around(text: str) -> None:
    assert Genotype.parse(text) == Genotype.parse(KNOWN)


def test_every_cell_of_the_benchmark_is_read_and_written(kinds: list[Region]) -> None:
    edges = [(node, source) for node in (1, 2, 3) for source in range(node)]
    values = ["x", "n[0]", "n[1]", "n[2]"]
    paths = [f"{values[node]} from {values[source]}" for node, source in edges]
    for number, options in enumerate(product(OPTIONS, repeat=6)):
        groups = [
            "".join(f"|{o}~{s}" for (n, s), o in zip(edges, options, strict=True) if n == node)
            for node in (1, 2, 3)
        ]
        text = "+".join(f"{group}|" for group in groups)
        genotype = Genotype.parse(text)
        assert genotype.arch_string() == text
        if number % 5 == 0:
            chosen = dict(zip(paths, options, strict=True))
            assert resolve(genotype, kinds) == {"unit": chosen}
            cell = CellGenotype(tuple(chosen.items()), kinds[0].sources)
            assert Genotype({"unit": cell}).arch_string() == text


def test_what_a_search_derives_is_written_and_read_back(tmp_path: Path) -> None:
    net = compiler.build(NB201, C=2, N=1)
    genotype = net.genotype()
    genotype.save(tmp_path / "genotype.arch")
    again = Genotype.load(tmp_path / "genotype.arch")
    assert resolve(again, net.program.kinds) == resolve(genotype, net.program.kinds)
    assert again.arch_string() == str(again) == genotype.arch_string()


@pytest.mark.parametrize("suffix", [".yaml", ".txt", ".arch"])
def test_what_was_read_from_a_string_is_saved_in_any_form(suffix: str, tmp_path: Path) -> None:
    genotype = Genotype.parse(KNOWN)
    genotype.save(tmp_path / f"genotype{suffix}")
    assert Genotype.load(tmp_path / f"genotype{suffix}") == genotype


def test_tuples_are_one_of_the_forms(tmp_path: Path) -> None:
    genotype = Genotype.parse(DARTS_V2)
    genotype.save(tmp_path / "genotype.txt")
    assert (tmp_path / "genotype.txt").read_text() == f"{genotype}\n"


def test_both_forms_are_one_model(kinds: list[Region]) -> None:
    cell = CellGenotype(tuple(NAMED.items()))
    texts = [
        compile_space(NB201, genotype=genotype).source
        for genotype in (Genotype.parse(KNOWN), Genotype({"unit": cell}))
    ]
    assert texts[0] == texts[1]


def test_the_order_of_a_node_s_edges_does_not_matter(kinds: list[Region]) -> None:
    turned = "|a~0|+|b~1|c~0|"
    assert Genotype.parse(turned).arch_string() == "|a~0|+|c~0|b~1|"


@pytest.mark.parametrize(
    ("text", "words", "column"),
    [
        ("|none~0|+|none~0|none~0|", "the edge from value 0 to value 2 is there twice", 18),
        ("|none~0|+|none~0|none~2|", "leaves an earlier one, not 2", 18),
        ("|none~1|", "leaves an earlier one, not 1", 2),
        ("|none|", "an edge is an operation and the number of a value", 2),
        ("|none~x|", "an edge is an operation and the number of a value", 2),
        ("|none~0||none~0|", "an edge is an operation and the number of a value", 9),
        ("|~0|", "an edge is an operation and the number of a value", 2),
        ("||", "an edge is an operation and the number of a value", 2),
        ("|none~0|+", "a node stands between `|`", 10),
        ("|none~0|+none~0|", "a node stands between `|`", 10),
        ("|none~0|+|none~0", "a node stands between `|`", 10),
        ("|none~0| + |none~0|none~1|", "a node stands between `|`", 1),
        ("|", "a node stands between `|`", 1),
        ("|" + "9" * 50_000 + "~" + "9" * 50_000, "a node stands between `|`", 1),
    ],
)
def test_malformed_strings(text: str, words: str, column: int) -> None:
    with pytest.raises(DartsError) as raised:
        Genotype.parse(text, "g.txt")
    (found,) = raised.value.diagnostics
    assert found.code == "E0801" and words in found.message
    assert "`g.txt` is no genotype in the string form" in found.message
    assert str(found.span).startswith(f"g.txt:1:{column}") and found.help
    assert render([found])


@given(st.text("|~+ none_09#\n", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        genotype = Genotype.parse(f"|{text}")
    except DartsError as error:
        assert [d.code for d in error.diagnostics] == ["E0801"]
    else:
        assert (
            Genotype.parse(genotype.arch_string()).cells[""].sources == genotype.cells[""].sources
        )


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (NB201, "|none~0|", "`unit` has 3 nodes, the string 1"),
        (NB201, KNOWN + "+|none~0|", "`unit` has 3 nodes, the string 4"),
        (NB201, KNOWN.replace("nor_conv_1x1", "nor_conv_5x5"), "has no option `nor_conv_5x5`"),
        (NB201, KNOWN.replace("|none~2|", "|"), "`n[2]` of `unit` keeps 3, the genotype names 2"),
        (CIFAR, KNOWN, "it is a string and names no cell, the space decides 2"),
        (RNN, "+".join(["|tanh~0|"] * 7), "`recurrent` has 8 nodes, the string 7"),
    ],
)
def test_strings_of_another_space(path: Path, text: str, words: str) -> None:
    with pytest.raises(DartsError) as raised:
        compile_space(path, genotype=Genotype.parse(text, "g.txt"))
    (found,) = raised.value.diagnostics
    assert found.code == "E0802" and words in found.message
    assert found.message.startswith("the genotype `g.txt` does not fit the space: ")


def test_a_string_serves_a_cell_that_keeps_edges() -> None:
    """The recurrent cell has one input, `start`, and keeps one edge of each node."""
    genotype = Genotype.parse("+".join(f"|tanh~{max(0, n - 1)}|" for n in range(8)))
    chosen = resolve(genotype, compile_space(RNN).program.kinds)["recurrent"]
    assert list(chosen)[:3] == ["s[0] from start", "s[1] from start", "s[2] from s[0]"]


def test_cells_with_two_inputs_have_no_string() -> None:
    loaded = space("""
        cell u from a, b {
            node n[1] = sum(each (a, b) -> choose { relu, skip })
            return n[-1]
        }
        network from image[2, 4, 4] to out[2, 4, 4] = (image, image) -> u
    """)
    kinds = compile_space(loaded).program.kinds
    with pytest.raises(DartsError, match="a string is of a cell with one input"):
        resolve(Genotype.parse("|relu~0|"), kinds)


TWO_INPUTS = Genotype(
    {"u": CellGenotype((("y from a", "relu"), ("y from b", "relu")), ("a", "b", "y"))}
)


@pytest.mark.parametrize(
    ("genotype", "words"),
    [
        (Genotype.parse(DARTS_V2), "it has 2 cells"),
        (Genotype.parse("Genotype(unit=[('none', 0)])"), "between which values every edge is"),
        (Genotype({"u": CellGenotype((("y", "relu"),), ("y",))}), "between which values"),
        (TWO_INPUTS, "a string is of a cell with one input"),
        (Genotype({"u": CellGenotype((("y from x", "a + b"),), ("x", "y"))}), "not `a + b`"),
        (Genotype({}), "it has 0 cells"),
    ],
)
def test_genotypes_without_a_string(genotype: Genotype, words: str) -> None:
    with pytest.raises(DartsError) as raised:
        genotype.arch_string()
    (found,) = raised.value.diagnostics
    assert found.code == "E0802" and words in found.message
