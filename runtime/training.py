"""Training a final recurrent model on a text, in a folder of its own."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import compiler
import dsl
from compiler.profile import values_of
from dsl.settings import Value
from runtime import rundir
from runtime.averaging import Average, stopped_improving
from runtime.data import Images, load
from runtime.device import choose_device
from runtime.errors import UserError
from runtime.guard import stopping, within_memory
from runtime.initialise import initialise
from runtime.language_model import perplexity
from runtime.language_training import LanguageTraining
from runtime.measure import Mean
from runtime.progress import Reporter, Silent
from runtime.rundir import Checkpoint, RunFolder, disk_faults
from runtime.schedule import learning_rate
from runtime.state import State, host_copies, seeded, under
from runtime.streams import columns, word_loss
from runtime.text import Text
from runtime.training_request import TrainingRequest


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to: the model after its best epoch, the one of least validation loss.

    `model` is its file, `weights` the state dict for that file's `Network`, with every name of a
    tied weight. Perplexities are the exponential of the mean cross-entropy per word; that of the
    test text is measured in one stream. `history` holds the lines of `metrics.jsonl`, one for each
    epoch.
    """

    folder: Path
    model: Path
    weights: Path
    parameters: int
    best_epoch: int
    valid_perplexity: float
    test_loss: float
    test_perplexity: float
    history: tuple[dict[str, Any], ...]


