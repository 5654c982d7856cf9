"""Resolving names: every name in a file is known, bound once, and used after it is bound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dsl import ast
from dsl.calls import check_arguments, signature
from dsl.diagnostics import Collector, Label, did_you_mean
from dsl.names import Names, Places, Wants
from dsl.options import Scopes, check_set, check_set_call, options_of
from dsl.reach import check_reach
from dsl.scope import Scope
from dsl.settings import SETTINGS
from dsl.source import Span
from dsl.vocabulary import JOINS, SPLIT, STRENGTHS


def resolve(file: ast.File, scope: Scope, scopes: Scopes, found: Collector) -> None:
    """Checks the declarations of a file; `scopes` are its own and those of its imports."""
    for declaration in file.declarations:
        if not isinstance(declaration, ast.ProfileDecl):
            _Resolver(scope, scopes, found).declaration(declaration)


class _Resolver:
    """Resolves one declaration."""

    def __init__(self, scope: Scope, scopes: Scopes, found: Collector) -> None:
        self.scope = scope
        self.scopes = scopes
        self.found = found
        self.names = Names(scope, found)
        self.is_op = False

    # -- declarations

    def declaration(self, node: ast.SetDecl | ast.OpDecl | ast.CellDecl | ast.NetworkDecl) -> None:
        if isinstance(node, ast.SetDecl):
            self.expr(node.value, Places(), Wants.SET)
            return
        self.is_op = isinstance(node, ast.OpDecl)
        is_network = isinstance(node, ast.NetworkDecl)
        if isinstance(node, ast.CellDecl) and node.family is not None:
            self.expr(node.family, Places())
        places = Places(later={p.name: p.name_span for p in reversed(node.parameters)})
        for parameter in node.parameters:
            if parameter.default is not None:
                self.expr(parameter.default, places)
            # A network's parameter named like a setting is reported with the profiles.
            known = is_network and parameter.name in SETTINGS
            self.names.bind(places, parameter.name, parameter.name_span, check=not known)
        self.inputs(node.inputs or (), places)
        if isinstance(node, ast.NetworkDecl):
            self.outputs(node.outputs, places)
        self.body(node.body, places, is_network)
        if self.names.sound:
            check_reach(node, self.found)

    def inputs(self, inputs: tuple[ast.Input, ...], places: Places) -> None:
        """Binds inputs and the names in their patterns that no parameter has.

        An input called `_` flows in and is not read.
        """
        for node in (node for node in inputs if node.name.name != "_"):
            self.names.bind(places, node.name.name, node.name.span)
        for size in (size for node in inputs for size in node.shape or ()):
            if not isinstance(size, ast.Name):
                self.expr(size, places)
            elif size.name != "_" and size.name not in places.bound:
                self.names.bind(places, size.name, size.span)
        for node in inputs:
            if node.below is not None:
                self.expr(node.below, places)

    def outputs(self, outputs: tuple[ast.Input, ...], places: Places) -> None:
        first: dict[str, Span] = {}
        for node in outputs:
            name = node.name.name
            if name in first:
                label = Label(first[name], "first named here")
                message = f"`{name}` is already an output"
                self.found.add("E0202", message, node.name.span, None, label)
            first.setdefault(name, node.name.span)
            for size in node.shape or ():
                if size != ast.Name(size.span, "_"):
                    self.expr(size, places)

    # -- bodies

    def body(self, body: ast.Body, around: Places, is_network: bool = False) -> None:
        outer, places = around.later, around.inside()
        places.later.update((n.name, n.span) for s in body.statements for n in ast.bound_by(s))
        for statement in body.statements:
            for name in ast.bound_by(statement):
                if name.name in outer:
                    self.names.already(name.name, name.span, outer[name.name])
            self.statement(statement, places, is_network)
        self.expr(body.result, places, Wants.START)
        self.keeps([s for s in body.statements if isinstance(s, ast.Keep)])

    def statement(self, node: ast.Statement, places: Places, is_network: bool) -> None:
        match node:
            case ast.Bind():
                self.expr(node.value, places)
                for name in node.names:
                    self.names.bind(places, name.name, name.span)
            case ast.Group():
                self.expr(node.count, places)
                self.body(node.body, replace(places, groups=(*places.groups, node.name.name)))
                self.names.bind(places, node.name.name, node.name.span)
            case ast.Shared():
                self.expr(node.value, places, Wants.START)
                self.names.bind(places, node.name.name, node.name.span)
            case ast.Auxiliary():
                if not is_network:
                    span = node.span.head(len("auxiliary"))
                    way_out = "write it in the network, on a value that is bound there"
                    self.found.add("E0712", "`auxiliary` belongs to a network", span, way_out)
                self.expr(node.value, places, Wants.START)
            case ast.Keep():
                if self.is_op or places.groups:
                    message = "`keep` stands in the body of a cell or of the network"
                    help = "it ranks the edges of all nodes there, groups and ops in it included"
                    self.found.add("E0607", message, node.span.head(len("keep")), help)
                self.keep(node, places)

    def keep(self, node: ast.Keep, places: Places) -> None:
        if node.strength not in STRENGTHS:
            help = did_you_mean(node.strength, STRENGTHS)
            help = help or "by " + ", ".join(f"`{strength}`" for strength in STRENGTHS)
            message = f"there is no strength `{node.strength}`"
            self.found.add("E0608", message, node.strength_span, help)
        if node.count is None and node.above is None:
            help = f"`keep 2 {node.unit} per node by {node.strength}`, or `above` a number"
            message = f"`keep` does not say how many {node.unit}"
            self.found.add("E0607", message, node.span, help)
        self.all([e for e in (node.count, node.above) if e is not None], places)

    def keeps(self, keeps: list[ast.Keep]) -> None:
        for keep in keeps[1:]:
            label = Label(keeps[0].span, "the first stands here")
            self.found.add("E0607", "a body has one `keep`", keep.span, None, label)

    # -- expressions

    def expr(self, node: ast.Expr, places: Places, wants: Wants = Wants.ANYTHING) -> None:
        match node:
            case ast.Name():
                self.names.read(node, places, wants)
            case ast.Call():
                self.call(node, places, wants)
            case ast.Earlier():
                self.names.earlier(node, places)
            case ast.Loose():
                self.expr(ast.Name(node.name_span, node.name), places)
            case ast.Flow(steps=(first, *steps)):
                self.expr(first, places, Wants.START)
                self.all(steps, places, Wants.OPERATION)
            case ast.Each():
                self.expr(node.source, places, Wants.START)
                self.all(node.steps, places, Wants.OPERATION)
            case ast.Choose():
                self.expr(node.options, places, Wants.SET)
                self.all(filter(None, (node.count, node.most, node.above)), places)
            case ast.Repeat():
                self.repeat(node, places)
            case ast.Over():
                self.expr(node.operation, places, Wants.OPERATION)
                self.names.dimension(node.dimension, places)
            case ast.When():
                self.expr(node.condition, places)
                self.expr(node.value, places, wants)
                if node.otherwise is not None:
                    self.expr(node.otherwise, places, wants)
            case ast.SetExpr():
                check_set(node, self.found)
                for item in node.items:
                    self.item(item, places)
            case ast.Unary() | ast.Binary() | ast.Index() | ast.ListExpr() | ast.Range():
                self.all(node.children(), places)

    def all(self, nodes: Iterable[ast.Node], places: Places, wants: Wants = Wants.ANYTHING) -> None:
        for node in nodes:
            assert isinstance(node, ast.Expr)
            self.expr(node, places, wants)

    def repeat(self, node: ast.Repeat, places: Places) -> None:
        inside = replace(places, in_repeat=True)
        self.expr(node.count, places)
        self.expr(node.body, inside, Wants.OPERATION)
        for exception in node.exceptions:
            self.all(exception.places, places)
            self.expr(exception.body, inside, Wants.OPERATION)

    def item(self, item: ast.Item, around: Places) -> None:
        places = around.inside() if item.loops else around
        for loop in item.loops:
            self.expr(loop.source, places)
            self.names.bind(places, loop.name, loop.name_span)
        called = item.value.callee if isinstance(item.value, ast.Call) else item.value
        named = self.scope.visible.get(called.name) if isinstance(called, ast.Name) else None
        spreads = isinstance(named, ast.SetDecl)  # a set in a set stands for its options
        self.expr(item.value, places, Wants.SET if spreads else Wants.START)
        if item.condition is not None:
            self.expr(item.condition, places)

    def call(self, node: ast.Call, places: Places, wants: Wants) -> None:
        callee, visible = node.callee, self.scope.visible
        called = None
        if isinstance(callee, ast.Name) and callee.name not in places.bound:
            called = signature(callee.name, visible)
            self.names.read(callee, places, wants, call=node)
            if called is not None:
                check_arguments(node, callee, called, visible, places.bound, self.found)
            elif callee.name in {*JOINS, SPLIT} and callee.name not in visible:
                self.join(node, callee.name, places)
                return
            elif wants is Wants.SET and isinstance(visible.get(callee.name), ast.SetDecl):
                options = options_of(callee, self.scopes)
                check_set_call(node, callee.name, options, self.scopes, self.found)
        else:
            self.expr(callee, places, wants)
        for position, argument in enumerate(node.arguments):
            name = argument.name
            if name is None and called is not None and position < len(called.required):
                name = called.required[position]
            known = None if called is None or name is None else called.arguments.get(name)
            if isinstance(argument.value, ast.Name):
                words = () if known is None else known.allowed_words
                self.names.read(argument.value, places, Wants.ANYTHING, words=words)
            else:
                self.expr(argument.value, places)

    def join(self, node: ast.Call, name: str, places: Places) -> None:
        for argument in node.arguments:
            if argument.name is not None:
                message = f"`{name}` has no `{argument.name}`, its arguments stand by position"
                self.found.add("E0301", message, argument.name_span)
            self.expr(argument.value, places, Wants.START)
