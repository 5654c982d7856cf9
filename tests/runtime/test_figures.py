"""Figures as a person reads them, by the ends of their names."""

import math

import pytest

from runtime.figures import called, figure


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("accuracy", 0.97243, "97.24%"),
        ("best_test_accuracy", 1.0, "100.00%"),
        ("test_top5", 0.5, "50.00%"),
        ("test_perplexity", 56.1049, "56.10"),
        ("perplexity", math.inf, "inf"),
        ("loss", 0.123456, "0.1235"),
        ("test_loss", 4.0, "4.0000"),
    ],
)
def test_the_name_says_the_kind(name, value, words):
    assert figure(name, value) == words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("best_test_accuracy", "best test accuracy"),
        ("top5", "top-5 accuracy"),
        ("test_top5", "test top-5 accuracy"),
        ("valid_perplexity", "valid perplexity"),
    ],
)
def test_names_are_words(name, words):
    assert called(name) == words
