"""The state and the penalties of language models, each against its definition."""

import math

import pytest
import torch
from reference.rnn import Norm, ReferenceRNN, search_network
from torch import nn

from runtime.errors import UserError
from runtime.language_model import Penalties, detached, perplexity


def test_a_perplexity_too_large_for_a_float_is_infinite():
    assert perplexity(math.log(100)) == pytest.approx(100)
    assert perplexity(1000.0) == math.inf


def test_detached_states_keep_their_kind_and_their_numbers():
    state = torch.ones(2, 3, requires_grad=True) * 2
    assert detached(None) is None
    assert not detached(state).requires_grad and torch.equal(detached(state), state)
    pair = detached((state, state + 1))
    assert [part.requires_grad for part in pair] == [False, False]
    assert torch.equal(pair[1], state + 1)


def make(dtype=torch.float64):
    torch.manual_seed(0)
    net = ReferenceRNN(words=9, width=4, nodes=2).to(dtype)
    words = torch.randint(9, (5, 3))
    weights = dict(net.model.recurrent.named_parameters())
    weights["embedding"], weights["bias"] = net.model.embedding.weight, net.model.decoder.bias
    norm = Norm(torch.zeros(4), torch.ones(4), training=True)
    state = net.init_hidden(3)
    _, _, outputs, dropped = search_network(words, state, weights, net.alphas, norm)
    return net, words, outputs, dropped


def test_the_penalties_are_those_of_the_outputs_and_of_what_the_decoder_reads():
    net, words, outputs, dropped = make()
    penalties = Penalties(net.model, slowness=0.5, activation=2.0)
    net(words)
    found = penalties.read()
    steps = [(outputs[t] - outputs[t - 1]) ** 2 for t in range(1, 5)]
    expected = 0.5 * sum(s.sum() for s in steps) / (4 * 3 * 4) + 2 * (dropped**2).sum() / 60
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    found.backward()
    assert net.model.recurrent.W0.grad.abs().sum() > 0  # they are part of the graph


def test_the_activation_penalty_sees_the_dropout():
    net, words, *_ = make()
    net.model.dropouts = {"output": 0.75}
    read = []
    net.model.decoder.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    penalties = Penalties(net.model, slowness=0.0, activation=1.0)
    net(words)
    assert (read[0] == 0).any()
    assert penalties.read().item() == pytest.approx(read[0].pow(2).mean().item(), abs=1e-12)


def test_only_the_latest_pass_counts_and_once():
    net, words, *_ = make()
    penalties = Penalties(net.model, slowness=1.0, activation=0.0)
    net(words[:2])
    net(words)
    latest = penalties.read()
    net(words)
    torch.testing.assert_close(penalties.read(), latest)
    with pytest.raises(KeyError):
        penalties.read()


def test_one_word_is_neither_slow_nor_fast():
    net, words, *_ = make()
    penalties = Penalties(net.model, slowness=1.0, activation=0.0)
    net(words[:1])
    assert penalties.read() == 0


def test_no_penalty_asks_nothing_of_a_network():
    assert Penalties(nn.Linear(1, 1), 0.0, 0.0).read() == 0


@pytest.mark.parametrize("name", ["slowness", "activation"])
def test_a_network_without_such_a_part_is_refused(name):
    options = {"slowness": 0.0, "activation": 0.0, name: 1.0}
    with pytest.raises(UserError, match=f"set `{name}` to 0"):
        Penalties(nn.Linear(1, 1), **options)
    empty = nn.Linear(1, 1)
    empty.recurrence = empty.readout = ""
    with pytest.raises(UserError, match=f"set `{name}` to 0"):
        Penalties(empty, **options)
