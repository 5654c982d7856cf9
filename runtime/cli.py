"""The command `dartsc`: reads the arguments and calls what does the work."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from compiler.passes import pipeline
from dsl.diagnostics import DartsError
from runtime.errors import UserError

if TYPE_CHECKING:
    from dsl.settings import Value
    from dsl.space import Space
    from runtime.bilevel import Hessian
    from runtime.bilevel_search import SearchResult
    from runtime.training import TrainingResult

USERS_FAULT, OUR_FAULT, STOPPED = 1, 2, 130
DEMO = "demo"

app = typer.Typer(add_completion=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    """Runs the command; exits with 0 when all is well, 1 for a user's fault, 2 for one of ours."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of `dartsc` with these arguments; messages go to the terminal."""
    try:
        app(arguments, prog_name="dartsc")
    except SystemExit as stop:
        # a wrong use of the command is the user's fault, which typer counts as 2
        return USERS_FAULT if stop.code == 2 else int(stop.code or 0)
    except DartsError as error:
        from dsl.render import render

        print(render(error.diagnostics, color=sys.stderr.isatty()), file=sys.stderr, end="")
        return USERS_FAULT
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


def _show_version(wanted: bool) -> None:
    if wanted:
        from runtime.version import version

        print(f"dartsc {version()}")
        raise typer.Exit


@app.command(help="Check a search space, search it, or write or train a final model of it.")
def dartsc(
    file: Annotated[Path | None, typer.Argument(help="a .darts file", show_default=False)] = None,
    check: Annotated[bool, typer.Option("--check", help="check the file and say no more")] = False,
    search: Annotated[bool, typer.Option("--search", help="search the space")] = False,
    train: Annotated[
        bool, typer.Option("--train", help="train the final model of --genotype on a text")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="the profile `demo`")] = False,
    profile: Annotated[str | None, typer.Option(help="another profile of the file")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="cifar10, digits, or images:DIR with train/ and test/; for words topics, or "
            "text:DIR with train.txt, valid.txt and test.txt"
        ),
    ] = None,
    order: Annotated[int, typer.Option(min=1, max=2, help="2 unrolls one step of weights")] = 1,
    hessian: Annotated[
        str, typer.Option(help="finite_difference or exact, for --order 2")
    ] = "finite_difference",
    epochs: Annotated[int | None, typer.Option(min=1, help="epochs to search or train for")] = None,
    seed: Annotated[int, typer.Option(help="decides all random numbers")] = 0,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda")] = None,
    out: Annotated[Path | None, typer.Option(help="the folder of the run")] = None,
    resume: Annotated[Path | None, typer.Option(help="go on with the run in this folder")] = None,
    genotype: Annotated[Path | None, typer.Option(help="a genotype, YAML or tuple form")] = None,
    emit: Annotated[Path | None, typer.Option(help="write the final model of --genotype")] = None,
    dump: Annotated[str | None, typer.Option(help="ir: print the intermediate form")] = None,
    passes: Annotated[str, typer.Option(help="which passes the supernet goes through")] = "none",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="a profile's value")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    overrides = dict(_setting(text) for text in settings or [])
    if epochs is not None:
        overrides["epochs"] = epochs
    if demo and profile not in (None, DEMO):
        raise UserError("--demo is a profile of its own: leave out --profile")
    profile = DEMO if demo else profile
    jobs = {"--check": check, "--search": search, "--train": train, "--emit": emit}
    wanted = [name for name, on in jobs.items() if on]
    if len(wanted) > 1 or (dump and wanted):
        raise UserError(f"{' and '.join([*wanted, *(['--dump'] if dump else [])])}: one at a time")
    if resume is not None:
        own = {"--set": settings, "--epochs": epochs, "--profile": profile, "--out": out}
        given = [name for name, value in own.items() if value]
        if given:
            raise UserError(f"a run goes on as it began: leave out {', '.join(given)}")
        _resume(resume, data, device)
        return
    pipeline(passes)
    if file is None:
        raise UserError("which file? `dartsc spaces/cifar_cell.darts`, or --help")
    if (train or emit is not None) != (genotype is not None) and not dump:
        raise UserError(
            "--genotype goes with --emit or --train: --genotype g.yaml --emit model.py, or "
            "--genotype g.yaml --train"
        )
    space = _load(file)
    if search:
        _search(space, file, data, out, order, hessian, seed, device, profile, passes, overrides)
    elif train:
        _train(space, file, genotype, data, out, seed, device, profile, overrides)
    elif emit is not None:
        _emit(space, genotype, emit, profile, overrides)
    elif dump is not None:
        _dump(space, dump, genotype, profile, passes, overrides)
    else:
        _describe(space, file, check, profile, overrides)


