"""What stands where it cannot, or lacks a part: in profiles, bodies, groups, repeats and lists."""

from __future__ import annotations

import re

from dsl.diagnostics import DartsError, Label, fault
from dsl.foreign import Rule
from dsl.place import CLOSES, DECLARATIONS, STATEMENTS, Place, Word
from dsl.source import Span

KEEP = "`keep 2 edges per node by weight`"
_ENDING = frozenset({"", ",", "->", ")", "]", "}"}) | STATEMENTS | DECLARATIONS
_BEGINNING = frozenset({"each", "choose", "repeat", "not", "earlier", "loose"})
_LONGEST = 60


def until(place: Place, stops: tuple[str, ...]) -> str:
    """The text behind `found`, up to what ends it on the same line."""
    depth, last = 0, place.found
    for word in place.after:
        depth += (word.text in CLOSES) - (word.text in CLOSES.values())
        if depth < 0 or (depth == 0 and word.text in stops) or place.apart(last, word):
            break
        last = word
    text = place.source.text[place.found.span.end : last.span.end].strip()
    return text if text and len(text) <= _LONGEST else "…"


# ---- profiles ------------------------------------------------------------------------------------


def _setting(place: Place) -> DartsError | None:
    if not place.in_profile:
        return None
    found, name = place.found, place.back(1)
    if place.back(2).text == "=" and found.text == ":" and place.back(3).text == "data":
        folder = re.compile(r"[^\s}]*").match(place.source.text, found.span.end)
        help = f"`--data {name.text}:{folder[0] if folder else ''}`"
        message = "a folder is named on the command line"
        return fault("E0105", message, place.between(name, found), help)
    if found.text == ":" and "EQUAL" in place.expected:
        help = f"`{name.text} = {place.following or '…'}`"
        return fault("E0105", "a setting is written with `=`", found.span, help)
    if place.expected == {"EQUAL"} and name.is_name:
        if found.ends_expression and found.text not in CLOSES.values() and place.following != "=":
            help = f"`{name.text} = {found.text}`"
            return fault("E0105", f"`{name.text}` has no `=`", name.span, help)
        return _no_value(name)
    if found.text == "," and place.expected == {"NAME", "RBRACE"}:
        return fault("E0105", "settings stand without commas", found.span)
    if place.expected == {"NAME", "RBRACE"} and found.text in ("+", "-", "*", "/", "//", "%", "^"):
        return fault("E0105", "a profile does not reckon", found.span, "write the result")
    return None


def _no_value(name: Word) -> DartsError:
    return fault("E0105", f"`{name.text}` has no value", name.span, f"`{name.text} = …`")


def _empty(place: Place) -> DartsError | None:
    """`epochs =` and `y = x ->`, with nothing behind."""
    found, last, before = place.found, place.back(1), place.back(2)
    # The first word of the next line was read as what is missing.
    taken = last.is_name and (place.apart(before, last) or place.in_profile)
    if found.text == "=" and taken and before.text in ("=", "->"):
        last, before = before, place.back(3)
    elif found.text not in _ENDING:
        return None
    if last.text == "->":
        return fault("E0105", "`->` leads nowhere", last.span)
    if last.text == "=" and before.is_name and place.inside == "{":
        return _no_value(before)
    return None


# ---- bodies --------------------------------------------------------------------------------------


def _group(place: Place) -> DartsError | None:
    """`n[3] = …` without its `node`, and `node n = …`."""
    found, name = place.found, place.back(1)
    if found.text == "=" and place.back(2).text == "node":
        help = f"`node {name.text}[4] = …`"
        return fault("E0105", "a group says how many values it has", name.span, help)
    if found.text != "[" or place.expected != {"COMMA", "EQUAL"} or not name.is_name:
        return None
    if not place.fits(name.span, f"node {name.text}", 4):
        return None
    help = f"`node {name.text}[{until(place, (']',))}] = …`"
    return fault("E0105", "a group begins with `node`", name.span, help)


