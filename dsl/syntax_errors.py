"""What to say where a text stops making sense.

The grammar pays no heed to line ends, so an error may show long after its cause. Each rule below
looks at the words around the place and knows one mistake; the first that recognises its own speaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import lark

from dsl.diagnostics import DartsError, Label, did_you_mean, fault
from dsl.expected import describe, keywords
from dsl.source import Source, Span
from dsl.vocabulary import NOT_YET, RESERVED

_WORD = re.compile(
    r"#[^\n]*|[A-Za-z_][A-Za-z0-9_]*|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|->|//|[=!<>]=|\S"
)
_DECLARATIONS = frozenset({"set", "op", "cell", "network", "profile", "import"})
_STATEMENTS = frozenset({"node", "shared", "keep", "auxiliary", "return"})
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_NAMING = frozenset(
    {"op", "cell", "set", "node", "shared", "profile", "from", "for", "as", "earlier"}
)


@dataclass(frozen=True)
class Word:
    text: str
    span: Span

    @property
    def is_name(self) -> bool:
        return self.text.isidentifier() and self.text not in RESERVED

    @property
    def ends_expression(self) -> bool:
        return self.is_name or self.text in (")", "]", "}", "yes", "no") or self.text[0].isdigit()


@dataclass(frozen=True)
class Place:
    """Where parsing stopped. `found` is the unexpected word, empty at the end of the file.

    `before` and `after` are the words around it, `opened` the brackets open there, and `expected`
    the terminals of the grammar that could have followed.
    """

    source: Source
    found: Word
    before: tuple[Word, ...]
    after: tuple[Word, ...]
    opened: tuple[Word, ...]
    expected: frozenset[str]

    def back(self, steps: int) -> Word:
        """The word that many before `found`; an empty one before the start."""
        empty = Word(" ", Span(self.source, 0, 0))
        return self.before[-steps] if steps <= len(self.before) else empty

    @property
    def ends_expression(self) -> bool:
        """Whether a whole expression stands before; the parser may have left it behind already."""
        left = {"__ANON_0", "PROFILE", "RETURN"} & self.expected
        header = self.back(2).text in ("import", "language")
        return bool(left) and self.back(1).ends_expression and not header

    @property
    def following(self) -> str:
        return self.after[0].text if self.after else ""

    @property
    def inside(self) -> str:
        return self.opened[-1].text if self.opened else ""


def explain(error: lark.UnexpectedInput, source: Source) -> DartsError:
    """The one diagnostic for a text that the parser refused."""
    place = _place(error, source)
    for rule in _RULES:
        said = rule(place)
        if said is not None:
            return said
    return _general(place)


def _place(error: lark.UnexpectedInput, source: Source) -> Place:
    expected: set[str] = set()
    start = error.pos_in_stream if isinstance(error.pos_in_stream, int) else len(source.text)
    if isinstance(error, lark.UnexpectedToken):
        expected = error.accepts or error.expected
        if error.token.type == "$END":
            start = len(source.text)
    elif isinstance(error, lark.UnexpectedCharacters):
        expected = set(error.allowed or ())
    words = [
        Word(match.group(), Span(source, match.start(), match.end()))
        for match in _WORD.finditer(source.text)
        if not match.group().startswith("#")
    ]
    before = tuple(word for word in words if word.span.end <= start)
    rest = tuple(word for word in words if word.span.end > start)
    end = before[-1].span.end if before else 0
    found = rest[0] if rest else Word("", Span(source, end, end))
    return Place(source, found, before, rest[1:], _opened(before), frozenset(expected))


def _opened(words: tuple[Word, ...]) -> tuple[Word, ...]:
    opened: list[Word] = []
    for word in words:
        if word.text in _CLOSES:
            opened.append(word)
        elif opened and word.text in _CLOSES.values():
            opened.pop()
    return tuple(opened)


# ---- rules, the most telling first ---------------------------------------------------------------


def _header(place: Place) -> DartsError | None:
    if not place.before and place.found.text != "language":
        message = "the file does not say which language it is in"
        return fault("E0104", message, place.found.span, "begin with `language 1`")
    if len(place.before) == 1 and place.before[0].text == "language":
        message = f"the version of the language is a number{_found(place)}"
        return fault("E0104", message, place.found.span, "begin with `language 1`")
    return None


def _quoted(place: Place) -> DartsError | None:
    if place.found.text not in ('"', "'"):
        return None
    line = place.source.text[place.found.span.start :].split("\n", 1)[0]
    quoted = re.match(r"""(["'])(.*?)\1""", line)
    end = place.found.span.start + (len(quoted[0]) if quoted else 1)
    span = Span(place.source, place.found.span.start, end)
    name = quoted[2].removesuffix(".darts") if quoted else ""
    if place.back(1).text == "import":
        plain = re.fullmatch(r"\w+(/\w+)*", name)
        help = f"`import {name}`" if plain else None
        return fault("E0108", "a file is imported by its bare name", span, help)
    return fault("E0105", "words stand without quotes", span, f"`{name}`" if name else None)


def _foreign_character(place: Place) -> DartsError | None:
    text = place.found.text
    if text == "//" and "MULTIPLICATIVE" not in place.expected:
        return fault("E0105", "a comment begins with `#`", place.found.span)
    known = text and text.isascii() and (text.isidentifier() or text[0].isdigit() or text in _KNOWN)
    if not text or known:
        return None
    help = {"&": "`and`", "|": "`or`", "!": "`not`", ";": "leave it out"}.get(text)
    shown = text if text.isprintable() else text.encode("unicode_escape").decode()
    return fault("E0105", f"`{shown}` means nothing here", place.found.span, help)


_KNOWN = frozenset("()[]{}<>=+-*/%^:,") | {"->", "//", "==", "!=", "<=", ">="}


def _coming(place: Place) -> DartsError | None:
    """Words of the language that this version cannot use."""
    per = place.found.text == "per" and place.following == "stage"
    if per or (place.found.text == "candidates" and place.back(2).text == "keep"):
        text = "per stage" if per else "candidates"
        end = place.after[0].span.end if per else place.found.span.end
        span = Span(place.source, place.found.span.start, end)
        return fault("E0107", f"`{text}` is reserved for a coming version of the language", span)
    for word in (place.found, place.back(1)):
        if word.text in NOT_YET and not (word is place.found and _is_naming(place)):
            message = f"`{word.text}` is reserved for a coming version of the language"
            return fault("E0107", message, word.span)
    return None


def _reserved(place: Place) -> DartsError | None:
    text = place.found.text
    if text in RESERVED and text not in ("yes", "no") and _is_naming(place):
        message = f"`{text}` is a word of the language"
        return fault("E0204", message, place.found.span, "choose another name")
    return None


def _is_naming(place: Place) -> bool:
    """Whether a name is about to be bound here."""
    in_list = place.back(1).text == "," and place.following in ("=", ",")
    naming = place.back(1).text in _NAMING or place.following == "=" or in_list
    return naming and "NAME" in place.expected


def _colon(place: Place) -> DartsError | None:
    """`data: digits` in a profile."""
    if place.found.text != ":" or place.inside != "{" or "EQUAL" not in place.expected:
        return None
    name = place.back(1).text
    help = f"`{name} = {place.following}`"
    return fault("E0105", "a setting is written with `=`", place.found.span, help)


def _equals(place: Place) -> DartsError | None:
    if place.found.text != "=" or not (place.back(1).is_name or place.back(1).text == "]"):
        return None
    name, value = place.back(1).text, _until_comma(place)
    span = place.found.span
    if place.back(2).text == "node":
        help = f"`node {name}[4] = …`"
        return fault("E0105", "a group says how many values it has", place.back(1).span, help)
    if place.back(2).text in ("when", "if", "and", "or", "not"):
        return fault("E0105", "`=` binds, `==` compares", span, f"`{name} == {value}`")
    if place.inside == "(":
        message = "a named argument is written with `:`"
        return fault("E0307", message, span, f"`{name}: {value}`")
    return None


def _until_comma(place: Place) -> str:
    """The text of the value after `found`, up to what ends an argument on the same line."""
    depth, end = 0, place.found.span.end
    for word in place.after:
        depth += (word.text in _CLOSES) - (word.text in _CLOSES.values())
        if depth < 0 or (depth == 0 and word.text in (",", "}", "->")):
            break
        if "\n" in place.source.text[end : word.span.start]:
            break
        end = word.span.end
    return place.source.text[place.found.span.end : end].strip() or "…"


def _if_for_when(place: Place) -> DartsError | None:
    if place.found.text != "if":
        return None
    message = "a condition is written `when`; `if` only filters the options of a set"
    return fault("E0105", message, place.found.span)


def _missing_arrow(place: Place) -> DartsError | None:
    """`x conv(3)`: a name that follows a finished expression on its line belongs to a flow."""
    for left, right in ((place.back(1), place.found), (place.back(2), place.back(1))):
        between = place.source.text[left.span.end : right.span.start]
        if not (left.ends_expression and right.is_name) or "\n" in between:
            continue
        if right is not place.found and place.found.text in ("=", ","):
            continue
        if right is place.found and not place.ends_expression:
            continue
        return _joined(place, left, right)
    return None


def _joined(place: Place, left: Word, right: Word) -> DartsError:
    text = place.source.text
    call = re.compile(r"\([^()\n]*\)").match(text, right.span.end)
    operation = right.text + (call[0] if call else "")
    message = f"nothing joins `{left.text}` and `{right.text}`"
    return fault("E0110", message, right.span, f"`{left.text} -> {operation}`")


def _comma(place: Place) -> DartsError | None:
    if place.found.text != ",":
        return None
    if place.expected == {"NAME", "RBRACE"}:
        return fault("E0105", "settings stand without commas", place.found.span)
    if place.back(2).text == "import":
        help = f"`import {place.following}`" if place.following.isidentifier() else None
        return fault("E0108", "an `import` names one file", place.found.span, help)
    if place.ends_expression:
        return fault("E0105", "operations are joined by `->`", place.found.span)
    return None


def _brackets(place: Place) -> DartsError | None:
    """A bracket that is never closed, that is closed by another one, or that closes nothing."""
    found = place.found
    if not place.opened:
        if found.text in _CLOSES.values():
            return fault("E0106", f"`{found.text}` closes nothing", found.span)
        return None
    bracket = place.opened[-1]
    label = Label(bracket.span, "opened here")
    wrong = found.text in _CLOSES.values() and found.text != _CLOSES[bracket.text]
    if wrong:
        message = f"expected `{_CLOSES[bracket.text]}`, found `{found.text}`"
        return fault("E0106", message, found.span, None, label)
    if not found.text:
        message = f"`{bracket.text}` is never closed"
        return fault("E0106", message, found.span, f"`{_CLOSES[bracket.text]}`", label)
    statement = found.text in _STATEMENTS and bracket.text != "{"
    if found.text in _DECLARATIONS or statement:
        message = f"`{bracket.text}` is not closed before this `{found.text}`"
        return fault("E0106", message, found.span, f"`{_CLOSES[bracket.text]}`", label)
    return None


def _return(place: Place) -> DartsError | None:
    if place.found.text == "}" and "RETURN" in place.expected and place.opened:
        label = Label(place.opened[-1].span, "the body opens here")
        message = "this body gives nothing back"
        return fault("E0105", message, place.found.span, "end it with `return`", label)
    statement = place.found.text in _STATEMENTS
    if (statement or place.following == "=") and "RBRACE" in place.expected and place.opened:
        opened = place.opened[-1].span.start
        if any(w.text == "return" and w.span.start > opened for w in place.before):
            help = f"put `{place.found.text}` before it"
            return fault("E0105", "`return` comes last", place.found.span, help)
    return None


def _nothing(place: Place) -> DartsError | None:
    if place.found.text != ")" or place.back(1).text != "(":
        return None
    name = place.back(2).text
    help = f"`{name}` by itself, or with arguments" if name.isidentifier() else None
    return fault("E0105", "these parentheses hold nothing", place.found.span, help)


def _places(place: Place) -> DartsError | None:
    if "COLON" in place.expected and place.inside == "{":
        return fault("E0105", "expected `:` after the places", place.found.span)
    return None


KEEP = "`keep 2 edges per node by weight`"


def _keep(place: Place) -> DartsError | None:
    if place.expected == {"BY"}:
        help = "`by weight`, `by weight without sinks` or `by alpha`"
        return fault("E0105", "`keep` does not say by which strength", place.found.span, help)
    if place.expected in ({"PER"}, {"NODE"}):
        return fault("E0105", f"edges are kept per node{_found(place)}", place.found.span, KEEP)
    return None


_RULES: tuple[Callable[[Place], DartsError | None], ...] = (
    _header,
    _quoted,
    _foreign_character,
    _coming,
    _reserved,
    _colon,
    _equals,
    _if_for_when,
    _return,
    _keep,
    _nothing,
    _missing_arrow,
    _brackets,
    _comma,
    _places,
)


def _general(place: Place) -> DartsError:
    message = f"expected {describe(place.expected)}{_found(place)}"
    help = did_you_mean(place.found.text, keywords(place.expected)) if place.found.text else None
    return fault("E0105", message, place.found.span, help)


def _found(place: Place) -> str:
    return f", found `{place.found.text}`" if place.found.text else ", but the file ends here"
