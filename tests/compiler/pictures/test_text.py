"""Graphviz and Mermaid texts: as expected, and escaped."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn_cells import published

from compiler.pictures.graph import Box, Cell, OptionSet, Role
from compiler.pictures.operations import OperationKind
from compiler.pictures.text import dot_of, mermaid_of

GOLDEN = Path(__file__).with_name("golden")
PUBLISHED = published()
WRITERS = {"dot": dot_of, "mmd": mermaid_of}


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("name", ["cifar_normal", "rnn_v2_recurrent"])
def test_golden(name: str, ending: str, request: pytest.FixtureRequest) -> None:
    path, text = GOLDEN / f"{name}.{ending}", WRITERS[ending]([PUBLISHED[name]])
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def cell(label: str) -> Cell:
    boxes = (
        Box(Role.INPUT, label, label),
        Box(Role.OPERATION, label, kind=OperationKind.POOLING),
        Box(Role.NODE, "n"),
    )
    return Cell(label, boxes, ((0, 1), (1, 2)), (OptionSet("s", ((label, OperationKind.SKIP),)),))


def test_dot_escapes() -> None:
    text = dot_of([cell('a"b\\N&lt;\n<b>\x00')])
    escaped = 'a\\"b\\\\N&amp;lt; <b>\ufffd'
    assert f'digraph "{escaped}" {{' in text
    assert f'label="{escaped}\\ls: {escaped}\\l"' in text
    assert f'v0 [label="{escaped}\\n{escaped}" ' in text
    assert f'v0 -> v2 [label="{escaped}" color="#009e73" style=dashed]' in text


def test_mermaid_escapes() -> None:
    text = mermaid_of([cell('a"]#;|`\nend')])
    escaped = "a#34;#93;#35;#59;#124;#96; end"
    assert f'title: "{escaped}"' in text
    assert f'  v0("{escaped}<br/>{escaped}")' in text
    assert f'  v0 -->|"{escaped}"| v2' in text
    assert f'  s0["s#58; {escaped}"]' in text


def test_an_operation_of_several_values_is_a_box() -> None:
    """An arrow has two ends; what has more of them, or follows an operation, stands for itself."""
    boxes = (
        Box(Role.INPUT, "a"),
        Box(Role.INPUT, "b"),
        Box(Role.OPERATION, "add", kind=OperationKind.OTHER),
        Box(Role.OPERATION, "tanh", kind=OperationKind.ACTIVATION),
        Box(Role.OUTPUT, "output"),
    )
    both = Cell("c", boxes, ((0, 2), (1, 2), (2, 3), (3, 4)))
    arrows = [line.strip() for line in mermaid_of([both]).splitlines() if "-->" in line]
    assert arrows == ["v0 --> v2", "v1 --> v2", "v2 --> v3", "v3 --> v4"]
    assert 'v2 [label="add" style=filled' in dot_of([both])


def test_every_arrow_has_its_style() -> None:
    for name, drawn in PUBLISHED.items():
        lines = mermaid_of([drawn]).splitlines()
        arrows = sum("-->" in line for line in lines)
        assert [line.split()[1] for line in lines if "linkStyle" in line] == [
            str(i) for i in range(arrows)
        ], name


@pytest.mark.parametrize("ending", WRITERS)
def test_several_cells_are_one_text(ending: str, request: pytest.FixtureRequest) -> None:
    """Graphviz draws one digraph of a file, and Mermaid reads one chart."""
    cells = [PUBLISHED["cifar_v2_normal"], PUBLISHED["cifar_v2_reduce"]]
    path, text = GOLDEN / f"cifar_v2.{ending}", WRITERS[ending](cells)
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert text.count("digraph") + text.count("flowchart") == 1
    alone = [WRITERS[ending]([cell]) for cell in cells]
    arrow = "->" if ending == "dot" else "-->"
    assert text.count(arrow) == sum(each.count(arrow) for each in alone)
