"""What is wrong with a user's file, as data: collected, not thrown one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from dsl.source import Source, Span

LONGEST_NAME = 60
MOST_NAMES = 2000


@dataclass(frozen=True)
class Label:
    """A second place that matters, with what to say there."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One fault. `message` states it, in lower case without a full stop; only `help` suggests.

    `span` is None where a fault has no place, as for a file that does not exist. Codes begin with
    E where nothing can be built, with W (a warning) where what is legal is surely not meant.
    """

    code: str
    message: str
    span: Span | None
    help: str | None = None
    labels: tuple[Label, ...] = ()

    @property
    def severity(self) -> str:
        return "warning" if self.code.startswith("W") else "error"


class DartsError(Exception):
    """A user's fault or several. `dsl.render` turns the diagnostics into what a person reads."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        for diagnostic in self.diagnostics:
            place = "" if diagnostic.span is None else f"{diagnostic.span}: "
            suggestion = "" if diagnostic.help is None else f" (help: {diagnostic.help})"
            kind = f"{diagnostic.severity}[{diagnostic.code}]"
            yield f"{place}{kind}: {diagnostic.message}{suggestion}"


def fault(
    code: str, message: str, span: Span | None, help: str | None = None, *labels: Label
) -> DartsError:
    """An error of a single diagnostic, to raise where nothing after it can be trusted."""
    return DartsError([Diagnostic(code, message, span, help, labels)])


class Collector:
    """Gathers diagnostics in the order of the text; of one kind at one place, the first."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, object], Diagnostic] = {}

    def add(
        self, code: str, message: str, span: Span | None, help: str | None = None, *labels: Label
    ) -> None:
        self.take(Diagnostic(code, message, span, help, labels))

    def take(self, found: Diagnostic) -> None:
        place = found.message if found.span is None else found.span
        self._found.setdefault((found.code, place), found)

    def extend(self, error: DartsError) -> None:
        for found in error.diagnostics:
            self.take(found)

    def __len__(self) -> int:
        return len(self._found)

    def suggests(self, source: Source, help: str) -> bool:
        """Whether something found in a file has that help."""
        found = (d for d in self._found.values() if d.span is not None)
        return any(d.help == help and d.span.source is source for d in found if d.span)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return self._of("error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return self._of("warning")

    def raise_if_any(self) -> None:
        """Raises:
        DartsError: when an error was collected; warnings wait until a file is sound.
        """
        errors = self._of("error")
        if errors:
            raise DartsError(errors)

    def _of(self, severity: str) -> tuple[Diagnostic, ...]:
        found = (d for d in self._found.values() if d.severity == severity)
        return tuple(sorted(found, key=_text_order))


def _text_order(diagnostic: Diagnostic) -> tuple[str, int]:
    span = diagnostic.span
    return ("", 0) if span is None else (span.source.name, span.start)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A help line that names the nearest known name, or None when nothing is near.

    Comparing is slow for long names and for many, where a suggestion would help nobody either.
    """
    candidates = sorted(set(known))
    if len(name) > LONGEST_NAME or len(candidates) > MOST_NAMES:
        return None
    near = [known for known in candidates if known.lower() == name.lower()]
    near = near or sorted(
        (known for known in candidates if _is_slip(name, known)),
        key=lambda known: (sorted(known) != sorted(name), -len(known)),
    )
    near = near or get_close_matches(name, candidates, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else None


def _is_slip(name: str, known: str) -> bool:
    """Whether a letter is missing, too many or another, or two neighbours changed places."""
    if abs(len(name) - len(known)) > 1:
        return False
    start = _alike(name, known)
    end = _alike(name[start:][::-1], known[start:][::-1])
    left, right = name[start : len(name) - end], known[start : len(known) - end]
    if len(left) == 2:
        return left == right[::-1]
    return max(len(left), len(right)) == 1 and start + end > 0


def _alike(one: str, other: str) -> int:
    """How many characters two words begin with in common."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
