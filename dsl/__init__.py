"""The language: from text to a resolved program, and what to say when there is none."""

from dsl.diagnostics import DartsError
from dsl.load import load, load_text
from dsl.render import render
from dsl.space import Space

__all__ = ["DartsError", "Space", "load", "load_text", "render"]
