"""Where a cursor stands in a text that need not make sense, told from the words before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dsl.vocabulary import RESERVED

_WORD = re.compile(r"#[^\n]*|[A-Za-z_]\w*|[0-9][\w.]*|->|//|[=!<>]=|\S", re.ASCII)
_STARTS = frozenset({"language", "import", "extend", "set", "op", "cell", "network", "profile"})
_HEADS = frozenset({"op", "cell", "network"})
_GOES_ON = frozenset({"->", "//", "==", "!=", "<=", ">=", *"=,([:+-*/%^<>"})
"""Words after which an expression goes on."""
_CLOSES = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class Bracket:
    """An open bracket: the number of its word, and what it opens.

    `what` is "call", "header", "list", "index", "set", "repeat", "body" or "profile".
    """

    place: int
    what: str


@dataclass(frozen=True)
class Context:
    """What stands before the cursor, from the start of its declaration on.

    `words` leaves out `prefix`, the part of a word that ends at the cursor. `starts_line` says
    whether that is the first on its line.
    """

    words: tuple[str, ...]
    prefix: str
    brackets: tuple[Bracket, ...]
    starts_line: bool
    following: str
    """The rest of the line and the next, where a `for` may bind what stands before it."""

    def back(self, steps: int = 1) -> str:
        """The word so many before the cursor's; empty before the start."""
        return self.words[-steps] if steps <= len(self.words) else ""

    @property
    def head(self) -> str:
        """The word that the declaration begins with; empty between declarations."""
        return self.words[0] if self.words else ""

    @property
    def inside(self) -> str:
        """What the innermost open bracket opens; empty outside all."""
        return self.brackets[-1].what if self.brackets else ""

    @property
    def goes_on(self) -> bool:
        """Whether the word before cannot end an expression."""
        return self.back() in _GOES_ON or self.back() in RESERVED - {"yes", "no"}

    @property
    def callee(self) -> str:
        """What is called by the innermost bracket."""
        return self.words[self.brackets[-1].place - 1] if self.inside == "call" else ""

    @property
    def given(self) -> frozenset[str]:
        """The names of arguments, or of settings, that stand in the innermost bracket already."""
        inside = self.words[self.brackets[-1].place :] if self.brackets else ()
        sign = "=" if self.inside == "profile" else ":"
        return frozenset(a for a, b in pairwise(inside) if b == sign)

    def bound(self) -> dict[str, str]:
        """The names bound so far in the declaration, with what each is, as in `dsl.lookup`.

        What the statement around the cursor binds is not among them.
        """
        if self.head not in {*_HEADS, "set"}:
            return {}
        found = dict(_header(self.words)) if self.head in _HEADS else {}
        unfinished = {*_unfinished(self.words), *self.groups()}
        for name, kind in _statements(self.words):
            if name not in unfinished:
                found.setdefault(name, kind)
        for match in re.finditer(r"\bfor\s+([A-Za-z_]\w*)\s+in\b", self.following):
            found.setdefault(match[1], "loop")
        return found

    def groups(self) -> tuple[str, ...]:
        """The groups around the cursor, the innermost last."""
        places = [b.place for b in self.brackets if b.what == "body"]
        named = [self._group_at(place) for place in places]
        line = self._group_without_braces()
        return tuple(name for name in [*named, line] if name.isidentifier())

    def _group_at(self, brace: int) -> str:
        """The group whose body begins with this brace."""
        nodes = [i for i in range(brace) if self.words[i] == "node"]
        if not nodes or {"{", "}", "=", "return"} & set(self.words[nodes[-1] : brace]):
            return ""
        return self.words[nodes[-1] + 1]

    def _group_without_braces(self) -> str:
        """The group of a `node n[2] = …` that has not ended."""
        starts = [i for i, w in enumerate(self.words) if w in ("node", "keep", "return", "shared")]
        if not starts or self.words[starts[-1]] != "node":
            return ""
        after = self.words[starts[-1] :]
        bindings = [i for i, word in enumerate(after) if word == "="]
        return after[1] if len(bindings) == 1 and "{" not in after[: bindings[0]] else ""


