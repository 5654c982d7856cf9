"""Means of steps against means by hand."""

import math

import pytest
import torch

from runtime.bilevel import StepLosses
from runtime.measure import Means
from runtime.objective import Outcome


def means(*steps):
    found = Means(torch.device("cpu"))
    for train, valid in steps:
        found.add(StepLosses(train, valid))
    return found.read()


def outcome(loss, size, correct=None):
    return Outcome(torch.tensor(loss), size, None if correct is None else torch.tensor(correct))


def test_images_have_accuracies():
    one = outcome(2.0, 4, 1), outcome(3.0, 4, 0)
    two = outcome(1.0, 4, 3), outcome(2.0, 4, 2)
    assert means(one, two) == {
        "train_loss": 1.5, "train_accuracy": 0.5, "valid_loss": 2.5, "valid_accuracy": 0.25,
    }  # fmt: skip


def test_words_have_perplexities_and_count_alike_in_steps_of_any_length():
    one = outcome(2.0, 10), outcome(4.0, 20)
    two = outcome(5.0, 30), outcome(1.0, 20)
    assert means(one, two) == pytest.approx(
        {
            "train_loss": 4.25, "train_perplexity": math.exp(4.25),
            "valid_loss": 2.5, "valid_perplexity": math.exp(2.5),
        }
    )  # fmt: skip
