"""Figures read a step late are those of the step they were kept after."""

import pytest
import torch

from runtime.bilevel import StepLosses
from runtime.late import Late
from runtime.measure import Mean, Means
from runtime.objective import Outcome

CPU = torch.device("cpu")


def outcome(loss, device=CPU):
    return Outcome(torch.tensor(loss, device=device), 2, torch.tensor(1, device=device))


def test_what_is_kept_stays_as_it_was_and_is_read_once():
    mean = Mean(CPU)
    late = Late(mean, CPU)
    assert late.read() is None
    mean.add(outcome(1.0))
    late.keep()
    mean.add(outcome(3.0))
    assert late.read() == {"loss": 1.0, "accuracy": 0.5}
    assert late.read() is None
    late.keep()
    assert late.read() == mean.read() == {"loss": 2.0, "accuracy": 0.5}


def test_the_means_of_both_levels_are_kept():
    means = Means(CPU)
    late = Late(means, CPU)
    means.add(StepLosses(outcome(1.0), outcome(2.0)))
    late.keep()
    means.add(StepLosses(outcome(5.0), outcome(6.0)))
    kept = late.read()
    assert (kept["train_loss"], kept["valid_loss"]) == (1.0, 2.0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_reading_does_not_wait_for_the_step_under_way():
    device = torch.device("cuda")
    mean = Mean(device)
    late = Late(mean, device)
    mean.add(outcome(1.0, device))
    late.keep()
    torch.cuda._sleep(2 * 10**9)  # cycles: about a second of work
    under_way = torch.cuda.current_stream().record_event()
    assert late.read() == {"loss": 1.0, "accuracy": 0.5}
    assert not under_way.query()
