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
    "--search": (*RUNS, "order", "hessian", "passes", "memory", "compile"),
    "--train": (*RUNS, "genotype", "seeds"),
    "--resume": ("data", "device"),
    "--derive": (*PROFILES, "alphas", "epoch", "rule", "out"),
    "--evaluate": (*PROFILES, "genotype", "weights", "data", "device"),
    "--export": (*PROFILES, "genotype", "weights", "out"),
    "--count": (*PROFILES, "genotype"),
    "--draw": (*PROFILES, "genotype"),
    "--emit": (*PROFILES, "genotype", "prune"),
    "--dump tree": ("file",),
    "--dump space": ("file",),
    "--dump ir": (*PROFILES, "genotype", "passes"),
    "--dump source": (*PROFILES, "genotype", "passes"),
}
"""What each job uses beside `--format`, which all do; without a job a file is described."""

OF_RUNS = ("--train", "--derive", "--evaluate", "--export", "--count", "--draw", "--emit")
"""What can be done with the folder of a run in place of a file."""
NEED_GENOTYPE = ("--train", "--evaluate", "--export", "--emit")
"""What is done with a final model alone."""

OPTIONS = frozenset(
    {"data", "out", "order", "hessian", "seed", "seeds", "device", "profile", "memory", "compile"}
)
TAKEN = OPTIONS | {"space", "passes", "genotype", "progress", "path", "prune", "auxiliary"}
"""What `runtime` and `compiler` take by name, beside the values that are set."""

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
    seeds: str | None
    device: str | None
    out: Path | None
    resume: Path | None
    genotype: Path | None
    derive: bool
    epoch: int | None
    rule: str | None
    alphas: Path | None
    evaluate: bool
    weights: str | None
    export: str | None
    count: bool
    draw: Path | None
    emit: Path | None
    prune: bool
    dump: str | None
    passes: str | None
    memory: str | None
    compile: bool
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
            "--derive": self.derive,
            "--evaluate": self.evaluate,
            "--export": self.export is not None,
            "--count": self.count,
            "--draw": self.draw is not None,
            "--emit": self.emit is not None,
            "--dump": self.dump is not None,
        }
        return [name for name, asked in jobs.items() if asked]

    @property
    def of_final_model(self) -> bool:
        """Whether the job is one of `runtime.finals`."""
        return bool(self.jobs) and self.jobs[0] in OF_RUNS and not self.train

    @property
    def run(self) -> Path | None:
        """The folder of a run that stands in the place of the file."""
        return self.file if self.file is not None and self.file.is_dir() else None

    @property
    def where(self) -> str:
        """The device to compute on."""
        return self.device or "auto"

    @property
    def several_seeds(self) -> list[int]:
        """The seeds in `--seeds`."""
        try:
            return [int(seed) for seed in (self.seeds or "").split(",")]
        except ValueError:
            raise UserError(
                f"--seeds takes whole numbers, as in 0,1,2, not `{self.seeds}`"
            ) from None

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
        for name in TAKEN & values.keys():
            way = f"use --{name}" if name in OPTIONS else "give that parameter another name"
            raise UserError(f"--set gives no value to `{name}`: {way}")
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
        if self.rule is not None:
            from compiler.derive import RULES

            if self.rule not in RULES:
                known = ", ".join(f"`{rule}`" for rule in RULES)
                raise UserError(f"--rule is one of {known}, not `{self.rule}`")
        if "seeds" in self.given and "seed" in self.given:
            raise UserError("--seed and --seeds: one of them")
        self._check_subject()

    def _check_subject(self) -> None:
        """Whether the job has what it works on: a run, or a file and what goes with it."""
        job = next(iter(self.jobs), "")
        # The name of a space may be that of a shipped one, and a run is one that exists.
        is_space = self.file is None or self.file.suffix == ".darts"
        if job in OF_RUNS and not is_space and self.run is None:
            raise UserError(f"{self.file} is neither a `.darts` file nor the folder of a run")
        if self.run is not None:
            if job not in OF_RUNS:
                known = ", ".join(OF_RUNS)
                raise UserError(f"{self.run} is a folder; with that of a run go {known}")
            if job == "--derive":
                self._check_run_to_derive()
        elif job in NEED_GENOTYPE and self.genotype is None:
            value = {"--emit": f" {self.emit}", "--export": f" {self.export}"}.get(job, "")
            raise UserError(f"{job} needs --genotype: --genotype g.yaml {job}{value}")
        elif job == "--derive" and self.file is not None:
            if self.alphas is None:
                raise UserError("--derive takes the folder of a search, or a file with --alphas")
            if self.epoch is not None:
                raise UserError("--epoch goes with the folder of a search")

    def _check_run_to_derive(self) -> None:
        """A search says itself what was searched, and how."""
        for name in ("alphas", "profile", "demo", "settings"):
            if name in self.given:
                raise UserError(f"a search has its own: leave out {_option(name)}")

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
