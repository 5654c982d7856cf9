"""Habits of other languages, each with how it is written here.

A rule looks at the place where parsing stopped, and answers where it knows what was meant.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import pairwise

from dsl.diagnostics import DartsError, Label, fault
from dsl.place import CLOSES, Place
from dsl.source import Span

Rule = Callable[[Place], DartsError | None]

_KNOWN = frozenset("()[]{}<>=+-*/%^:,") | {"->", "//", "==", "!=", "<=", ">="}
_COMPARING = frozenset({"==", "!=", "<", "<=", ">", ">="})
_COMMENT = "a comment begins with `#`"
_SIGNS: dict[str, str] = {
    "**": "`^`",
    "+=": "`=`, and a name of its own for what is new",
    "-=": "`=`, and a name of its own for what is new",
    "*=": "`=`, and a name of its own for what is new",
    ":=": "`=`",
    "<-": "`=`",
    "&&": "`and`",
    "||": "`or`",
    "<>": "`!=`",
    "|>": "`->`",
    "=>": "`->`",
    "–>": "`->`",
    "—>": "`->`",
    "→": "`->`",
    "⇒": "`->`",
    "|": "`->` joins operations, `or` conditions",
    "&": "`and`",
    "!": "`not`",
    "?": "`a when p else b`",
    "≤": "`<=`",
    "≥": "`>=`",
    "≠": "`!=`",
    "×": "`*`",
    "−": "`-`",
    "–": "`-`",
    "—": "`-`",
    ";": "leave it out",
    "/*": _COMMENT,
}
_WORDS = {
    "def": "`op {0}`",
    "fn": "`op {0}`",
    "function": "`op {0}`",
    "class": "`cell {0}` or `op {0}`",
    "let": "`{0} = …`",
    "var": "`{0} = …`",
    "const": "`{0} = …`",
    "lambda": "declare an op: `op f from {0} = …`",
    "is": "`==`",
}
_OPENING, _QUOTES = "“‘«„", "\"'"


def _quoted(place: Place) -> DartsError | None:
    if place.found.text not in (*_QUOTES, *_OPENING):
        return None
    line = place.source.text[place.found.span.start :].split("\n", 1)[0]
    quoted = re.match(r"""(?:(["'])(.*?)\1|[“‘«„](.*?)[”’»“])""", line)
    end = place.found.span.start + (len(quoted[0]) if quoted else 1)
    span = Span(place.source, place.found.span.start, end)
    name = (quoted[2] or quoted[3] or "").removesuffix(".darts") if quoted else ""
    word = place.back(1).text
    if word in ("import", "extend"):
        plain = re.fullmatch(r"\w+(/\w+)*", name)
        help = f"`{word} {name}`" if plain else None
        return fault("E0108", f"a file is {word}ed by its bare name", span, help)
    return fault("E0105", "words stand without quotes", span, f"`{name}`" if name else None)


def _import(place: Place) -> DartsError | None:
    """`from std import *`, `import std as s`, `import std.darts`, `import ../std`."""
    found = place.found
    if found.text == "from" and len(place.after) > 1 and place.after[1].text == "import":
        help = f"`import {place.following}`"
        return fault("E0108", "an `import` brings all that a file declares", found.span, help)
    if place.back(2).text == "import" and found.text == "as":
        help = f"`import {place.back(1).text}`"
        return fault("E0108", "what is imported keeps its name", found.span, help)
    word = place.back(2).text
    if word in ("import", "extend") and found.text == "." and place.back(1).is_name:
        last = place.after[0] if place.after else found
        span = place.between(place.back(1), last)
        help = f"`{word} {place.back(1).text}`"
        return fault("E0108", f"a file is {word}ed by its bare name", span, help)
    if found.text == "import" and "CELL" in place.expected:
        begun = place.declaration is not None and place.declaration.text != "extend"
        message = f"imports stand before {'the declarations' if begun else '`extend`'}"
        return fault("E0108", message, found.span, "move it up")
    word = place.back(1).text
    if word in ("import", "extend") and found.text in (".", "/"):
        message = f"a file is {word}ed by its name, from the folder of this one"
        return fault("E0105", message, found.span, f"`{word} name` or `{word} folder/name`")
    return None


def _extend(place: Place) -> DartsError | None:
    """`extend` twice, with several files, or behind a declaration."""
    found = place.found
    first = next((word for word in place.before if word.text == "extend"), None)
    again = found.text == "extend" and "CELL" in place.expected
    if first is not None and (again or (found.text == "," and place.back(2) is first)):
        help = "let one of the two extend the other" if again else None
        labels = [Label(first.span, "the first")] if again else []
        return fault("E0111", "a file extends one other", found.span, help, *labels)
    if again:
        message = "`extend` stands before the declarations"
        return fault("E0111", message, found.span, "move it up")
    return None


def _comment(place: Place) -> DartsError | None:
    found, text = place.found, place.source.text
    start = found.span.start
    dashes = text.startswith("--", start) and place.begins_line(found)
    slashes = found.text == "//" and "MULTIPLICATIVE" not in place.expected
    if dashes or slashes:
        return fault("E0105", _COMMENT, found.span)
    # Words behind what was read as a division.
    last, before = place.back(1), place.back(2)
    for sign, first, second in ((before, last, found), (place.back(3), before, last)):
        if sign.text == "//" and first.is_name and second.is_name and not place.apart(sign, second):
            return fault("E0105", _COMMENT, sign.span)
    return None


def _any_size(place: Place) -> DartsError | None:
    text = place.found.text
    if text not in ("*", "?") or place.back(1).text not in ("[", ",") or place.inside != "[":
        return None
    return fault("E0105", f"`{text}` means nothing here", place.found.span, "`_` is any size")


def _dot(place: Place) -> DartsError | None:
    """`std.skip`, `x.shape`."""
    if place.found.text != "." or not place.back(1).is_name:
        return None
    name, help = place.back(1).text, None
    if any(a.text == "import" and b.text == name for a, b in pairwise(place.before)):
        help = f"`{place.following}`: what is imported stands by itself"
    elif place.following in ("shape", "size"):
        help = "a pattern names sizes: `from x[c, h, _]`"
    return fault("E0105", "`.` means nothing here", place.found.span, help)


def _sign(place: Place) -> DartsError | None:
    """A sign of another language, of which `found` is a part."""
    start, end, text = place.found.span.start, place.found.span.end, place.source.text
    for sign in sorted(_SIGNS, key=len, reverse=True):
        for first in range(max(0, end - len(sign)), start + 1):
            if text.startswith(sign, first) and text[first : first + 2] != "!=":
                span = Span(place.source, first, first + len(sign))
                return fault("E0105", f"`{sign}` means nothing here", span, _SIGNS[sign])
    return None


def _character(place: Place) -> DartsError | None:
    text = place.found.text
    known = text and text.isascii() and (text.isidentifier() or text[0].isdigit() or text in _KNOWN)
    if not text or known:
        return None
    plain = unicodedata.normalize("NFKC", text)
    help = f"`{plain}`" if plain in _KNOWN else None
    if len(text) == 1 and unicodedata.category(text) == "Zs":
        help = "a plain space"
    shown = text if text.isprintable() else text.encode("unicode_escape").decode()
    return fault("E0105", f"`{shown}` means nothing here", place.found.span, help)


def _number(place: Place) -> DartsError | None:
    """`1_000`, `0x10`, `1e`, `3x3`, `.5`, `5.`: a number with something right behind it."""
    before = place.back(1)
    pairs = [(before, place.found), (place.back(2), before)]
    if place.after:
        pairs.append((place.found, place.after[0]))
    for left, right in pairs:
        if left.span.end != right.span.start or not right.text:
            continue
        if place.source.text[left.span.start : right.span.end + 1].count(".") > 1:
            continue
        digits = left.text[:1].isdigit() and (right.text.isidentifier() or right.text == ".")
        if not digits and not (left.text == "." and right.text[0].isdigit()):
            continue
        written = left.text + right.text
        plain = _plain_number(written)
        help = f"`{plain}`" if plain else None
        message = f"`{written}` is neither a number nor a name"
        return fault("E0105", message, place.between(left, right), help)
    return None


def _plain_number(written: str) -> str | None:
    if written.startswith("."):
        return f"0{written}"
    if written.endswith("."):
        return written[:-1]
    try:
        return str(int(written, 0))
    except ValueError:
        return None


def _word(place: Place) -> DartsError | None:
    """`def`, `let` and the like, in front of what they would declare."""
    for word, next in ((place.found, place.following), (place.back(1), place.found.text)):
        if word.text == "is":
            fits = word is place.found and place.back(1).ends_expression
        else:
            fits = word.text in _WORDS and (next.isidentifier() or word.text == "lambda")
        if not fits:
            continue
        help = _WORDS[word.text].format(next if next.isidentifier() else "x")
        if word.text in ("let", "var", "const") and "CELL" in place.expected:
            help = f"`set {next} = …`"
        return fault("E0105", f"`{word.text}` means nothing here", word.span, help)
    return None


def _list(place: Place) -> DartsError | None:
    """A list or a set in square brackets, a set in round ones."""
    of_set = place.back(1).text == "choose" or place.back(3).text == "set"
    if place.found.text == "[" and {"NUMBER", "NAME"} <= place.expected:
        if place.back(1).text == "at":
            return fault("E0105", "places stand without brackets", place.found.span, "`at 1, 2: …`")
        message = "a set stands in braces" if of_set else "a list stands in parentheses"
        help = _in_brackets(place, "{", "}") if of_set else _in_brackets(place, "(", ")")
        return fault("E0105", message, place.found.span, help)
    if place.back(1).text == "sink" and place.back(2).text == "(":
        return fault("E0105", "a set stands in braces", place.opened[-1].span, "`{ sink …, … }`")
    return None


def _in_brackets(place: Place, opening: str, closing: str) -> str:
    """What stands in square brackets after `found`, in brackets of another kind."""
    depth, first = 1, place.found.span.end
    for word in place.after:
        depth += (word.text in CLOSES) - (word.text in CLOSES.values())
        if depth == 0:
            inner = place.source.text[first : word.span.start].strip()
            if inner and "\n" not in inner and "#" not in inner:
                return f"`{opening} {inner} {closing}`" if opening == "{" else f"`({inner})`"
            break
    return f"`{opening}…{closing}`"


def _slice(place: Place) -> DartsError | None:
    if place.found.text != ":" or place.inside != "[":
        return None
    name = place.ahead_of(place.opened[-1])
    if not name.is_name:
        return None
    help = f"a list of members: `({name.text}[0], {name.text}[1])`"
    return fault("E0105", "there are no slices", place.found.span, help)


def _chain(place: Place) -> DartsError | None:
    """`0 < h < 100`."""
    low, first, middle = place.back(3), place.back(2), place.back(1)
    if place.found.text not in _COMPARING or first.text not in _COMPARING or not place.after:
        return None
    help = f"`{low.text} {first.text} {middle.text} and "
    help += f"{middle.text} {place.found.text} {place.following}`"
    return fault("E0105", "one comparison compares two numbers", place.found.span, help)


def _loop(place: Place) -> DartsError | None:
    """`for` where it is no part of an option."""
    found = place.found
    if found.text == "for" and "RETURN" in place.expected:
        help = "`node n[3] = …`"
        message = "`for` makes options of a set; values one after the other are a group"
        return fault("E0105", message, found.span, help)
    in_call = found.text == "for" and place.inside == "("
    word = found if found.text == "for" else place.back(1)
    before = word.text == "for" and word is not found and place.back(2).text in ("{", "(", ",")
    if in_call or before:
        help = "`f(k) for k in (3, 5)`"
        return fault("E0105", "`for` stands behind an option of a set", word.span, help)
    return None


def _condition(place: Place) -> DartsError | None:
    before = place.back(1).text == "if" and "EQUAL" in place.expected
    if place.found.text != "if" and not before:
        return None
    message = "a condition is written `when`; `if` only filters the options of a set"
    word = place.back(1) if before else place.found
    return fault("E0105", message, word.span, "`a when p else b`")


RULES: tuple[Rule, ...] = (
    _quoted,
    _import,
    _extend,
    _comment,
    _any_size,
    _sign,
    _number,
    _dot,
    _character,
    _word,
    _list,
    _slice,
    _chain,
    _loop,
    _condition,
)
