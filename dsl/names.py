"""Names: what surrounds an expression, and whether a name means anything there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto

from dsl import ast
from dsl.calls import check_bare, signature
from dsl.diagnostics import Collector, Label, did_you_mean
from dsl.scope import Scope, kind_of, kind_of_built_in
from dsl.shipped import shipped_home
from dsl.source import Span
from dsl.vocabulary import BUILT_IN, COUNTERS, LAYERS

MANY = 100
"""So many faults mean another cause than a slip, and looking for near names takes long."""


IN_EXPRESSIONS = ("choose", "each", "earlier", "loose", "repeat")
"""Words of the language that, misspelt, pass for names."""


class Wants(Enum):
    """What may stand at a place, as far as a name alone can tell."""

    ANYTHING = auto()
    START = auto()
    """A value or an operation with all its arguments: the start of a flow, an option."""
    OPERATION = auto()
    SET = auto()


@dataclass(frozen=True)
class Places:
    """What surrounds an expression: where names are bound before it and after it, groups, repeats.

    The two mappings grow and shrink as a body is read; what stands inside has copies of its own.
    """

    bound: dict[str, Span] = field(default_factory=dict)
    later: dict[str, Span] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    in_repeat: bool = False

    def inside(self) -> Places:
        """A copy for a body or an option of a set, whose names do not stay."""
        return replace(self, bound=dict(self.bound), later=dict(self.later))


class Names:
    """The names in one declaration. `sound` is False once one of them has failed."""

    def __init__(self, scope: Scope, found: Collector) -> None:
        self.scope = scope
        self.found = found
        self.sound = True
        self.unknown: set[str] = set()

    def bind(self, places: Places, name: str, span: Span, check: bool = True) -> None:
        """Binds a name, which must be new: neither bound nor declared nor built in."""
        another = "choose another name"
        if name == "_":
            self.sound = False
            self.found.add("E0203", "`_` is no name, what it stands for is not read", span, another)
            return
        if name in places.bound:
            self.already(name, span, places.bound[name])
            return
        if check and name in self.scope.visible:
            declaration = self.scope.visible[name]
            message = f"`{name}` is {kind_of(declaration)}; a name means one thing in a file"
            label = Label(declaration.name.span, "declared here")
            self.found.add("E0203", message, span, another, label)
        elif check and name in BUILT_IN:
            message = f"`{name}` is {kind_of_built_in(name)} of the language"
            self.found.add("E0203", message, span, another)
        places.bound[name] = span
        places.later.pop(name, None)

    def already(self, name: str, span: Span, first: Span) -> None:
        self.sound = False
        label = Label(first, "bound here" if first.start > span.start else "first bound here")
        message = f"`{name}` is already bound"
        self.found.add("E0202", message, span, "choose another name", label)

    def read(
        self,
        node: ast.Name,
        places: Places,
        wants: Wants,
        call: ast.Call | None = None,
        words: tuple[str, ...] = (),
    ) -> None:
        """Checks a name that is read: as the callee of `call`, or where `words` may stand too."""
        name = node.name
        if name in places.bound or name in self.scope.refused:
            return
        if name in self.scope.visible or name in LAYERS:
            self.declared(node, wants, call)
        elif name in COUNTERS:
            self.counter(node, places)
        elif name in BUILT_IN:
            return
        elif name == "_":
            self.sound = False
            self.found.add("E0201", "`_` flows in and is not read", node.span, "give it a name")
        elif name in places.groups:
            self.sound = False
            message = f"`{name}` is not yet complete inside itself"
            self.found.add("E0205", message, node.span, f"`earlier {name}`")
        elif name in places.later:
            self.sound = False
            label = Label(places.later[name], "bound here")
            message = f"`{name}` is bound further down"
            self.found.add("E0205", message, node.span, "move this below it", label)
        else:
            self.nothing_called(node, places, wants, words)

    def declared(self, node: ast.Name, wants: Wants, call: ast.Call | None) -> None:
        """Reports a set in the wrong place, an operation in its place or without arguments."""
        declaration = self.scope.visible.get(node.name)
        called = signature(node.name, self.scope.visible)
        written = (call or node).span.text
        if isinstance(declaration, ast.SetDecl):
            if wants in (Wants.START, Wants.OPERATION):
                message = f"`{node.name}` is a set"
                self.found.add("E0601", message, node.span, f"`choose {written}`")
        elif wants is Wants.SET:
            kind = kind_of_built_in(node.name) if declaration is None else kind_of(declaration)
            message = f"`{node.name}` is {kind}, not a set"
            self.found.add("E0601", message, node.span, f"`{{{written}, …}}`")
        elif call is None and wants is not Wants.ANYTHING and called is not None:
            check_bare(node, called, self.found)

    def counter(self, node: ast.Name, places: Places) -> None:
        if node.name == "edge":  # any body has edges
            return
        inside, where = places.in_repeat, "a `repeat`"
        if node.name == "index":
            inside, where = bool(places.groups), "a `node` group"
        if not inside:
            help = f"a parameter, which {where} gives: `f({node.name})`"
            self.found.add("E0207", f"`{node.name}` counts inside {where}", node.span, help)

    def dimension(self, node: ast.Name, places: Places) -> None:
        """Checks what an operation runs along: the name of a size in a pattern."""
        if node.name not in places.bound:
            help = did_you_mean(node.name, list(places.bound))
            message = f"nothing has a dimension `{node.name}`"
            self.sound = False
            self.found.add("E0201", message, node.span, help or "`from word[T]` names one")

    def earlier(self, node: ast.Earlier, places: Places) -> None:
        if node.name in places.groups:
            return
        self.sound = False
        known = (places.bound, places.later, self.scope.visible, BUILT_IN)
        if not any(node.name in names for names in known):
            name = ast.Name(node.name_span, node.name)
            self.nothing_called(name, places, Wants.ANYTHING, places.groups)
        else:
            message = f"`earlier {node.name}` means something only inside the group `{node.name}`"
            self.found.add("E0209", message, node.span, f"`{node.name}` is all of it")

    def nothing_called(
        self, node: ast.Name, places: Places, wants: Wants, words: tuple[str, ...]
    ) -> None:
        """Reports an unknown name, once in a declaration, with the nearest of the kind needed."""
        self.sound = False
        if not self.scope.complete or node.name in self.unknown:
            return
        self.unknown.add(node.name)
        message = f"nothing is called `{node.name}`"
        if len(self.found) > MANY:
            self.found.add("E0201", message, node.span)
            return
        visible = self.scope.visible
        is_set = {name: isinstance(d, ast.SetDecl) for name, d in visible.items()}
        nearest: list[str] = list(words)
        if wants is Wants.SET:
            nearest = [*places.bound, *(n for n in visible if is_set[n])]
        elif wants is Wants.OPERATION:
            nearest = [*places.bound, *LAYERS, *(n for n in visible if not is_set[n])]
        home = shipped_home(node.name)
        if home is not None:
            if not self.found.suggests(node.span.source, f"`import {home}`"):
                message = f"`{node.name}` is declared in `{home}`, which is not imported"
                self.found.add("E0201", message, node.span, f"`import {home}`")
            return
        help = did_you_mean(node.name, nearest)
        if help is None:
            known = [*places.bound, *places.later, *visible, *BUILT_IN, *IN_EXPRESSIONS]
            help = did_you_mean(node.name, known)
        if node.name.lower() in ("true", "false"):
            help = "flags are `yes` and `no`"
        self.found.add("E0201", message, node.span, help)