def train(
    space: str | Path,
    genotype: compiler.Genotype | str | Path,
    data: str | Images | Text | None = None,
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
        data: a text, or a name that `runtime.data.load` knows; None is what the profile says.
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
    settings = values_of(program, "final", profile, overrides).settings
    if not isinstance(genotype, compiler.Genotype):
        genotype = compiler.Genotype.load(genotype)
    text = _text(data or settings.data)
    fitted = compiler.word_overrides(program, len(text.words), f"`{text.name}`")
    request = TrainingRequest(program, genotype, profile, overrides, fitted, seed)
    with seeded(seed, target), within_memory():
        run = _Run(request, text, target)
        initialise(run.net, settings.init_uniform)
        folder = rundir.create(program.name, out)
        name = folder.write_space(program)
        with disk_faults():
            genotype.save(folder.genotype)
            request.emit(folder.model)
        folder.write_settings(request.record(text, target.type, name))
        folder.write_checkpoint(Checkpoint(0, run.tensors()))
        return run.finish(folder, 0, progress or Silent())


def resume_training(
    folder: str | Path,
    *,
    data: str | Images | Text | None = None,
    device: str | None = None,
    progress: Reporter | None = None,
) -> TrainingResult:
    """Goes on with a training from its last finished epoch, as if it had never stopped.

    On a CPU the result is that of a training without interruption, bit for bit. The arguments and
    the faults are those of `runtime.resume`.
    """
    opened = rundir.open_folder(folder)
    record = opened.read_settings()
    checkpoint = opened.read_checkpoint()
    try:
        request = TrainingRequest.of_record(record, opened.path, opened.genotype)
        name, known = record["data"], record["text"]
        target = choose_device(device or record["device"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{opened.path / rundir.SETTINGS} is damaged: start a new run") from error
    text = _text(data or name)
    if text.facts() != known:
        raise UserError(f"`{text.name}` is not the data set that {opened.path} began with")
    with seeded(request.seed, target), within_memory():
        run = _Run(request, text, target)
        run.restore(checkpoint.tensors)
        return run.finish(opened, checkpoint.epoch, progress or Silent())


def _text(data: str | Images | Text) -> Text:
    # By its name, so that no images are downloaded for nothing.
    of_images = isinstance(data, str) and data.partition(":")[0] in ("cifar10", "digits", "images")
    loaded = load(data) if isinstance(data, str) and not of_images else data
    if isinstance(loaded, Text):
        return loaded
    name = loaded.name if isinstance(loaded, Images) else loaded
    raise UserError(
        f"`{name}` is a data set of images, and this version trains final models on text only: "
        f"use `text:DIR` or `topics`"
    )


class _Run:
    """A network, its training and its text, and the loop over the epochs."""

    def __init__(self, request: TrainingRequest, text: Text, device: torch.device) -> None:
        self.settings = s = request.settings
        self.device = device
        train = columns(text.training(s.subset), s.batch).to(device)
        self.valid = columns(text.valid, s.evaluation_batch).to(device)
        self.test = columns(text.test, 1).to(device)
        self.net = request.build().to(device)
        self.training = LanguageTraining(self.net, train, s, request.seed)
        self.state = State(self.net, self.training.optimiser, None, device)

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that a checkpoint holds: the state, and the mean of the weights where there is one.

        The losses so far, on which the averaging hangs, are in the metrics.
        """
        average = self.training.average
        found = {} if average is None else average.tensors()
        return self.state.tensors() | host_copies({f"average.{n}": t for n, t in found.items()})

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        self.state.restore(tensors)
        average = under("average.", tensors)
        if average:
            self.training.average = Average(self.net)
            self.training.average.restore(average)

    def finish(self, folder: RunFolder, done: int, progress: Reporter) -> TrainingResult:
        """The epochs that are left after `done`, then the best model on the test text."""
        history = folder.metrics_until(done)
        epochs = self.settings.epochs
        steps = self.training.steps(min(done + 1, epochs))
        progress.started(str(folder.path), epochs, done + 1, steps)
        with stopping(folder, progress):
            for epoch in range(done + 1, epochs + 1):
                history.append(self._epoch(epoch, history, folder, progress))
                folder.append_metrics(history[-1])
                # The checkpoint comes last: what is newer than it is done again on resuming.
                folder.write_checkpoint(Checkpoint(epoch, self.tensors()))
                progress.epoch(history[-1])
            return self._result(history, folder)

    def _epoch(
        self, epoch: int, history: list[dict[str, Any]], folder: RunFolder, progress: Reporter
    ) -> dict[str, Any]:
        """One epoch, counted from 1: trains, validates, keeps the best, and decides whether the
        next one averages. Returns its line of the metrics."""
        begun = time.monotonic()
        lr = learning_rate(self.settings, epoch - 1)
        trained = self._train(epoch, lr, progress)
        earlier = [line["valid_loss"] for line in history]
        average = self.training.average
        with nullcontext() if average is None else average.in_use():
            loss = word_loss(self.net, self.valid, self.settings.bptt)
            validated = self._numbers("valid", loss, epoch)
            best = loss < min(earlier, default=math.inf)
            if best:
                folder.write_weights(host_copies(self.net.state_dict()))
        if average is None and self._is_to_average([*earlier, loss]):
            self.training.average = Average(self.net)
        return {
            "epoch": epoch,
            "epochs": self.settings.epochs,
            "lr": lr,
            "averaging": average is not None,
            **trained,
            **validated,
            "best": best,
            "seconds": time.monotonic() - begun,
        }

    def _is_to_average(self, losses: list[float]) -> bool:
        s = self.settings
        return s.optimiser == "averaged_sgd" and stopped_improving(losses, s.patience)

    def _train(self, epoch: int, lr: float, progress: Reporter) -> dict[str, float]:
        mean = Mean(self.device)
        for step in self.training.epoch(epoch, lr):
            mean.add(step)
            due = progress.due()
            progress.step(self._numbers("train", mean.read()["loss"], epoch) if due else None)
        return self._numbers("train", mean.read()["loss"], epoch)

    def _numbers(self, part: str, loss: float, epoch: int) -> dict[str, float]:
        figures = {f"{part}_loss": loss, f"{part}_perplexity": perplexity(loss)}
        if not all(math.isfinite(figure) for figure in figures.values()):
            s = self.settings
            raise UserError(
                f"the loss is no longer a finite number in epoch {epoch}: "
                f"try a smaller `lr` (now {s.lr:g}) or `clip` ({s.clip:g})"
            )
        return figures

    def _result(self, history: list[dict[str, Any]], folder: RunFolder) -> TrainingResult:
        best = min(history, key=lambda line: line["valid_loss"])
        self.net.load_state_dict(folder.read_weights())
        loss = word_loss(self.net, self.test, self.settings.bptt)
        measured: dict[str, Any] = {
            "parameters": sum(p.numel() for p in self.net.parameters()),
            "best_epoch": best["epoch"],
            "valid_perplexity": best["valid_perplexity"],
            **self._numbers("test", loss, best["epoch"]),
        }
        folder.write_result(measured)
        place = folder.path
        return TrainingResult(
            place, folder.model, folder.weights, history=tuple(history), **measured
        )