def _load(file: Path) -> Space:
    from dsl.load import load

    return load(file)


def _describe(
    space: Space, file: Path, only_check: bool, profile: str | None, overrides: dict[str, Value]
) -> None:
    from compiler.describe import check, describe

    check(space)
    if space.network is None:
        print(f"{file}: fine; it has no network and is there to be imported")
        return
    description = describe(space, profile, dict(overrides))
    print(f"{file}: fine")
    if not only_check:
        print("\n".join(f"  {line}" for line in description.lines()))


def _search(
    space: Space,
    file: Path,
    data: str | None,
    out: Path | None,
    order: int,
    hessian: str,
    seed: int,
    device: str | None,
    profile: str | None,
    passes: str,
    overrides: dict[str, Value],
) -> None:
    from compiler.describe import check
    from runtime.progress import Terminal

    if hessian not in ("finite_difference", "exact"):
        raise UserError(f"--hessian is finite_difference or exact, not `{hessian}`")
    check(space)
    import runtime

    with _stopping():
        result = runtime.search(
            file,
            data,
            out,
            order=order,
            hessian=cast("Hessian", hessian),
            seed=seed,
            device=device or "auto",
            profile=profile,
            passes=passes,
            progress=Terminal(),
            **overrides,
        )
        _report(result)


def _train(
    space: Space,
    file: Path,
    genotype: Path | None,
    data: str | None,
    out: Path | None,
    seed: int,
    device: str | None,
    profile: str | None,
    overrides: dict[str, Value],
) -> None:
    from compiler.describe import check
    from runtime.progress import Terminal

    assert genotype is not None
    check(space)
    import runtime

    with _stopping():
        result = runtime.train(
            file,
            genotype,
            data,
            out,
            seed=seed,
            device=device or "auto",
            profile=profile,
            progress=Terminal(),
            **overrides,
        )
        _report(result)


def _resume(folder: Path, data: str | None, device: str | None) -> None:
    import runtime
    from runtime.progress import Terminal

    with _stopping():
        _report(runtime.resume(folder, data=data, device=device, progress=Terminal()))


@contextmanager
def _stopping() -> Iterator[None]:
    """Ctrl-C ends the command with a line that says how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "stopped")
        raise typer.Exit(STOPPED) from None


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


def _emit(
    space: Space,
    genotype: Path | None,
    path: Path,
    profile: str | None,
    overrides: dict[str, Value],
) -> None:
    import compiler
    from runtime.rundir import disk_faults

    assert genotype is not None
    with disk_faults():
        compiler.emit(space, genotype=genotype, path=path, profile=profile, **overrides)
    print(f"{path}: written")


def _dump(
    space: Space,
    what: str,
    genotype: Path | None,
    profile: str | None,
    passes: str,
    overrides: dict[str, Value],
) -> None:
    if what != "ir":
        raise UserError(f"--dump shows `ir`, not `{what}`")
    from compiler.compile import compile_space
    from compiler.dump import dump

    print(dump(compile_space(space, profile, genotype, passes, overrides).program), end="")


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
