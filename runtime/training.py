"""Training a final model, in a folder of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import compiler
import dsl
from compiler.profile import values_of
from dsl.settings import Value
from runtime import rundir
from runtime.device import choose_device
from runtime.errors import UserError
from runtime.guard import stopping, within_memory
from runtime.initialise import initialise
from runtime.late import Late
from runtime.measure import Mean
from runtime.progress import Reporter, Silent
from runtime.reopening import reopened
from runtime.rundir import BEST, LAST, Checkpoint, RunFolder, disk_faults
from runtime.schedule import learning_rate
from runtime.state import State, host_copies, seeded
from runtime.task import Data, fitted, loaded, require_meaning, require_one
from runtime.training_request import TrainingRequest
from runtime.training_task import make_training
from runtime.waiting import data_seconds, slow_data


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to.

    `model` is the model's file; `best` and `last` are state dicts for that file's `Network`, after
    the best epoch and after the last one, with every name of a tied weight and without auxiliary
    heads, which `parameters` leaves out too. `measured` are the figures of `result.json`: on images
    those of the last epoch, on text those of the best. `history` holds the lines of
    `metrics.jsonl`, one for each epoch.
    """

    folder: Path
    model: Path
    best: Path
    last: Path
    parameters: int
    best_epoch: int
    measured: Mapping[str, float]
    history: tuple[dict[str, Any], ...]


def train(
    space: str | Path,
    genotype: compiler.Genotype | str | Path,
    data: str | Data | None = None,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    profile: str | None = None,
    progress: Reporter | None = None,
    **overrides: Value,
) -> TrainingResult:
    """Trains the final model that a genotype makes of the space in a `.darts` file.

    Args:
        space: the file.
        genotype: a genotype or the file of one.
        data: images, text, or a name that `runtime.data.load` knows; None is the profile's.
        out: a new folder for the run; None is the next `runs/<space>-<number>`.
        seed: decides every random number. On a CPU the same seed gives the same weights, bit for
            bit, with the same number of threads.
        device: `auto`, `cpu` or `cuda`.
        profile: another profile of the file than `final`, or an overlay such as `demo`.
        overrides: values for the final phase in place of its profile's: `epochs=2`, `H=100` …

    Raises:
        UserError: when the data, the device, the folder or the numbers stop the training.
        dsl.DartsError: when the file, the genotype or an override is at fault.
        Interrupted: on Ctrl-C; `resume` goes on from the last finished epoch.
    """
    target = choose_device(device)
    program = dsl.load(space)
    require_one(program)
    settings = values_of(program, "final", profile, overrides).settings
    if not isinstance(genotype, compiler.Genotype):
        genotype = compiler.Genotype.load(genotype)
    found = loaded(data, settings)
    request = TrainingRequest(
        program, genotype, profile, overrides, fitted(program, found, overrides), seed
    )
    require_meaning(settings, found)
    with seeded(seed, target), within_memory():
        run = _Run(request, found, target)
        with rundir.begun(program.name, out) as folder:
            name = folder.write_space(program)
            with disk_faults():
                genotype.save(folder.genotype)
                request.emit(folder.model)
            folder.write_settings(request.record(found, str(target), name))
            folder.write_checkpoint(Checkpoint(0, run.tensors()))
        return run.finish(folder, 0, progress or Silent())


def resume_training(
    folder: str | Path,
    *,
    data: str | Data | None = None,
    device: str | None = None,
    progress: Reporter | None = None,
) -> TrainingResult:
    """Goes on with a training from its last finished epoch, as if it had never stopped.

    On a CPU the result is that of a training without interruption, bit for bit. The arguments and
    the faults are those of `runtime.resume`.
    """
    run = reopened(folder, TrainingRequest, data, device)
    with seeded(run.request.seed, run.device), within_memory():
        training = _Run(run.request, run.data, run.device)
        training.restore(run.checkpoint.tensors)
        return training.finish(run.folder, run.checkpoint.epoch, progress or Silent())


