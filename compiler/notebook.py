"""What a notebook shows of a space: its cells.

The language knows no compiler, so the compiler tells it how to draw.
"""

from __future__ import annotations

from dsl.diagnostics import DartsError
from dsl.space import Space


def show_spaces() -> None:
    """Lets spaces draw themselves; nothing is imported until one does."""
    Space.picture = _picture


def _picture(space: Space) -> str | None:
    """The cells of a space as SVG, or None where it has none that decide anything."""
    from compiler.pictures import draw, together

    if space.network is None:
        return None
    try:
        pictures = draw(space)
    except DartsError:
        return None  # a space with a fault is still worth looking at; using it tells the fault
    return together(pictures) if pictures else None
