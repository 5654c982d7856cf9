"""The steps of a language model's training against a plain loop, and in pieces."""

import copy

import pytest
import torch
from toy import Toy, plain_epoch, text, toy

from dsl.settings import Settings
from runtime.averaging import Average
from runtime.errors import UserError
from runtime.language_training import LanguageTraining
from runtime.streams import columns

SETTINGS = {
    "batch": 4, "bptt": 5, "bptt_halved": 0.5, "schedule": "constant", "lr": 2.0, "momentum": 0.0,
    "decay": 0.01, "clip": 0.25, "slowness": 0.7, "activation": 0.3,
}  # fmt: skip
SEED = 3


def training(net: Toy, **changes):
    settings = Settings(**SETTINGS | changes)
    return LanguageTraining(net, columns(text(train=150).train, settings.batch), settings, SEED)


@pytest.mark.parametrize(
    "changes", [{}, {"clip": 0.0, "lr": 0.2}, {"momentum": 0.5, "bptt_deviation": 2.0}]
)
def test_an_epoch_is_that_of_a_plain_loop(changes):
    net, plain = toy(), toy()
    trained = training(net, **changes)
    steps = list(trained.epoch(1, trained.settings.lr))
    losses = plain_epoch(plain, trained.stream, trained.settings, SEED, 1)
    assert len(steps) == trained.steps(1) > 3
    assert sum(step.size for step in steps) >= trained.stream[2:].numel()
    torch.testing.assert_close([step.loss.item() for step in steps], losses, rtol=1e-9, atol=0)
    for ours, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("pieces", [2, 4])
def test_pieces_add_up_to_the_whole_batch(pieces):
    whole, parts = toy(), toy()
    runs = training(whole), training(parts, accumulate=pieces)
    for one, two in zip(*(run.epoch(1, 2.0) for run in runs), strict=True):
        torch.testing.assert_close(one.loss, two.loss)
        for ours, theirs in zip(whole.parameters(), parts.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
            torch.testing.assert_close(ours, theirs)


def test_an_average_takes_in_every_step():
    trained = training(net := toy())
    trained.average = Average(net)
    iterates = []
    for _ in trained.epoch(1, 1.0):
        iterates.append(copy.deepcopy(net.recurrent.linear.weight.detach()))
    assert trained.average.count == len(iterates)
    with trained.average.in_use():
        torch.testing.assert_close(net.recurrent.linear.weight, torch.stack(iterates).mean(0))


@pytest.mark.parametrize(
    ("batch", "pieces", "near"), [(64, 3, "2 or 4"), (10, 20, "10"), (9, 2, "1 or 3")]
)
def test_unequal_pieces_are_refused(batch, pieces, near):
    expected = rf"`accumulate` \({pieces}\) does not divide `batch` \({batch}\): use {near}$"
    with pytest.raises(UserError, match=expected):
        training(toy(), batch=batch, accumulate=pieces)


def test_a_text_too_short_for_a_step_is_refused():
    with pytest.raises(UserError, match=r"2 words in each of 60 streams.*lower `batch`"):
        training(toy(), batch=60)
