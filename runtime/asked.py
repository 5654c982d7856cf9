"""What the command line asks for, and which options go with which job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import UserError
from runtime.reading import Telling

if TYPE_CHECKING:
    from dsl.settings import Value

DEMO = "demo"
FORMATS, HESSIANS = ("text", "json"), ("finite_difference", "exact")

PROFILES = ("file", "profile", "demo", "settings")
RUNS = (*PROFILES, "data", "epochs", "seed", "device", "out")
TAKES: dict[str, tuple[str, ...]] = {
    "": PROFILES,
    "--check": PROFILES,
    "--fmt": ("file", "check", "diff"),
    "--explain": (),
    "--lsp": (),
    "--search": (*RUNS, "order", "hessian", "passes"),
    "--train": (*RUNS, "genotype"),
    "--resume": ("data", "device"),
    "--emit": (*PROFILES, "genotype"),
    "--dump tree": ("file",),
    "--dump space": ("file",),
    "--dump ir": (*PROFILES, "genotype", "passes"),
    "--dump source": (*PROFILES, "genotype", "passes"),
}
"""What each job uses beside `--format`, which all do; without a job a file is described."""

NAMES = {"settings": "--set"}
"""Options whose parameters have other names."""


@dataclass(frozen=True)
class Asked:
    """What the command line says, option by option; see `dartsc --help`."""

    file: Path | None
    check: bool
    fmt: bool
    diff: bool
    explain: str | None
    lsp: bool
    format: str
    search: bool
    train: bool
    demo: bool
    profile: str | None
    data: str | None
    order: int
    hessian: str
    epochs: int | None
    seed: int
    device: str | None
    out: Path | None
    resume: Path | None
    genotype: Path | None
    emit: Path | None
    dump: str | None
    passes: str
    settings: tuple[str, ...]
    given: tuple[str, ...]
    """Which of the above are on the command line itself."""

    @property
    def jobs(self) -> list[str]:
        """The options given that each ask for a job of its own."""
        jobs = {
            "--check": self.check and not self.fmt,
            "--fmt": self.fmt,
            "--explain": self.explain is not None,
            "--lsp": self.lsp,
            "--search": self.search,
            "--train": self.train,
            "--resume": self.resume is not None,
            "--emit": self.emit is not None,
            "--dump": self.dump is not None,
        }
        return [name for name, asked in jobs.items() if asked]

    @property
    def telling(self) -> Telling:
        return Telling(as_json=self.format == "json")

    @property
    def laid_over(self) -> str | None:
        """The profile that is chosen."""
        return DEMO if self.demo else self.profile

    @property
    def overrides(self) -> dict[str, Value]:
        """What is given in place of a profile's values."""
        values = dict(_setting(text) for text in self.settings)
        return values if self.epochs is None else {**values, "epochs": self.epochs}

    def check_together(self) -> None:
        """Looks for options that do not go together.

        Raises:
            UserError: for the first of them.
        """
        if self.format not in FORMATS:
            raise UserError(f"--format is text or json, not `{self.format}`")
        if self.hessian not in HESSIANS:
            raise UserError(f"--hessian is finite_difference or exact, not `{self.hessian}`")
        if len(self.jobs) > 1:
            raise UserError(f"{' and '.join(self.jobs)}: one at a time")
        self._check_used()
        if self.demo and self.profile not in (None, DEMO):
            raise UserError("--demo is a profile of its own: leave out --profile")
        if "hessian" in self.given and self.order == 1:
            raise UserError("--hessian goes with --order 2")
        for job in ("--train", "--emit"):
            if job in self.jobs and self.genotype is None:
                again = "--train" if self.train else f"--emit {self.emit}"
                raise UserError(f"{job} needs --genotype: --genotype g.yaml {again}")

    def _check_used(self) -> None:
        """Refuses what the job would not use."""
        job = next(iter(self.jobs), "")
        if job == "--dump" and self.dump is not None:
            stage = self.dump.partition(":")[0]
            job = f"--dump {stage}" if f"--dump {stage}" in TAKES else "--dump ir"
        own = {job.split(" ")[0].removeprefix("--"), "format"}
        unused = [name for name in self.given if name not in (*TAKES[job], *own)]
        if not unused:
            return
        if job == "--resume":
            names = ", ".join("the file" if n == "file" else _option(n) for n in unused)
            raise UserError(f"a run goes on as it began: leave out {names}")
        if unused[0] == "file":
            raise UserError(f"{job} takes no file")
        raise UserError(f"{_option(unused[0])} goes with {_users(unused[0])}")


def _option(name: str) -> str:
    return NAMES.get(name, f"--{name}")


def _users(name: str) -> str:
    """The jobs that use an option."""
    *others, last = [job for job, taken in TAKES.items() if job and name in taken]
    return f"{', '.join(others)} or {last}" if others else last


def _setting(text: str) -> tuple[str, Value]:
    """`KEY=VALUE` as a name and what the language would take the value for."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise UserError(f"--set takes KEY=VALUE, as in --set C=8, not `{text}`")
    return name.strip(), _value(value.strip())


def _value(text: str) -> Value:
    if text in ("yes", "no"):
        return text == "yes"
    if text.startswith("(") and text.endswith(")"):
        return tuple(_value(part.strip()) for part in text[1:-1].split(","))  # type: ignore[misc]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
