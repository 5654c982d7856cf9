"""Lays generated Python out as its formatter would: flat where it fits, else a line an argument."""

from __future__ import annotations

import re
from dataclasses import dataclass

WIDTH = 100


class Doc:
    """An expression of the generated source."""

    def flat(self) -> str:
        raise NotImplementedError

    def then(self, suffix: str) -> Doc:
        """The expression with an attribute, a call or an index behind it."""
        return Text(self.flat() + suffix)


@dataclass(frozen=True)
class Text(Doc):
    text: str

    def flat(self) -> str:
        return self.text


class Call(Doc):
    """`head(argument, …)`; `always` puts every argument on a line of its own."""

    def __init__(self, head: str, *arguments: Doc | str, always: bool = False) -> None:
        self.head = head
        self.arguments = [Text(a) if isinstance(a, str) else a for a in arguments]
        self.always = always
        self.brackets = "()"

    def flat(self) -> str:
        inside = ", ".join(a.flat() for a in self.arguments)
        return f"{self.head}{self.brackets[0]}{inside}{self.brackets[1]}"

    @property
    def spread(self) -> bool:
        return self.always or any(isinstance(a, Call) and a.spread for a in self.arguments)


class ListOf(Call):
    """`[item, …]`."""

    def __init__(self, *items: Doc | str) -> None:
        super().__init__("", *items)
        self.brackets = "[]"


class DictOf(Call):
    """`{"key": value, …}`, an entry to a line; used as the only argument of a call."""

    def __init__(self, entries: dict[str, Doc]) -> None:
        super().__init__("", *[Entry(f'"{k}": ', v) for k, v in entries.items()], always=True)
        self.brackets = "{}"


@dataclass(frozen=True)
class Entry(Doc):
    key: str
    value: Doc

    def flat(self) -> str:
        return self.key + self.value.flat()


@dataclass(frozen=True)
class Sum(Doc):
    """Terms joined by `+`."""

    terms: tuple[Doc, ...]

    def flat(self) -> str:
        return " + ".join(t.flat() for t in self.terms)

    def then(self, suffix: str) -> Doc:
        return Text(f"({self.flat()}){suffix}")


BINDING = {"+": 1, "-": 1, "*": 2, "/": 2}
HIGHEST = 3


@dataclass(frozen=True)
class Infix(Doc):
    """`left + right`, with brackets where they are needed to keep the order."""

    left: Doc
    operator: str
    right: Doc

    def flat(self) -> str:
        own = BINDING[self.operator]
        left = bracketed(self.left, own)
        return f"{left} {self.operator} {bracketed(self.right, own + 1)}"

    def then(self, suffix: str) -> Doc:
        return Text(f"({self.flat()}){suffix}")


@dataclass(frozen=True)
class Negative(Doc):
    """`-operand`."""

    operand: Doc

    def flat(self) -> str:
        return f"-{bracketed(self.operand, HIGHEST)}"

    def then(self, suffix: str) -> Doc:
        return Text(f"({self.flat()}){suffix}")


def bracketed(doc: Doc, least: int) -> str:
    """An operand, in brackets where it binds less than `least`."""
    binding = BINDING[doc.operator] if isinstance(doc, Infix) else 1 if isinstance(doc, Sum) else 0
    binding = BINDING["*"] if isinstance(doc, Negative) else binding
    loose = isinstance(doc, Either) or 0 < binding < least
    return f"({doc.flat()})" if loose else doc.flat()


@dataclass(frozen=True)
class Either(Doc):
    """`then if condition else otherwise`."""

    then_doc: Doc
    condition: str
    otherwise: Doc

    def flat(self) -> str:
        then = self.then_doc.flat()
        then = f"({then})" if isinstance(self.then_doc, Either) else then
        return f"{then} if {self.condition} else {self.otherwise.flat()}"

    def then(self, suffix: str) -> Doc:
        return Text(f"({self.flat()}){suffix}")


@dataclass(frozen=True)
class Value:
    """An expression, and how many calls it nests."""

    doc: Doc
    depth: int = 0


def docstring(text: str) -> str:
    """Text of a user's file as it may stand between triple quotes, and no more than text there."""
    return re.sub(r'"(?="|\Z)', r'\\"', text.replace("\\", "\\\\"))


