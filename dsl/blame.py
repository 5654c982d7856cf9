"""Whom a fault in an extended file is told: what is declared anew, where that is its cause."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from dsl import ast
from dsl.diagnostics import Diagnostic, Label
from dsl.source import Source, Span


def title(declaration: ast.Declaration) -> str:
    """What a declaration is known by; of two with one title, the later file's counts."""
    match declaration:
        case ast.NetworkDecl():
            return "network"
        case ast.ProfileDecl():
            return f"profile {declaration.name.name}"
    return declaration.name.name


def keyword(declaration: ast.Declaration) -> Span:
    """Where a declaration is pointed at: its name, or the word `network`."""
    if isinstance(declaration, ast.NetworkDecl):
        return declaration.span.head(len("network"))
    return declaration.name.span


def told_at(found: Diagnostic, span: Span, where: str) -> Diagnostic:
    """A diagnostic at another place; its own, which is in `where`, becomes a label."""
    labels = found.labels if found.span is None else (Label(found.span, "here"), *found.labels)
    return replace(found, message=f"in {where}, {found.message}", span=span, labels=labels)


class Blame:
    """Finds the causes of faults in the files whose declarations `whole` is made of.

    A place leads to what it names, and on to what that names. Where that way meets a declaration of
    a file that extends the place's own, the base by itself never went there.
    """

    def __init__(
        self, whole: ast.File, scopes: Mapping[Source, Mapping[str, ast.Declaration]]
    ) -> None:
        self.scopes = scopes
        self.declarations: dict[Source, list[ast.Declaration]] = defaultdict(list)
        """What is left of each file, in the order of its text."""
        for declaration in sorted(whole.declarations, key=lambda d: d.span.start):
            self.declarations[declaration.span.source].append(declaration)
        self.causes: dict[Source, dict[int, ast.Declaration]] = {}
        self.mentions: dict[int, list[tuple[int, ast.Declaration]]] = {}

    def told(self, found: Diagnostic, profiles: tuple[str, ...] = ()) -> Diagnostic:
        """A fault at the declaration that the name nearest to its place leads to.

        If no name does, at the first of these profiles that a later file declares; else it stays.
        """
        span = found.span
        if span is None or span.source.extended_by is None:
            return found
        near = self.declarations[span.source]
        number = bisect_right(near, span.start, key=lambda d: d.span.start) - 1
        if number < 0:
            return found
        cause = self.nearest(near[number], span.start) or self.profile(profiles, span.source)
        if cause is None:
            return found
        name = title(near[number])
        where = "the network" if name == "network" else f"`{name}`"
        return told_at(found, keyword(cause), where)

    def nearest(self, declaration: ast.Declaration, offset: int) -> ast.Declaration | None:
        """What the name nearest to an offset in a declaration leads to."""
        mentions = self.mentions_in(declaration)
        at = bisect_left(mentions, offset, key=lambda mention: mention[0])
        near = mentions[max(0, at - 1) : at + 1]
        return min(near, key=lambda mention: abs(mention[0] - offset))[1] if near else None

    def profile(self, names: tuple[str, ...], source: Source) -> ast.Declaration | None:
        """The first of these profiles that stands in a file above `source`."""
        above = self.above(source)
        declared = {d.name.name: d for d in above if isinstance(d, ast.ProfileDecl)}
        return next((declared[name] for name in names if name in declared), None)

    def mentions_in(self, declaration: ast.Declaration) -> list[tuple[int, ast.Declaration]]:
        """The names in a declaration that lead to a cause: where each begins, and the cause."""
        if id(declaration) not in self.mentions:
            source = declaration.span.source
            if source not in self.causes:
                self.causes[source] = self.causes_for(source)
            causes = self.causes[source]
            self.mentions[id(declaration)] = [
                (name.span.start, causes[id(meant)])
                for name, meant in self.named(declaration)
                if id(meant) in causes
            ]
        return self.mentions[id(declaration)]

    @cached_property
    def users(self) -> Mapping[int, list[ast.Declaration]]:
        """The declarations that name one, by its identity."""
        users: dict[int, list[ast.Declaration]] = defaultdict(list)
        for declaration in (d for several in self.declarations.values() for d in several):
            for _, meant in self.named(declaration):
                users[id(meant)].append(declaration)
        return users

    def causes_for(self, source: Source) -> dict[int, ast.Declaration]:
        """What each declaration leads to, by its identity, in files above `source`: the nearest."""
        above = self.above(source)
        causes = {id(declaration): declaration for declaration in above}
        waiting = deque(above)
        while waiting:
            reached = waiting.popleft()
            for user in self.users.get(id(reached), ()):
                if id(user) not in causes:
                    causes[id(user)] = causes[id(reached)]
                    waiting.append(user)
        return causes

    def above(self, source: Source) -> list[ast.Declaration]:
        """The declarations of files that extend `source`, at once or by way of others."""
        files = self.declarations.items()
        return [d for home, several in files if home.distance < source.distance for d in several]

    def named(self, declaration: ast.Declaration) -> list[tuple[ast.Name, ast.Declaration]]:
        """The names in a declaration that stand for others, in the order of the text."""
        scope = self.scopes[declaration.span.source]
        names = (n for n in declaration.walk() if isinstance(n, ast.Name))
        return [
            (n, scope[n.name])
            for n in sorted(names, key=lambda name: name.span.start)
            if n.name in scope and scope[n.name] is not declaration
        ]
