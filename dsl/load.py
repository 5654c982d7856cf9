"""From a path to a resolved program: the file, what it imports, and every fault in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

from dsl import ast, files
from dsl.diagnostics import Collector, DartsError, Label
from dsl.limits import MAX_FILES, MAX_IMPORTS, MAX_WORDS, count_words
from dsl.parse import parse
from dsl.profiles import resolve_network
from dsl.resolve import resolve
from dsl.scope import Imported, Scope, scope_of
from dsl.source import Source, Span
from dsl.space import Profile, Space
from dsl.suspect import check_suspects


def load(path: str | Path) -> Space:
    """The resolved program of a file; `spaces/NAME.darts` also names a shipped one.

    Raises:
        DartsError: every independent fault of the file and of those it imports.
    """
    place = files.find(path)
    return _load(files.read(place, str(path)), place.parent)


def load_text(text: str, name: str = "<text>", folder: Path | None = None) -> Space:
    """The resolved program in a text; imports are looked for in `folder` and among the shipped.

    Raises:
        DartsError: every independent fault of the text and of the files it imports.
    """
    return _load(Source(name, text), folder)


def _load(source: Source, folder: Path | None) -> Space:
    loader = _Loader()
    unit = loader.unit(source, folder)
    loader.found.raise_if_any()
    assert unit is not None
    check_suspects(unit.file, unit.imports, unit.scope.own, unit.profiles, loader.found)
    # Warnings about what another file does are for those who work on that one.
    warnings = (w for w in loader.found.warnings if w.span and w.span.source is source)
    network = next((d for d in unit.file.declarations if isinstance(d, ast.NetworkDecl)), None)
    scopes = {u.file.span.source: u.scope.visible for u in loader.units}
    return Space(source, unit.file, scopes, network, unit.profiles, tuple(warnings))


@dataclass(frozen=True)
class _Unit:
    """A file that could be parsed, with what is visible in it."""

    file: ast.File
    imports: list[Imported]
    scope: Scope
    profiles: dict[str, Profile]


class _Loader:
    """Reads files once each, depth first; `opening` are the imports that led to the present one."""

    def __init__(self) -> None:
        self.found = Collector()
        self.read: dict[Path, _Unit | None] = {}
        self.scopes: dict[Source, Scope] = {}
        self.opening: list[tuple[Path, str, Span]] = []
        self.words = 0

    @property
    def units(self) -> list[_Unit]:
        return [unit for unit in self.read.values() if unit is not None]

    def unit(self, source: Source, folder: Path | None) -> _Unit | None:
        """The file in `source` with all it imports; None when it cannot be parsed."""
        place = (folder or Path()) / source.name if source.path is None else source.path
        place = place.resolve()
        self.read[place] = None
        self.words += count_words(source)
        try:
            file = parse(source)
        except DartsError as error:
            self.found.extend(error)
            return None
        imports = [self.imported(node, source, folder, place) for node in file.imports]
        scope = scope_of(file, imports, self.found)
        self.scopes[source] = scope
        resolve(file, scope, self.scopes, self.found)
        self.read[place] = _Unit(file, imports, scope, resolve_network(file, self.found))
        return self.read[place]

    def imported(
        self, node: ast.Import, source: Source, folder: Path | None, importer: Path
    ) -> Imported:
        """What one import brings; its declarations are None when the file cannot be used."""
        name = "/".join(node.path)
        span = Span(source, node.span.end - len(node.span.text.split(None, 1)[-1]), node.span.end)
        nothing = Imported(name, span, None)
        try:
            path = files.find_import(node.path, folder, span)
        except DartsError as error:
            self.found.extend(error)
            return nothing
        place = path.resolve()
        self.opening.append((importer, PurePath(source.name).stem, span))
        if place in (opened for opened, _, _ in self.opening):
            self.report_cycle(place)
        elif place not in self.read:
            self.open(path, source, folder, span)
        self.opening.pop()
        unit = self.read[place]
        return nothing if unit is None else Imported(name, span, unit.scope.own)

    def open(self, path: Path, source: Source, folder: Path | None, span: Span) -> None:
        """Reads an imported file; faults call it by the path that leads there from the importer."""
        self.read[path.resolve()] = None
        if len(self.read) > MAX_FILES:
            self.found.add("E0103", f"a program has at most {MAX_FILES} files", span)
            return
        if len(self.opening) > MAX_IMPORTS:
            self.found.add("E0103", f"imports go at most {MAX_IMPORTS} files deep", span)
            return
        name = PurePath("spaces", path.name)
        if folder is not None and path.is_relative_to(folder):
            name = PurePath(source.name).parent / path.relative_to(folder)
        try:
            opened = files.read(path, str(name))
        except DartsError as error:
            self.found.extend(error)
            return
        if self.words + count_words(opened) > MAX_WORDS:
            self.found.add("E0103", f"a program has at most {MAX_WORDS} words", span)
            return
        self.unit(opened, path.parent)

    def report_cycle(self, place: Path) -> None:
        start = next(i for i, (opened, _, _) in enumerate(self.opening) if opened == place)
        around = self.opening[start:]
        names = [name for _, name, _ in around]
        way = ", ".join(f"`{name}`" for name in [*names, names[0]])
        labels = [Label(span, "imported here") for _, _, span in around[:-1]]
        self.found.add("E0109", f"the imports go round: {way}", around[-1][2], None, *labels)
