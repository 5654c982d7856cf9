"""Means of steps, and what is measured of a network on images, against the same by hand."""

import math

import pytest
import torch
from torch import nn

from runtime.augment import Normalisation
from runtime.batches import EvaluationImages
from runtime.bilevel import StepLosses
from runtime.measure import Means, evaluate
from runtime.objective import Outcome
from runtime.pixels import InMemory


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


class Rows(nn.Module):
    """Gives the logits that stand in the images themselves, one each a row of pixels."""

    def forward(self, images):
        self.was_training = self.training
        return images[:, 0, 0]


def to_test_on(logits, labels):
    """Images of bytes, whose normalisation is an exact one: level 51 · n is n / 5."""
    pixels = (logits * 51).to(torch.uint8)[:, None, None]
    plain = Normalisation(torch.zeros(1), torch.full((1,), 0.2))
    return EvaluationImages(InMemory(pixels), labels, plain, torch.device("cpu"))


@pytest.mark.parametrize("classes", [2, 4, 5, 9])
@pytest.mark.parametrize("count", [3, 700])  # 700 are three batches
def test_the_five_highest_count_against_plain_loops(classes, count):
    draw = torch.Generator().manual_seed(classes)
    # In no row two are alike, so that there is one order.
    levels = torch.stack([torch.randperm(classes, generator=draw) for _ in range(count)])
    labels = torch.randint(classes, (count,), generator=draw)
    images = to_test_on(levels.float() * 5 / 9, labels)
    found = evaluate(Rows(), images)
    loss = right = near = 0
    for row, label in zip(
        (images.pixels.tensor[:, 0, 0] / 51).tolist(), labels.tolist(), strict=True
    ):
        order = sorted(range(classes), key=lambda c: -row[c])
        loss += math.log(sum(math.exp(r) for r in row)) - row[label]
        right += order[0] == label
        near += label in order[:5]
    assert found == pytest.approx(
        {"loss": loss / count, "accuracy": right / count, "top5": near / count}, rel=1e-5
    )
    assert classes > 5 or found["top5"] == 1


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_put_back(training):
    net = Rows().train(training)
    evaluate(net, to_test_on(torch.eye(3), torch.arange(3)))
    assert net.training == training and not net.was_training
