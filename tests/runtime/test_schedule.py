"""The learning rate over the epochs."""

import pytest

from dsl.settings import Settings
from runtime.schedule import learning_rate


def test_the_cosine_starts_at_lr_and_ends_near_lr_end():
    settings = Settings(lr=0.025, lr_end=0.001, epochs=50)
    rates = [learning_rate(settings, done) for done in range(51)]
    assert rates[0] == 0.025 and rates[50] == pytest.approx(0.001)
    assert rates[25] == pytest.approx(0.013)
    assert rates == sorted(rates, reverse=True)


def test_a_constant_rate_stays():
    settings = Settings(lr=20.0, lr_end=0.001, epochs=50, schedule="constant")
    assert {learning_rate(settings, done) for done in range(51)} == {20.0}
