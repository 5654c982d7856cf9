"""Nothing overlaps, every link is a line, and lines go round what they do not join."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

import pytest
from drawn_cells import meet, published, random_genotype

from compiler.genotype import Genotype
from compiler.pictures.from_genotype import cells_of
from compiler.pictures.graph import Box, Cell, Role
from compiler.pictures.layout import Layout, Rectangle, Stroke, placed

PUBLISHED = published()
NEAR = 1e-6
"""What rounding may do, in pixels."""


def random_cell(number: int) -> Cell:
    (cell,) = cells_of(Genotype({"cell": random_genotype(number)})) or ()
    return cell


def curve(stroke: Stroke) -> Iterator[tuple[float, float]]:
    """Points along a stroke, a few pixels apart: level, a cubic curve, level."""
    (x, y), (end_x, end_y) = stroke.start, stroke.end
    for i in range(21):
        t = i / 20
        bend = (stroke.leaves + stroke.arrives) / 2
        corners = [(stroke.leaves, y), (bend, y), (bend, end_y), (stroke.arrives, end_y)]
        shares = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
        yield (
            sum(s * px for s, (px, _) in zip(shares, corners, strict=True)),
            sum(s * py for s, (_, py) in zip(shares, corners, strict=True)),
        )
        yield x + t * (stroke.leaves - x), y
        yield stroke.arrives + t * (end_x - stroke.arrives), end_y


def holds(frame: Rectangle, x: float, y: float) -> bool:
    beside = frame.x + NEAR < x < frame.x + frame.width - NEAR
    return beside and frame.y + NEAR < y < frame.y + frame.height - NEAR


def inside(inner: Rectangle, outer: Rectangle) -> bool:
    across = outer.x - NEAR <= inner.x and inner.x + inner.width <= outer.x + outer.width + NEAR
    down = outer.y - NEAR <= inner.y and inner.y + inner.height <= outer.y + outer.height + NEAR
    return across and down


def check(cell: Cell) -> None:
    layout = placed(cell)
    for (a, first), (b, second) in combinations(enumerate(layout.boxes), 2):
        assert not meet(first, second), (cell.boxes[a], cell.boxes[b])
    for box, frame in zip(cell.boxes, layout.boxes, strict=True):
        assert inside(frame, Rectangle(0, 0, layout.width, layout.height)), box
    for stroke in layout.strokes:
        assert stroke.start[0] <= stroke.leaves + NEAR
        assert stroke.leaves < stroke.arrives <= stroke.end[0] + NEAR
        for x, y in curve(stroke):
            assert -NEAR <= y <= layout.height + NEAR
            assert not any(holds(frame, x, y) for frame in layout.boxes)
    assert reached(cell, layout) == set(cell.links)


def reached(cell: Cell, layout: Layout) -> set[tuple[int, int]]:
    """The links that the strokes draw, found by following them from box to box."""
    after: dict[tuple[float, float], list[Stroke]] = defaultdict(list)
    for stroke in layout.strokes:
        after[stroke.start].append(stroke)

    def at_side(x: float, y: float, *, left: bool) -> int | None:
        for number, frame in enumerate(layout.boxes):
            side = frame.x if left else frame.x + frame.width
            if abs(side - x) < NEAR and frame.y <= y <= frame.y + frame.height:
                return number
        return None

    found = set()
    for stroke in layout.strokes:
        tail = at_side(*stroke.start, left=False)
        waiting = [] if tail is None else [stroke]
        while waiting:
            here = waiting.pop()
            head = at_side(*here.end, left=True)
            if head is None:
                assert after[here.end], "a line ends nowhere"
                waiting += after[here.end]
            elif tail is not None:
                found.add((tail, head))
    return found


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cells(name: str) -> None:
    check(PUBLISHED[name])


@pytest.mark.parametrize("numbers", [range(i, i + 10) for i in range(0, 30, 10)], ids=str)
def test_random_genotypes(numbers: range) -> None:
    for number in numbers:
        check(random_cell(number))


def test_inputs_stand_left_of_all_and_outputs_right() -> None:
    for name, cell in PUBLISHED.items():
        layout = placed(cell)
        ends = [frame.x + frame.width for frame in layout.boxes]
        roles = [box.role for box in cell.boxes]
        inner = [i for i, role in enumerate(roles) if role in (Role.NODE, Role.OPERATION)]
        for number, role in enumerate(roles):
            if role is Role.INPUT:
                assert all(ends[number] < layout.boxes[i].x for i in inner), name
            if role is Role.OUTPUT:
                assert all(layout.boxes[number].x > ends[i] for i in inner), name


def test_strokes_know_which_operations_they_serve() -> None:
    """A line that joins values serves none; one into or out of an operation serves that."""
    cell = PUBLISHED["cifar_v2_normal"]
    layout = placed(cell)
    served = {number for stroke in layout.strokes for number in stroke.operations}
    assert served == {i for i, box in enumerate(cell.boxes) if box.is_operation}
    into_output = [s for s in layout.strokes if s.has_head and not s.operations]
    assert len(into_output) == 4


def test_a_wide_label_makes_room() -> None:
    def wide(label: str) -> float:
        boxes = (Box(Role.INPUT, "a"), Box(Role.OPERATION, label), Box(Role.OUTPUT, "b"))
        return placed(Cell("c", boxes, ((0, 1), (1, 2)))).width

    assert wide("m" * 20) - wide("m" * 10) == pytest.approx(10 * 12 * 1.02)


def test_an_empty_cell_and_a_cycle() -> None:
    assert placed(Cell("c", (), ())).strokes == ()
    with pytest.raises(ValueError, match="cycle"):
        placed(Cell("c", (Box(Role.NODE, "a"), Box(Role.NODE, "b")), ((0, 1), (1, 0))))
