"""The command `dartsc`: reads the arguments and calls what does the work."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from runtime import reading
from runtime.errors import UserError
from runtime.reading import Telling

if TYPE_CHECKING:
    from dsl.settings import Value
    from runtime.bilevel import Hessian
    from runtime.bilevel_search import SearchResult
    from runtime.training import TrainingResult

USERS_FAULT, OUR_FAULT, STOPPED = 1, 2, 130
DEMO = "demo"
PATH = click.Path(path_type=Path)


def main() -> None:
    """Runs the command; exits with 0 when all is well, 1 for a user's fault, 2 for one of ours."""
    gc.disable()  # reading a file ends before a collection would pay
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of `dartsc` with these arguments; messages go to the terminal."""
    try:
        dartsc(arguments, prog_name="dartsc")
    except SystemExit as stop:
        # a wrong use of the command is the user's fault, which click counts as 2
        return USERS_FAULT if stop.code == 2 else int(stop.code or 0)
    except UserError as error:
        return _complain(str(error))
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception:
        traceback.print_exc()
        print("This is a fault of dartsc, not yours; please report it.", file=sys.stderr)
        return OUR_FAULT
    return 0


def _complain(message: str) -> int:
    print(f"dartsc: {message}", file=sys.stderr)
    return USERS_FAULT


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from runtime.version import version

        print(f"dartsc {version()}")
        context.exit()


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

    @property
    def jobs(self) -> list[str]:
        """The options given that each ask for a job of its own."""
        jobs = {
            "--check": self.check and not self.fmt,
            "--fmt": self.fmt,
            "--explain": self.explain,
            "--lsp": self.lsp,
            "--search": self.search,
            "--train": self.train,
            "--resume": self.resume,
            "--emit": self.emit,
            "--dump": self.dump,
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


@click.command(
    help="Check a search space, lay it out, search it, or write or train a final model of it."
)
@click.argument("file", type=PATH, required=False)
@click.option("--check", is_flag=True, help="check the file and say no more")
@click.option("--fmt", is_flag=True, help="lay the file out; with --check, say whether it is")
@click.option("--diff", is_flag=True, help="with --fmt, show what would change")
@click.option("--explain", metavar="CODE", help="what a diagnostic means, with examples")
@click.option("--lsp", is_flag=True, help="serve an editor, over stdin and stdout")
@click.option("--format", default="text", help="how faults are told: text or json")
@click.option("--search", is_flag=True, help="search the space")
@click.option("--train", is_flag=True, help="train the final model of --genotype on a text")
@click.option("--demo", is_flag=True, help="the profile `demo`")
@click.option("--profile", help="another profile of the file")
@click.option(
    "--data",
    help="cifar10, digits, or images:DIR with train/ and test/; for words topics, or text:DIR "
    "with train.txt, valid.txt and test.txt",
)
@click.option("--order", type=click.IntRange(1, 2), default=1, help="2 unrolls a step of weights")
@click.option(
    "--hessian", default="finite_difference", help="finite_difference or exact, for --order 2"
)
@click.option("--epochs", type=click.IntRange(1), help="epochs to search or train for")
@click.option("--seed", type=int, default=0, help="decides all random numbers")
@click.option("--device", help="auto, cpu or cuda")
@click.option("--out", type=PATH, help="the folder of the run")
@click.option("--resume", type=PATH, help="go on with the run in this folder")
@click.option("--genotype", type=PATH, help="a genotype, YAML or tuple form")
@click.option("--emit", type=PATH, help="write the final model of --genotype")
@click.option("--dump", metavar="STAGE", help="print tree, space, ir, ir:PASS or source")
@click.option("--passes", default="none", help="which passes the supernet goes through")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="a profile's value")
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version)
def dartsc(**options: Any) -> None:
    asked = Asked(**options)
    _check(asked)
    with asked.telling.faults():
        if asked.explain is not None:
            reading.explain(asked.explain)
        elif asked.lsp:
            from runtime.server import serve

            gc.enable()
            serve()
        elif asked.resume is not None:
            _resume(asked.resume, asked)
        elif asked.file is None:
            raise UserError("which file? `dartsc spaces/cifar_cell.darts`, or --help")
        else:
            _work(asked.file, asked)


def _check(asked: Asked) -> None:
    """Options that do not go together.

    Raises:
        UserError: for the first of them.
    """
    if asked.demo and asked.profile not in (None, DEMO):
        raise UserError("--demo is a profile of its own: leave out --profile")
    if len(asked.jobs) > 1:
        raise UserError(f"{' and '.join(asked.jobs)}: one at a time")
    if asked.diff and not asked.fmt:
        raise UserError("--diff goes with --fmt")
    if asked.format not in ("text", "json"):
        raise UserError(f"--format is text or json, not `{asked.format}`")
    if asked.hessian not in ("finite_difference", "exact"):
        raise UserError(f"--hessian is finite_difference or exact, not `{asked.hessian}`")
    if asked.resume is not None:
        profile = asked.laid_over
        own = {
            "--set": asked.settings, "--epochs": asked.epochs, "--profile": profile,
            "--out": asked.out,
        }  # fmt: skip
        given = [name for name, value in own.items() if value]
        if given:
            raise UserError(f"a run goes on as it began: leave out {', '.join(given)}")
    needed = asked.train or asked.emit is not None
    if needed != (asked.genotype is not None) and not asked.dump:
        raise UserError(
            "--genotype goes with --emit or --train: --genotype g.yaml --emit model.py, or "
            "--genotype g.yaml --train"
        )


def _work(file: Path, asked: Asked) -> None:
    """The one job that is done with a file."""
    profile, overrides = asked.laid_over, asked.overrides
    if asked.search:
        _search(file, asked)
    elif asked.train:
        _train(file, asked)
    elif asked.emit is not None:
        _emit(file, asked.emit, asked)
    elif asked.dump is not None:
        reading.dump(file, asked.dump, asked.genotype, profile, asked.passes, overrides)
    elif asked.fmt:
        reading.format_file(file, asked.check, asked.diff)
    else:
        reading.describe(file, asked.telling, asked.check, profile, overrides)


def _search(file: Path, asked: Asked) -> None:
    from compiler.passes import pipeline
    from runtime.progress import Terminal

    pipeline(asked.passes)
    reading.warn(file, asked.telling)
    import runtime

    with _stopping():
        result = runtime.search(
            file,
            asked.data,
            asked.out,
            order=asked.order,
            hessian=cast("Hessian", asked.hessian),
            seed=asked.seed,
            device=asked.device or "auto",
            profile=asked.laid_over,
            passes=asked.passes,
            progress=Terminal(),
            **asked.overrides,
        )
        _report(result)


def _train(file: Path, asked: Asked) -> None:
    from runtime.progress import Terminal

    assert asked.genotype is not None
    reading.warn(file, asked.telling)
    import runtime

    with _stopping():
        result = runtime.train(
            file,
            asked.genotype,
            asked.data,
            asked.out,
            seed=asked.seed,
            device=asked.device or "auto",
            profile=asked.laid_over,
            progress=Terminal(),
            **asked.overrides,
        )
        _report(result)


def _resume(folder: Path, asked: Asked) -> None:
    import runtime
    from runtime.progress import Terminal

    with _stopping():
        _report(runtime.resume(folder, data=asked.data, device=asked.device, progress=Terminal()))


@contextmanager
def _stopping() -> Iterator[None]:
    """Ctrl-C ends a long job with a line that says how to go on."""
    gc.enable()
    try:
        yield
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "stopped")
        raise SystemExit(STOPPED) from None


def _report(result: SearchResult | TrainingResult) -> None:
    from runtime.training import TrainingResult

    files = ["genotype.yaml", "metrics.jsonl", *(["model.py"] if result.model else [])]
    if isinstance(result, TrainingResult):
        files += ["model.safetensors", "result.json"]
        print(
            f"test perplexity {result.test_perplexity:.2f}, valid {result.valid_perplexity:.2f} "
            f"after epoch {result.best_epoch}; {result.parameters:,} parameters"
        )
    else:
        print(result.genotype)
    print(f"{result.folder}: {', '.join(files)}")


def _emit(file: Path, path: Path, asked: Asked) -> None:
    import compiler
    from runtime.rundir import disk_faults

    assert asked.genotype is not None
    with disk_faults():
        compiler.emit(
            file, genotype=asked.genotype, path=path, profile=asked.laid_over, **asked.overrides
        )
    print(f"{path}: written")


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
