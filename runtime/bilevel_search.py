"""The search of DARTS (Liu, Simonyan & Yang, ICLR 2019, algorithm 1), in a folder of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import compiler
import dsl
from compiler.estimating import shortage
from compiler.kernels.compiled import Compiled
from compiler.passes import ONCE, usual
from dsl.settings import Settings, Value
from runtime import rundir
from runtime.bilevel import BilevelStep
from runtime.captured import CapturedStep, capturable
from runtime.device import choose_device
from runtime.errors import UserError
from runtime.guard import stopping, within_memory
from runtime.initialise import initialise
from runtime.language_model import Penalties
from runtime.late import Late
from runtime.measure import Means
from runtime.precision import in_precision
from runtime.progress import Reporter, Silent
from runtime.reopening import reopened
from runtime.rundir import Checkpoint, RunFolder, disk_faults
from runtime.schedule import learning_rate
from runtime.search_request import SearchRequest
from runtime.state import State, seeded
from runtime.task import Data, data_sizes, fitted, loaded, make_task, require_meaning, require_one
from runtime.unrolled import Hessian
from runtime.waiting import data_seconds, slow_data


@dataclass(frozen=True)
class SearchResult:
    """What a search found. `model` is the final model's file, None where that network could not be
    built; `history` holds the lines of `metrics.jsonl`, one for each epoch."""

    genotype: compiler.Genotype
    folder: Path
    model: Path | None
    history: tuple[dict[str, Any], ...]


def search(
    space: str | Path,
    data: str | Data | None = None,
    out: str | Path | None = None,
    *,
    order: int = 1,
    hessian: Hessian = "finite_difference",
    seed: int = 0,
    device: str = "auto",
    profile: str | None = None,
    passes: str | None = None,
    memory: str | None = None,
    capture: bool = True,
    compiled: bool = False,
    progress: Reporter | None = None,
    **overrides: Value,
) -> SearchResult:
    """Searches the space in a `.darts` file by gradient descent on its alphas.

    Args:
        space: the file.
        data: images, text, or a name that `runtime.data.load` knows; None is the profile's.
        out: a new folder for the run; None is the next `runs/<space>-<number>`.
        order: 1 or 2, with `hessian` for the second: see `BilevelStep`.
        seed: decides every random number. On a CPU the same seed gives the same alphas, bit for
            bit, with the same number of threads.
        device: `auto`, `cpu` or `cuda`.
        profile: another profile of the file than `search`, or an overlay such as `demo`.
        passes: the pipeline that the supernet is compiled with; None is the fastest that can be
            differentiated as often as is asked for.
        memory: what the values of a step may take, as in "3 GB"; see `compiler.build`.
        capture: whether steps on CUDA are captured as a graph and replayed; see `CapturedStep`.
        compiled: whether pointwise kernels go through `torch.compile`, which takes a while; it is
            said how long.
        overrides: values for the search phase in place of its profile's: `epochs=2`, `C=8` …

    Raises:
        UserError: when the data, the device, the folder or the numbers stop the search.
        dsl.DartsError: when the file or an override is at fault.
        runtime.Interrupted: on Ctrl-C; `resume` goes on from the last finished epoch.
    """
    target = choose_device(device)
    program = dsl.load(space)
    require_one(program)
    settings = compiler.settings(program, profile, **overrides)
    found = loaded(data, settings)
    decided = fitted(program, found, overrides)
    require_meaning(settings, found)
    twice = order == 2 and hessian == "exact"
    passes = usual(twice) if passes is None else passes
    if twice and passes in ONCE:
        raise UserError(
            f"`--hessian exact` differentiates twice, and what `{passes}` makes can be "
            f"differentiated once: use --passes {usual(twice)}"
        )
    request = SearchRequest(
        program, profile, overrides, decided, passes, memory, order, hessian, seed
    )
    shown = progress or Silent()
    with seeded(seed, target), within_memory():
        run = _Run(request, found, target, _step(target, capture, shown))
        run.require_room()
        if compiled:
            run.compile_kernels()
        with rundir.begun(program.name, out) as folder:
            name = folder.write_space(program)
            folder.write_settings(request.record(found, str(target), name))
            folder.write_checkpoint(Checkpoint(0, run.state.tensors()))
        return run.finish(folder, 0, shown)


def resume(
    folder: str | Path,
    *,
    data: str | Data | None = None,
    device: str | None = None,
    capture: bool = True,
    progress: Reporter | None = None,
) -> SearchResult:
    """Goes on with a search from its last finished epoch, as if it had never stopped.

    On a CPU the result is that of a search without interruption, bit for bit.

    Args:
        folder: the run's folder; it holds the space and every setting.
        data: the same data set, where the run's own name for it no longer leads there.
        device: another device than the run began with; the numbers then differ in rounding.
        capture: as for `search`.

    Raises:
        UserError: when the folder is no run's or is damaged, or the data set is another one; and
            as `search` does, like Interrupted.
    """
    run = reopened(folder, SearchRequest, data, device)
    shown = progress or Silent()
    with seeded(run.request.seed, run.device), within_memory():
        search = _Run(run.request, run.data, run.device, _step(run.device, capture, shown))
        search.state.restore(run.checkpoint.tensors)
        return search.finish(run.folder, run.checkpoint.epoch, shown)


def _step(device: torch.device, capture: bool, progress: Reporter) -> Callable[..., BilevelStep]:
    """What makes the step of a search."""
    if capture and device.type == "cuda":
        return partial(CapturedStep, tell=progress.note)
    return BilevelStep


class _Run:
    """A network, its optimisers and its data, and the loop over them."""

    def __init__(
        self,
        request: SearchRequest,
        data: Data,
        device: torch.device,
        step: Callable[..., BilevelStep],
    ) -> None:
        self.request, self.device = request, device
        self.kernels: Compiled | None = None
        self.sizes = data_sizes(data)
        self.settings = s = request.settings
        _check(s)
        self.task = make_task(data, s, request.seed, device)
        self.net = request.build()
        initialise(self.net.model, s.init_uniform)
        self.net.to(device)
        if device.type == "cuda":
            # Convolutions on CUDA are quicker with the channels last, and as exact.
            self.net.to(memory_format=torch.channels_last)
        _check_norms(self.net, s)
        if not list(self.net.arch_parameters()):
            raise UserError("this space decides nothing, so there is nothing to search")
        for_sgd, for_adam = capturable(device, s.lr)
        sgd = torch.optim.SGD(
            self.net.weight_parameters(), momentum=s.momentum, weight_decay=s.decay, **for_sgd
        )
        adam = torch.optim.Adam(
            self.net.arch_parameters(),
            s.alpha_lr,
            s.alpha_betas,
            weight_decay=s.alpha_decay,
            **for_adam,
        )
        self.state = State(self.net, sgd, adam, device)
        penalised = s.slowness > 0 or s.activation > 0
        self.step = step(
            self.net,
            sgd,
            adam,
            order=request.order,
            clip=s.clip,
            clip_virtual=s.clip_virtual,
            hessian=request.hessian,
            loss=in_precision(self.task.loss, s.precision, device),
            penalty=Penalties(self.net.model, s.slowness, s.activation).read if penalised else None,
        )

    def require_room(self) -> None:
        """Raises:
        UserError: when the search will not fit into memory, with what would.
        """
        request = self.request
        line = shortage(
            request.space,
            request.profile,
            request.passes,
            request.order,
            self.device,
            memory=request.memory,
            data=self.sizes,
            net=self.net,
            **{**request.overrides, **request.fitted},
        )
        if line is not None:
            raise UserError(line)

    def compile_kernels(self) -> None:
        """Has pointwise kernels compiled as they are first run.

        Raises:
            UserError: when the pipeline has no such kernels.
        """
        if self.net.optimised is None:
            raise UserError(
                f"there is nothing to compile in what `{self.request.passes}` makes: "
                f"leave out --compile, or use --passes {usual()}"
            )
        self.kernels = self.net.optimised.engine.compiled = Compiled()

    def finish(self, folder: RunFolder, done: int, progress: Reporter) -> SearchResult:
        """The epochs that are left after `done`, then the final model."""
        history = folder.metrics_until(done)
        epochs = self.settings.epochs
        progress.started(str(folder.path), epochs, done + 1, self.task.steps)
        with stopping(folder, progress):
            for epoch in range(done + 1, epochs + 1):
                history.append(self._epoch(epoch, folder, progress))
                progress.epoch(history[-1])
                if self.kernels is not None and epoch == done + 1:
                    progress.note(f"compiling kernels took {self.kernels.seconds:.1f} s of that")
                if told := slow_data(history[-1]):
                    progress.note(told)
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
                    self.request.final(genotype).emit(folder.model)
                except dsl.DartsError:
                    self.request.final(genotype, auxiliary_weight=0).emit(folder.model)
                    progress.note("model.py has no auxiliary head: it does not fit these images")
        except dsl.DartsError as error:
            progress.note(f"no model.py, for the final network cannot be built: {error}")
            return None
        return folder.model

    def _epoch(self, epoch: int, folder: RunFolder, progress: Reporter) -> dict[str, Any]:
        """One epoch, counted from 1, and what it leaves in the folder."""
        begun = time.monotonic()
        lr = learning_rate(self.settings, epoch - 1)
        means = self._optimise(epoch, lr, progress)
        measured = self.task.measure(self.net)
        self._require_finite(measured.values(), epoch)
        derived = self.net.derive()
        alphas = {name: each.tolist() for name, each in self.net.alphas.items()}
        line = {
            "epoch": epoch,
            "epochs": self.settings.epochs,
            "lr": lr,
            **means,
            **measured,
            "seconds": time.monotonic() - begun,
            **data_seconds(self.task),
            "skips": sum(n for label, n in derived.genotype.counts().items() if "skip" in label),
            "genotype": str(derived.genotype),
            "alphas": alphas,
        }
        # The checkpoint comes last: what is newer than it is done again when the run resumes.
        folder.append_metrics(line)
        with disk_faults():
            derived.genotype.save(folder.genotype, audit=derived.audit)
        folder.write_checkpoint(Checkpoint(epoch, self.state.tensors()))
        return line

    def _optimise(self, epoch: int, lr: float, progress: Reporter) -> dict[str, float]:
        """Alternates steps of the alphas and of the weights over one pass of the training data."""
        self.net.train()
        means = Means(self.device)
        late = Late(means, self.device)
        for losses in self.task.epoch(epoch, lr, self.step):
            shown = late.read()  # of the steps before this one, which is under way
            if shown is not None:
                self._require_finite(shown.values(), epoch)
            means.add(losses)
            if shown is None and progress.due():
                late.keep()
            progress.step(shown)
        final = means.read()
        self._require_finite(final.values(), epoch)
        return final

    def _require_finite(self, numbers: Iterable[float], epoch: int) -> None:
        if not all(math.isfinite(number) for number in numbers):
            s = self.settings
            raise UserError(
                f"the loss is no longer a finite number in epoch {epoch}: "
                f"try a smaller `lr` (now {s.lr:g}), `alpha_lr` ({s.alpha_lr:g}) or `clip` "
                f"({s.clip:g})"
            )


def _check_norms(net: nn.Module, settings: Settings) -> None:
    norms = any(isinstance(module, nn.BatchNorm1d) for module in net.modules())
    if norms and settings.batch == 1:
        raise UserError(
            "this network norms vectors over the batch, and `batch` is 1: use 2 or more"
        )


def _check(settings: Settings) -> None:
    if settings.accumulate != 1:
        raise UserError(
            f"a search computes a batch in one piece, not in {settings.accumulate}: leave "
            f"`accumulate` at 1 and use a smaller `batch`"
        )
    if settings.optimiser != "sgd":
        raise UserError(
            f"a search trains the weights by `sgd`, not by `{settings.optimiser}`: set `optimiser` "
            f"to `sgd`"
        )
