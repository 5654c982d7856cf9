"""What can be done with a run, whichever job it does: going on, and its final model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import compiler
from dsl.settings import Value
from runtime import bilevel_search, rundir, seed_runs, training
from runtime.bilevel_search import SearchResult
from runtime.errors import UserError
from runtime.final_model import FinalModel
from runtime.progress import Reporter
from runtime.reopening import request_of
from runtime.rundir import BEST, LAST, TRAIN, TRAIN_SEEDS, RunFolder
from runtime.search_request import SearchRequest
from runtime.seed_runs import SeedsResult
from runtime.task import Data
from runtime.training import TrainingResult
from runtime.training_request import TrainingRequest


def resume(
    folder: str | Path,
    *,
    data: str | Data | None = None,
    device: str | None = None,
    progress: Reporter | None = None,
) -> SearchResult | TrainingResult | SeedsResult:
    """Goes on with a search or a training from its last finished epoch, as if it had never stopped.

    On a CPU the result is that of a run without interruption, bit for bit.

    Args:
        folder: the run's folder; it holds the space and every setting.
        data: the same data set, where the run's own name for it no longer leads there.
        device: another device than the run began with; the numbers then differ in rounding.

    Raises:
        UserError: when the folder is no run's or is damaged, or the data set is another one; and
            as `search` and `train` do, like Interrupted.
    """
    job = rundir.open_folder(folder).read_settings().get("job")
    if job == TRAIN_SEEDS:
        return seed_runs.resume_seeds(folder, data=data, device=device, progress=progress)
    if job == TRAIN:
        return training.resume_training(folder, data=data, device=device, progress=progress)
    return bilevel_search.resume(folder, data=data, device=device, progress=progress)


def model_of_run(
    folder: str | Path,
    genotype: compiler.Genotype | None = None,
    profile: str | None = None,
    **overrides: Value,
) -> FinalModel:
    """The final model of a run: the one that it trains, or that a search has come to so far.

    It has the sizes of the run's data. `genotype` and `profile` take the place of the run's own,
    `overrides` that of single values.

    Raises:
        UserError: when the folder is no run's, is damaged, or has no genotype yet.
        dsl.DartsError: when the run's space or an override is at fault.
    """
    opened = rundir.open_folder(folder)
    record = opened.read_settings()
    if record.get("job") == TRAIN_SEEDS:
        one = next(iter(sorted(opened.path.glob("seed-*"))), opened.path / "seed-0")
        raise UserError(f"{opened.path} holds several runs: name one, as {one}")
    model = _model(opened, record.get("job"), genotype)
    values: dict[str, Any] = {**model.overrides, **overrides}
    sizes = {name: size for name, size in model.sizes.items() if name not in overrides}
    return replace(model, profile=profile or model.profile, overrides=values, sizes=sizes)


def _model(opened: RunFolder, job: object, genotype: compiler.Genotype | None) -> FinalModel:
    if job == TRAIN:
        model = request_of(opened, TrainingRequest).model
        return model if genotype is None else model.of(genotype)
    request = request_of(opened, SearchRequest)
    if genotype is None:
        if not opened.genotype.is_file():
            raise UserError(f"{opened.path} has no genotype yet: its first epoch is not over")
        genotype = compiler.Genotype.load(opened.genotype)
    return request.final(genotype)


def weights_of(folder: str | Path, which: str | None = None) -> Path:
    """The weights of a training: `best`, `last`, or the ones that its result is about.

    Raises:
        UserError: when the folder is no training's.
    """
    opened = rundir.open_folder(folder)
    record = opened.read_settings()
    if record.get("job") != TRAIN:
        raise UserError(f"{opened.path} is no training, so it has no weights: give `--weights`")
    words = "words" in (record.get("facts") or {})
    chosen = which or ("best" if words else "last")
    return opened.path / {"best": BEST, "last": LAST}[chosen]
