"""Whom a fault in an extended file is told: what is declared anew, where that is its cause."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import replace

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
    """Finds the cause of faults in the files that `whole` is made of.

    A place leads to what it names, and on to what that names. Where that way meets a declaration of
    a file that extends the place's own, the base by itself never went there.
    """

    def __init__(
        self, whole: ast.File, scopes: Mapping[Source, Mapping[str, ast.Declaration]]
    ) -> None:
        self.whole = whole
        self.scopes = scopes
        self.causes: dict[Source, dict[int, ast.Declaration]] = {}
        self.mentions: dict[int, list[tuple[int, ast.Declaration]]] = {}

    def told(self, found: Diagnostic, profiles: tuple[str, ...] = ()) -> Diagnostic:
        """A fault at the declaration that the name nearest to its place leads to.

        If no name does, at the first of these profiles that a later file declares; else it stays.
        """
        span = found.span
        if span is None or span.source.extended_by is None:
            return found
        for declaration in self.whole.declarations:
            place = declaration.span
            if place.source is span.source and place.start <= span.start < place.end:
                cause = self.nearest(declaration, span.start) or self.profile(profiles, span.source)
                if cause is not None:
                    name = title(declaration)
                    where = "the network" if name == "network" else f"`{name}`"
                    return told_at(found, keyword(cause), where)
        return found

    def nearest(self, declaration: ast.Declaration, offset: int) -> ast.Declaration | None:
        """What the name nearest to an offset in a declaration leads to."""
        mentions = self.mentions_in(declaration)
        at = bisect_left(mentions, offset, key=lambda mention: mention[0])
        near = mentions[max(0, at - 1) : at + 1]
        return min(near, key=lambda mention: abs(mention[0] - offset))[1] if near else None

    def profile(self, names: tuple[str, ...], source: Source) -> ast.Declaration | None:
        """The first of these profiles that stands in a file above `source`."""
        declared = {
            d.name.name: d
            for d in self.whole.declarations
            if isinstance(d, ast.ProfileDecl) and d.span.source.distance < source.distance
        }
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

    def causes_for(self, source: Source) -> dict[int, ast.Declaration]:
        """What each declaration leads to, by its identity, in files above `source`: the nearest."""
        users: dict[int, list[ast.Declaration]] = defaultdict(list)
        for declaration in self.whole.declarations:
            for _, meant in self.named(declaration):
                users[id(meant)].append(declaration)
        above = [d for d in self.whole.declarations if d.span.source.distance < source.distance]
        causes = {id(declaration): declaration for declaration in above}
        waiting = deque(above)
        while waiting:
            reached = waiting.popleft()
            for user in users[id(reached)]:
                if id(user) not in causes:
                    causes[id(user)] = causes[id(reached)]
                    waiting.append(user)
        return causes

    def named(self, declaration: ast.Declaration) -> list[tuple[ast.Name, ast.Declaration]]:
        """The names in a declaration that stand for others, in the order of the text."""
        scope = self.scopes[declaration.span.source]
        names = (n for n in declaration.walk() if isinstance(n, ast.Name))
        return [
            (n, scope[n.name])
            for n in sorted(names, key=lambda name: name.span.start)
            if n.name in scope and scope[n.name] is not declaration
        ]
