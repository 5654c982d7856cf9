"""Time spent waiting for data is counted, and told only where it matters."""

from itertools import count, islice

import pytest

from runtime.waiting import Waiting, data_seconds, slow_data


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only where it is told to."""

    class Clock:
        now = 0.0

    monkeypatch.setattr("runtime.waiting.time.monotonic", lambda: Clock.now)
    return Clock


def slow(clock, seconds, items):
    for item in items:
        clock.now += seconds
        yield item


def test_only_the_time_until_an_item_is_there_counts(clock):
    waiting, found = Waiting(), []
    for item in waiting.on(slow(clock, 2.0, range(3))):
        clock.now += 100.0  # the step
        found.append(item)
    assert found == [0, 1, 2]
    assert waiting.read() == 6.0
    assert waiting.read() == 0.0  # each reading is of what came since the last


def test_no_item_is_asked_for_too_many():
    items = count()
    assert list(islice(Waiting().on(items), 3)) == [0, 1, 2]
    assert next(items) == 3


def test_items_of_any_kind_and_faults_come_through(clock):
    waiting = Waiting()
    assert list(waiting.on([None, False])) == [None, False]

    def failing():
        clock.now += 1.0
        raise ValueError("bad")
        yield

    with pytest.raises(ValueError, match="bad"):
        next(waiting.on(failing()))
    assert waiting.read() == 1.0


def test_a_line_has_the_seconds_of_a_task_that_keeps_a_watch(clock):
    class Task:
        waiting = Waiting()

    list(Task.waiting.on(slow(clock, 1.5, "ab")))
    assert data_seconds(Task()) == {"data_seconds": 3.0}
    assert data_seconds(Task()) == {"data_seconds": 0.0}
    assert data_seconds(object()) == {}


@pytest.mark.parametrize(
    ("waited", "total", "told"),
    [
        (3.0, 100.0, False),
        (3.5, 100.0, True),
        (0.9, 1.0, False),  # of a moment
        (1.0, 1.0, True),
    ],
)
def test_waiting_is_told_above_three_percent(waited, total, told):
    line = {"epoch": 4, "seconds": total, "data_seconds": waited}
    expected = f"epoch 4 waited for data for {waited:.1f} of its {total:.1f} s"
    assert slow_data(line) == (expected if told else None)
    assert slow_data({"epoch": 4, "seconds": total}) is None
