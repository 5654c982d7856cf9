"""Averaged SGD: when it begins, and that the mean is one of weights, tied ones counted once."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy import toy

from runtime.averaging import Average, stopped_improving


def as_the_authors_do(losses, patience):
    """The epoch whose loss ends plain SGD, by the loop of the authors' code, or None."""
    earlier = []
    for epoch, loss in enumerate(losses):
        if len(earlier) > patience and loss > min(earlier[:-patience]):
            return epoch
        earlier.append(loss)
    return None


@given(st.lists(st.integers(0, 9), min_size=1, max_size=15), st.integers(1, 6))
def test_the_criterion_is_the_authors(losses, patience):
    ends = [i for i in range(len(losses)) if stopped_improving(losses[: i + 1], patience)]
    assert (ends[0] if ends else None) == as_the_authors_do(losses, patience)


def test_the_latest_losses_do_not_count():
    assert not stopped_improving([5, 1, 2], patience=2)  # too few yet
    assert not stopped_improving([5, 4, 1, 2], patience=2)  # 1 is one of the latest two
    assert stopped_improving([5, 1, 4, 3, 2], patience=2)
    assert not stopped_improving([5, 1, 4, 3, 1], patience=2)  # no worse is not worse


@pytest.fixture
def walked():
    """A network, its average over five steps, and the weights after each."""
    net, iterates = toy(), []
    average = Average(net)
    draw = torch.Generator().manual_seed(0)
    for _ in range(5):
        with torch.no_grad():
            for weight in net.parameters():
                step = torch.randn(weight.shape, generator=draw, dtype=weight.dtype)
                weight.add_(step)
        average.update()
        iterates.append(copy.deepcopy(net.state_dict()))
    return net, average, iterates


def test_the_mean_is_that_of_the_weights_after_each_step(walked):
    net, average, iterates = walked
    with average.in_use():
        for name, weight in net.state_dict().items():
            mean = torch.stack([each[name] for each in iterates]).mean(0)
            torch.testing.assert_close(weight, mean)
        assert net.linear.weight is net.table.weight


def test_afterwards_the_network_has_its_own_weights(walked):
    net, average, iterates = walked
    with pytest.raises(KeyError), average.in_use():
        raise KeyError
    own = net.state_dict()
    assert all(torch.equal(own[name], weight) for name, weight in iterates[-1].items())


def test_a_mean_goes_on_from_its_tensors(walked):
    net, average, _ = walked
    kept = {name: tensor.clone() for name, tensor in average.tensors().items()}
    assert set(kept) == {f"mean.{name}" for name, _ in net.named_parameters()} | {"count"}
    other = Average(net)
    other.restore(kept)
    for each in (average, other):
        each.update()
    assert all(torch.equal(t, other.tensors()[name]) for name, t in average.tensors().items())
