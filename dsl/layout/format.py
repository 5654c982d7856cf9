"""The canonical layout of a file: one text for a tree and its comments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dsl import ast
from dsl.layout.comments import Above, Part, with_comments
from dsl.layout.pretty import CLOSE, SPACE, Break, Line, Open, Row, Word, aligned, rows
from dsl.layout.unparse import SUM, Piece, Sub, block, laid_out, listed, number, said, separated
from dsl.parse import parse
from dsl.settings import SETTINGS, Value
from dsl.source import Source

_SUBJECTS = ("data", "bptt", "alpha_optimiser", "drop_path")
"""The settings, of those in the order of `Settings`, with which another subject begins."""


def formatted(source: Source) -> str:
    """The text of a file in the canonical layout, with its comments, and its numbers as spelt.

    Of the blanks and line ends of the text only these count: whether a comment stands on a line of
    its own, and whether a blank line parts one from the declaration or comment below.

    Raises:
        DartsError: where the text cannot be parsed.
    """
    return _text(with_comments(_parts(parse(source)), source))


def printed(file: ast.File) -> str:
    """A tree in the same layout, with the comments that it holds; its spans are not looked at."""
    parts = _parts(file)
    for part, node in zip(parts, (file, *file.references, *file.declarations), strict=True):
        if isinstance(node, ast.File | ast.OpDecl | ast.CellDecl) and node.comment is not None:
            part.above.append(Above(f"# {node.comment}", False))
    return _text(parts)


def _parts(file: ast.File) -> list[Part]:
    header = [said(f"language {file.language}"), *map(_reference, file.references)]
    return [Part(laid_out(pieces)) for pieces in (*header, *map(_declaration, file.declarations))]


def _text(parts: Sequence[Part]) -> str:
    """The parts one below the other.

    A blank line stands between them, but not between the lines of the head, and not between
    neighbours of a single line that begin with the same word and have no comment between them.
    """
    lines: list[Row] = []
    begun = ""
    for part in parts:
        made = rows(part.items) if part.items else []
        first = made[0].code.split()[0] if made else ""
        alike = first == begun and len(made) == 1 and not part.above
        if lines and not alike and first not in ("import", "extend"):
            lines.append(Row(0))
        for comment in part.above:
            lines.append(Row(0, comment.text))
            if comment.apart and (made or comment is not part.above[-1]):
                lines.append(Row(0))
        lines += made
        begun = first if len(made) == 1 else ""
    return "\n".join(aligned(lines)) + "\n"


# ---- declarations --------------------------------------------------------------------------------


def _reference(node: ast.Reference) -> list[Piece]:
    first, *rest = node.path
    further = [piece for name in rest for piece in (Word("/"), Word(name))]
    return [*said(f"{node.word} {first}"), *further]


def _declaration(node: ast.Declaration) -> list[Piece]:
    match node:
        case ast.SetDecl():
            return [*said(f"set {node.name.name} ="), SPACE, Sub(node.value)]
        case ast.ProfileDecl():
            return _profile(node)
        case ast.NetworkDecl():
            head = [Word("network"), *_parameters(node.parameters)]
            head += _flowing("from", node.inputs, Break.WITH_GROUP)
            head += _flowing("to", node.outputs, Break.WHERE_NEEDED)
        case ast.OpDecl() | ast.CellDecl():
            word = "op" if isinstance(node, ast.OpDecl) else "cell"
            head = said(f"{word} {node.name.name}")
            if isinstance(node, ast.CellDecl) and node.family is not None:
                head += [Word("["), Sub(node.family), Word("]")]
            head += _parameters(node.parameters)
            head += _flowing("from", node.inputs or (), Break.WITH_GROUP)
            if isinstance(node, ast.CellDecl) and node.per_stage:
                head += [Line(indent=0, when=Break.WHERE_NEEDED), *said("per stage")]
    head = [Open(), *head, CLOSE, SPACE]
    if node.body.statements:
        return [*head, Sub(node.body)]
    return [*head, Word("="), Open(), Line(), Sub(node.body.result), CLOSE]


def _parameters(nodes: Sequence[ast.Parameter]) -> list[Piece]:
    return listed("(", [*map(_parameter, nodes)], ")") if nodes else []


def _parameter(node: ast.Parameter) -> list[Piece]:
    if node.default is None:
        return [Word(node.name)]
    return [*said(f"{node.name} ="), SPACE, Sub(node.default)]


def _flowing(word: str, inputs: Sequence[ast.Input], when: Break) -> list[Piece]:
    """What a header says after `from` or `to`; `when` is when that begins a line."""
    if not inputs:
        return []
    return [
        Line(indent=0, when=when),
        Open(),
        Word(word),
        SPACE,
        *separated(map(_input, inputs)),
        CLOSE,
    ]


def _input(node: ast.Input) -> list[Piece]:
    pieces: list[Piece] = [Word(node.name.name)]
    if node.shape is not None:
        pieces += listed("[", [[Sub(size, SUM)] for size in node.shape], "]", trailing=False)
    if node.below is not None:
        pieces += [SPACE, Word("below"), SPACE, Sub(node.below, SUM)]
    return pieces


# ---- profiles ------------------------------------------------------------------------------------


def _profile(node: ast.ProfileDecl) -> list[Piece]:
    base = "" if node.base is None else f" = {node.base.name}"
    head = [*said(f"profile {node.name.name}{base}"), SPACE]
    end = Line(" " if node.settings else "", 0, Break.WITH_GROUP)
    pieces: list[Piece] = [Word("{")]
    for setting in node.settings[:1]:
        pieces += [Line(when=Break.WITH_GROUP), *_setting(setting)]
    for before, setting in pairwise(node.settings):
        begins = _begins_line(before.name.name, setting.name.name)
        pieces += [Line("  ", when=Break.WITH_GROUP if begins else Break.WHERE_NEEDED)]
        pieces += _setting(setting)
    return [*head, *block([*pieces, end, Word("}")])]


def _begins_line(before: str, name: str) -> bool:
    """Whether a setting begins a line in a profile of several lines.

    It does with every new subject. Parameters of the network stand with the data, before it.
    """
    again = before in SETTINGS and name not in SETTINGS
    return again or name == "optimiser" or _subject(before) != _subject(name)


def _subject(name: str) -> int:
    order = list(SETTINGS)
    begun = [s for s in _SUBJECTS if name in SETTINGS and order.index(s) <= order.index(name)]
    return max(1, len(begun))


def _setting(node: ast.Setting) -> list[Piece]:
    return [*said(f"{node.name.name} ="), SPACE, *_value(node.value)]


def _value(value: Value) -> list[Piece]:
    match value:
        case bool():
            return [Word("yes" if value else "no")]
        case str():
            return [Word(value)]
        case tuple():
            return listed("(", [*map(_value, value)], ")")
    return number(value)
