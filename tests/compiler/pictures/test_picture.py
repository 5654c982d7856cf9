"""Pictures of whole spaces: published, odd and random ones."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from costly_spaces import GENERAL
from drawn_cells import edges
from random_genotypes import random_genotype
from random_spaces import random_space
from support import CIFAR, DARTS_V2, PROGRAMS, space

import compiler
from compiler.compile import compile_space
from compiler.genotype import Genotype
from compiler.ir import Choice, Input, Region, choices
from compiler.pictures import Picture, draw, of_genotype, of_kinds, together
from compiler.pictures.from_genotype import cells_of
from compiler.pictures.from_space import cell_of
from dsl import DartsError, load, load_text


def is_flat(kind: Region) -> bool:
    """Whether what is decided are operations of their own, side by side."""
    top = [node for _, node in kind.nodes() if isinstance(node, Choice)]
    numbers = any(decision.numbers for decision in kind.decisions)
    several = any(isinstance(o.body.output, Input) for n in top for o in n.region.options)
    return not numbers and not several and len(top) == len(list(choices(kind)))


def check(kinds: list[Region], seed: int) -> None:
    genotype = random_genotype(kinds, seed)
    for pictures in (of_kinds(kinds), of_kinds(kinds, genotype)):
        assert list(pictures) == [kind.name for kind in kinds]
        ET.fromstring(together(pictures))
        for picture in pictures.values():
            assert picture.dot().startswith("digraph ")
            assert "flowchart LR" in picture.mermaid()
    for kind in kinds:
        drawn = of_kinds(kinds, genotype)[kind.name].cell
        decided = [option for _, option in genotype.cells[kind.name].decisions]
        labels = [box.label for box in drawn.boxes if box.is_operation]
        if all(" + " not in option for option in decided) and is_flat(kind):
            assert all(labels.count(option) >= decided.count(option) for option in decided)
    alone = of_genotype(genotype)
    assert alone is not None
    ET.fromstring(alone)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs(path: Path) -> None:
    check(compile_space(path).program.kinds, 0)


def test_random_spaces() -> None:
    for number in range(12):
        kinds = compile_space(load_text(random_space(number))).program.kinds
        if kinds:
            check(kinds, number)


@pytest.mark.parametrize("name", GENERAL)
def test_spaces_that_do_not_decide_edge_by_edge(name: str) -> None:
    kinds = compile_space(space(GENERAL[name])).program.kinds
    for seed in range(3):
        check(kinds, seed)


def test_chosen_values_are_links() -> None:
    """No operation stands for a value that is taken as it is, and none is read but that."""
    text = """
        cell u from x {
            a = x -> conv(1)
            b = choose { x, a, each (x, a) -> choose { tanh, relu } }
            return sum(choose 2 of { x -> conv(3) as p, a, b })
        }
        network from image[3, 4, 4] to out[3, 4, 4] = image -> u
    """
    kind = compile_space(space(text)).program.kinds[0]
    paths = [decision.path for decision in kind.decisions]

    def links(*options: str) -> set[tuple[str, str]]:
        chosen = dict(zip(paths, options, strict=False))
        cell = cell_of(kind, chosen)
        return {(cell.boxes[a].label, cell.boxes[b].label) for a, b in cell.links}

    assert paths[0] == "b"
    assert links("a", "", "", "a + b") == {("a", "b"), ("a", "output"), ("b", "output")}


def test_kinds_come_in_the_order_of_the_file() -> None:
    pictures = compiler.draw(CIFAR)
    assert [(name, p.title) for name, p in pictures.items()] == [
        ("normal", "normal"), ("reduce", "reduce"),
    ]  # fmt: skip
    assert all(isinstance(p, Picture) for p in pictures.values())
    assert pictures["normal"]._repr_svg_() == pictures["normal"].svg()


def test_a_genotype_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text(DARTS_V2)
    parsed = draw(load(CIFAR), Genotype.parse(DARTS_V2))
    assert draw(CIFAR, tmp_path / "g.txt") == parsed == draw(CIFAR, str(tmp_path / "g.txt"))


def test_a_genotype_alone_has_the_edges_that_it_has_with_its_space() -> None:
    kinds = compile_space(CIFAR).program.kinds
    genotype = random_genotype(kinds, 3)
    for cell in cells_of(genotype) or ():
        assert edges(cell) == edges(of_kinds(kinds, genotype)[cell.name].cell)


def test_values_of_the_network() -> None:
    """Overrides and profiles decide how many nodes a cell has."""
    program = space("""
        cell u(n) from x { node m[n] = sum(each (x, earlier m) -> choose { skip, conv(3) })
                           return m[-1] }
        network(n = 2) from image[3, 4, 4] to class[2] =
            image -> u(n) -> global_pool(mean) -> linear(2)
        profile search { n = 3 }
    """)
    assert [len(edges(draw(program, n=n)["u"].cell)) for n in (1, 2)] == [1, 3]
    assert len(edges(draw(program)["u"].cell)) == 6


def test_faults_are_faults() -> None:
    with pytest.raises(DartsError):
        draw(CIFAR, profile="nonesuch")
    with pytest.raises(DartsError):
        draw(CIFAR, Genotype({}))


def test_a_space_without_decisions_has_no_pictures() -> None:
    program = space("network from image[3, 4, 4] to class[2] = image -> flatten -> linear(2)")
    assert draw(program) == {}
