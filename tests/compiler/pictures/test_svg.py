"""SVG files: as expected, well-formed whatever labels hold, and with no text over another."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest
from drawn_cells import general, meet, published, random_genotype
from support import CIFAR, DARTS_V2

from compiler.genotype import CellGenotype, Genotype
from compiler.pictures import draw, of_genotype, together
from compiler.pictures.colours import COLOURS
from compiler.pictures.graph import Box, Cell, OptionSet, Role
from compiler.pictures.layout import Rectangle
from compiler.pictures.lettering import width
from compiler.pictures.operations import OperationKind
from compiler.pictures.svg import svg_of

GOLDEN = Path(__file__).with_name("golden")
PUBLISHED = {**published(), **general()}
GOLDEN_NAMES = [
    "cifar_normal", "cifar_v2_normal", "rnn_v2_recurrent",
    "loose_u", "loose_chosen_u", "several_chosen_u", "depth_network", "depth_chosen_network",
]  # fmt: skip
NAMESPACE = "{http://www.w3.org/2000/svg}"
EVIL = "a<b>&\"'</text>]]>--\\ \u0000\u0007\ud800 \u202e \n x"


def texts(svg: str) -> list[tuple[str, Rectangle]]:
    """Every text of a file with the room that its letters take."""
    found = []

    def visit(element: ET.Element, x: float, y: float) -> None:
        moved = re.match(r"translate\((\S+) (\S+)\)", element.get("transform", ""))
        if moved:
            x, y = x + float(moved[1]), y + float(moved[2])
        if element.tag == NAMESPACE + "text":
            size = float(element.attrib["font-size"])
            text = element.text or ""
            wide = width(text, size)
            left = x + float(element.attrib["x"])
            left -= wide / 2 if element.get("text-anchor") == "middle" else 0
            # letters rise by 0.75 of the size above their line, and hang by 0.22 below it
            top = y + float(element.attrib["y"]) - 0.75 * size
            found.append((text, Rectangle(left, top, wide, 0.97 * size)))
        for child in element:
            visit(child, x, y)

    visit(ET.fromstring(svg), 0, 0)
    return found


def frames(svg: str) -> list[Rectangle]:
    """The boxes of the cells, in the file's own coordinates."""
    found = []
    for group in ET.fromstring(svg).iter(NAMESPACE + "g"):
        x, y = map(float, re.findall(r"[\d.]+", group.attrib["transform"]))
        for rect in group.iter(NAMESPACE + "rect"):
            a = {name: float(rect.attrib[name]) for name in ("x", "y", "width", "height")}
            if "rx" in rect.attrib:
                found.append(Rectangle(a["x"] + x, a["y"] + y, a["width"], a["height"]))
    return found


def check(svg: str) -> None:
    root = ET.fromstring(svg)
    canvas = Rectangle(0, 0, float(root.attrib["width"]), float(root.attrib["height"]))
    rooms = texts(svg)
    for (first, a), (second, b) in combinations(rooms, 2):
        assert not meet(a, b), (first, second)
    for text, room in rooms:
        assert room.x >= 0 and room.x + room.width <= canvas.width, text
        assert room.y >= 0 and room.y + room.height <= canvas.height, text
        for frame in frames(svg):
            within = frame.x <= room.x and room.x + room.width <= frame.x + frame.width
            within &= frame.y <= room.y and room.y + room.height <= frame.y + frame.height
            assert within or not meet(frame, room), text


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_golden(name: str, request: pytest.FixtureRequest) -> None:
    path, text = GOLDEN / f"{name}.svg", svg_of([PUBLISHED[name]])
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PUBLISHED)
def test_texts_of_published_cells_do_not_meet(name: str) -> None:
    check(svg_of([PUBLISHED[name]]))


def test_texts_of_random_genotypes_do_not_meet() -> None:
    for number in range(100, 108):
        svg = of_genotype(Genotype({"cell": random_genotype(number)}))
        assert svg is not None
        check(svg)


def test_every_label_is_there() -> None:
    svg = draw(CIFAR, Genotype.parse(DARTS_V2))["normal"].svg()
    found = [text for text, _ in texts(svg)]
    assert found.count("sep_conv_3x3") == 5
    assert found.count("skip_connect") == 2
    assert found.count("dil_conv_3x3") == 1
    assert {"normal", "a", "from before", "n[3]", "output", "concat", "identity"} <= set(found)
    assert COLOURS[OperationKind.DILATED].line in svg
    assert COLOURS[OperationKind.POOLING].line not in svg


def test_the_legend_of_a_space_lists_the_candidates() -> None:
    found = [text for text, _ in texts(draw(CIFAR)["normal"].svg())]
    assert found.count("8 options") == 14
    assert {"none", "max_pool_3x3", "avg_pool_3x3", "dil_conv_5x5"} <= set(found)


def test_cells_with_the_same_candidates_share_a_legend() -> None:
    svg = together(draw(CIFAR))
    found = [text for text, _ in texts(svg)]
    assert found.count("8 options") == 28
    assert found.count("sep_conv_5x5") == 1
    assert found.index("normal") < found.index("reduce")
    check(svg)


def test_cells_with_other_candidates_have_legends_of_their_own() -> None:
    def cell(name: str, option: str) -> Cell:
        candidates = OptionSet("options", ((option, OperationKind.OTHER),))
        boxes = (Box(Role.OPERATION, "1 option", options=0),)
        return Cell(name, boxes, (), (candidates,))

    svg = svg_of([cell("first", "f"), cell("second", "g")])
    assert [t for t, _ in texts(svg)] == ["first", "1 option", "f", "second", "1 option", "g"]
    check(svg)


def test_a_long_legend_is_broken() -> None:
    options = tuple((f"option_{i}", OperationKind.OTHER) for i in range(30))
    sets = (OptionSet("few", options[:1]), OptionSet("many", options))
    boxes = (Box(Role.OPERATION, "few", options=0), Box(Role.OPERATION, "many", options=1))
    svg = svg_of([Cell("c", boxes, (), sets)])
    check(svg)
    assert len({room.y for text, room in texts(svg) if text.startswith("option_")}) > 3


def test_labels_may_hold_anything() -> None:
    boxes = (
        Box(Role.INPUT, EVIL, EVIL),
        Box(Role.OPERATION, EVIL, options=0),
        Box(Role.NODE, "層" * 80),
        Box(Role.OUTPUT, ""),
    )
    links = ((0, 1), (1, 2), (2, 3))
    cell = Cell(EVIL, boxes, links, (OptionSet(EVIL, ((EVIL, OperationKind.ZEROS),)),))
    svg = svg_of([cell])
    svg.encode()
    check(svg)
    assert "層" * 31 + "…" in [text for text, _ in texts(svg)]
    assert "<b>" not in svg and "</text>]]" not in svg


def test_a_genotype_with_such_labels() -> None:
    cell = CellGenotype(((f"{EVIL} from {EVIL}x", EVIL),), (), (EVIL,))
    svg = of_genotype(Genotype({EVIL: cell}))
    assert svg is not None
    check(svg)


def test_the_same_input_gives_the_same_bytes() -> None:
    assert together(draw(CIFAR)) == together(draw(CIFAR))


def test_no_cells_are_an_empty_picture() -> None:
    assert texts(together({})) == []
