"""How high everything in a picture stands: columns settle where their neighbours pull them."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.pictures.order import Order, crossings, orders
from compiler.pictures.ranks import Columns

LINE_HEIGHT = 5.0
"""What a line takes in a column that it crosses, in pixels."""
BOX_GAP = 7.0
LINE_GAP = 4.5
ROUNDS = 24
LEVEL = 8.0
"""How much more a line pulls at its own continuation than anything else pulls."""
CROSSING = 30.0
"""What a crossing counts beside the pixels that lines climb."""


def settled(columns: Columns, heights: Sequence[float]) -> list[float]:
    """The y of the middle of every place, for the best order of the columns, which it sets.

    An order is good when few lines cross and lines climb little.
    """
    found = []
    for order in orders(columns):
        middles = _middles(columns, order, heights)
        climb = sum(abs(middles[end] - middles[start]) for start, end in columns.steps)
        found.append((CROSSING * crossings(columns, order) + climb, order, middles))
    _, columns.columns, middles = min(found, key=lambda each: each[0])
    return middles


def _middles(columns: Columns, order: Order, heights: Sequence[float]) -> list[float]:
    """Every place near its neighbours, in the order of its column."""
    middles = [0.0] * len(columns.rank)
    for column in order:
        _settle(columns, column, [0.0] * len(column), [1.0] * len(column), heights, middles)
    for number in range(ROUNDS):
        for column in order if number % 2 == 0 else reversed(order):
            _pull(columns, column, heights, middles)
    return middles


def _pull(
    columns: Columns,
    column: list[int],
    heights: Sequence[float],
    middles: list[float],
) -> None:
    """Moves the places of a column towards their neighbours; lines more, so that they are level."""
    wanted, weights = [], []
    for place in column:
        pulls = [
            (middles[other], LEVEL if columns.is_line(place) and columns.is_line(other) else 1.0)
            for other in (*columns.before.get(place, ()), *columns.after.get(place, ()))
        ]
        weight = sum(w for _, w in pulls)
        wanted.append(sum(y * w for y, w in pulls) / weight if pulls else middles[place])
        weights.append(weight or 0.1)
    _settle(columns, column, wanted, weights, heights, middles)


def _settle(
    columns: Columns,
    column: list[int],
    wanted: Sequence[float],
    weights: Sequence[float],
    heights: Sequence[float],
    middles: list[float],
) -> None:
    """Puts the places of a column as near to where they want to be as they fit.

    The weighted squares of the distances are least: isotonic regression, by pooling neighbours
    that are in each other's way.
    """
    offset = 0.0
    offsets = []
    for i, place in enumerate(column):
        if i:
            above = column[i - 1]
            gap = LINE_GAP if columns.is_line(place) or columns.is_line(above) else BOX_GAP
            offset += (heights[place] + heights[above]) / 2 + gap
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # sum of weight times y, weight, places
    for y, weight, own in zip(wanted, weights, offsets, strict=True):
        block = (weight * (y - own), weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] >= block[0] / block[1]:
            total, mass, count = blocks.pop()
            block = (total + block[0], mass + block[1], count + block[2])
        blocks.append(block)
    settled = [total / mass for total, mass, count in blocks for _ in range(count)]
    for place, y, own in zip(column, settled, offsets, strict=True):
        middles[place] = y + own
