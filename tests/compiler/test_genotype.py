"""Genotypes: both forms say the same, and what does not fit is a fault, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from costly_spaces import GENERAL
from hypothesis import given, settings
from hypothesis import strategies as st
from random_genotypes import random_genotype
from reference.darts import DARTS_V2 as CELL
from support import CIFAR, DARTS_V2, PROGRAMS, RNN, compiled, randomise, sources

import compiler
from compiler import Genotype
from compiler.compile import compile_space
from compiler.fitting import cell_of, output_of, resolve
from compiler.genotype import CellGenotype
from compiler.ir import Region
from compiler.program import kept
from dsl import DartsError, render


@pytest.fixture(scope="module")
def kinds() -> list[Region]:
    return compile_space(CIFAR).program.kinds


def named(kinds: list[Region]) -> Genotype:
    """The paper's cell in the form with names."""
    chosen = resolve(Genotype.parse(DARTS_V2), kinds)
    cells = {
        kind.name: {"decisions": chosen[kind.name], "sources": list(kind.sources)} for kind in kinds
    }
    return Genotype.parse(yaml.safe_dump({"cells": cells}, sort_keys=False))


def test_the_published_text_parses() -> None:
    genotype = Genotype.parse(DARTS_V2)
    assert list(genotype.cells) == ["normal", "reduce"]
    assert genotype.cells["normal"].decisions[7] == ("#2", "dil_conv_3x3")
    assert genotype.cells["reduce"].output == ("#2", "#3", "#4", "#5")
    assert genotype.counts()["sep_conv_3x3"] == 5


@pytest.mark.parametrize(
    "text",
    [
        f"DARTS_V2 = {DARTS_V2}",
        f"# as published\n\nDARTS_V2={DARTS_V2}\n",
        f"  {DARTS_V2}\n# the end\n",
    ],
)
def test_a_genotype_may_be_bound_to_a_name(text: str) -> None:
    assert Genotype.parse(text) == Genotype.parse(DARTS_V2)


def test_numbered_sources_are_understood_by_the_space(kinds: list[Region]) -> None:
    genotype = named(kinds)
    assert {kind: sources(genotype, kind) for kind in CELL} == CELL