class _Run:
    """A network, its data and the steps through them, and the loop over the epochs."""

    def __init__(self, request: TrainingRequest, data: Data, device: torch.device) -> None:
        self.settings = request.settings
        self.device = device
        self.net = request.build()
        initialise(self.net, self.settings.init_uniform)
        self.net.to(device)
        self.heads = tuple(f"{name}." for name in getattr(self.net, "auxiliary_modules", ()))
        self.task = make_training(self.net, data, self.settings, request.seed, device)
        self.state = State(self.net, self.task.optimiser, None, device)

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint holds."""
        return self.state.tensors() | host_copies(self.task.tensors())

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.state.restore(tensors)
        self.task.restore(tensors)

    def finish(self, folder: RunFolder, done: int, progress: Reporter) -> TrainingResult:
        """The epochs that are left after `done`, then what the training came to."""
        history = folder.metrics_until(done)
        try:
            known = [(self.task.loss(line), line["best"]) for line in history]
        except (KeyError, TypeError, ValueError) as error:
            raise folder.damaged_metrics() from error
        if not all(math.isfinite(loss) for loss, _ in known):
            raise folder.damaged_metrics()
        epochs = self.settings.epochs
        steps = self.task.steps(min(done + 1, epochs))
        progress.started(str(folder.path), epochs, done + 1, steps)
        with stopping(folder, progress):
            if history:
                self._keep(folder, history[-1])
            for epoch in range(done + 1, epochs + 1):
                history.append(self._epoch(epoch, history, progress))
                self.task.finished(history)
                folder.append_metrics(history[-1])
                # What is newer than the checkpoint is done again on resuming, and the weights,
                # which follow from it, are written again.
                folder.write_checkpoint(Checkpoint(epoch, self.tensors()))
                self._keep(folder, history[-1])
                progress.epoch(history[-1])
                if told := slow_data(history[-1]):
                    progress.note(told)
            return self._result(history, folder)

    def _epoch(
        self, epoch: int, history: list[dict[str, Any]], progress: Reporter
    ) -> dict[str, Any]:
        """One epoch, counted from 1: trains and measures. Returns its line of the metrics."""
        begun = time.monotonic()
        lr = learning_rate(self.settings, epoch - 1)
        trained = self._train(epoch, lr, progress)
        with self.task.in_use():
            measured = self.task.measure()
            self._require_finite(measured.values(), epoch)
            least = min((self.task.loss(line) for line in history), default=math.inf)
            best = self.task.loss(measured) < least
        return {
            "epoch": epoch,
            "epochs": self.settings.epochs,
            "lr": lr,
            **trained,
            **measured,
            "best": best,
            "seconds": time.monotonic() - begun,
            **data_seconds(self.task),
        }

    def _keep(self, folder: RunFolder, line: dict[str, Any]) -> None:
        """Writes the weights after the last epoch, which may be the best."""
        with self.task.in_use():
            for name in (LAST, BEST) if line["best"] else (LAST,):
                folder.write_weights(name, self._weights(), self.task.about)

    def _weights(self) -> dict[str, Tensor]:
        """The state dict of the network without its auxiliary heads, which only training has."""
        return host_copies(
            {n: t for n, t in self.net.state_dict().items() if not n.startswith(self.heads)}
        )

    def _train(self, epoch: int, lr: float, progress: Reporter) -> dict[str, float]:
        mean = Mean(self.device)
        late = Late(mean, self.device)
        for step in self.task.epoch(epoch, lr):
            shown = late.read()  # of the steps before this one, which is under way
            mean.add(step)
            if shown is None and progress.due():
                late.keep()
            progress.step(None if shown is None else self._named(shown, epoch))
        return self._named(mean.read(), epoch)

    def _named(self, figures: Mapping[str, float], epoch: int) -> dict[str, float]:
        self._require_finite(figures.values(), epoch)
        return {f"train_{name}": value for name, value in figures.items()}

    def _require_finite(self, figures: Iterable[float], epoch: int) -> None:
        if not all(math.isfinite(figure) for figure in figures):
            s = self.settings
            raise UserError(
                f"the loss is no longer a finite number in epoch {epoch}: "
                f"try a smaller `lr` (now {s.lr:g}) or `clip` ({s.clip:g})"
            )

    def _result(self, history: list[dict[str, Any]], folder: RunFolder) -> TrainingResult:
        best = min(history, key=self.task.loss)["epoch"]
        parameters = sum(
            p.numel() for n, p in self.net.named_parameters() if not n.startswith(self.heads)
        )
        measured = self.task.result(history, lambda: folder.read_weights(BEST))
        self._require_finite(measured.values(), best)
        folder.write_result({"parameters": parameters, "best_epoch": best, **measured})
        return TrainingResult(
            folder.path,
            folder.model,
            folder.path / BEST,
            folder.path / LAST,
            parameters,
            best,
            measured,
            tuple(history),
        )
