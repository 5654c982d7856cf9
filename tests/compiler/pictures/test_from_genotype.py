"""Genotypes without their space: what they say is drawn, and nothing where they do not say it."""

from __future__ import annotations

import pytest
from drawn_cells import RECURRENT, edges, joined
from reference.darts import DARTS_V2 as CELL
from support import DARTS_V2

from compiler.genotype import CellGenotype, Genotype
from compiler.pictures import of_genotype
from compiler.pictures.from_genotype import cells_of
from compiler.pictures.graph import Cell, Role


def drawn(genotype: Genotype | str) -> list[Cell]:
    parsed = Genotype.parse(genotype) if isinstance(genotype, str) else genotype
    cells = cells_of(parsed)
    assert cells is not None
    return cells


def named(decisions: dict[str, str], **parts: tuple[str, ...]) -> Genotype:
    return Genotype({"u": CellGenotype(tuple(decisions.items()), **parts)})


def test_the_convolutional_tuple_form() -> None:
    for cell in drawn(DARTS_V2):
        assert edges(cell) == {
            (str(source), option, str(2 + i // 2))
            for i, (option, source) in enumerate(CELL[cell.name])
        }
        assert joined(cell) == {(str(i), "output") for i in range(2, 6)}
        assert [b.label for b in cell.boxes if b.role is Role.INPUT] == ["0", "1"]


def test_the_recurrent_tuple_form() -> None:
    (cell,) = drawn(RECURRENT)
    assert ("0", "sigmoid", "1") in edges(cell) and ("5", "relu", "8") in edges(cell)
    assert len(edges(cell)) == 8
    assert joined(cell) == {(str(i), "output") for i in range(1, 9)}


def test_named_decisions() -> None:
    decisions = {
        "n[0] from a": "skip", "n[0] from a (2)": "conv", "n[1] from n[0]": "tanh",
        "return from n[1]": "relu", "w": "linear",
    }  # fmt: skip
    (cell,) = drawn(named(decisions, sources=("a", "b"), output=("n[0]",)))
    assert edges(cell) == {
        ("a", "skip", "n[0]"), ("a", "conv", "n[0]"), ("n[0]", "tanh", "n[1]"),
        ("n[1]", "relu", "output"),
    }  # fmt: skip
    assert joined(cell) == {("n[0]", "output")}
    labels = [box.label for box in cell.boxes if box.role is Role.INPUT]
    assert labels == ["a", "b"]
    (alone,) = [i for i, box in enumerate(cell.boxes) if box.label == "linear"]
    assert cell.tails[alone] == []
    assert [cell.boxes[head].label for head in cell.heads[alone]] == ["w"]


def test_numbers_with_sources_are_called_by_name() -> None:
    """As YAML has it: numbered edges, and the values that they number."""
    pairs = (("#0", "skip"), ("#1", "skip"))
    cell = CellGenotype(pairs, ("a", "b", "n"), ("#2",))
    (made,) = drawn(Genotype({"u": cell}))
    assert edges(made) == {("a", "skip", "n"), ("b", "skip", "n")}


@pytest.mark.parametrize(
    "text",
    [
        "Genotype(u=[('skip', 0), ('skip', 1), ('skip', 0)], concat=[2])",
        "Genotype(u=[('skip', 0), ('skip', 2)], concat=[2])",
        "Genotype(u=[('skip', 0), ('skip', 1)], concat=[2, 3])",
        "Genotype(u=[('skip', 0), ('skip', 1)], concat=[0])",
        "Genotype(u=[('skip', 0), ('skip', 1)])",
        "Genotype(u=[('skip', 0), ('skip', 2)], concat=[1, 2])",
        "Genotype(u=[('skip', -1), ('skip', 1)], concat=[2])",
        "Genotype(u=[('skip', 0), ('skip', 'n from a')], concat=[2])",
        "cells: {u: {decisions: {a from b: skip, b from a: skip}}}",
        "cells: {u: {decisions: {a from a: skip}}}",
        "cells: {u: {decisions: {a from b: skip}, output: [return]}}",
        "Genotype(u=[], concat=[2])",
        "cells: {}",
    ],
)
def test_what_is_not_said_is_not_drawn(text: str) -> None:
    assert of_genotype(Genotype.parse(text)) is None


def test_a_cell_that_decides_nothing() -> None:
    (cell,) = drawn(named({}, sources=("a",), output=("a",)))
    assert joined(cell) == {("a", "output")}