def test_both_forms_are_one_model(kinds: list[Region]) -> None:
    texts = [
        compile_space(CIFAR, genotype=genotype).source
        for genotype in (Genotype.parse(DARTS_V2), named(kinds))
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_the_named_form_round_trips(path: Path, tmp_path: Path) -> None:
    net = compiler.build(path)
    randomise(net)
    derivation = net.derive()
    derivation.genotype.save(tmp_path / "genotype.yaml", derivation.audit)
    assert Genotype.load(tmp_path / "genotype.yaml") == derivation.genotype
    document = yaml.safe_load((tmp_path / "genotype.yaml").read_text())
    assert document["audit"].keys() == document["cells"].keys()


@pytest.mark.parametrize("seed", range(5))
def test_the_tuple_form_round_trips(seed: int) -> None:
    torch.manual_seed(seed)
    net = compiler.build(CIFAR, C=2, N=2, size=8)
    randomise(net)
    genotype = net.genotype()
    text = str(genotype)
    assert "normal_concat=range(2, 6)" in text
    again = Genotype.parse(text)
    assert str(again) == text
    assert resolve(again, net.program.kinds) == resolve(genotype, net.program.kinds)


TWICE = """
    cell c from a, b {
        node n[2] = sum(each (a, b, a) -> choose { skip, conv(1), conv(3) },
                        each earlier n -> choose { skip, conv(1) })
        %s
        return concat(n)
    }
    network from image[3, 4, 4] to class[2] =
        (image, image) -> c -> global_pool(mean) -> linear(2)
"""
KINDS = {
    **{path.stem: compile_space(path).program.kinds for path in (CIFAR, RNN, *PROGRAMS)},
    "twice": compiled(TWICE % "").program.kinds,
    "twice, three kept": compiled(TWICE % "keep 3 edges per node by weight").program.kinds,
}


@st.composite
def genotypes(draw: st.DrawFn, kinds: list[Region]) -> Genotype:
    """Any genotype of a space: edges and options by lot."""
    cells = {}
    for kind in kinds:
        chosen: set[str] = set()
        for node, count in kept(kind).items():
            paths = [d.path for d in kind.decisions if d.place == node]
            chosen |= set(draw(st.permutations(paths))[:count])
        decisions = tuple(
            (d.path, draw(st.sampled_from(d.selectable)))
            for d in kind.decisions
            if d.path in chosen
        )
        cells[kind.name] = CellGenotype(decisions, kind.sources, output_of(kind))
    return Genotype(cells)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_either_form_read_back_chooses_the_same(name: str, data: st.DataObject) -> None:
    kinds = KINDS[name]
    genotype = data.draw(genotypes(kinds))
    chosen = {kind: dict(cell.decisions) for kind, cell in genotype.cells.items()}
    assert resolve(genotype, kinds) == chosen
    again = Genotype.parse(str(genotype))
    assert str(again) == str(genotype)
    assert resolve(again, kinds) == chosen


def test_the_order_of_a_node_s_edges_does_not_matter(kinds: list[Region]) -> None:
    swapped = DARTS_V2.replace(
        "('skip_connect', 0), ('dil_conv_3x3', 2)", "('dil_conv_3x3', 2), ('skip_connect', 0)"
    )
    assert swapped != DARTS_V2
    first, second = (resolve(Genotype.parse(t), kinds) for t in (DARTS_V2, swapped))
    assert first == second


def test_a_genotype_is_a_file_or_an_object(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text(DARTS_V2)
    small = {"C": 2, "N": 3, "size": 16, "auxiliary_weight": 0}
    for genotype in (tmp_path / "g.txt", str(tmp_path / "g.txt"), Genotype.parse(DARTS_V2)):
        net = compiler.build(CIFAR, genotype=genotype, **small)
        assert net(torch.randn(2, 3, 16, 16)).shape == (2, 10)


def test_edges_kept_are_counted_by_node(kinds: list[Region]) -> None:
    assert kept(kinds[0]) == {"n[0]": 2, "n[1]": 2, "n[2]": 2, "n[3]": 2}


# ---- what is no genotype -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "- a\n- b",
        "cells: 3",
        "cells: {normal: 3}",
        "cells: {normal: {decisions: [1, 2]}}",
        "cells: {normal: {decisions: {}, sources: 7}}",
        "a: [1, 2",
        "Genotype(",
        "Genotype()x",
        "Genotype(normal=[('a', 0)], *b)",
        "Genotype(normal=3)",
        "Genotype(normal=[('a',)])",
        "Genotype(normal=[('a', None)])",
        "Genotype([('a', 0)])",
        "Genotype(__import__('os').system('x'))",
        "Genotype(normal=__import__('os').system('x'))",
        "Genotype(normal=[(open('x'), 0)])",
        "Genotype(normal=[('a', 0)], normal_concat=range(10**9))",
        "Genotype(normal=[('a', 0)], normal_concat=range(0, 1, 0))",
        "Genotype(normal=" + "[" * 5000 + ")",
        "Genotype(normal=" + "-" * 50000 + "1)",
        "!!python/object/apply:os.system ['touch hacked']",
        "cells: !!python/object/apply:os.system ['touch hacked']",
        "&a [*a]",
    ],
    ids=range(25),
)
def test_texts_that_are_no_genotype(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "genotype.yaml"
    path.write_text(text)
    with pytest.raises(DartsError) as raised:
        Genotype.load(path)
    assert [d.code for d in raised.value.diagnostics] == ["E0801"]
    assert [p.name for p in tmp_path.iterdir()] == ["genotype.yaml"]


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("cells:\n  c:\n    decisions:\n      x: relu\n      x: skip\n", "`x` is decided twice", 5),
        ("cells:\n  c: {decisions: {}}\n  c: {decisions: {}}\n", "`c` is decided twice", 3),
        ("cells:\n  c:\n\t  decisions: {}\n", "neither YAML nor", 3),
        ("cells:\n  c: {decisions: {}\n  d: {}\n", "neither YAML nor", 3),
        ("cells:\n  c: \0\n", "neither YAML nor", 2),
        ("\nGenotype(\n  c=[('relu', 0)]\n  concat=[1])", "no genotype in the tuple form", 3),
    ],
)
def test_faults_have_a_place(text: str, words: str, line: int) -> None:
    with pytest.raises(DartsError) as raised:
        Genotype.parse(text, "g.yaml")
    (found,) = raised.value.diagnostics
    assert found.code == "E0801" and words in found.message and found.span is not None
    assert str(found.span).startswith(f"g.yaml:{line}:")
    assert render([found])


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("Genotype(c=[('skip', '0')])", "the quoted number `'0'` is no path", "`('skip', 0)`"),
        ("Genotype(c=[('skip', 0.5)])", "a source is a number", None),
        ("Genotype(c=[('skip', 0)], c=[('skip', 0)])", "`c` is decided twice", None),
        ("Genotype(c=[('skip', 0)])\nGenotype(c=[])", "more than one genotype", None),
        ("Genotype(c=[('skip', 0)], d_concat=[1])", "`d_concat` is no list of pairs", None),
        ("Genotype(c=[('skip', 0)], c_concat=range(10**9))", "no genotype in the tuple form", None),
        ("Genotype(c=[('skip', 0)], c_concat=range(99999))", "that range is too long", None),
        ("Genotype(c=eval('1'))", "`eval` means nothing in a genotype", None),
    ],
)
def test_what_is_wrong_with_a_tuple_form(text: str, message: str, help: str | None) -> None:
    with pytest.raises(DartsError) as raised:
        Genotype.parse(text, "g.txt")
    (found,) = raised.value.diagnostics
    assert found.code == "E0801" and message in found.message and "`g.txt`" in found.message
    assert help in (None, found.help)


