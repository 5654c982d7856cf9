"""The networks that are compared, and a search step of each: the gradients of both levels.

| network | is |
|---|---|
| reference | the paper's network, written by hand in `tests/reference/`, where there is one |
| plain | the supernet without passes: a module for every candidate, contiguous tensors |
| fast | the optimised supernet |
| lean | the same, computing more again to hold less |

The first two take both levels through `backward`, with all gradients, as the paper's program does.
The others ask for the gradients of one level at a time, as `runtime.BilevelStep` does. The second
order is that of `runtime.unrolled` for all. The optimisers are left out: they cost all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reference.darts import SearchNetwork
from reference.rnn import ReferenceRNN

import compiler
from compiler.measure import measure
from dsl import load
from dsl.settings import Settings
from runtime.bilevel import classification, running_statistics_kept
from runtime.initialise import initialise
from runtime.objective import Forward, Objective, Outcome, gradients, held
from runtime.text_task import Passage, language_modelling
from runtime.unrolled import Unrolled

REFERENCE, PLAIN, FAST, LEAN = "reference", "plain", "fast", "lean"
EPSILON = 0.01
"""The distance of the finite difference, as in the paper."""


@dataclass(frozen=True)
class Subject:
    """A space in the sizes in force, and what its search reads.

    Images are of `image` [channels, height, width], in `outputs` classes; where that is None the
    network reads words, of which there are `outputs`.
    """

    space: str
    parameters: Mapping[str, Any]
    settings: Settings
    image: tuple[int, ...] | None
    outputs: int
    order: int = 1
    device: str = "cpu"

    @property
    def path(self) -> str:
        return self.space if self.space.endswith(".darts") else f"spaces/{self.space}.darts"

    @property
    def networks(self) -> tuple[str, ...]:
        others = (PLAIN, FAST, LEAN)
        return (REFERENCE, *others) if self.space in REFERENCES else others

    def without_noise(self) -> Subject:
        """The same with nothing dropped, so that two networks compute one function."""
        silent = {name: 0 for name in self.parameters if name.endswith("_drop")}
        return replace(self, parameters={**self.parameters, **silent})

    def __str__(self) -> str:
        sizes = " ".join(f"{name}={value}" for name, value in self.parameters.items())
        length = "" if self.image else f" bptt={self.settings.bptt}"
        return f"{self.space}: {sizes} batch={self.settings.batch}{length}"


def subject(
    space: str, overrides: Mapping[str, Any], order: int = 1, device: str = "cpu"
) -> Subject:
    """`space` is a path, or the name of a space that comes along.

    Raises:
        DartsError: for a fault of the file or an override.
        ValueError: for a space that decides nothing, and so has no alphas.
    """
    found = Subject(space, {}, Settings(), None, 0, order, device)
    values, program, facts = measure(load(found.path), "search", None, overrides)
    if not program.kinds:
        raise ValueError(f"{found.path} decides nothing, so there is nothing to search")
    number, node = program.network.inputs[0]
    shape, output = facts.instance.shapes[number], facts.output
    assert shape and output
    image = shape if node.below is None else None
    return replace(
        found,
        parameters=dict(values.parameters),
        settings=values.settings,
        image=image,
        outputs=output[-1],
    )


class Reference(nn.Module):
    """The paper's convolutional network with alphas of its own."""

    def __init__(self, channels: int, classes: int, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = SearchNetwork(sizes["C"], sizes["N"], channels, classes)
        self.alphas = nn.ParameterList(1e-3 * torch.randn(14, 8) for _ in range(2))

    def arch_parameters(self) -> nn.ParameterList:
        return self.alphas

    def weight_parameters(self) -> Any:
        return self.model.parameters()

    def forward(self, images: Tensor) -> Tensor:
        normal, reduce = (alphas.softmax(-1) for alphas in self.alphas)
        logits: Tensor = self.model(images, {"normal": normal, "reduce": reduce})
        return logits


def convolutional(of: Subject) -> nn.Module:
    assert of.image
    return Reference(of.image[0], of.outputs, of.parameters)


def recurrent(of: Subject) -> nn.Module:
    names = {
        "word": "word",
        "embedded": "embedded",
        "x": "input",
        "h": "hidden",
        "output": "output",
    }
    dropouts = {ours: of.parameters[f"{theirs}_drop"] for ours, theirs in names.items()}
    drawn = {name: p for name, p in dropouts.items() if p > 0}
    return ReferenceRNN(of.outputs, of.parameters["H"], dropouts=drawn)


REFERENCES: Mapping[str, Callable[[Subject], nn.Module]] = {
    "cifar_cell": convolutional,
    "rnn_cell": recurrent,
}


def network(name: str, of: Subject, seed: int = 0) -> Any:
    """A network in training mode, its weights and alphas drawn from a seed."""
    torch.manual_seed(seed)
    if name == REFERENCE:
        net: Any = REFERENCES[of.space](of)
    else:
        how: dict[str, Any] = {"passes": "none"} if name == PLAIN else {"passes": "fast"}
        if name == LEAN:
            how["memory"] = "lean"
        net = compiler.build(of.path, **how, **of.parameters)
    initialise(net.model, of.settings.init_uniform)
    return net.to(of.device).train()


def batch(of: Subject, seed: int) -> Any:
    """Random images with labels, or words with those that follow."""
    draw = torch.Generator().manual_seed(seed)
    size, settings = of.settings.batch, of.settings
    if of.image is None:
        text = torch.randint(of.outputs, (settings.bptt + 1, size), generator=draw).to(of.device)
        return Passage(text[:-1], text[1:], None)
    images = torch.randn(size, *of.image, generator=draw)
    labels = torch.randint(of.outputs, (size,), generator=draw)
    return images.to(of.device), labels.to(of.device)


def objective(name: str, net: Any, of: Subject) -> Objective:
    """The loss of a search; of words, for the first two networks, as torch has it."""
    loss = classification
    if of.image is None:
        loss = torchs_language_modelling if name in (REFERENCE, PLAIN) else language_modelling
    return Objective(net, list(net.weight_parameters()), loss)


def torchs_language_modelling(forward: Forward, passage: Any) -> Outcome:
    logits, _ = forward(passage.words, passage.state)
    loss = F.cross_entropy(logits.flatten(0, 1), passage.targets.flatten())
    return Outcome(loss, passage.targets.numel())


class SearchStep:
    """The gradients of the alphas on one batch, then those of the weights on another."""

    def __init__(self, name: str, of: Subject) -> None:
        self.net, self.of = network(name, of), of
        self.alphas = list(self.net.arch_parameters())
        self.weights = list(self.net.weight_parameters())
        self.objective = objective(name, self.net, of)
        self.train, self.valid = batch(of, 1), batch(of, 2)
        self.take = self.plain if name in (REFERENCE, PLAIN) else self.optimised
        if of.order == 2:
            self.unrolled = unrolled(self.objective, self.alphas, self.weights, of.settings)

    def __call__(self) -> None:
        self.take()
        if self.of.device.startswith("cuda"):
            torch.cuda.synchronize()

    def plain(self) -> None:
        if self.of.order == 1:
            self.objective(self.valid).loss.backward()
        else:
            self.unrolled(self.train, self.valid)
        self.objective(self.train).loss.backward()
        self.net.zero_grad()

    def optimised(self) -> None:
        with running_statistics_kept(self.net):
            if self.of.order == 1:
                self.gradients(self.alphas, self.weights, self.valid)
            else:
                self.unrolled(self.train, self.valid)
        self.gradients(self.weights, self.alphas, self.train)

    def gradients(self, by: list[nn.Parameter], others: list[nn.Parameter], batch: Any) -> None:
        """Nothing of a level is left when it is done, as with the halves of a `BilevelStep`."""
        with held(others):
            loss = self.objective(batch).loss
        gradients(loss, by)


def unrolled(
    objective: Objective,
    alphas: list[nn.Parameter],
    weights: list[nn.Parameter],
    settings: Settings,
) -> Unrolled:
    """The gradient of the alphas by the paper's finite difference, as a search sets it up."""
    sgd = torch.optim.SGD(
        weights, settings.lr, momentum=settings.momentum, weight_decay=settings.decay
    )
    clip = settings.clip if settings.clip_virtual else 0
    return Unrolled(
        objective, alphas, weights, sgd, hessian="finite_difference", epsilon=EPSILON, clip=clip
    )


def maker(name: str, of: Subject) -> Callable[[], SearchStep]:
    """Builds a network and its step when it is called."""
    return partial(SearchStep, name, of)
