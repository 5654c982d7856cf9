"""What the command does with a file short of building it: checks, describes, formats and shows it.

Only foreseeing what a search takes needs torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsl.diagnostics import DartsError, Diagnostic, did_you_mean
from runtime.errors import UserError

if TYPE_CHECKING:
    from dsl.space import Space

DUMPS = ("tree", "space", "ir", "source")


@dataclass(frozen=True)
class Telling:
    """How diagnostics are told: pictures on stderr, or with `as_json` a list on stdout."""

    as_json: bool = False

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Tells of the faults that a command ends with, which then are a `SystemExit` of 1."""
        try:
            yield
        except DartsError as error:
            self.tell(error.diagnostics)
            raise SystemExit(1) from None

    def tell(self, diagnostics: Sequence[Diagnostic]) -> None:
        if self.as_json:
            from dsl.report import report

            print(report(diagnostics), end="")
        elif diagnostics:
            from dsl.render import render

            picture = render(diagnostics, color=sys.stderr.isatty())
            print(picture, file=sys.stderr, end="")

    def say(self, text: str) -> None:
        """Says that all is well, in words; a list without errors says so by itself."""
        if not self.as_json:
            print(text)


def describe(
    file: Path, telling: Telling, only_check: bool, profile: str | None, overrides: dict[str, Any]
) -> None:
    """Checks a file, and says what it describes unless it is only checked.

    Raises:
        DartsError: for a fault of the file, the profile or an override.
    """
    from compiler.describe import check, counted, describe
    from dsl.load import load

    space = load(file)
    warnings = check(space)
    lines = [f"{file}: fine"]
    if warnings:
        lines[0] += f", with {counted(len(warnings), 'warning')}"
    if space.network is None:
        lines[0] += "; it has no network and is there to be imported"
    elif not only_check or profile is not None or overrides:
        description = describe(space, profile, overrides)
        lines += [] if only_check else [f"  {line}" for line in description.lines()]
    telling.tell(warnings)
    telling.say("\n".join(lines))
    if space.network is not None and not only_check and not telling.as_json:
        foresee(space, profile, overrides)


def foresee(space: Space, profile: str | None, overrides: dict[str, Any]) -> None:
    """Says what a step of a search and the whole of it take on this machine, where there is
    something to search. This takes seconds, and torch."""
    sys.stdout.flush()
    from compiler import estimate

    for line in estimate(space, profile, **overrides).lines():
        print(f"  {line}")


def warn(file: Path, telling: Telling) -> None:
    """Checks a file before it is worked on, and tells of what in it is surely not meant.

    Raises:
        DartsError: with every fault.
    """
    from compiler.describe import check
    from dsl.load import load

    warnings = check(load(file))
    if warnings:
        telling.tell(warnings)


def format_file(file: Path, check: bool, diff: bool) -> None:
    """Brings a file into the canonical layout; `check` and `diff` only tell what would change.

    Raises:
        DartsError: when the file cannot be parsed.
        UserError: when it is only checked and not in the layout.
    """
    from difflib import unified_diff

    from compiler.files import write_text
    from dsl import files
    from dsl.layout import formatted

    source = files.read(file, str(file))
    text = formatted(source)
    changes = text != source.text
    if diff:
        before, after = source.text.splitlines(keepends=True), text.splitlines(keepends=True)
        sys.stdout.writelines(unified_diff(before, after, str(file), f"{file}, formatted"))
    if check and changes:
        raise UserError(f"{file} is not in the canonical layout: `dartsc {file} --fmt` lays it out")
    if not check and not diff:
        if changes:
            try:
                write_text(file, text)
            except OSError as error:
                raise UserError(f"cannot write {file}: {error.strerror}") from error
        print(f"{file}: {'laid out anew' if changes else 'already in the canonical layout'}")


def explain(code: str) -> None:
    """Prints the page of a diagnostic's code.

    Raises:
        UserError: when no diagnostic has it.
    """
    from dsl.explain import page

    try:
        print(page(code), end="")
    except LookupError as unknown:
        raise UserError(str(unknown)) from None


def dump(
    file: Path,
    what: str,
    genotype: Path | None,
    profile: str | None,
    passes: str,
    overrides: dict[str, Any],
) -> None:
    """Prints a stage on the way from text to network: `tree`, `space`, `ir` or `source`.

    `ir:PASS` is the intermediate form before and after one pass of the pipeline.

    Raises:
        DartsError: for a fault of the file, the profile, an override or the genotype.
        UserError: for a stage or pass that does not exist.
    """
    stage, _, wanted = what.partition(":")
    if stage not in DUMPS or (wanted and stage != "ir"):
        known = ", ".join(f"`{name}`" for name in (*DUMPS, "ir:PASS"))
        raise UserError(f"--dump shows {known}, not `{what}`")
    if stage == "tree":
        print(_tree(file), end="")
    elif stage == "space":
        print(_space(file), end="")
    else:
        print(_compiled(file, stage, wanted, genotype, profile, passes, overrides), end="")


def _tree(file: Path) -> str:
    from dsl import files
    from dsl.outline import outline
    from dsl.parse import parse

    return outline(parse(files.read(files.find(file), str(file))))


def _space(file: Path) -> str:
    from dsl.flatten import flattened
    from dsl.layout import printed
    from dsl.load import load

    return printed(flattened(load(file)))


def _compiled(
    file: Path,
    stage: str,
    wanted: str,
    genotype: Path | None,
    profile: str | None,
    passes: str,
    overrides: dict[str, Any],
) -> str:
    from compiler.compile import compile_space, specialised, stages
    from compiler.dump import dump

    if stage == "source":
        return compile_space(file, profile, genotype, passes, overrides).source
    _, program, _ = specialised(file, profile, genotype, overrides)
    forms = list(stages(program, passes))
    if not wanted:
        return dump(forms[-1][1])
    names = [name for name, _ in forms]
    if wanted not in names:
        known = ", ".join(f"`{name}`" for name in names[1:]) or "no passes"
        help = did_you_mean(wanted, names) or f"it has {known}, and --passes names another"
        raise UserError(f"the pipeline `{passes}` has no pass `{wanted}`: {help}")
    at = names.index(wanted)
    before, after = (dump(form) for _, form in forms[at - 1 : at + 1])
    return f"# before {wanted}\n{before}\n# after {wanted}\n{after}"
