"""One training for each of several seeds, and their mean and deviation, as papers report them."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compiler
import dsl
from dsl.settings import Value
from runtime import rundir
from runtime.device import choose_device
from runtime.errors import UserError
from runtime.guard import Interrupted
from runtime.progress import Reporter
from runtime.reopening import damaged
from runtime.rundir import RunFolder, disk_faults
from runtime.search_request import KINDS, require_kinds, tuples
from runtime.task import Data
from runtime.training import TrainingResult, resume_training, train
from runtime.version import version

MOST = 2**63


@dataclass(frozen=True)
class SeedsResult:
    """The trainings, seed by seed, in `seed-<seed>` below `folder`; of every figure of theirs the
    mean, and the sample standard deviation (0 for a single seed)."""

    folder: Path
    runs: Mapping[int, TrainingResult]
    means: Mapping[str, float]
    deviations: Mapping[str, float]


def train_seeds(
    space: str | Path,
    genotype: compiler.Genotype | str | Path,
    data: str | Data | None = None,
    out: str | Path | None = None,
    *,
    seeds: Sequence[int],
    device: str = "auto",
    profile: str | None = None,
    progress: Reporter | None = None,
    **overrides: Value,
) -> SeedsResult:
    """Trains a final model once for each seed, one after the other; see `train`.

    Raises:
        UserError: when there is no seed or one stands twice; and as `train` does.
    """
    _require_seeds(seeds)
    target = choose_device(device)
    program = dsl.load(space)
    if not isinstance(genotype, compiler.Genotype):
        genotype = compiler.Genotype.load(genotype)
    with rundir.begun(program.name, out) as folder:
        record = {
            "job": rundir.TRAIN_SEEDS,
            "dartsc": version(),
            "space": folder.write_space(program),
            "profile": profile,
            "overrides": overrides,
            "data": data if data is None or isinstance(data, str) else data.name,
            "seeds": list(seeds),
            "device": str(target),
        }
        with disk_faults():
            genotype.save(folder.genotype)
        folder.write_settings(record)
    try:
        return _finish(folder, record, data, device, progress)
    except (UserError, dsl.DartsError):
        if not list(folder.path.glob("seed-*")):  # nothing has begun
            shutil.rmtree(folder.path)
            if out is None:
                with suppress(OSError):  # `runs` may hold others
                    folder.path.parent.rmdir()
        raise


def resume_seeds(
    folder: str | Path,
    *,
    data: str | Data | None = None,
    device: str | None = None,
    progress: Reporter | None = None,
) -> SeedsResult:
    """Goes on where trainings with several seeds were stopped; see `runtime.resume`."""
    opened = rundir.open_folder(folder)
    record = opened.read_settings()
    try:
        kinds = {name: KINDS[name] for name in ("space", "profile", "overrides", "device")}
        require_kinds(record, {**kinds, "data": str | None, "seeds": list})
        _require_seeds(record["seeds"])
    except (KeyError, TypeError, UserError) as error:
        raise damaged(opened) from error
    return _finish(opened, record, data or record["data"], device or record["device"], progress)


def _require_seeds(seeds: Sequence[Any]) -> None:
    whole = all(type(seed) is int and abs(seed) < MOST for seed in seeds)
    if not seeds or not whole or len(set(seeds)) != len(seeds):
        raise UserError("`seeds` are whole numbers below 2⁶³, each once, as 0,1,2")


def _finish(
    folder: RunFolder,
    record: Mapping[str, Any],
    data: str | Data | None,
    device: str,
    progress: Reporter | None,
) -> SeedsResult:
    """Begins or ends the training of each seed, in their order."""
    try:
        runs = {
            seed: _run(folder, record, seed, data=data, device=device, progress=progress)
            for seed in record["seeds"]
        }
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"stopped: `--resume {folder.path}` goes on from the last finished epoch"
        ) from stop
    names = next(iter(runs.values())).measured
    means, deviations = (
        {name: measure([run.measured[name] for run in runs.values()]) for name in names}
        for measure in (statistics.fmean, _deviation)
    )
    folder.write_result({"seeds": list(runs), "mean": means, "deviation": deviations})
    return SeedsResult(folder.path, runs, means, deviations)


def _run(folder: RunFolder, record: Mapping[str, Any], seed: int, **how: Any) -> TrainingResult:
    place = folder.path / f"seed-{seed}"
    if any((place / name).is_file() for name in (rundir.CHECKPOINT, rundir.METRICS)):
        return resume_training(place, **how)
    if place.exists():  # stopped before there was anything to go on from
        with disk_faults():
            shutil.rmtree(place)
    return train(
        folder.path / record["space"],
        folder.genotype,
        out=place,
        seed=seed,
        profile=record["profile"],
        **how,
        **tuples(record["overrides"]),
    )


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
