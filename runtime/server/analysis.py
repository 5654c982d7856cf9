"""What the compiler says about a document: its faults, its numbers, the shapes of its values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from compiler.describe import Description, check, describe
from compiler.facts import Facts
from compiler.layers import dimensions
from compiler.measure import measure
from compiler.program import Program
from dsl.diagnostics import DartsError, Diagnostic
from dsl.load import load_text
from dsl.source import Source, Span
from dsl.space import Space


@dataclass(frozen=True)
class Analysis:
    """`space` is None where the text is so faulty that its names are not resolved."""

    space: Space | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def is_sound(self) -> bool:
        return self.space is not None and all(d.severity != "error" for d in self.diagnostics)

    @cached_property
    def description(self) -> Description | None:
        """Its network in words and numbers, where it has a sound one."""
        if self.space is None or self.space.network is None or not self.is_sound:
            return None
        return describe(self.space, None, {})

    @cached_property
    def measured(self) -> tuple[Program, Facts] | None:
        """The search network of the plain profile with its sizes, where it has a sound one."""
        if self.space is None or self.space.network is None or not self.is_sound:
            return None
        _, program, facts = measure(self.space, "search", None, {})
        return program, facts

    def shapes(self, name: str, within: Span) -> dict[str, list[str]]:
        """The shapes that a value takes in the search network, each once.

        They are listed by the cell, op or network they are met in; one body may be that of several
        cells. `within` is the declaration, of the document or an imported one, that binds `name`.
        """
        if self.measured is None:
            return {}
        program, facts = self.measured
        found: dict[str, list[str]] = {}
        for region in program.regions():
            nodes = {number: node for number, node in region.nodes() if node.bound == name}
            if not any(_is_within(node.span, within) for node in nodes.values()):
                continue
            for use in facts.shapes.get(id(region), ()):
                shapes = (dimensions(shape) for n in nodes if (shape := use[n]) is not None)
                found.setdefault(region.name, []).extend(shapes)
        return {name: list(dict.fromkeys(shapes)) for name, shapes in found.items() if shapes}


def _is_within(span: Span | None, other: Span) -> bool:
    # A file that is read twice has two sources, which say the same.
    if span is None or span.source.text != other.source.text:
        return False
    return other.start <= span.start < other.end


def analyse(source: Source) -> Analysis:
    """Loads and checks a text; what it imports is looked for beside it and among the shipped."""
    folder = None if source.path is None else source.path.parent
    space = None
    try:
        space = load_text(source.text, source.name, folder)
        return Analysis(space, check(space))
    except DartsError as error:
        return Analysis(space, error.diagnostics)
