"""The command `dartsc`: reads the arguments and calls what does the work."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from click.core import ParameterSource

from runtime import reading
from runtime.asked import Asked
from runtime.errors import UserError

if TYPE_CHECKING:
    from runtime.bilevel import Hessian
    from runtime.bilevel_search import SearchResult
    from runtime.seed_runs import SeedsResult
    from runtime.training import TrainingResult

USERS_FAULT, OUR_FAULT, STOPPED = 1, 2, 130
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
    except OSError as error:  # what the machine refuses, such as a name that is too long
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}")
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


@click.command(
    help="Check a search space, lay it out, search it, and derive, count, draw, train, evaluate, "
    "export or write a final model of it. FILE is a space, or the folder of a run."
)
@click.argument("file", type=PATH, required=False)
@click.option("--check", is_flag=True, help="check the file and say no more")
@click.option("--fmt", is_flag=True, help="lay the file out; with --check, say whether it is")
@click.option("--diff", is_flag=True, help="with --fmt, show what would change")
@click.option("--explain", metavar="CODE", help="what a diagnostic means, with examples")
@click.option("--lsp", is_flag=True, help="serve an editor, over stdin and stdout")
@click.option("--format", default="text", help="how faults are told: text or json")
@click.option("--search", is_flag=True, help="search the space")
@click.option("--train", is_flag=True, help="train the final model of --genotype")
@click.option("--demo", is_flag=True, help="the profile `demo`")
@click.option("--profile", help="another profile of the file")
@click.option(
    "--data",
    help="cifar10, cifar100, digits, or images:DIR with train/ and test/; for words topics, or "
    "text:DIR with train.txt, valid.txt and test.txt",
)
@click.option("--order", type=click.IntRange(1, 2), default=1, help="2 unrolls a step of weights")
@click.option(
    "--hessian", default="finite_difference", help="finite_difference or exact, for --order 2"
)
@click.option("--epochs", type=click.IntRange(1), help="epochs to search or train for")
@click.option("--seed", type=int, default=0, help="decides all random numbers")
@click.option("--seeds", help="train once for each seed, as in 0,1,2, and give mean and deviation")
@click.option("--device", help="auto, cpu or cuda")
@click.option("--out", type=PATH, help="the folder of the run, or the file to write")
@click.option("--resume", type=PATH, help="go on with the run in this folder")
@click.option("--derive", is_flag=True, help="derive from a search, with an audit of every choice")
@click.option("--epoch", type=click.IntRange(1), help="with --derive, after which epoch")
@click.option("--rule", help="with --derive, weight, `weight without sinks`, alpha or edge")
@click.option("--alphas", type=PATH, help="with --derive and a file, a supernet's state dict")
@click.option("--genotype", type=PATH, help="a genotype's file: YAML, tuple form, or a string")
@click.option("--evaluate", is_flag=True, help="measure trained weights on the test data")
@click.option("--weights", metavar="PATH", help="a safetensors file; of a run, best or last")
@click.option("--export", metavar="FORMAT", help="write onnx, torch or safetensors, checked")
@click.option("--count", is_flag=True, help="parameters and MACs, or of a space their range")
@click.option("--draw", type=PATH, help="write the cells as .svg, .dot or .mmd")
@click.option("--emit", type=PATH, help="write the final model as one Python file")
@click.option("--prune", is_flag=True, help="with --emit, leave out what nothing depends on")
@click.option("--dump", metavar="STAGE", help="print tree, space, ir, ir:PASS or source")
@click.option("--passes", help="which passes the supernet goes through: fast, simple or none")
@click.option("--compile", is_flag=True, help="have small kernels compiled, which takes a while")
@click.option("--memory", metavar="SIZE", help="what a step's values may take: '8 GB', or lean")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="a profile's value")
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version)
def dartsc(**options: Any) -> None:
    source = click.get_current_context().get_parameter_source
    given = tuple(name for name in options if source(name) is ParameterSource.COMMANDLINE)
    asked = Asked(**options, given=given)
    asked.check_together()
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


def _work(file: Path, asked: Asked) -> None:
    """The one job that is done with a file."""
    profile, overrides = asked.laid_over, asked.overrides
    if asked.search:
        _search(file, asked)
    elif asked.train:
        _train(file, asked)
    elif asked.of_final_model:
        from runtime import finals

        finals.work(asked)
    elif asked.dump is not None:
        reading.dump(file, asked.dump, asked.genotype, profile, asked.passes or "none", overrides)
    elif asked.fmt:
        reading.format_file(file, asked.check, asked.diff)
    else:
        reading.describe(file, asked.telling, asked.check, profile, overrides)


def _search(file: Path, asked: Asked) -> None:
    from compiler.passes import pipeline
    from runtime.progress import Terminal

    if asked.passes is not None:
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
            device=asked.where,
            profile=asked.laid_over,
            passes=asked.passes,
            memory=asked.memory,
            capture=True,
            compiled=asked.compile,
            progress=Terminal(),
            **asked.overrides,
        )
        _report(result)


def _train(file: Path, asked: Asked) -> None:
    from runtime import finals
    from runtime.progress import Terminal

    if asked.run is None:
        reading.warn(file, asked.telling)
    import runtime

    with _stopping():
        model = finals.model_of(asked)
        space = model.space.source.path
        assert space is not None
        how: dict[str, Any] = {
            **model.overrides,
            "data": finals.data_of(asked),
            "out": asked.out,
            "device": asked.where,
            "profile": model.profile,
            "progress": Terminal(),
        }
        if asked.seeds is None:
            _report(runtime.train(space, model.genotype, seed=asked.seed, **how))
        else:
            seeds = asked.several_seeds
            _report(runtime.train_seeds(space, model.genotype, seeds=seeds, **how))


def _resume(folder: Path, asked: Asked) -> None:
    import runtime
    from runtime.progress import Terminal
    from runtime.rundir import open_folder

    result = open_folder(folder).result
    if result is not None:
        print(f"{folder} is finished: the result is in {result}")
        return
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


def _report(result: SearchResult | TrainingResult | SeedsResult) -> None:
    """Says what a run came to, and what is in its folder."""
    from runtime.bilevel_search import SearchResult
    from runtime.figures import called, figure
    from runtime.seed_runs import SeedsResult

    files = ["genotype.yaml"]
    if isinstance(result, SeedsResult):
        for name, mean in result.means.items():
            print(f"{called(name)} {figure(name, mean)} ± {figure(name, result.deviations[name])}")
        files += [f"seed-{seed}" for seed in result.runs] + ["result.json"]
    elif isinstance(result, SearchResult):
        print(result.genotype)
        files += ["metrics.jsonl", *(["model.py"] if result.model else [])]
    else:
        measured = [f"{called(name)} {figure(name, n)}" for name, n in result.measured.items()]
        measured += [f"best epoch {result.best_epoch}", f"{result.parameters:,} parameters"]
        print(", ".join(measured))
        files += ["metrics.jsonl", "model.py", result.best.name, result.last.name, "result.json"]
    print(f"{result.folder}: {', '.join(files)}")
