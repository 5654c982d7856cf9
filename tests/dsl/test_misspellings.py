"""One wrong character in a name: the help nearly always says the right one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from string import ascii_lowercase

from compiler.describe import check
from dsl import DartsError, ast, load_text
from dsl.files import SHIPPED
from dsl.parse import parse
from dsl.settings import SETTINGS
from dsl.source import Source, Span
from dsl.vocabulary import BUILT_IN, RESERVED, STRENGTHS

SEED = 0
COUNT = 500
LEAST = 0.9
LETTERS = ascii_lowercase + "_"


def test_the_right_name_is_suggested() -> None:
    missed = [line for right, line in _misspelt(COUNT) if right not in line.rpartition("help:")[2]]
    assert len(missed) <= (1 - LEAST) * COUNT, "\n".join(missed)


def _misspelt(count: int) -> Iterator[tuple[str, str]]:
    """Names in backquotes, each with its misspelling and the faults that it makes."""
    draw = Random(SEED)
    texts = [path.read_text(encoding="utf-8") for path in sorted(SHIPPED.glob("*.darts"))]
    uses = [(text, start, end) for text in texts for start, end in _uses(text)]
    legal = {text: _names(text) for text in texts}
    while count:
        text, start, end = draw.choice(uses)
        name = text[start:end]
        wrong = _with_a_slip(draw, name)
        if wrong in legal[text] or not wrong.isidentifier() or not set(wrong) & set(name):
            continue
        count -= 1
        yield f"`{name}`", f"{name} as {wrong}: {_faults(text[:start] + wrong + text[end:])}"


def _with_a_slip(draw: Random, name: str) -> str:
    """A letter too many, too few or another, or two exchanged."""
    place = draw.randrange(len(name))
    before, letter, after = name[:place], name[place], name[place + 1 :]
    slips = [
        before + draw.choice(LETTERS) + letter + after,
        before + after,
        before + draw.choice(LETTERS) + after,
        before + after[:1] + letter + after[1:],
    ]
    return draw.choice(slips)


def _faults(text: str) -> str:
    try:
        check(load_text(text))
    except DartsError as error:
        return " ".join(f"{d.message} help: {d.help}" for d in error.diagnostics)
    return "no fault"


def _uses(text: str) -> Iterator[tuple[int, int]]:
    """Where names stand that mean something only as they are spelt.

    What binds a name is none of them, nor is a size in a pattern, which binds a name where it
    is not known, nor a label of one's own.
    """
    file = parse(Source("text", text))
    bound: set[Span] = set()
    for node in file.walk():
        match node:
            case ast.Bind(names=names):
                bound |= {name.span for name in names}
            case ast.Input(name=name, shape=shape):
                bound |= {name.span, *(size.span for size in shape or ())}
            case ast.ProfileDecl():
                bound.add(node.name.span)
            case ast.SetDecl() | ast.OpDecl() | ast.CellDecl() | ast.Group() | ast.Shared():
                bound.add(node.name.span)
    spans = [span for node in file.walk() for span in _spans(node) if span not in bound]
    yield from ((span.start, span.end) for span in spans)


def _spans(node: ast.Node) -> Iterator[Span]:
    match node:
        case ast.Name():
            yield node.span
        case ast.Argument(name=str()) | ast.Earlier():
            yield node.name_span
        case ast.Keep():
            words = re.finditer(r"\w+", node.strength_span.text)
            start = node.strength_span.start
            yield from (Span(node.span.source, start + w.start(), start + w.end()) for w in words)
        case ast.Reference():
            yield Span(node.span.source, node.span.end - len(node.path[-1]), node.span.end)
        case ast.Item(label=label, loops=loops) if label in [loop.name for loop in loops]:
            yield node.label_span
        case ast.Setting() if node.name.name != "data" and isinstance(node.value, str):
            yield node.value_span


def _names(text: str) -> set[str]:
    """The names that a misspelling must not hit: they mean something else, or may."""
    space = load_text(text)
    visible = {name for scope in space.scopes.values() for name in scope}
    known = visible | BUILT_IN | RESERVED | set(SETTINGS) | set(" ".join(STRENGTHS).split())
    return known | set(re.findall(r"\w+", text))
