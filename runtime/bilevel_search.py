"""The search of DARTS (Liu, Simonyan & Yang, ICLR 2019, algorithm 1), in a folder of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import compiler
import dsl
from dsl.settings import Settings, Value
from runtime import rundir
from runtime.batches import Parts, split
from runtime.bilevel import BilevelStep, Hessian
from runtime.data import Images, load
from runtime.device import choose_device
from runtime.errors import UserError
from runtime.measure import Means, evaluate
from runtime.progress import Reporter, Silent
from runtime.request import Request, facts
from runtime.rundir import Checkpoint, RunFolder, disk_faults
from runtime.state import State, seeded


@dataclass(frozen=True)
class SearchResult:
    """What a search found. `model` is the final model's file, None where that network could not be
    built; `history` holds the lines of `metrics.jsonl`, one for each epoch."""

    genotype: compiler.Genotype
    folder: Path
    model: Path | None
    history: tuple[dict[str, Any], ...]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a search. Its folder is whole; the message, one line, says how to go on."""


def search(
    space: str | Path,
    data: str | Images | None = None,
    out: str | Path | None = None,
    *,
    order: int = 1,
    hessian: Hessian = "finite_difference",
    seed: int = 0,
    device: str = "auto",
    profile: str | None = None,
    passes: str = "none",
    progress: Reporter | None = None,
    **overrides: Value,
) -> SearchResult:
    """Searches the space in a `.darts` file by gradient descent on its alphas.

    Args:
        space: the file.
        data: images, or a name that `runtime.data.load` knows; None is what the profile says.
        out: a new folder for the run; None is the next `runs/<space>-<number>`.
        order: 1 or 2, with `hessian` for the second: see `BilevelStep`.
        seed: decides every random number. On a CPU the same seed gives the same alphas, bit for
            bit, with the same number of threads.
        device: `auto`, `cpu` or `cuda`.
        profile: another profile of the file than `search`, or an overlay such as `demo`.
        passes: the pipeline that the supernet is compiled with.
        overrides: values for the search phase in place of its profile's: `epochs=2`, `C=8` …

    Raises:
        UserError: when the data, the device, the folder or the numbers stop the search.
        dsl.DartsError: when the file or an override is at fault.
        Interrupted: on Ctrl-C; `resume` goes on from the last finished epoch.
    """
    target = choose_device(device)
    program = dsl.load(space)
    settings = compiler.settings(program, profile, **overrides)
    images = data if isinstance(data, Images) else load(data or settings.data)
    fitted = compiler.data_overrides(program, images.shape, len(images.classes))
    request = Request(program, profile, overrides, dict(fitted), passes, order, hessian, seed)
    with seeded(seed, target), _within_memory():
        run = _Run(request, images, target)
        folder = rundir.create(program.name, out)
        name = folder.write_space(program)
        folder.write_settings(request.record(images, target.type, name))
        folder.write_checkpoint(Checkpoint(0, run.state.tensors()))
        return run.finish(folder, 0, progress or Silent())


