"""What to say where a text stops making sense.

The grammar pays no heed to line ends, so an error may show long after its cause. Each rule looks at
the words around the place and knows one mistake; the first that recognises its own speaks.
"""

from __future__ import annotations

import re

import lark

from dsl import choosing, foreign, misplaced
from dsl.diagnostics import DartsError, Label, did_you_mean, fault
from dsl.expected import describe, keywords
from dsl.foreign import Rule
from dsl.misplaced import until
from dsl.place import CLOSES, DECLARATIONS, STATEMENTS, Place, Word, stopped
from dsl.source import Source
from dsl.vocabulary import RESERVED

_KEYWORDS = (RESERVED - {"yes", "no"}) | {"edge", "edges"}
_WANTING = {
    "import": "`import std`",
    "extend": "`extend cifar_cell`",
    "over": "`over T`",
    "earlier": "`earlier n`",
    "=": None,
    "->": None,
    "not": None,
}
"""Words that something must stand behind, each with an example."""
_NAMING = frozenset(
    {"op", "cell", "set", "node", "shared", "profile", "from", "for", "as", "earlier"}
)


def explain(error: lark.UnexpectedInput, source: Source) -> DartsError:
    """The one diagnostic for a text that the parser refused."""
    place = stopped(error, source)
    for rule in _RULES:
        said = rule(place)
        if said is not None:
            return said
    return _general(place)


# ---- rules, in the order below -------------------------------------------------------------------


def _header(place: Place) -> DartsError | None:
    if not place.before and place.found.text != "language":
        message = "the file does not say which language it is in"
        return fault("E0104", message, place.found.span, "begin with `language 1`")
    if len(place.before) == 1 and place.before[0].text == "language":
        message = f"the version of the language is a number{_found(place)}"
        return fault("E0104", message, place.found.span, "begin with `language 1`")
    return None


def _misspelt(place: Place) -> DartsError | None:
    """A word that is nearly one of the language, with which the text goes on."""
    for word in (place.back(1), place.found, place.back(2)):
        text = word.text
        if len(text) < 3 or not text.isidentifier() or text in RESERVED:
            continue
        near = [known for known in sorted(_KEYWORDS) if abs(len(known) - len(text)) <= 1]
        near = [known for known in near if did_you_mean(text, [known])]
        near = [known for known in near if place.fits(word.span, known, 2)]
        if near:
            message = f"`{text}` means nothing here"
            return fault("E0105", message, word.span, did_you_mean(text, near))
    return None


def _cut_short(place: Place) -> DartsError | None:
    """`import`, `over` and the like at the end of a line.

    The first word of the next line was read as the name that should stand there.
    """
    begins = DECLARATIONS | STATEMENTS
    for word, next in (
        (place.back(1), place.found),
        (place.back(2), place.back(1)),
        (place.back(3), place.back(2)),
    ):
        if word.text in _WANTING and (not next.text or next.text in begins):
            if next.text and not place.begins_line(next):
                continue
            code = "E0108" if word.text in ("import", "extend") else "E0105"
            message = f"nothing stands behind this `{word.text}`"
            if word.text == "->":
                message = "`->` leads nowhere"
            return fault(code, message, word.span, _WANTING[word.text])
    return None


def _reserved(place: Place) -> DartsError | None:
    word = place.found
    naming = _is_naming(place)
    if word.text == "=" and (place.begins_line(place.back(1)) or place.inside == "{"):
        word, naming = place.back(1), True
    if word.text in RESERVED - {"yes", "no"} and naming:
        message = f"`{word.text}` is a word of the language"
        return fault("E0204", message, word.span, "choose another name")
    return None


def _is_naming(place: Place) -> bool:
    """Whether a name is about to be bound here."""
    in_list = place.back(1).text == "," and place.following in ("=", ",")
    naming = place.back(1).text in _NAMING or place.following == "=" or in_list
    return naming and "NAME" in place.expected


def _equals(place: Place) -> DartsError | None:
    if place.found.text != "=" or not (place.back(1).is_name or place.back(1).text == "]"):
        return None
    name, value = place.back(1).text, until(place, (",", "}", "->"))
    span = place.found.span
    if place.back(2).text in ("when", "if", "and", "or", "not"):
        return fault("E0105", "`=` binds, `==` compares", span, f"`{name} == {value}`")
    if place.back(2).text == "=" and "RETURN" in place.expected:
        return fault("E0105", "a binding has one `=`", span)
    if place.inside == "(":
        message = "a named argument is written with `:`"
        return fault("E0307", message, span, f"`{name}: {value}`")
    return None


def _missing_arrow(place: Place) -> DartsError | None:
    """`x conv(3)`: a name that follows a finished expression on its line belongs to a flow."""
    for left, right in ((place.back(1), place.found), (place.back(2), place.back(1))):
        if not (left.ends_expression and right.is_name) or place.apart(left, right):
            continue
        if right is not place.found and place.found.text in ("=", ","):
            continue
        if right is place.found and not place.ends_expression:
            continue
        return _joined(place, left, right)
    return None


