"""Cells that the tests of pictures draw."""

from __future__ import annotations

from random import Random

from costly_spaces import GENERAL
from random_genotypes import random_genotype as by_lot
from support import CIFAR, DARTS_V2, RNN, SPACES, space

from compiler.compile import compile_space
from compiler.genotype import CellGenotype, Genotype
from compiler.pictures import draw
from compiler.pictures.from_genotype import cells_of
from compiler.pictures.graph import Cell, Role
from compiler.pictures.layout import Rectangle

RECURRENT = """Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1),
    ('tanh', 2), ('sigmoid', 5), ('tanh', 3), ('relu', 5)], concat=range(1, 9))"""
OPTIONS = (
    "skip_connect",
    "sep_conv_3x3",
    "dil_conv_5x5",
    "max_pool_3x3",
    "tanh",
    "a_b_c_d_e_f_g_h",
)


def published() -> dict[str, Cell]:
    """The published spaces and genotypes, with their spaces and without."""
    drawn = {
        "cifar": draw(CIFAR),
        "rnn": draw(RNN),
        "cifar_v2": draw(CIFAR, Genotype.parse(DARTS_V2)),
        "rnn_v2": draw(RNN, Genotype.parse(RECURRENT)),
        "bench": draw(SPACES / "nas_bench_201.darts"),
    }
    cells = {f"{of}_{kind}": p.cell for of, kinds in drawn.items() for kind, p in kinds.items()}
    for text in (DARTS_V2, RECURRENT):
        for cell in cells_of(Genotype.parse(text)) or ():
            cells[f"alone_{cell.name}"] = cell
    return cells


def general() -> dict[str, Cell]:
    """Spaces that do not decide edge by edge, undecided and with a genotype by lot."""
    cells = {}
    for name, text in GENERAL.items():
        loaded = space(text)
        genotype = by_lot(compile_space(loaded).program.kinds, 3)
        for of, pictures in ((name, draw(loaded)), (f"{name}_chosen", draw(loaded, genotype))):
            cells |= {f"{of}_{kind}": picture.cell for kind, picture in pictures.items()}
    return cells


def random_genotype(number: int) -> CellGenotype:
    """A genotype of up to fourteen edges between named values, some of several inputs."""
    random = Random(number)
    values = [f"in{i}" for i in range(random.randint(1, 3))]
    inputs = len(values)
    decisions: dict[str, str] = {}
    while len(decisions) < 14 and len(values) < 9:
        node = f"n[{len(values) - inputs}]"
        sources = random.sample(values, random.randint(1, min(4, len(values))))
        for source in sources[: 14 - len(decisions)]:
            decisions[f"{node} from {source}"] = random.choice(OPTIONS)
        values.append(node)
    nodes = values[inputs:]
    output = tuple(random.sample(nodes, random.randint(1, len(nodes))))
    return CellGenotype(tuple(decisions.items()), tuple(values), output)


def meet(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles have more than an edge in common."""
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def edges(cell: Cell) -> set[tuple[str, str, str]]:
    """Every edge of a cell as the labels of its tail, its operation and its head."""
    return {
        (cell.boxes[tail].label, box.label, cell.boxes[head].label)
        for number, box in enumerate(cell.boxes)
        if box.role is Role.OPERATION
        for tail in cell.tails[number]
        for head in cell.heads[number]
    }


def joined(cell: Cell) -> set[tuple[str, str]]:
    """The links between values that bear no operation, by their labels."""
    return {
        (cell.boxes[tail].label, cell.boxes[head].label)
        for tail, head in cell.links
        if not cell.boxes[tail].is_operation and not cell.boxes[head].is_operation
    }