def resume(
    folder: str | Path,
    *,
    data: str | Images | None = None,
    device: str | None = None,
    progress: Reporter | None = None,
) -> SearchResult:
    """Goes on with a search from its last finished epoch, as if it had never stopped.

    On a CPU the result is that of a search without interruption, bit for bit.

    Args:
        folder: the run's folder; it holds the space and every setting.
        data: the same images, where the run's own name for them no longer leads there.
        device: another device than the run began with; the numbers then differ in rounding.

    Raises:
        UserError: when the folder is no run's or is damaged, or the data set is another one; and
            as `search` does, like Interrupted.
    """
    opened = rundir.open_folder(folder)
    record = opened.read_settings()
    checkpoint = opened.read_checkpoint()
    try:
        request = Request.of_record(record, opened.path)
        name, known = record["data"], record["images"]
        target = choose_device(device or record["device"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{opened.path / rundir.SETTINGS} is damaged: start a new run") from error
    images = data if isinstance(data, Images) else load(data or name)
    if facts(images) != known:
        raise UserError(f"`{images.name}` is not the data set that {opened.path} began with")
    with seeded(request.seed, target), _within_memory():
        run = _Run(request, images, target)
        run.state.restore(checkpoint.tensors)
        return run.finish(opened, checkpoint.epoch, progress or Silent())


class _Run:
    """A network, its optimisers and its data, and the loop over them."""

    def __init__(self, request: Request, images: Images, device: torch.device) -> None:
        self.request, self.device = request, device
        self.settings = s = request.settings
        self.parts: Parts = split(images, s, request.seed, device)
        self.net = request.build().to(device)
        if not list(self.net.arch_parameters()):
            raise UserError("this space decides nothing, so there is nothing to search")
        sgd = torch.optim.SGD(
            self.net.weight_parameters(), lr=s.lr, momentum=s.momentum, weight_decay=s.decay
        )
        adam = torch.optim.Adam(
            self.net.arch_parameters(), s.alpha_lr, s.alpha_betas, weight_decay=s.alpha_decay
        )
        self.state = State(self.net, sgd, adam, device)
        self.step = BilevelStep(
            self.net, sgd, adam, order=request.order, hessian=request.hessian, clip=s.clip
        )

    def finish(self, folder: RunFolder, done: int, progress: Reporter) -> SearchResult:
        """The epochs that are left after `done`, then the final model."""
        history = folder.metrics_until(done)
        epochs, steps = self.settings.epochs, self.parts.train.batches
        progress.started(str(folder.path), epochs, done + 1, steps)
        with _stopping(folder, progress):
            for epoch in range(done + 1, epochs + 1):
                history.append(self._epoch(epoch, folder, progress))
                progress.epoch(history[-1])
            genotype = self.net.genotype()
            model = self._emit(genotype, folder, progress)
        return SearchResult(genotype, folder.path, model, tuple(history))

    def _emit(
        self, genotype: compiler.Genotype, folder: RunFolder, progress: Reporter
    ) -> Path | None:
        # A final network that does not fit these images is no reason to lose the search.
        try:
            with disk_faults():
                try:
                    self.request.emit(genotype, folder.model)
                except dsl.DartsError:
                    self.request.emit(genotype, folder.model, auxiliary_weight=0)
                    progress.note("model.py has no auxiliary head: it does not fit these images")
        except dsl.DartsError as error:
            progress.note(f"no model.py, for the final network cannot be built: {error}")
            return None
        return folder.model

    def _epoch(self, epoch: int, folder: RunFolder, progress: Reporter) -> dict[str, Any]:
        """One epoch, counted from 1, and what it leaves in the folder."""
        begun = time.monotonic()
        lr = cosine(self.settings, epoch - 1)
        self.state.weight_optimiser.param_groups[0]["lr"] = lr
        means = self._optimise(epoch, progress)
        tested = evaluate(self.net, self.parts.test)
        self._require_finite(tested, epoch)
        derived = self.net.derive()
        line = {
            "epoch": epoch,
            "epochs": self.settings.epochs,
            "lr": lr,
            **means,
            "test_loss": tested[0],
            "test_accuracy": tested[1],
            "seconds": time.monotonic() - begun,
            "skips": sum(n for label, n in derived.genotype.counts().items() if "skip" in label),
            "genotype": str(derived.genotype),
        }
        # The checkpoint comes last: what is newer than it is done again when the run resumes.
        folder.append_metrics(line)
        with disk_faults():
            derived.genotype.save(folder.genotype, audit=derived.audit)
        folder.write_checkpoint(Checkpoint(epoch, self.state.tensors()))
        return line

    def _optimise(self, epoch: int, progress: Reporter) -> dict[str, float]:
        """Alternates steps of the alphas and of the weights over one pass of the training half.

        The validation half is gone through at its own pace, across epochs.
        """
        self.net.train()
        train, valid = self.parts.train, self.parts.valid
        first = (epoch - 1) * train.batches
        batches = zip(train.from_step(first), valid.from_step(first), strict=True)
        means = Means(self.device, train.batch_size)
        for _ in range(train.batches):
            means.add(self.step(*next(batches)))
            losses = self._read(means, epoch) if progress.due() else None
            progress.step(losses)
        return self._read(means, epoch)

    def _read(self, means: Means, epoch: int) -> dict[str, float]:
        losses = means.read()
        self._require_finite(losses.values(), epoch)
        return losses

    def _require_finite(self, numbers: Iterable[float], epoch: int) -> None:
        if not all(math.isfinite(number) for number in numbers):
            s = self.settings
            raise UserError(
                f"the loss is no longer a finite number in epoch {epoch}: "
                f"try a smaller `lr` (now {s.lr:g}), `alpha_lr` ({s.alpha_lr:g}) or `clip` "
                f"({s.clip:g})"
            )


def cosine(settings: Settings, done: int) -> float:
    """The learning rate after `done` epochs: from `lr` down half a cosine towards `lr_end`."""
    share = (1 + math.cos(math.pi * done / settings.epochs)) / 2
    return settings.lr_end + (settings.lr - settings.lr_end) * share


@contextmanager
def _stopping(folder: RunFolder, progress: Reporter) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"stopped: `--resume {folder.path}` goes on from the last finished epoch"
        ) from error
    finally:
        progress.stopped()


@contextmanager
def _within_memory() -> Iterator[None]:
    """What does not fit into memory as one line; torch tells it in several ways."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        words = ("allocate memory", "out of memory", "Storage size calculation overflowed")
        if isinstance(error, RuntimeError) and not any(word in str(error) for word in words):
            raise
        raise UserError(
            "this takes more memory than there is: use a smaller `batch` or a narrower network"
        ) from error
