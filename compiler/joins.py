"""What shape values make that meet in a join, in arithmetic or in a tied table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler.facts import Sizes
from compiler.ir import Elementwise, channel_axis
from compiler.layers import dimensions


class Misfit(Exception):
    """Why values cannot meet: a diagnostic that still lacks its place."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


def joined(how: str, shapes: list[Sizes], names: list[str | None]) -> Sizes:
    """The shape of a join, `how` values meet; `names` say what the values come from.

    Raises:
        Misfit: when the shapes differ in more than what is joined.
    """
    first = shapes[0]
    axis = channel_axis(len(first))
    names = names if len(set(names)) > 1 else [None] * len(names)
    for shape, name in zip(shapes[1:], names[1:], strict=True):
        same = shape == first
        if how == "concat":
            same = _without(shape, axis) == _without(first, axis)
        if not same:
            raise Misfit(
                "E0501",
                f"`{how}` joins values of different shape: {_named(first, names[0])} and "
                f"{_named(shape, name)}",
                _advice(first, shape),
            )
    if how == "concat":
        return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])
    return first


def reckoned(node: Elementwise, number: Any, shapes: list[Sizes]) -> Sizes:
    """The shape of `+ - * /`: equal shapes, or that of the larger value where the smaller one is
    as wide as its channels.

    Raises:
        Misfit: for other shapes, a number that is none, and a division by zero.
    """
    if isinstance(number, bool | str):
        shown = {True: "yes", False: "no"}[number] if isinstance(number, bool) else number
        raise Misfit("E0401", f"`{node.operator}` needs values or numbers, this is `{shown}`")
    if node.operator == "/" and number == 0 and not node.swapped:
        raise Misfit("E0504", "this divides by zero")
    few, many = sorted((shapes[0], shapes[-1]), key=len)
    broadcast = len(few) == 1 < len(many) and few[0] == many[channel_axis(len(many))]
    if few != many and not broadcast:
        help = "a vector goes with an image, or a sequence, of its width"
        raise Misfit(
            "E0501",
            f"`{node.operator}` of values of different shape: {dimensions(shapes[0])} and "
            f"{dimensions(shapes[-1])}",
            _advice(few, many) if len(few) == len(many) else help,
        )
    return many


def part(shape: Sizes, count: int) -> Sizes:
    """The shape of one of `count` equal parts of the channels.

    Raises:
        Misfit: when the parts would be unequal.
    """
    axis = channel_axis(len(shape))
    if shape[axis] % count:
        message = f"{shape[axis]} channels cannot be split in {count}"
        raise Misfit("E0504", message, f"a width that {count} divides")
    return (*shape[:axis], shape[axis] // count, *shape[axis + 1 :])


def check_tied(table: str, matrix: Sizes, tables: Mapping[str, Sizes]) -> None:
    """What is tied to a table has a matrix of the same sizes, and the table was made before it.

    Raises:
        Misfit: when it is not so.
    """
    if table not in tables:
        message = f"nothing flows into `{table}` before this is tied to it"
        raise Misfit("E0503", message, f"`word -> {table}` first")
    if tables[table] != matrix:
        (rows, width), (out, reads) = tables[table], matrix
        raise Misfit(
            "E0503",
            f"`{table}` has {rows} rows of {width} numbers, what is tied to it makes {out} "
            f"numbers of {reads}",
            f"`linear({rows}, tied: {table})` on values of width {width}",
        )


def _without(shape: Sizes, axis: int) -> Sizes:
    return shape[:axis] + shape[axis + 1 :]


def _named(shape: Sizes, name: str | None) -> str:
    return f"{dimensions(shape)} from `{name}`" if name is not None else dimensions(shape)


def _advice(first: Sizes, second: Sizes) -> str:
    if len(first) == 3 and first[1:] != second[1:]:
        return "give the larger one a stride"
    return "bring them to one width first"