def test_aliases_in_yaml_do_not_grow(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    with pytest.raises(DartsError):
        Genotype.parse(bomb)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\x80\xff")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "binary"):
        with pytest.raises(DartsError) as raised:
            Genotype.load(path)
        assert [d.code for d in raised.value.diagnostics] == ["E0801"]


MISFITS = {
    "unknown cell": ({"other": {}}, "no cell `other`"),
    "missing cell": ({"reduce": None}, "nothing about cell `reduce`"),
    "unknown option": ({"normal": {"n[0] from a": "sep_conv_7x7"}}, "no option `sep_conv_7x7`"),
    "sink": ({"normal": {"n[0] from a": "none"}}, "`none` is a sink"),
    "unknown path": ({"normal": {"n[0] from c": "skip_connect"}}, "decides no `n[0] from c`"),
    "too many": ({"normal": {"n[1] from n[0]": "skip_connect"}}, "keeps 2, the genotype names 3"),
    "too few": ({"normal": {"n[3] from a": None}}, "keeps 2, the genotype names 1"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_named_genotypes_of_another_space(name: str, kinds: list[Region]) -> None:
    changes, words = MISFITS[name]
    cells = {k: dict(cell.decisions) for k, cell in named(kinds).cells.items()}
    for kind, decisions in changes.items():
        if decisions is None:
            del cells[kind]
            continue
        cells.setdefault(kind, {})
        for path, option in decisions.items():
            if option is None:
                del cells[kind]["n[3] from a"]
            else:
                cells[kind][path] = option
    text = yaml.safe_dump({"cells": {k: {"decisions": d} for k, d in cells.items()}})
    with pytest.raises(DartsError) as raised:
        compiler.build(CIFAR, genotype=Genotype.parse(text))
    assert [d.code for d in raised.value.diagnostics] == ["E0802"]
    assert words in raised.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0)", "('sep_conv_3x3', 0)",
         "keeps 8 edges"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 9)", "no edge from value 9"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', -1)", "no edge from value -1"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)",
         "the edge from value 0 to `n[3]` of `normal` is there twice"),
        ("('dil_conv_3x3', 2)", "('dil_conv_9x9', 2)", "no option `dil_conv_9x9`"),
        ("('dil_conv_3x3', 2)", "('none', 2)", "`none` is a sink"),
    ],
)  # fmt: skip
def test_tuple_genotypes_of_another_space(old: str, new: str, words: str) -> None:
    assert old in DARTS_V2
    with pytest.raises(DartsError) as raised:
        compiler.build(CIFAR, genotype=Genotype.parse(DARTS_V2.replace(old, new)))
    assert [d.code for d in raised.value.diagnostics] == ["E0802"]
    assert words in raised.value.diagnostics[0].message


def test_a_sources_number_that_does_not_exist_brings_those_that_do(kinds: list[Region]) -> None:
    with pytest.raises(DartsError) as raised:
        resolve(
            Genotype.parse(DARTS_V2.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 9)")), kinds
        )
    assert raised.value.diagnostics[0].help == "its edges leave 0 (`a`), 1 (`b`)"