def context(text: str, offset: int) -> Context | None:
    """What stands before a character offset; None inside a comment."""
    before = text[:offset]
    line = before[before.rfind("\n") + 1 :]
    if "#" in line:
        return None
    partial = re.search(r"[A-Za-z_]\w*$", before, re.ASCII)
    prefix = partial[0] if partial else ""
    before = before[: len(before) - len(prefix)]
    words = [w for w in _WORD.findall(before) if not w.startswith("#")]
    starts = [i for i, word in enumerate(words) if word in _STARTS]
    words = words[starts[-1] :] if starts else words
    following = "\n".join(text[offset:].split("\n", 2)[:2])
    starts_line = not line[: len(line) - len(prefix)].strip()
    return Context(tuple(words), prefix, tuple(_open(words)), starts_line, following)


def _open(words: Sequence[str]) -> list[Bracket]:
    opened: list[Bracket] = []
    for place, word in enumerate(words):
        if word in "([{":
            opened.append(Bracket(place, _opens(words, place)))
        elif word in _CLOSES:
            kinds = [words[bracket.place] for bracket in opened]
            if _CLOSES[word] in kinds:  # one that is not closed yet ends with those around it
                last = len(kinds) - 1 - kinds[::-1].index(_CLOSES[word])
                del opened[last:]
    return opened


def _opens(words: Sequence[str], place: int) -> str:
    word, head = words[place], words[0]
    before = words[place - 1] if place else ""
    names = before.isidentifier() and before not in RESERVED
    if word == "[":
        return "index"
    if word == "(":
        is_header = place == (1 if head == "network" else 2) and head in _HEADS
        return "header" if is_header else "call" if names else "list"
    if head == "profile":
        return "profile"
    since = list(reversed(words[:place]))
    ends = next((i for i, w in enumerate(since) if w in ("{", "}", "=", "return")), len(since))
    if "repeat" in since[:ends]:
        return "repeat"
    return "body" if head in _HEADS and (names or before in ("]", ")")) else "set"


def _header(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Parameters, inputs, and the sizes in patterns."""
    depth, is_inputs, is_outputs = 0, False, False
    for before, word in pairwise(words):
        if depth == 0 and word in ("{", "="):
            return
        depth += (word in "([") - (word in ")]")
        is_outputs = is_outputs or (word == "to" and depth == 0)
        is_inputs = (is_inputs or word == "from") and not is_outputs
        if not word.isidentifier() or word in RESERVED or word == "_" or is_outputs:
            continue
        if not is_inputs and depth == 1 and before in ("(", ","):
            yield word, "parameter"
        elif is_inputs and depth == 0 and before in ("from", ","):
            yield word, "input"
        elif is_inputs and depth == 1 and before in ("[", ","):
            yield word, "size"


def _statements(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What the statements of a body and the loops of a set bind."""
    kinds = {"node": "group", "shared": "shared", "for": "loop"}
    for place, word in enumerate(words):
        if word in kinds and place + 1 < len(words):
            yield words[place + 1], kinds[word]
        elif word == "=" and place > 2 and words[place - 2] not in (*kinds, "set", "op", "cell"):
            yield from ((name, "value") for name in _before(words, place))


def _unfinished(words: Sequence[str]) -> Iterator[str]:
    """What the statement binds that the words end in."""
    begins = ("=", "node", "keep", "return", "auxiliary")
    last = next((i for i in reversed(range(len(words))) if words[i] in begins), 0)
    if words[last] == "=":
        yield from _before(words, last)


def _before(words: Sequence[str], place: int) -> Iterator[str]:
    """The names in `a, b =`."""
    while place > 0 and words[place - 1].isidentifier() and words[place - 1] not in RESERVED:
        yield words[place - 1]
        if words[place - 2] != ",":
            return
        place -= 2
