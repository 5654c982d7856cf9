"""What may be written at a cursor, of what is known there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lsprotocol.types import CompletionItem, CompletionItemKind, Position

from dsl import ast, files
from dsl.calls import signature
from dsl.lookup import declarations
from dsl.scope import Named
from dsl.settings import SETTINGS, takes
from dsl.vocabulary import COUNTERS, JOINS, LAYERS, PHASES, SPLIT, STRENGTHS, Argument
from runtime.server import hover
from runtime.server.context import Context, context
from runtime.server.documents import Document, Documents

Item = CompletionItem
Kind = CompletionItemKind

_TOP = ("import", "extend", "set", "op", "cell", "network", "profile")
_FILES = ("import", "extend")
_STATEMENTS = ("node", "shared", "keep", "return")
_NAMING = frozenset({"op", "cell", "set", "node", "shared", "for", "from", "to", "below"})
"""Words after which a new name stands, or one of a pattern."""
_KINDS = {
    "value": Kind.Variable,
    "input": Kind.Variable,
    "size": Kind.Constant,
    "parameter": Kind.TypeParameter,
    "group": Kind.Variable,
    "shared": Kind.Function,
    "loop": Kind.Variable,
}
_DECLARED = {ast.SetDecl: Kind.Enum, ast.OpDecl: Kind.Function, ast.CellDecl: Kind.Class}


def complete(documents: Documents, document: Document, position: Position) -> list[Item]:
    """What may follow at a position, what is nearest first."""
    here = context(document.lines.text, document.lines.offset(position))
    if here is None:
        return []
    visible = {**documents.imported(document), **declarations(document.file)}
    items: dict[str, Item] = {}
    below = [other.file for other in documents.below(document)]
    for item in _Completer(document, here, visible, below).items():
        items.setdefault(item.label, item)
    for number, item in enumerate(items.values()):
        item.sort_text = f"{number:04}"
    return list(items.values())


class _Completer:
    """The items at one place.

    `visible` are the declarations that the file sees; `below` are those that it extends.
    """

    def __init__(
        self,
        document: Document,
        here: Context,
        visible: Mapping[str, Named],
        below: Sequence[ast.File],
    ) -> None:
        self.document = document
        self.declarations = [d for f in (document.file, *below) for d in f.declarations]
        self.here = here
        self.visible = visible
        self.bound = here.bound()

    def items(self) -> Iterator[Item]:
        here, before = self.here, self.here.back()
        if not here.words:
            yield from _keywords("language 1", *_TOP)
        elif here.head in _FILES and before in (*_FILES, "/") and not here.starts_line:
            yield from self.files()
        elif not here.brackets and here.starts_line and not here.goes_on:
            yield from _keywords(*_TOP)
        elif here.head == "profile":
            yield from self.profile()
        elif before in ("choose", "entangled", "of"):
            yield from self.declared(sets=True)
            yield from self.names("parameter", "value")
            yield from _keywords(*(["entangled"] if before == "choose" else []))
        elif before == "loose":
            yield from self.names("group")
        elif self.keeps() and before not in ("by", "without", "above"):
            yield from self.keep(before)
        elif before == "by":
            yield from (Item(strength, kind=Kind.EnumMember) for strength in STRENGTHS)
        elif before == "without":
            yield Item("sinks", kind=Kind.EnumMember)
        elif before == "earlier":
            yield from (Item(name, kind=Kind.Variable) for name in reversed(here.groups()))
        elif before == "over":
            yield from self.names("size")
        elif before == "as":
            yield from self.names("loop")
        elif before in _NAMING or (here.inside == "header" and before in ("(", ",")):
            return
        elif before == "->":
            yield from self.operations()
        elif here.inside in ("body", "repeat") and here.starts_line and not here.goes_on:
            yield from self.start()
        elif here.goes_on or before in ("{", "return", "each", "sink"):
            yield from self.arguments()
            yield from self.expression()
        else:
            counts = before.isdigit() and here.back(2) in ("choose", "entangled", ".", "..")
            yield from _keywords(*(["of"] if counts else []), "when", "else", "over", "above")
            yield from _keywords(*(("for", "if", "as") if here.inside == "set" else ()))

    def keeps(self) -> bool:
        """Whether the cursor stands in a `keep`, before its strength is written out."""
        behind = [*self.here.words[::-1]][:6]
        return "keep" in behind and not {"=", "->", "("} & {*behind[: behind.index("keep")]}

    def keep(self, before: str) -> Iterator[Item]:
        """The words of `keep 2 edges per node by weight without sinks above 0.1`."""
        units = ("edge", "edges", "candidate", "candidates")
        if before == "keep":
            yield from _keywords("edges", "candidates")
            yield from self.names("parameter")
        elif before in units:
            yield from _keywords("per node", "in all", "by")
        elif before in ("node", "all"):
            yield from _keywords("by")
        elif "by" not in self.here.words[-4:]:
            yield from _keywords("edges", "candidates")
        else:
            yield from _keywords(*([] if before == "sinks" else ["without sinks"]), "above")

    # -- what is declared and bound

    def declared(self, sets: bool) -> Iterator[Item]:
        """Sets, or ops and cells; not the one the cursor stands in, which cannot hold itself."""
        own = self.here.back(len(self.here.words) - 1)
        for name, node in self.visible.items():
            if isinstance(node, ast.SetDecl) is not sets or name == own:
                continue
            detail = None if isinstance(node, ast.SetDecl) else hover.header(node)
            comment = None if isinstance(node, ast.SetDecl) else node.comment
            yield Item(name, kind=_DECLARED[type(node)], detail=detail, documentation=comment)

    def names(self, *kinds: str) -> Iterator[Item]:
        """What the declaration has bound so far, the latest first."""
        for name, kind in reversed(self.bound.items()):
            if kind in kinds:
                yield Item(name, kind=_KINDS[kind], detail=kind)

    def layers(self) -> Iterator[Item]:
        for layer in LAYERS.values():
            yield Item(
                layer.name,
                kind=Kind.Function,
                detail=hover.signature(layer),
                documentation=layer.doc,
            )

    def files(self) -> Iterator[Item]:
        """The files beside this one, or in the folder named so far, and the shipped ones."""
        parts = [word for word in self.here.words[1:] if word != "/"]
        for root in (self.document.folder, files.SHIPPED):
            if root is not None:
                found = sorted(root.joinpath(*parts).glob("*.darts"))
                names = (path.stem for path in found if path != self.document.path)
                yield from (Item(name, kind=Kind.File) for name in names)

    # -- expressions

    def operations(self) -> Iterator[Item]:
        """What a value can flow into."""
        yield from self.names("parameter", "shared", "loop")
        yield from self.declared(sets=False)
        yield from self.layers()
        yield from _keywords("choose", "repeat")

    def expression(self) -> Iterator[Item]:
        yield from self.names(*_KINDS)
        yield from (Item(n, kind=Kind.Function, documentation=doc) for n, doc in JOINS.items())
        yield Item(SPLIT, kind=Kind.Function)
        yield from self.declared(sets=False)
        yield from self.layers()
        yield from _keywords("each", "choose")
        if self.here.groups():
            yield from _keywords("earlier")
        if "group" in self.bound.values():
            yield from _keywords("loose")
        if self.here.inside == "set":
            yield from _keywords("sink")
        yield from (Item(name, kind=Kind.Constant) for name in (*PHASES, *COUNTERS))

    def start(self) -> Iterator[Item]:
        """What begins a statement of a body, or a step of a repeat."""
        if self.here.inside == "repeat":
            yield from _keywords("at")
            yield from self.operations()
            return
        yield from _keywords(*_STATEMENTS)
        if self.here.head == "network":
            yield from _keywords("auxiliary")

    def arguments(self) -> Iterator[Item]:
        """The named arguments of what is called here, or the values that the one named takes."""
        name, before = self.here.callee, self.here.back()
        layer = LAYERS.get(name) if name not in self.visible else None
        if before == ":" and layer is not None:
            known = [a for a in layer.arguments if a.name == self.here.back(2)]
            yield from _values(known)
        elif before in ("(", ",") and name:
            if layer is not None:
                yield from _values(layer.required)
            called = signature(self._callee(name), self.visible)
            optional = () if called is None else called.names if layer is None else called.optional
            for argument in optional:
                if argument not in self.here.given:
                    yield Item(f"{argument}: ", kind=Kind.Field, filter_text=argument)

    def _callee(self, name: str) -> str:
        """Of a set, which hands its arguments on, the first op among its options."""
        node = self.visible.get(name)
        if not isinstance(node, ast.SetDecl):
            return name
        inside = (n.name for n in node.value.walk() if isinstance(n, ast.Name))
        return next((n for n in inside if isinstance(self.visible.get(n), ast.OpDecl)), name)

    # -- profiles

    def profile(self) -> Iterator[Item]:
        here, before = self.here, self.here.back()
        profiles = [d for d in self.declarations if isinstance(d, ast.ProfileDecl)]
        if here.inside == "profile" and before != "=":
            yield from self.settings()
        elif here.brackets:
            choices = SETTINGS[here.back(2)].metadata if here.back(2) in SETTINGS else {}
            yield from (Item(c, kind=Kind.EnumMember) for c in choices.get("choices", ()))
            if choices.get("kind") == "flag":
                yield from _keywords("yes", "no")
        elif before == "=":
            yield from (Item(p.name.name, kind=Kind.Module) for p in profiles)
        elif before == "profile":
            yield from (Item(phase, kind=Kind.Module) for phase in PHASES)

    def settings(self) -> Iterator[Item]:
        """The network's parameters, then the settings, without those that are set already."""
        networks = [d for d in self.declarations if isinstance(d, ast.NetworkDecl)]
        for parameter in (p for network in networks[:1] for p in network.parameters):
            if parameter.name not in self.here.given:
                yield Item(f"{parameter.name} = ", kind=Kind.TypeParameter, detail="a parameter")
        for name, setting in SETTINGS.items():
            if name not in self.here.given:
                yield Item(
                    f"{name} = ",
                    kind=Kind.Property,
                    detail=takes(name),
                    documentation=str(setting.metadata["doc"]),
                )


def _keywords(*words: str) -> Iterator[Item]:
    yield from (Item(word, kind=Kind.Keyword) for word in words)


def _values(arguments: Iterable[Argument]) -> Iterator[Item]:
    """Words and flags that arguments of a layer take."""
    for argument in arguments:
        yield from (Item(word, kind=Kind.EnumMember) for word in argument.allowed_words)
        if argument.kind == "flag":
            yield from _keywords("yes", "no")