@pytest.mark.parametrize(
    ("written", "message", "help"),
    [
        ("", "has no option", "one of `max_pool_3x3`"),
        ("non", "has no option `non`", "one of `max_pool_3x3`"),  # near a sink alone
        ("none", "`none` is a sink", "one of `max_pool_3x3`"),
        ("skip_conect", "has no option `skip_conect`", "did you mean `skip_connect`?"),
    ],
)
def test_only_what_may_be_selected_is_suggested(
    written: str, message: str, help: str, kinds: list[Region]
) -> None:
    decisions = f"{{decisions: {{'n[0] from a': {written}}}}}"
    text = f"cells: {{normal: {decisions}, reduce: {decisions}}}"
    with pytest.raises(DartsError) as raised:
        resolve(Genotype.parse(text), kinds)
    (found,) = raised.value.diagnostics
    assert message in found.message and found.help is not None and found.help.startswith(help)
    assert "`none`" not in found.help


@pytest.mark.parametrize("key", ["sources", "output"])
def test_the_values_named_must_be_the_cells(key: str, kinds: list[Region]) -> None:
    document = {
        "cells": {
            name: {"decisions": dict(cell.decisions)} for name, cell in named(kinds).cells.items()
        }
    }
    document["cells"]["normal"][key] = [*(kinds[0].sources if key == "sources" else []), "z"]
    with pytest.raises(DartsError, match="the genotype says otherwise") as raised:
        resolve(Genotype.parse(yaml.safe_dump(document)), kinds)
    assert [d.code for d in raised.value.diagnostics] == ["E0802"]


def test_numbers_follow_the_sources_of_the_genotype(kinds: list[Region]) -> None:
    """A genotype that lists the values in another order counts in that order."""
    pairs = {kind: [[o, n] for o, n in edges] for kind, edges in CELL.items()}
    order = ["b", "a", *kinds[0].sources[2:]]
    turned = {kind: [[o, {0: 1, 1: 0}.get(n, n)] for o, n in pairs[kind]] for kind in pairs}
    texts = [
        {kind: {"decisions": pairs[kind]} for kind in CELL},
        {kind: {"decisions": turned[kind], "sources": order} for kind in CELL},
    ]
    first, second = (
        resolve(Genotype.parse(yaml.safe_dump({"cells": cells})), kinds) for cells in texts
    )
    assert first == second


def test_the_file_is_named(tmp_path: Path, kinds: list[Region]) -> None:
    path = tmp_path / "old.txt"
    path.write_text(DARTS_V2.replace("'dil_conv_3x3'", "'dil_conv_9x9'"))
    with pytest.raises(DartsError, match=f"the genotype `{path}` does not fit the space"):
        resolve(Genotype.load(path), kinds)


def test_a_near_name_is_suggested(kinds: list[Region]) -> None:
    text = DARTS_V2.replace("dil_conv_3x3", "dil_cnv_3x3")
    with pytest.raises(DartsError) as raised:
        resolve(Genotype.parse(text), kinds)
    assert raised.value.diagnostics[0].help == "did you mean `dil_conv_3x3`?"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "cells: 2020-99-99",
        "cells: {c: {decisions: [[relu, yes]]}}",
        "cells: {c: {decisions: {'#x': relu}}}",
        f"Genotype(c=[('relu', 0)], c_concat=range({10**24}))",
        "Genotype(c=" + "[" * 500 + "]" * 500 + ")",
        "Genotype(c=[(print('x'), 0)])",
    ],
)
def test_odd_texts_are_refused_in_words(text: str) -> None:
    """Whatever a file holds, the answer is a diagnostic without a word of Python's own."""
    with pytest.raises(DartsError) as raised:
        resolve(Genotype.parse(text), [])
    assert all("<ast" not in d.message and "0x" not in d.message for d in raised.value.diagnostics)


def test_the_output_must_be_the_cells() -> None:
    """A tuple form that names another output belongs to another space."""
    wrong = DARTS_V2.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=[4, 5]")
    with pytest.raises(DartsError, match="gives back"):
        compile_space(CIFAR, genotype=Genotype.parse(wrong))


RECURRENT = (
    "Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1), ('tanh', 2), "
    "('sigmoid', 5), ('tanh', 3), ('relu', 5)], concat=range(1, 9))"
)


