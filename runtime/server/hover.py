"""What a name means, in Markdown: its declaration, its documentation, its shape or its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.counting.architectures import ways
from compiler.describe import counted
from dsl import ast
from dsl.diagnostics import DartsError
from dsl.lookup import Definition, declarations
from dsl.settings import SETTINGS, takes, worded
from dsl.vocabulary import COUNTERS, JOINS, LAYERS, STRENGTHS, Argument, Layer
from runtime.server.documents import Document, Documents

MOST_LINES = 20
"""The most lines of a set or profile that are shown."""
MOST_SHAPES = 4
"""The most shapes of one value that are shown for each place."""
_BOUND = {
    "value": "bound",
    "input": "an input",
    "size": "a size",
    "group": "a group",
    "shared": "a shared operation",
    "loop": "what a loop goes through",
    "parameter": "a parameter",
}
_BODIES = ast.OpDecl | ast.CellDecl | ast.NetworkDecl


def hover(documents: Documents, document: Document, meant: Definition) -> str | None:
    """What to show for a name of `document` that means this, in Markdown."""
    match meant.kind:
        case "layer":
            return _layer(LAYERS[meant.name])
        case "argument":
            return _argument(meant)
        case "setting":
            return _setting(meant.name)
        case "join":
            return _shown(f"{meant.name}(…)", JOINS[meant.name])
        case "function":
            return _shown("split(x, n)", "the channels of a value in n equal parts, as a list")
        case "counter":
            return _shown(meant.name, COUNTERS[meant.name])
        case "strength":
            return _shown(f"by {meant.name}", STRENGTHS[meant.name])
        case "phase":
            return _shown(meant.name, f"`yes` where the {meant.name} network is built")
        case "word":
            return None
        case "network":
            return _network(documents, document, meant)
        case "import":
            return _import(documents, document, meant)
        case "set" | "op" | "cell" | "profile":
            return _declaration(documents, document, meant)
    return _value(documents, document, meant)


def _shown(code: str, *paragraphs: str | None) -> str:
    return "\n\n".join([f"```darts\n{code}\n```", *(p for p in paragraphs if p)])


def signature(layer: Layer) -> str:
    """How a layer is called: `conv(k, out: same, stride: 1)`."""
    arguments = [a.name for a in layer.required]
    arguments += [f"{a.name}: {worded(a.default)}" for a in layer.optional]
    return f"{layer.name}({', '.join(arguments)})" if arguments else layer.name


def header(node: _BODIES) -> str:
    """A declaration up to its body, on one line."""
    head = node.span.source.text[node.span.start : node.body.span.start]
    return " ".join(head.split())


def _layer(layer: Layer) -> str:
    words = [f"`{a.name}` is {_words(a)}" for a in layer.arguments if a.words]
    return _shown(signature(layer), "; ".join([f"{layer.doc}; reads {layer.reads}", *words]))


def _argument(meant: Definition) -> str:
    if meant.owner not in LAYERS:
        return f"`{meant.name}` is passed on to every option of `{meant.owner}`"
    argument = next(a for a in LAYERS[meant.owner].arguments if a.name == meant.name)
    kinds = {"number": "a number", "flag": "`yes` or `no`", "operation": "a shared operation"}
    takes = kinds.get(argument.kind) or _words(argument)
    default = "" if argument.default is None else f"; by default `{worded(argument.default)}`"
    return f"`{meant.name}` of `{meant.owner}`: {takes}{default}"


def _words(argument: Argument) -> str:
    return " or ".join(f"`{word}`" for word in argument.words)


def _setting(name: str) -> str:
    default = worded(SETTINGS[name].default)
    about = SETTINGS[name].metadata
    return _shown(
        f"{name} = {default}", str(about["doc"]), f"{takes(name)}; by default `{default}`"
    )


def _declaration(documents: Documents, document: Document, meant: Definition) -> str:
    node = meant.node
    if isinstance(node, ast.OpDecl | ast.CellDecl):
        return _shown(
            header(node),
            node.comment,
            *_decisions(documents, document, meant),
            _of(documents, document, meant),
        )
    assert node is not None
    lines = node.span.text.splitlines()
    lines = [*lines[:MOST_LINES], "…"] if len(lines) > MOST_LINES else lines
    return _shown("\n".join(lines), _of(documents, document, meant))


def _of(documents: Documents, document: Document, meant: Definition) -> str | None:
    """Which file an imported name comes from, or one that is declared anew."""
    span, said = meant.span, "of"
    if span is not None and span.source.path == document.path:
        span, said = documents.declared_below(document, meant), "in place of that of"
    if span is None or span.source.path is None:
        return None
    return f"{said} `{span.source.path.stem}`"


def _decisions(documents: Documents, document: Document, meant: Definition) -> Iterator[str]:
    """In how many ways a cell can decide."""
    description = documents.analysis(document).description if meant.kind == "cell" else None
    for kind in description.kinds if description is not None else ():
        if kind.name == meant.name:
            yield f"{counted(ways(kind), 'way')} to decide"


def _network(documents: Documents, document: Document, meant: Definition) -> str:
    assert isinstance(meant.node, ast.NetworkDecl)
    text = _shown(header(meant.node))
    description = documents.analysis(document).description
    if description is None:
        return text
    return "\n".join([text, "", "```text", *description.lines(), "```"])


def _import(documents: Documents, document: Document, meant: Definition) -> str | None:
    assert isinstance(meant.node, ast.Reference)
    other = documents.named_by(document, meant.node)
    if other is None:
        return None
    names: dict[str, None] = {}
    for each in (*reversed(documents.below(other)), other):
        names |= dict.fromkeys(declarations(each.file))
    brings = "brings " + ", ".join(f"`{name}`" for name in names)
    code = f"{meant.node.word} {meant.name}"
    return _shown(code, other.file.comment, brings if names else None)


def _value(documents: Documents, document: Document, meant: Definition) -> str:
    """A name that a declaration binds: where, and which shapes it has."""
    code = meant.name
    match meant.node:
        case ast.Bind() | ast.Shared() | ast.Parameter() | ast.For():
            code = " ".join(meant.node.span.text.split())
        case ast.Group(name=name, count=count):
            code = f"node {name.name}[{count.span.text}]"
    where = f"{_BOUND[meant.kind]} in `{meant.owner}`"
    known = [*_shapes(documents, document, meant), *_values(documents, document, meant)]
    return _shown(code, where, *known)


def _values(documents: Documents, document: Document, meant: Definition) -> Iterator[str]:
    """What the profiles give a parameter of the network."""
    space = documents.analysis(document).space
    if space is None or (meant.kind, meant.owner) != ("parameter", "network"):
        return
    for profile in space.profiles.values():
        if meant.name in profile.entries:
            yield f"`{worded(profile.entries[meant.name].value)}` in profile `{profile.name}`"


def _shapes(documents: Documents, document: Document, meant: Definition) -> Iterator[str]:
    if meant.kind not in ("value", "input", "group") or meant.span is None:
        return
    try:
        home = documents.home(document, meant.span)
    except DartsError:
        return
    within = next(
        (d.span for d in home.file.declarations if d.span.start <= meant.span.start < d.span.end),
        meant.span,
    )
    name = f"{meant.name}[0]" if meant.kind == "group" else meant.name
    for place, shapes in documents.analysis(document).shapes(name, within).items():
        more = ", …" if len(shapes) > MOST_SHAPES else ""
        listed = ", ".join(f"`{shape}`" for shape in shapes[:MOST_SHAPES])
        yield f"in `{place}`: {listed}{more}"
