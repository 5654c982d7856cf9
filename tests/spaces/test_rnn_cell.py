"""`rnn_cell.darts` against the recurrent networks of DARTS written out by hand, in float64."""

import pytest
import torch
import torch.nn.functional as F
from reference import rnn
from support import RNN, weights
from torch import nn

from compiler import Genotype, Supernet, build

DARTS_V2 = Genotype.parse(f"Genotype(recurrent={list(rnn.DARTS_V2)!r}, concat=range(1, 9))")
DROPS = {
    "embedded_drop": 0.2, "input_drop": 0.6, "hidden_drop": 0.25, "output_drop": 0.5,
    "word_drop": 0.1,
}  # fmt: skip
SHAPES = [(5, 3, 1, 2), (8, 11, 7, 4), (6, 7, 3, 5)]  # width, words, length, batch


def reference_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters of a generated network by the oracle's names, as the same leaves."""
    cell = model.recurrent
    found = {"embedding": model.table.weight, "bias": model.linear.bias, "W0": cell.first.weight.T}
    return found | {f"W{i + 1}": getattr(cell, f"s{i}_W").weight.T for i in range(8)}


def randomise(model: nn.Module) -> None:
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)


def fix_masks(model: nn.Module, width: int, words: int, batch: int) -> dict[str, torch.Tensor]:
    """Draws all masks once and has the generated module use them, in the order it asks for them."""

    def mask(p: float, *shape: int) -> torch.Tensor:
        return (torch.rand(*shape) >= p).double() / (1 - p)

    masks = {
        "word": mask(DROPS["word_drop"], words, 1),
        "embedded": mask(DROPS["embedded_drop"], batch, width),
        "x": mask(DROPS["input_drop"], batch, width),
        "h": mask(DROPS["hidden_drop"], batch, width),
        "output": mask(DROPS["output_drop"], batch, width),
    }
    drops = {f"{name}_drop": value for name, value in masks.items()}
    names = {
        DROPS["embedded_drop"]: "embedded", DROPS["input_drop"]: "x",
        DROPS["hidden_drop"]: "h", DROPS["output_drop"]: "output",
    }  # fmt: skip
    assert len(names) == 4 and drops
    generated = type(model).forward.__globals__
    generated["word_mask"] = lambda table, p, training: masks["word"]
    generated["sequence_mask"] = lambda x, p, training: masks[names[p]]
    return masks


def compared(net: nn.Module, reference, masks, words, targets, state, alphas=()) -> None:
    """Logits, states, loss and every gradient of a network and of the oracle's function."""
    model = net.model if isinstance(net, Supernet) else net
    leaves = [*model.parameters(), *alphas]
    logits, after = net(words, state)
    expected, after_expected, _, _ = reference(reference_weights(model), masks)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(after, after_expected, rtol=1e-9, atol=1e-9)
    losses = [F.cross_entropy(x.flatten(0, 1), targets.flatten()) for x in (logits, expected)]
    ends = [
        loss + after_.square().sum()
        for loss, after_ in zip(losses, (after, after_expected), strict=True)
    ]
    ours, theirs = (torch.autograd.grad(end, leaves, allow_unused=True) for end in ends)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


def passage(width: int, words: int, length: int, batch: int):
    text = torch.randint(words, (length + 1, batch))
    return text[:-1], text[1:], torch.randn(batch, width, dtype=torch.float64)


@pytest.mark.parametrize("passes", ["none", "simple"])
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_search_network_is_the_papers(shape, dropped: bool, passes: str) -> None:
    """With any alphas, from any state, its norm by batch statistics."""
    torch.manual_seed(sum(shape))
    width, words, _, batch = shape
    net = build(RNN, H=width, V=words, passes=passes, **DROPS).double()
    randomise(net.model)
    for alphas in net.arch_parameters():
        alphas.data.normal_()
    masks = fix_masks(net.model, width, words, batch) if dropped else {}
    if not dropped:
        for module in net.modules():
            for name in [n for n in vars(module) if n.endswith("_drop")]:
                setattr(module, name, 0.0)
    text, targets, state = passage(*shape)
    (alphas,) = net.arch_parameters()
    zeros = torch.zeros(width, dtype=torch.float64)
    norm = rnn.Norm(zeros, zeros + 1, training=True)

    def reference(weights, masks):
        return rnn.search_network(text, state, weights, alphas, norm, masks)

    compared(net, reference, masks, text, targets, state, [alphas])
    torch.testing.assert_close(net.model.recurrent.whiten.running_mean, norm.mean)
    torch.testing.assert_close(net.model.recurrent.whiten.running_var, norm.variance)


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_final_network_is_the_papers(shape, dropped: bool) -> None:
    torch.manual_seed(sum(shape))
    width, words, _, batch = shape
    alphas = torch.randn(36, 5)
    genotype = rnn.derive(alphas)
    tuples = f"Genotype(recurrent={list(genotype)!r}, concat=range(1, 9))"
    net = build(RNN, genotype=Genotype.parse(tuples), H=width, V=words, **DROPS).double()
    randomise(net)
    masks = fix_masks(net, width, words, batch) if dropped else {}
    net.train(dropped)
    text, targets, state = passage(*shape)

    def reference(weights, masks):
        return rnn.final_network(text, state, weights, genotype, masks)

    compared(net, reference, masks, text, targets, state)


def test_in_evaluation_the_norm_uses_its_running_statistics() -> None:
    torch.manual_seed(0)
    net = build(RNN, H=4, V=9).double().eval()
    norm = net.model.recurrent.whiten
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    text, _, state = passage(4, 9, 5, 3)
    (alphas,) = net.arch_parameters()
    fixed = rnn.Norm(norm.running_mean, norm.running_var, training=False)
    expected = rnn.search_network(text, state, reference_weights(net.model), alphas, fixed)
    torch.testing.assert_close(net(text, state)[0], expected[0], rtol=1e-9, atol=1e-9)


def test_counts_are_those_published() -> None:
    with torch.device("meta"):
        assert weights(build(RNN).model) == 4_810_000
        assert weights(build(RNN, genotype=DARTS_V2)) == 22_960_000


def test_a_derived_cell_is_the_oracles() -> None:
    torch.manual_seed(1)
    net = build(RNN, H=4, V=9)
    (alphas,) = net.arch_parameters()
    alphas.data.normal_()
    expected = f"Genotype(recurrent={list(rnn.derive(alphas))!r}, concat=range(1, 9))"
    assert str(net.genotype()) == expected


def test_masks_are_drawn_once_for_a_sequence_and_a_stream_goes_on_from_its_state() -> None:
    torch.manual_seed(0)
    net = build(RNN, genotype=DARTS_V2, H=6, V=9).double().eval()
    text, _, _ = passage(6, 9, 8, 2)
    whole, end = net(text)
    first, state = net(text[:3])
    second, state = net(text[3:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, end, rtol=1e-12, atol=1e-12)
    assert torch.equal(net.init_hidden(2), torch.zeros(2, 6, dtype=torch.float64))