def function_head(name: str, parameters: list[str], result: str) -> list[str]:
    """The first lines of a method."""
    head = f"    def {name}({', '.join(parameters)}) -> {result}:"
    if len(head) <= WIDTH:
        return [head]
    flat = f"        {', '.join(parameters)}"
    if len(flat) <= WIDTH:
        return [f"    def {name}(", flat, f"    ) -> {result}:"]
    return [f"    def {name}(", *(f"        {p}," for p in parameters), f"    ) -> {result}:"]


def _chain(doc: Doc, level: int) -> list[tuple[str, Doc]]:
    """The terms of operators that bind alike, each with the operator before it."""
    if isinstance(doc, Sum) and level == BINDING["+"]:
        first, *rest = doc.terms
        return [("", first), *(("+ ", term) for term in rest)]
    if isinstance(doc, Infix) and BINDING[doc.operator] == level:
        right = doc.right
        text = bracketed(right, level + 1)
        right = right if text == right.flat() else Text(text)
        return [*_chain(doc.left, level), (f"{doc.operator} ", right)]
    text = bracketed(doc, level)
    return [("", doc if text == doc.flat() else Text(text))]


def _hugged(doc: Doc, indent: int, before: str, after: str) -> list[str]:
    """`left + call(…)` with the call's brackets opened, where all that is before fits on a line."""
    left, operator, right = "", "+", doc
    if isinstance(doc, Sum) and len(doc.terms) == 2:
        left, right = doc.terms[0].flat(), doc.terms[1]
    elif isinstance(doc, Infix) and len(_chain(doc, BINDING[doc.operator])) == 2:
        own = BINDING[doc.operator]
        left, operator, right = bracketed(doc.left, own), doc.operator, doc.right
    if not left or not isinstance(right, Call) or not right.arguments:
        return []
    made = lines(right, indent, f"{before}{left} {operator} ", after)
    return made if max(map(len, made)) <= WIDTH else []


def lines(doc: Doc, indent: int, before: str = "", after: str = "") -> list[str]:
    """The source lines of `before doc after` at an indentation in spaces."""
    pad = " " * indent
    text = f"{pad}{before}{doc.flat()}{after}"
    spread = isinstance(doc, Call) and doc.spread
    if isinstance(doc, Entry):
        return lines(doc.value, indent, before + doc.key, after)
    if len(text) <= WIDTH and not spread:
        return [text]
    hugged = _hugged(doc, indent, before, after)
    if hugged:
        return hugged
    if isinstance(doc, Sum):
        first, *rest = doc.terms
        result = [f"{pad}{before}(", *lines(first, indent + 4)]
        for term in rest:
            result += lines(term, indent + 4, "+ ")
        return [*result, f"{pad}){after}"]
    if isinstance(doc, Infix):
        result = [f"{pad}{before}("]
        for operator, term in _chain(doc, BINDING[doc.operator]):
            result += lines(term, indent + 4, operator)
        return [*result, f"{pad}){after}"]
    if isinstance(doc, Either):
        inner = [f"{pad}    {doc.flat()}"]
        if len(inner[0]) > WIDTH:
            then = lines(doc.then_doc, indent + 4)
            if isinstance(doc.then_doc, Either) and len(then) == 1:
                then = [f"{pad}    ({doc.then_doc.flat()})"]
            inner = [
                *then,
                f"{pad}    if {doc.condition}",
                *lines(doc.otherwise, indent + 4, "else "),
            ]
        return [f"{pad}{before}(", *inner, f"{pad}){after}"]
    if isinstance(doc, Call) and doc.arguments:
        opening, closing = doc.brackets[0], doc.brackets[1]
        head = f"{pad}{before}{doc.head}{opening}"
        only = doc.arguments[0]
        if len(doc.arguments) == 1 and isinstance(only, DictOf | ListOf):
            inner = lines(only, indent + 4)
            return [head, *inner, f"{pad}{closing}{after}"]
        result = [head]
        joined = ", ".join(a.flat() for a in doc.arguments)
        if not doc.always and not spread and indent + 4 + len(joined) <= WIDTH:
            return [head, f"{' ' * (indent + 4)}{joined}", f"{pad}{closing}{after}"]
        for argument in doc.arguments:
            result += lines(argument, indent + 4, after=",")
        return [*result, f"{pad}{closing}{after}"]
    return [text]
