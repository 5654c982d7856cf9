"""Streams lose no word, an epoch's windows cover them by law, and the loss is that of a loop."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn

from dsl.settings import Settings
from runtime.errors import UserError
from runtime.streams import Stretch, columns, stretches, window, word_loss

SEEDS = st.integers(0, 2**32)
TOTALS = st.integers(0, 400)


@given(st.integers(1, 9), st.integers(0, 80))
@examples(max_examples=50, deadline=None)
def test_streams_are_the_text_s_pieces_side_by_side(streams, more):
    text = torch.arange(2 * streams + more)
    pieces = columns(text, streams)
    assert pieces.is_contiguous() and pieces.shape == (len(text) // streams, streams)
    assert pieces.t().flatten().tolist() == list(range(pieces.numel()))
    assert len(text) - pieces.numel() < streams


def test_a_text_too_short_for_its_streams_is_a_user_s_fault():
    assert columns(torch.arange(8), 4).tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]
    with pytest.raises(UserError, match=r"7 words is too short for 4 streams .* lower `batch`"):
        columns(torch.arange(7), 4)


def test_targets_are_one_word_further_and_the_last_window_is_cut_short():
    stream = columns(torch.arange(20), 2)
    words, targets = window(stream, 4, 3)
    assert words.tolist() == [[4, 14], [5, 15], [6, 16]]
    assert torch.equal(targets, words + 1)
    words, targets = window(stream, 7, 35)
    assert words.tolist() == [[7, 17], [8, 18]] and torch.equal(targets, words + 1)


@given(TOTALS, st.integers(1, 40), st.floats(0, 1), st.floats(0, 20), SEEDS, st.integers(0, 99))
@examples(max_examples=200, deadline=None)
def test_an_epoch_goes_through_the_text_without_a_gap(total, bptt, halved, deviation, seed, epoch):
    settings = Settings(bptt=bptt, bptt_halved=halved, bptt_deviation=deviation)
    found = stretches(total, settings, seed, epoch)
    assert bool(found) == (total > 2)
    ends = [0, *(start + length for start, length in found)]
    assert [start for start, _ in found] == ends[:-1]
    assert all(start < total - 2 for start, _ in found) and ends[-1] >= total - 2
    shortest, longest = (5, bptt + 20) if deviation else (max(1, bptt // 2), bptt)
    assert all(shortest <= length <= longest for _, length in found)
    if not deviation:
        assert {length for _, length in found} <= {bptt, max(1, bptt // 2)}
    assert stretches(total, settings, seed, epoch) == found


def test_windows_are_halved_only_when_asked():
    assert stretches(80, Settings(), 0, 0) == [Stretch(0, 35), Stretch(35, 35), Stretch(70, 35)]
    halves = stretches(80, Settings(bptt_halved=1.0), 0, 0)
    assert [length for _, length in halves] == [17] * 5
    assert [length for _, length in stretches(5, Settings(bptt=1, bptt_halved=1.0), 0, 0)] == [
        1
    ] * 3


def test_lengths_have_the_probability_and_the_deviation_asked_for():
    halved = stretches(200_000, Settings(bptt_halved=0.05), 0, 0)
    share = sum(length == 17 for _, length in halved) / len(halved)
    assert 0.04 < share < 0.06
    drawn = stretches(200_000, Settings(bptt_deviation=5), 0, 0)
    lengths = torch.tensor([float(length) for _, length in drawn])
    assert abs(lengths.mean() - 35) < 0.5 and abs(lengths.std() - 5) < 0.5


def test_each_epoch_and_seed_draws_its_own_lengths():
    settings = Settings(bptt_deviation=5)
    drawn = {tuple(stretches(2000, settings, s, e)) for s in range(3) for e in range(3)}
    assert len(drawn) == 9


class Toy(nn.Module):
    """A recurrent network in float64 with two states, which notes its longest window."""

    def __init__(self, vocabulary=7, width=5):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(vocabulary, width)
        self.recurrent = nn.LSTM(width, width)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(width, vocabulary)
        self.double()
        self.longest = 0

    def forward(self, words, state=None):
        self.longest = max(self.longest, len(words))
        self.with_gradient = torch.is_grad_enabled()
        outputs, state = self.recurrent(self.embedding(words), state)
        return self.linear(self.dropout(outputs)), state


@pytest.fixture(scope="module")
def stream():
    draw = torch.Generator().manual_seed(1)
    return columns(torch.randint(7, (100,), generator=draw), 3)


def test_the_loss_is_that_of_a_plain_loop_over_the_words(stream):
    net = Toy().eval()
    losses, state = [], None
    for row in range(len(stream) - 1):
        logits, state = net(stream[row : row + 1], state)
        for column in range(stream.shape[1]):
            losses.append(F.cross_entropy(logits[0, column], stream[row + 1, column]).item())
    assert len(losses) == 32 * 3
    assert word_loss(net, stream, 4) == pytest.approx(math.fsum(losses) / len(losses), rel=1e-12)


@pytest.mark.parametrize("bptt", [1, 5, 31, 32, 33, 1000])
def test_the_loss_does_not_depend_on_bptt(stream, bptt):
    net = Toy()
    assert word_loss(net, stream, bptt) == pytest.approx(word_loss(net, stream, 7), rel=1e-12)
    assert net.longest == max(7, min(bptt, 32))


def test_the_loss_drops_nothing_out_and_leaves_the_mode_as_it_was(stream):
    net = Toy()
    for training in (True, False):
        net.train(training)
        assert word_loss(net, stream, 8) == word_loss(net, stream, 8)
        assert all(module.training is training for module in net.modules())
    assert not net.with_gradient
