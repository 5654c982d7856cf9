"""Weights start uniform in the order of their names, biases at zero, and the rest is left alone."""

import torch
from torch import nn

from runtime.initialise import initialise


class Net(nn.Module):
    """Something of each: a tied embedding, a recurrent layer, norms with parameters, and alphas."""

    def __init__(self):
        super().__init__()
        self.model = nn.ModuleDict(
            {
                "embedding": nn.Embedding(50, 8),
                "recurrent": nn.RNN(8, 8),
                "bn": nn.BatchNorm1d(8),
                "norm": nn.LayerNorm((3, 8)),
                "linear": nn.Linear(8, 50),
            }
        )
        self.model["linear"].weight = self.model["embedding"].weight
        self.alphas = nn.ParameterDict({"cell_0": nn.Parameter(torch.randn(4, 5))})


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def test_each_kind_of_parameter_starts_as_it_should():
    net = Net()
    before = state(net)
    initialise(net, 0.04)
    after = state(net)
    weights = [
        name for name in after if "weight" in name and "norm" not in name and "bn" not in name
    ]
    biases = [name for name in after if "recurrent.bias" in name or name == "model.linear.bias"]
    assert (len(weights), len(biases)) == (4, 3)
    for name in weights:
        values = after[name]
        assert values.abs().max() <= 0.04 and values.std() > 0.018 and values.mean().abs() < 0.02
    for name in biases:
        assert before[name].any() and not after[name].any()
    for name in set(after) - set(weights) - set(biases):
        assert torch.equal(after[name], before[name])
    assert torch.equal(after["model.norm.weight"], torch.ones(3, 8))


def test_the_numbers_come_from_the_global_generator_in_the_order_of_the_names():
    net = Net()
    torch.manual_seed(3)
    initialise(net, 0.1)
    torch.manual_seed(3)
    for name in ("embedding.weight", "recurrent.weight_ih_l0", "recurrent.weight_hh_l0"):
        parameter = net.model.get_parameter(name)
        assert torch.equal(parameter, torch.empty_like(parameter).uniform_(-0.1, 0.1))
    assert net.model["linear"].weight is net.model["embedding"].weight


def test_a_bound_of_zero_leaves_everything_and_draws_nothing():
    net = Net()
    before, random = state(net), torch.get_rng_state()
    initialise(net, 0.0)
    assert all(torch.equal(value, before[name]) for name, value in state(net).items())
    assert torch.equal(torch.get_rng_state(), random)