def _return(place: Place) -> DartsError | None:
    found = place.found
    if found.text == "}" and "RETURN" in place.expected and place.opened:
        return _gives_nothing(place, found, "end it with `return`")
    bare = place.back(1) if place.expected == {"COMMA", "EQUAL"} else found
    starts = bare.is_name or bare.text in _BEGINNING
    if bare is found:
        starts = "RETURN" in place.expected
    if place.opened and starts and bare.text:
        through = _to_the_end(place)
        if through is not None and place.fits(bare.span, f"return {bare.text}", through):
            end = (found, *place.after)[through].span.start
            line = place.source.text[bare.span.start : end].strip()
            short = len(line) <= _LONGEST and "\n" not in line and "#" not in line
            return _gives_nothing(
                place, bare, f"`return {line}`" if short else "begin it with `return`"
            )
    statement = found.text in STATEMENTS
    if (statement or place.following == "=") and "RBRACE" in place.expected and place.opened:
        opened = place.opened[-1].span.start
        if any(w.text == "return" and w.span.start > opened for w in place.before):
            help = f"put `{found.text}` before it"
            return fault("E0105", "`return` comes last", found.span, help)
    return None


def _gives_nothing(place: Place, word: Word, help: str) -> DartsError:
    label = Label(place.opened[-1].span, "the body opens here")
    return fault("E0105", "this body gives nothing back", word.span, help, label)


def _to_the_end(place: Place) -> int | None:
    """How many words behind `found` close the innermost bracket around it."""
    depth = 0
    for count, word in enumerate((place.found, *place.after)):
        depth += (word.text in CLOSES) - (word.text in CLOSES.values())
        if depth < 0:
            return count
    return None


def _braces(place: Place) -> DartsError | None:
    """`op f = { … return … }`: what stands behind `=` was read as a set."""
    found, last = place.found, place.back(1)
    if found.text == "{" and last.text == "=" and place.back(3).text == "profile":
        return fault("E0105", "no `=` stands before what is in braces", last.span, "leave it out")
    if place.inside != "{":
        return None
    equals = place.ahead_of(place.opened[-1])
    if equals.text != "=" or place.declaration is None or place.declaration.text == "set":
        return None
    group = place.ahead_of(equals).text == "]" and len(place.opened) > 1
    if len(place.opened) > 1 and not group:
        return None
    inner = [w.text for w in place.before if w.span.start > place.opened[-1].span.start]
    inner += [w.text for w in (found, *place.after)[: _to_the_end(place) or 0]]
    if "return" not in inner:
        return None
    return fault("E0105", "no `=` stands before a body in braces", equals.span, "leave it out")


def _declaration(place: Place) -> DartsError | None:
    """`op f = relu` inside a body."""
    # In front of a body's first statement the word was read as a name.
    found = place.back(1) if place.expected == {"COMMA", "EQUAL"} else place.found
    if found.text not in DECLARATIONS or not place.opened or not place.balanced:
        return None
    if not place.begins_line(found):
        return None
    label = Label(place.opened[0].span, "the body opens here")
    message = f"`{found.text}` declares, and stands outside of bodies"
    return fault("E0105", message, found.span, "move it out of the body", label)


def _keep(place: Place) -> DartsError | None:
    found = place.found
    if found.text == "," and place.following == "without" and "WITHOUT" in place.expected:
        help = f"`by {place.back(1).text} without sinks`"
        return fault("E0105", "no comma stands before `without`", found.span, help)
    told = f", found `{found.text}`" if found.text else ", but the file ends here"
    if place.expected == {"BY"}:
        help = "`by weight`, `by weight without sinks` or `by alpha`"
        return fault("E0105", "`keep` does not say by which strength", found.span, help)
    if place.expected == {"BY", "IN", "PER"} and found.text in ("above", "", "}", *STATEMENTS):
        help = "`by weight`, `by weight without sinks` or `by alpha`"
        return fault("E0105", "`keep` does not say by which strength", found.span, help)
    if place.expected in ({"PER"}, {"NODE"}, {"ALL"}):
        return fault("E0105", f"edges are kept `per node` or `in all`{told}", found.span, KEEP)
    if place.expected == {"UNIT"} and found.text in ("per", "in", "by"):
        return fault("E0105", "`keep` does not say what it keeps", found.span, KEEP)
    return None


# ---- repeats, `over`, `each` ---------------------------------------------------------------------


