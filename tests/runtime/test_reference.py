"""The oracles agree with what is published: an oracle nobody checked is no oracle."""

import torch
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
