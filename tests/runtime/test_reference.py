"""The oracles agree with what is published: an oracle nobody checked is no oracle."""

import math

import pytest
import torch
from reference import rnn
from reference.darts import DARTS_V2, AuxiliaryHead, FinalNetwork, SearchNetwork, derive


def count(net):
    return sum(p.numel() for p in net.parameters())


def test_the_search_network_has_the_published_number_of_weights():
    assert count(SearchNetwork(C=16, N=8)) == 1_930_618


def test_the_paper_s_cell_has_the_published_number_of_parameters():
    assert count(FinalNetwork(DARTS_V2, C=36, N=20)) == 3_349_342


def test_both_networks_run_and_reduce_twice():
    images = torch.randn(2, 3, 32, 32)
    weights = {kind: torch.rand(14, 8) for kind in ("normal", "reduce")}
    assert SearchNetwork(C=4, N=3)(images, weights).shape == (2, 10)
    net = FinalNetwork(DARTS_V2, C=4, N=6, auxiliary=True)
    logits, auxiliary = net(images)
    assert logits.shape == auxiliary.shape == (2, 10)
    assert net.eval()(images).shape == (2, 10)
    assert count(net.head) == count(AuxiliaryHead(64, 10))


def test_derivation_keeps_two_edges_of_distinct_sources_and_never_none():
    alphas = torch.zeros(14, 8)
    alphas[:, 0] = 9  # none everywhere strongest: it takes mass and never wins
    alphas[0, 3], alphas[1, 4] = 1, 2
    alphas[2, 5] = alphas[2, 6] = 3  # one edge with two strong candidates is still one edge
    alphas[4, 1] = 1
    assert derive(alphas)[:4] == (
        ("skip_connect", 0), ("sep_conv_3x3", 1), ("sep_conv_5x5", 0), ("max_pool_3x3", 2),
    )  # fmt: skip


def test_the_recurrent_networks_have_the_published_numbers_of_parameters():
    def count(**sizes):
        return sum(math.prod(shape) for shape in rnn.weight_shapes(**sizes).values())

    assert count(words=10_000, width=300, nodes=8) == 4_810_000
    assert count(words=10_000, width=850, nodes=8) == 22_960_000
    net = rnn.ReferenceRNN(words=10, width=4)
    assert sum(p.numel() for p in net.weight_parameters()) == count(words=10, width=4, nodes=8)
    assert net.alphas.shape == (36, 5)


def recurrent_weights(words=7, width=3, nodes=8):
    torch.manual_seed(0)
    shapes = rnn.weight_shapes(words, width, nodes)
    return {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}


def test_a_search_network_that_has_decided_is_the_final_network():
    """Alphas far apart make the mixture one-hot; between states the two differ by the norm only."""
    weights = recurrent_weights()
    words, state = torch.randint(7, (4, 2)), torch.randn(2, 3, dtype=torch.float64)
    alphas = torch.zeros(
        36, 5, dtype=torch.float64
    )  # `none` weighs the edges out that are not kept
    alphas[:, 0] = 1e3
    for node, (activation, source) in enumerate(rnn.DARTS_V2):
        row = rnn.edges(node) + source
        alphas[row, rnn.CANDIDATES.index(activation)] = 2e3
    searched = rnn.search_network(words, state, weights, alphas, norm=lambda s: s)
    final = rnn.final_network(words, state, weights, rnn.DARTS_V2)
    for one, other in zip(searched, final, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    assert rnn.derive(alphas) == rnn.DARTS_V2


def test_a_cell_of_one_node_by_its_formula():
    weights = recurrent_weights(nodes=1)
    x, h = torch.randn(2, 1, 3, dtype=torch.float64)
    masks = {"x": torch.tensor([[2.0, 0.0, 2.0]]), "h": torch.tensor([[0.0, 2.0, 2.0]])}
    c0, h0 = (torch.cat([x * masks["x"], h * masks["h"]], 1) @ weights["W0"]).chunk(2, 1)
    s0 = h + c0.sigmoid() * (h0.tanh() - h)
    c1, h1 = (s0 * masks["h"] @ weights["W1"]).chunk(2, 1)
    expected = s0 + c1.sigmoid() * (h1.relu() - s0)
    found = rnn.final_cell(x, h, weights, [("relu", 0)], masks)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_the_shared_norm_is_torch_s():
    norm = torch.nn.BatchNorm1d(3, affine=False).double()
    by_hand = rnn.Norm(norm.running_mean.clone(), norm.running_var.clone(), training=True)
    for _ in range(3):
        s = torch.randn(5, 3, dtype=torch.float64)
        torch.testing.assert_close(by_hand(s), norm(s), rtol=0, atol=1e-12)
    torch.testing.assert_close(by_hand.mean, norm.running_mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(by_hand.variance, norm.running_var, rtol=0, atol=1e-12)
    by_hand.training = False
    torch.testing.assert_close(by_hand(s), norm.eval()(s), rtol=0, atol=1e-12)


@pytest.mark.parametrize("cut", [1, 3])
def test_the_recurrent_module_is_the_function_and_carries_its_state(cut):
    torch.manual_seed(0)
    net = rnn.ReferenceRNN(words=7, width=3, nodes=2, dropouts={"x": 0.5, "output": 0.5}).double()
    words = torch.randint(7, (5, 4))
    net(words)  # moves the running statistics
    net.eval()
    weights = {name.rpartition(".")[2]: p for name, p in net.model.recurrent.named_parameters()}
    weights |= {"embedding": net.model.embedding.weight, "bias": net.model.decoder.bias}
    norm = rnn.Norm(net.model.recurrent.mean, net.model.recurrent.variance, training=False)
    assert norm.mean.abs().sum() > 0
    expected = rnn.search_network(words, net.init_hidden(4), weights, net.alphas, norm)
    first, state = net(words[:cut])
    second, state = net(words[cut:], state)
    torch.testing.assert_close(torch.cat([first, second]), expected[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(state, expected[1], rtol=0, atol=1e-12)
    assert not torch.equal(net.train()(words)[0], net(words)[0])  # masks are drawn anew
    assert "model.decoder.weight" in net.state_dict()
    assert "model.decoder.weight" not in dict(net.named_parameters())  # tied