def test_the_recurrent_form_of_darts_round_trips(tmp_path: Path) -> None:
    """A single kind says `concat`; what is read by its own name is the same."""
    kinds = compile_space(RNN).program.kinds
    genotype = Genotype.parse(RECURRENT)
    assert str(genotype) == RECURRENT
    assert Genotype.parse(RECURRENT.replace(" concat", " recurrent_concat")) == genotype
    chosen = resolve(genotype, kinds)
    assert chosen["recurrent"] == {
        "s[0] from start": "sigmoid", "s[1] from s[0]": "relu", "s[2] from s[0]": "relu",
        "s[3] from s[0]": "identity", "s[4] from s[1]": "tanh", "s[5] from s[4]": "sigmoid",
        "s[6] from s[2]": "tanh", "s[7] from s[4]": "relu",
    }  # fmt: skip
    genotype.save(tmp_path / "genotype.yaml")
    assert Genotype.load(tmp_path / "genotype.yaml") == genotype
    document = {"cells": {"recurrent": {"decisions": chosen["recurrent"]}}}
    assert resolve(Genotype.parse(yaml.safe_dump(document)), kinds) == chosen


@pytest.mark.parametrize("seed", range(3))
def test_a_derived_recurrent_cell_is_printed_and_read(seed: int) -> None:
    torch.manual_seed(seed)
    net = compiler.build(RNN, H=2, V=3)
    randomise(net)
    genotype = net.genotype()
    text = str(genotype)
    assert text.startswith("Genotype(recurrent=[") and text.endswith(", concat=range(1, 9))")
    again = Genotype.parse(text)
    assert resolve(again, net.program.kinds) == resolve(genotype, net.program.kinds)


@pytest.mark.parametrize(
    ("space", "text", "words"),
    [
        (CIFAR, RECURRENT, "the space has no cell `recurrent`"),
        (RNN, DARTS_V2, "the space has no cell `normal`"),
        (RNN, RECURRENT.replace("('tanh', 2)", "('tanh', 5)"), "`s[4]` of `recurrent` has no edge"),
        (RNN, RECURRENT.replace("('tanh', 2)", "('none', 2)"), "`none` is a sink"),
        (RNN, RECURRENT.replace("('tanh', 2)", "('gelu', 2)"), "no option `gelu`"),
        (RNN, RECURRENT.replace("('tanh', 2), ", ""), "keeps 8 edges, the genotype names 7"),
        (RNN, RECURRENT.replace("range(1, 9)", "range(2, 9)"), "gives back"),
    ],
)
def test_recurrent_genotypes_of_another_space(space: Path, text: str, words: str) -> None:
    with pytest.raises(DartsError) as raised:
        compile_space(space, genotype=Genotype.parse(text))
    (found,) = raised.value.diagnostics
    assert found.code == "E0802"
    assert words in found.message


@pytest.mark.parametrize("text", ["[" * 300_000, "a: b\n" * 60_000, "|none~0|+" * 40_000])
def test_files_that_are_too_long_are_refused_unread(tmp_path: Path, text: str) -> None:
    (path := tmp_path / "g.txt").write_text(text)
    with pytest.raises(DartsError, match="is longer than 200,000 characters"):
        Genotype.load(path)


def test_several_options_count_each() -> None:
    cell = CellGenotype((("y", "conv_3 + skip"), ("z", "skip"), ("w", "")))
    assert Genotype({"u": cell}).counts() == {"conv_3": 1, "skip": 2}


@pytest.mark.parametrize("name", GENERAL)
def test_all_forms_of_what_is_decided_otherwise(name: str, tmp_path: Path) -> None:
    """The tuple form has whole paths where a number would not tell an edge from others."""
    kinds = compiled(GENERAL[name]).program.kinds
    for seed in range(4):
        drawn = random_genotype(kinds, seed)
        chosen = resolve(drawn, kinds)
        cells = {kind.name: cell_of(kind, chosen[kind.name]) for kind in kinds}
        for file in ("g.yaml", "g.txt"):
            Genotype(cells).save(tmp_path / file)
            assert resolve(Genotype.load(tmp_path / file), kinds) == chosen


def test_numbers_that_do_not_tell_edges_apart() -> None:
    kinds = compiled(GENERAL["in_all"]).program.kinds
    numbered = "Genotype(u=[('skip', 0), ('skip', 1), ('conv_3', 0), ('skip', 1), ('skip', 0)])"
    with pytest.raises(DartsError, match="does not tell an edge of `u` from others") as raised:
        resolve(Genotype.parse(numbered), kinds)
    assert [d.help for d in raised.value.diagnostics] == ["its path, as in YAML"]
