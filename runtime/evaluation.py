"""What a trained final model is worth on data to test on, beside what it costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

import compiler
from dsl.settings import Settings
from runtime.batches import EvaluationImages, images_to_test_on, statistics_of
from runtime.device import choose_device
from runtime.errors import UserError
from runtime.final_model import FinalModel
from runtime.guard import within_memory
from runtime.language_model import perplexity
from runtime.measure import evaluate
from runtime.streams import columns, word_loss
from runtime.task import Data, fitted, loaded, require_one
from runtime.text import Text
from runtime.weights import Weights

WARM_UP, REPEATS, SECONDS = 3, 50, 3.0  # of a measurement of time: it ends with either of the last


@dataclass(frozen=True)
class Evaluation:
    """`measured` are, of images, `loss` (mean cross-entropy), `accuracy` and `top5` (from 0 to 1);
    of words, `loss` and `perplexity`, read in one stream. `parameters` and `macs` (per image or
    word) leave auxiliary heads out; `latency` is the median of the milliseconds for one image or
    word on `device`, `throughput` how many of them a second are computed in batches of `batch`."""

    data: str
    size: int
    measured: dict[str, float]
    parameters: int
    macs: int
    latency: float
    throughput: float
    batch: int
    device: str


def evaluate_model(
    model: FinalModel,
    weights: Weights,
    data: str | Data | None = None,
    device: str = "auto",
) -> Evaluation:
    """Measures a final model with trained weights on the part of the data to test on.

    Images are normalised as those that the weights were trained on, by the note beside the weights;
    where there is none, by the statistics of the data's own part to train on.

    Raises:
        UserError: when the data, the weights or the device do not fit the model.
        dsl.DartsError: when the space is at fault.
    """
    target = choose_device(device)
    require_one(model.space)
    found = loaded(data, model.settings)
    sized = _fitted(model, weights, found)
    net = sized.build()
    weights.put_into(net)
    with within_memory():
        net = net.to(target).eval()
        task = _Words if isinstance(found, Text) else _Pictures
        job = task(net, found, weights, sized.settings, target)  # type: ignore[arg-type]
        measured = job.measure()
        if not isfinite(measured["loss"]):
            raise UserError(f"with the weights in {weights.path} the loss is not a finite number")
        alone, together = job.time(1), job.time(job.batch)
    cost = compiler.cost(sized.space, sized.genotype, sized.profile, **sized.values)
    return Evaluation(
        found.name,
        job.size,
        measured,
        cost.parameters,
        cost.macs,
        alone * 1e3,
        job.batch / together,
        job.batch,
        target.type,
    )


def _fitted(model: FinalModel, weights: Weights, data: Data) -> FinalModel:
    """The model at the sizes of the data, which must be those that its weights are for."""
    sizes = fitted(model.space, data, model.overrides)
    for name, size in sizes.items():
        known = model.values.get(name, size)
        if known != size:
            raise UserError(
                f"`{data.name}` gives `{name}` = {size}, and this model was made for {known}: "
                f"use data like those it was trained on"
            )
    if weights.shape is not None and not isinstance(data, Text):
        then, here = ("×".join(map(str, shape)) for shape in (weights.shape, data.shape))
        if then != here:
            raise UserError(
                f"the images of `{data.name}` are {here}, and the weights were trained on {then}"
            )
    labels = list(data.words if isinstance(data, Text) else data.classes)
    if weights.labels is not None and weights.labels != labels:
        kind = "words" if isinstance(data, Text) else "classes"
        raise UserError(
            f"`{data.name}` has other {kind} than the weights were trained on: "
            f"{_first_unlike(weights.labels, labels)}"
        )
    return replace(model, sizes=sizes)


def _first_unlike(known: list[str], found: list[str]) -> str:
    pairs = zip(known, found, strict=False)
    one, other = next((pair for pair in pairs if pair[0] != pair[1]), (None, None))
    if one is None:
        return f"{len(known)} then, {len(found)} here"
    return f"`{one}` then, `{other}` here"


class _Pictures:
    """Classification of images, in batches of `settings.batch` where time is measured."""

    def __init__(
        self,
        net: nn.Module,
        data: Any,
        weights: Weights,
        settings: Settings,
        device: torch.device,
    ) -> None:
        self.net, self.device, self.batch = net, device, settings.batch
        normalise = weights.normalisation or statistics_of(data)
        self.images: EvaluationImages = images_to_test_on(data, normalise, device)
        self.size, self.shape = len(self.images), data.shape

    def measure(self) -> dict[str, float]:
        return evaluate(self.net, self.images)

    def time(self, batch: int) -> float:
        images = torch.zeros(batch, *self.shape, device=self.device)
        return seconds(lambda: self.net(images), self.device)


class _Words:
    """Prediction of the next word; time is measured over `settings.bptt` words."""

    def __init__(
        self,
        net: nn.Module,
        data: Text,
        weights: Weights,
        settings: Settings,
        device: torch.device,
    ) -> None:
        self.net, self.device = net, device
        self.batch, self.bptt = settings.batch, settings.bptt
        self.stream: Tensor = columns(data.test, 1).to(device)
        self.size = len(self.stream) - 1

    def measure(self) -> dict[str, float]:
        loss = word_loss(self.net, self.stream, self.bptt)
        return {"loss": loss, "perplexity": perplexity(loss)}

    def time(self, batch: int) -> float:
        words = torch.zeros(self.bptt, batch, dtype=torch.int64, device=self.device)
        return seconds(lambda: self.net(words), self.device) / self.bptt


@torch.no_grad()
def seconds(compute: Callable[[], Any], device: torch.device) -> float:
    """The median of the seconds that a computation takes, after a few that are not counted."""
    taken: list[float] = []
    begun = time.perf_counter()
    for turn in range(WARM_UP + REPEATS):
        start = time.perf_counter()
        compute()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if turn >= WARM_UP:
            taken.append(time.perf_counter() - start)
        if taken and time.perf_counter() - begun > SECONDS:
            break
    return statistics.median(taken)
