"""From a path to a resolved program: the file, what it imports or extends, and their faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePath

from dsl import ast, files
from dsl.diagnostics import Collector, DartsError, Label
from dsl.extending import Base, Layer, check_names, check_network
from dsl.limits import MAX_FILES, MAX_IMPORTS, MAX_PROFILES, MAX_WORDS, count_words
from dsl.parse import parse
from dsl.scope import Imported, Scope
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
    layer, whole = unit.layer, unit.layer.whole
    check_suspects(layer.file, whole, layer.imports, unit.profiles, loader.found)
    # Warnings about what another file does are for those who work on that one.
    warnings = (w for w in loader.found.warnings if w.span and w.span.source is source)
    network = next((d for d in whole.declarations if isinstance(d, ast.NetworkDecl)), None)
    sources = chain.from_iterable(u.layer.chain() for u in loader.units)
    scopes = {each.source: loader.scopes[each.source].visible for each in sources}
    return Space(source, whole, scopes, network, unit.profiles, tuple(warnings))


@dataclass(frozen=True)
class _Unit:
    """A file that could be parsed, with what is visible in it."""

    layer: Layer
    scope: Scope
    profiles: dict[str, Profile]


class _Loader:
    """Reads files depth first, each once and once more wherever it is extended.

    `opening` are the lines that led to the present one, each with its file and that one's name.
    """

    def __init__(self) -> None:
        self.found = Collector()
        self.read: dict[Path, _Unit | None] = {}
        self.scopes: dict[Source, Scope] = {}
        self.opening: list[tuple[Path, str, ast.Reference]] = []
        self.words = 0
        self.files = 1

    @property
    def units(self) -> list[_Unit]:
        return [unit for unit in self.read.values() if unit is not None]

    def unit(self, source: Source, folder: Path | None) -> _Unit | None:
        """The file in `source` with all it names; None when it cannot be parsed."""
        place = (folder or Path()) / source.name if source.path is None else source.path
        place = place.resolve()
        self.read[place] = None
        layer = self.layer(source, folder, place)
        if layer is None:
            return None
        scope = check_names(layer, self.scopes, self.found)
        self.read[place] = _Unit(layer, scope, check_network(layer, self.found))
        return self.read[place]

    def layer(self, source: Source, folder: Path | None, place: Path) -> Layer | None:
        """The file in `source`, with all it imports and extends, before its names are resolved."""
        self.words += count_words(source)
        try:
            file = parse(source)
        except DartsError as error:
            self.found.extend(error)
            return None
        imports = [self.imported(node, source, folder, place) for node in file.imports]
        if file.extends is None:
            return Layer(file, imports, None)
        layer = Layer(file, imports, self.base(file.extends, source, folder, place))
        self.check_profiles(layer)
        return layer

    def imported(
        self, node: ast.Import, source: Source, folder: Path | None, importer: Path
    ) -> Imported:
        """What one import brings; its declarations are None when the file cannot be used."""
        name, span = "/".join(node.path), node.path_span
        path = self.find(node, folder)
        if path is None:
            return Imported(name, span, None)
        place = path.resolve()
        with self.going(importer, source, node):
            if self.is_open(place):
                self.report_cycle(place)
            elif place not in self.read:
                self.read[place] = None
                opened = self.opened(path, source, folder, span)
                if opened is not None:
                    self.unit(opened, path.parent)
        unit = self.read.get(place)
        return Imported(name, span, None if unit is None else unit.scope.own)

    def base(self, node: ast.Extend, source: Source, folder: Path | None, extending: Path) -> Base:
        """What a file extends, read for it alone: what it declares anew counts there too."""
        name, span = "/".join(node.path), node.path_span
        path = self.find(node, folder)
        layer = None
        if path is not None:
            with self.going(extending, source, node):
                if self.is_open(path.resolve()):
                    self.report_cycle(path.resolve())
                else:
                    opened = self.opened(path, source, folder, span)
                    if opened is not None:
                        opened = replace(opened, extended_by=source)
                        layer = self.layer(opened, path.parent, path.resolve())
        return Base(name, span, layer)

    def find(self, node: ast.Reference, folder: Path | None) -> Path | None:
        try:
            return files.find_import(node.path, folder, node.path_span, node.word)
        except DartsError as error:
            self.found.extend(error)
            return None

    @contextmanager
    def going(self, place: Path, source: Source, node: ast.Reference) -> Iterator[None]:
        """While a file is read that another one names."""
        self.opening.append((place, PurePath(source.name).stem, node))
        yield
        self.opening.pop()

    def is_open(self, place: Path) -> bool:
        return place in (opened for opened, _, _ in self.opening)

    def check_profiles(self, layer: Layer) -> None:
        assert layer.base is not None
        profiles = [d for d in layer.whole.declarations if isinstance(d, ast.ProfileDecl)]
        if len(profiles) > MAX_PROFILES:
            message = f"a file has at most {MAX_PROFILES} profiles, with those that it extends"
            self.found.add("E0103", message, layer.base.span)

    def opened(self, path: Path, source: Source, folder: Path | None, span: Span) -> Source | None:
        """Another file's text; faults call it by the path that leads there from this one."""
        self.files += 1
        if self.files > MAX_FILES:
            self.found.add("E0103", f"a program has at most {MAX_FILES} files", span)
            return None
        if len(self.opening) > MAX_IMPORTS:
            self.found.add("E0103", f"imports go at most {MAX_IMPORTS} files deep", span)
            return None
        name = PurePath("spaces", path.name)
        if folder is not None and path.is_relative_to(folder):
            name = PurePath(source.name).parent / path.relative_to(folder)
        try:
            opened = files.read(path, str(name))
        except DartsError as error:
            self.found.extend(error)
            return None
        if self.words + count_words(opened) > MAX_WORDS:
            self.found.add("E0103", f"a program has at most {MAX_WORDS} words", span)
            return None
        return opened

    def report_cycle(self, place: Path) -> None:
        start = next(i for i, (opened, _, _) in enumerate(self.opening) if opened == place)
        around = self.opening[start:]
        names = [name for _, name, _ in around]
        way = ", ".join(f"`{name}`" for name in [*names, names[0]])
        labels = [Label(node.path_span, f"{node.word}ed here") for _, _, node in around[:-1]]
        words = {node.word for _, _, node in around}
        what = "imports" if words == {"import"} else "files"
        last = around[-1][2].path_span
        self.found.add("E0109", f"the {what} go round: {way}", last, None, *labels)