def _repeat(place: Place) -> DartsError | None:
    found, last = place.found, place.back(1)
    opening = place.opened[-1] if place.opened else None
    if last.text == "}" and place.expected >= {"LBRACE"}:
        opening = _opening(place)
    before = place.ahead_of(opening) if opening is not None and opening.text == "{" else None
    if before is not None and before.text == "repeat":
        help = "`repeat N { … }`"
        return fault("E0105", "a `repeat` says how many steps it has", before.span, help)
    if not {"AT", "RBRACE"} <= place.expected:
        return None
    if last.text == "at" and place.back(2).text == "{":
        message = "the ordinary step of a `repeat` stands before its places"
        return fault("E0105", message, last.span, "`repeat N { f at 2: g }`")
    if last.text == "return" or found.text == "=":
        message = "a `repeat` holds an operation, without names and without `return`"
        return fault("E0105", message, last.span, "`repeat N { f }`")
    if found.is_name and last.ends_expression:
        message = "a `repeat` holds one operation, and others at its places"
        return fault("E0105", message, found.span, "`repeat N { f -> g }` or `{ f at 2: g }`")
    return None


def _opening(place: Place) -> Word | None:
    """The bracket that the last word before `found` closes."""
    depth = 0
    for word in reversed(place.before):
        depth += (word.text in CLOSES.values()) - (word.text in CLOSES)
        if depth == 0:
            return word
    return None


def _places(place: Place) -> DartsError | None:
    if "COLON" in place.expected and place.inside == "{":
        return fault("E0105", "expected `:` after the places", place.found.span)
    return None


def _over(place: Place) -> DartsError | None:
    over, along = place.back(2), place.back(1)
    if place.following == ":":
        over, along = along, place.found
    elif place.found.text != ":":
        return None
    if over.text != "over" or not along.is_name:
        return None
    runs = until(place, (",", "->")).removeprefix(":").strip()
    message = "`over` stands behind what it runs"
    return fault("E0105", message, place.between(over, along), f"`{runs} over {along.text}`")


def _each(place: Place) -> DartsError | None:
    """`each a, b -> f`, and `each a` without what happens to it."""
    if place.expected != {"LPAR", "LSQB", "__ANON_0"}:
        return None
    each = next((word for word in reversed(place.before) if word.text == "each"), None)
    if each is None:
        return None
    values = Span(place.source, each.span.end, place.back(1).span.end).text.strip()
    if place.found.text == ",":
        rest = until(place, ("->",))
        if f"{rest} ->" in place.source.text[place.found.span.end :] and rest != "…":
            help = f"`each ({values}, {rest}) -> …`"
            return fault("E0105", "several values stand in parentheses", place.found.span, help)
    message = "`each` does not say what its values flow into"
    return fault("E0105", message, each.span, f"`each {values} -> …`")


def _list(place: Place) -> DartsError | None:
    """`a, b = f, g` and `return a, b`."""
    if place.found.text != "," or "RETURN" not in place.expected | _closing(place):
        return None
    depth = 0
    for index in range(len(place.before) - 1, 0, -1):
        word = place.before[index]
        depth += (word.text in CLOSES.values()) - (word.text in CLOSES)
        if depth < 0:
            return None
        several = word.text == "=" and place.before[index - 2].text == ","
        if depth == 0 and (several or word.text == "return"):
            names = f"{place.before[index - 3].text}, {place.before[index - 1].text} = "
            help = f"`{names if several else 'return '}(…, …)`"
            return fault("E0105", "a list stands in parentheses", place.found.span, help)
        if depth == 0 and word.text in ("=", *STATEMENTS):
            return None
    return None


def _closing(place: Place) -> frozenset[str]:
    """What a body goes on with, where only its end is left."""
    return frozenset({"RETURN"}) if place.expected == {"RBRACE"} else frozenset()


def _default(place: Place) -> DartsError | None:
    """`op f(k: 3)`."""
    if place.found.text != ":" or place.expected != {"RPAR", "COMMA", "EQUAL"}:
        return None
    value = until(place, (",",))
    help = f"`{place.back(1).text} = {value}`" if value[0].isdigit() else None
    return fault("E0105", "a default is written with `=`", place.found.span, help)


RULES: tuple[Rule, ...] = (
    _setting,
    _repeat,
    _empty,
    _over,
    _group,
    _braces,
    _return,
    _declaration,
    _keep,
    _each,
    _list,
    _places,
    _default,
)