def _joined(place: Place, left: Word, right: Word) -> DartsError:
    message = f"nothing joins `{left.text}` and `{right.text}`"
    help = f"`{left.text} -> {_operation(place, right)}`"
    return fault("E0110", message, right.span, help)


def _operation(place: Place, name: Word) -> str:
    """A name with its arguments, where they are simple."""
    call = re.compile(r"\([^()\n]*\)").match(place.source.text, name.span.end)
    return name.text + (call[0] if call else "")


def _comma(place: Place) -> DartsError | None:
    if place.found.text != ",":
        return None
    if place.back(2).text == "import":
        help = f"`import {place.following}`" if place.following.isidentifier() else None
        return fault("E0108", "an `import` names one file", place.found.span, help)
    if place.ends_expression:
        return fault("E0105", "operations are joined by `->`", place.found.span)
    return None


def _missing_comma(place: Place) -> DartsError | None:
    """`conv(1 out: 4)`, `(a b)`: two things of a list, or an arrow forgotten."""
    left, found = place.back(1), place.found
    starts = found.is_name or found.text[:1].isdigit() or found.text in ("each", "choose", "sink")
    if "COMMA" not in place.expected or not {"RPAR", "RBRACE"} & place.expected:
        return None
    if not (starts and left.ends_expression) or place.following == "=":
        return None
    alone = place.following == ":" or "EQUAL" in place.expected or not found.is_name
    if alone or place.apart(left, found):
        return fault("E0105", f"a comma is missing before `{found.text}`", found.span)
    message = f"nothing joins `{left.text}` and `{found.text}`"
    first, second = left.text if left.is_name else "…", _operation(place, found)
    help = f"`{first}, {second}` are two, `{first} -> {second}` is a flow"
    return fault("E0110", message, found.span, help)


def _unclosed(place: Place) -> DartsError | None:
    """A bracket that is open where a statement or a binding begins on a line of its own."""
    if place.inside not in ("(", "[") or place.balanced:
        return None
    begun = place.found
    if place.back(1).text in STATEMENTS or place.found.text == "=":
        begun = place.back(1)
    elif place.following != "=" and place.found.text not in STATEMENTS:
        return None
    return _not_closed(place, begun) if place.begins_line(begun) else None


def _not_closed(place: Place, word: Word) -> DartsError:
    bracket = place.opened[-1]
    label = Label(bracket.span, "opened here")
    message = f"`{bracket.text}` is not closed before this `{word.text}`"
    return fault("E0106", message, word.span, f"`{CLOSES[bracket.text]}`", label)


def _brackets(place: Place) -> DartsError | None:
    """A bracket that is never closed, that is closed by another one, or that closes nothing."""
    found = place.found
    if not place.opened:
        if found.text in CLOSES.values():
            return fault("E0106", f"`{found.text}` closes nothing", found.span)
        return None
    bracket = place.opened[-1]
    label = Label(bracket.span, "opened here")
    wrong = found.text in CLOSES.values() and found.text != CLOSES[bracket.text]
    if wrong:
        message = f"expected `{CLOSES[bracket.text]}`, found `{found.text}`"
        return fault("E0106", message, found.span, None, label)
    if not found.text:
        message = f"`{bracket.text}` is never closed"
        return fault("E0106", message, found.span, f"`{CLOSES[bracket.text]}`", label)
    ends = bracket.text != "{" or "RBRACE" in place.expected
    begun = found.text in DECLARATIONS or (found.text in STATEMENTS and ends)
    return _not_closed(place, found) if begun and not place.balanced else None


def _nothing(place: Place) -> DartsError | None:
    if place.found.text != ")":
        return None
    if place.back(1).text == "," and "NAME" in place.expected:
        return fault("E0105", "a list has at least two values", place.found.span)
    if place.back(1).text != "(":
        return None
    name = place.back(2).text
    help = f"`{name}` by itself, or with arguments" if name.isidentifier() else None
    return fault("E0105", "these parentheses hold nothing", place.found.span, help)


_RULES: tuple[Rule, ...] = (
    _header,
    _misspelt,
    *choosing.RULES,
    *foreign.RULES,
    _cut_short,
    _reserved,
    _unclosed,
    *misplaced.RULES,
    _equals,
    _nothing,
    _missing_arrow,
    _brackets,
    _missing_comma,
    _comma,
)


def _general(place: Place) -> DartsError:
    message = f"expected {describe(place.expected)}{_found(place)}"
    help = did_you_mean(place.found.text, keywords(place.expected)) if place.found.text else None
    return fault("E0105", message, place.found.span, help)


def _found(place: Place) -> str:
    return f", found `{place.found.text}`" if place.found.text else ", but the file ends here"
