"""Which options go with which job, and with a run in the place of a file."""

import dataclasses
from pathlib import Path

import pytest

from runtime.asked import NEED_GENOTYPE, OF_RUNS, TAKES, Asked
from runtime.errors import UserError

PLAIN = Asked(
    file=None, check=False, fmt=False, diff=False, explain=None, lsp=False, format="text",
    search=False, train=False, demo=False, profile=None, data=None, order=1,
    hessian="finite_difference", epochs=None, seed=0, seeds=None, device=None, out=None,
    resume=None, genotype=None, derive=False, epoch=None, rule=None, alphas=None, evaluate=False,
    weights=None, export=None, count=False, draw=None, emit=None, prune=False, dump=None,
    passes="none", memory=None, compile=False, settings=(), given=(),
)  # fmt: skip
VALUES = {
    "file": Path("cell.darts"), "check": True, "fmt": True, "diff": True, "format": "json",
    "demo": True, "profile": "final", "data": "digits", "order": 2, "hessian": "exact", "epochs": 3,
    "seed": 4, "seeds": "0,1", "device": "cpu", "out": Path("x"), "genotype": Path("g.yaml"),
    "epoch": 2, "rule": "alpha", "alphas": Path("a"), "weights": "best", "prune": True,
    "passes": "simple", "memory": "lean", "compile": True, "settings": ("C=8",),
}  # fmt: skip
JOBS = {
    "": {}, "--check": {"check": True}, "--fmt": {"fmt": True}, "--explain": {"explain": "E0101"},
    "--lsp": {"lsp": True}, "--search": {"search": True}, "--train": {"train": True},
    "--resume": {"resume": Path("r")}, "--derive": {"derive": True},
    "--evaluate": {"evaluate": True}, "--export": {"export": "onnx"}, "--count": {"count": True},
    "--draw": {"draw": Path("d.svg")}, "--emit": {"emit": Path("m.py")},
    **{f"--dump {stage}": {"dump": stage} for stage in ("tree", "space", "ir", "source")},
}  # fmt: skip
RUN = Path(__file__).parent  # any folder


def asked(job, **options):
    """A job with some options, as if they stood on the command line."""
    values = JOBS[job] | options
    return dataclasses.replace(PLAIN, **values, given=tuple(values))


def refusal(of):
    with pytest.raises(UserError) as found:
        of.check_together()
    message = str(found.value)
    assert "\n" not in message
    return message


def test_every_job_and_every_option_is_known_here():
    assert JOBS.keys() == TAKES.keys()
    named = {field.name for field in dataclasses.fields(Asked)} - {"given"}
    of_jobs = {name for values in JOBS.values() for name in values}
    assert named == VALUES.keys() | of_jobs
    for taken in TAKES.values():
        assert set(taken) <= VALUES.keys()


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("name", VALUES)
def test_an_option_is_taken_or_refused_as_the_table_says(job, name):
    needed = {"file": Path("cell.darts")} if "file" in TAKES[job] else {}
    if job in NEED_GENOTYPE:
        needed["genotype"] = Path("g.yaml")
    if job == "--derive":
        needed |= {"file": RUN} if name in ("epoch", "rule", "out") else {"alphas": Path("a")}
    if name == "hessian":
        needed |= {"order": 2} if job == "--search" else {}
    of = asked(job, **needed | {name: VALUES[name]})
    own = job.removeprefix("--").split(" ")[0]
    together = {("--fmt", "check"), ("", "check"), ("", "fmt"), ("--check", "fmt")}
    if name in (*TAKES[job], "format", own) or (job, name) in together:
        of.check_together()
    elif name in ("check", "fmt"):
        assert "one at a time" in refusal(of) or f"--{name}" in refusal(of)
    else:
        shown = {"settings": "--set", "file": "file"}.get(name, f"--{name}")
        assert shown in refusal(of)


@pytest.mark.parametrize("job", OF_RUNS)
def test_a_run_stands_in_the_place_of_a_file(job):
    of = asked(job, file=RUN)
    of.check_together()
    assert of.run == RUN
    assert of.of_final_model == (job != "--train")
    assert asked(job, file=Path("cell.darts")).run is None


@pytest.mark.parametrize("job", ["", "--check", "--fmt", "--search", "--dump ir", "--dump tree"])
def test_with_a_run_goes_what_is_done_with_runs(job):
    message = refusal(asked(job, file=RUN))
    assert message == f"{RUN} is a folder; with that of a run go {', '.join(OF_RUNS)}"


@pytest.mark.parametrize("name", ["alphas", "profile", "demo", "settings"])
def test_a_search_is_derived_from_as_it_was_searched(name):
    message = refusal(asked("--derive", file=RUN, **{name: VALUES[name]}))
    shown = "--set" if name == "settings" else f"--{name}"
    assert message == f"a search has its own: leave out {shown}"


@pytest.mark.parametrize("job", OF_RUNS)
def test_what_is_neither_a_space_nor_a_run_is_told(job):
    assert refusal(asked(job, file=Path("nowhere"))) == (
        "nowhere is neither a `.darts` file nor the folder of a run"
    )


@pytest.mark.parametrize("job", NEED_GENOTYPE)
def test_a_final_model_takes_a_genotype(job):
    assert f"{job} needs --genotype: --genotype g.yaml {job}" in refusal(
        asked(job, file=Path("cell.darts"))
    )


@pytest.mark.parametrize(("text", "seeds"), [("0,1,2", [0, 1, 2]), ("7", [7]), ("-1, 4", [-1, 4])])
def test_seeds_are_whole_numbers(text, seeds):
    assert asked("--train", seeds=text).several_seeds == seeds


@pytest.mark.parametrize("text", ["", "0,", "a", "1.5", "0;1"])
def test_what_are_no_seeds_is_told(text):
    with pytest.raises(UserError, match="--seeds takes whole numbers"):
        asked("--train", seeds=text).several_seeds  # noqa: B018


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8), ("0.5", 0.5), ("1e-3", 1e-3), ("yes", True), ("no", False), ("digits", "digits"),
        ("(0.5, 0.999)", (0.5, 0.999)),
    ],
)  # fmt: skip
def test_settings_are_read_as_the_language_would(text, value):
    assert asked("--train", settings=(f"x={text}",)).overrides == {"x": value}
    assert asked("--train", settings=("x=1",), epochs=3).overrides == {"x": 1, "epochs": 3}


@pytest.mark.parametrize("text", ["x", "x=", "=1"])
def test_settings_have_a_name_and_a_value(text):
    with pytest.raises(UserError, match=f"--set takes KEY=VALUE, .*, not `{text}`"):
        asked("--train", settings=(text,)).overrides  # noqa: B018


@pytest.mark.parametrize(("name", "value"), [("format", "yaml"), ("hessian", "x"), ("rule", "x")])
def test_words_are_among_those_there_are(name, value):
    job = {"format": "--check", "hessian": "--search", "rule": "--derive"}[name]
    assert f"not `{value}`" in refusal(asked(job, **{name: value}))
