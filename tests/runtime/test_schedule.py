"""The learning rate over the epochs, and how often edges are dropped."""

import pytest

from dsl.settings import Settings
from runtime.schedule import drop_path, learning_rate


def test_the_cosine_starts_at_lr_and_ends_near_lr_end():
    settings = Settings(lr=0.025, lr_end=0.001, epochs=50)
    rates = [learning_rate(settings, done) for done in range(51)]
    assert rates[0] == 0.025 and rates[50] == pytest.approx(0.001)
    assert rates[25] == pytest.approx(0.013)
    assert rates == sorted(rates, reverse=True)


def test_a_constant_rate_stays():
    settings = Settings(lr=20.0, lr_end=0.001, epochs=50, schedule="constant")
    assert {learning_rate(settings, done) for done in range(51)} == {20.0}


def test_an_exponential_rate_shrinks_by_the_same_factor_after_each_epoch():
    settings = Settings(lr=0.5, lr_end=0.3, lr_decay=0.97, epochs=50, schedule="exponential")
    rate = 0.5
    for done in range(51):
        assert learning_rate(settings, done) == pytest.approx(rate, rel=1e-12)
        rate *= 0.97


def test_edges_are_dropped_more_and_more_often():
    settings = Settings(drop_path=0.2, epochs=5)
    assert [drop_path(settings, done) for done in range(5)] == pytest.approx(
        [0, 0.04, 0.08, 0.12, 0.16]
    )
    assert drop_path(Settings(epochs=5), 3) == 0
