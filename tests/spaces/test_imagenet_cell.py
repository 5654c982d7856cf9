"""The ImageNet network of DARTS: the published size, and the network written by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from support import DARTS_V2, SPACES, randomise, weights
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import compiler
from compiler import Genotype
from compiler.profile import values_of
from dsl import load
from runtime.schedule import learning_rate

IMAGENET = SPACES / "imagenet_cell.darts"
GENOTYPE = Genotype.parse(DARTS_V2)


def test_the_published_number_of_parameters() -> None:
    assert compiler.cost(IMAGENET, GENOTYPE).parameters == 4_718_752
    assert weights(compiler.build(IMAGENET, genotype=GENOTYPE)) == 4_718_752


@torch.no_grad()
def test_multiplications_are_those_that_torch_counts_and_of_the_mobile_setting() -> None:
    """The setting allows 600 million. (The 574 that the paper's table 3 has are not only those of
    convolutions and matrices.)"""
    with FlopCounterMode(display=False) as counter:
        compiler.build(IMAGENET, genotype=GENOTYPE).eval()(torch.randn(1, 3, 224, 224))
    macs = compiler.cost(IMAGENET, GENOTYPE).macs
    assert macs == counter.get_total_flops() // 2 < 600e6


def test_the_recipe_is_the_published_one() -> None:
    s = values_of(load(IMAGENET), "final", None, {}).settings
    assert (s.epochs, s.batch, s.momentum, s.decay, s.clip) == (250, 128, 0.9, 3e-5, 5)
    assert (s.label_smoothing, s.auxiliary_weight, s.drop_path) == (0.1, 0.4, 0)
    assert (s.resized_crop, s.flip, s.jitter, s.jitter_hue) == (224, True, 0.4, 0.2)
    rates = [learning_rate(s, epoch) for epoch in range(3)]
    assert rates == pytest.approx([0.1, 0.097, 0.09409])


class Stems(nn.Module):
    """The two stems as the definition has them."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, C // 2, 3, 2, 1, bias=False)
        self.second = nn.Conv2d(C // 2, C, 3, 2, 1, bias=False)
        self.third = nn.Conv2d(C, C, 3, 2, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (C // 2, C, C))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        half = F.relu(self.norms[0](self.first(image)))
        quarter = self.norms[1](self.second(half))
        return quarter, self.norms[2](self.third(F.relu(quarter)))


@torch.no_grad()
def test_the_stems_and_the_head_are_those_of_the_definition() -> None:
    torch.manual_seed(0)
    net = compiler.build(IMAGENET, genotype=GENOTYPE, auxiliary=True, C=4, N=3, classes=5).double()
    randomise(net)
    stems = Stems(4).double()
    stems.first, stems.second = net.stem0[0], net.stem0[3]
    stems.norms[0], stems.norms[1] = net.stem0[1], net.stem0[4]
    stems.third, stems.norms[2] = net.stem1[1], net.stem1[2]
    image = torch.randn(2, 3, 224, 224, dtype=torch.float64)
    seen: dict[str, tuple[Tensor, ...]] = {}
    net.cells[0].register_forward_hook(lambda cell, inputs, out: seen.update(first=inputs))
    net.cells[2].register_forward_hook(lambda cell, inputs, out: seen.update(tapped=(out,)))
    net.eval()
    net(image)
    for ours, theirs in zip(seen["first"], stems.eval()(image), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert [x.shape[-1] for x in seen["first"]] == [56, 28]
    # What training sees of the head, whose norms are then those of the batch.
    net.train()
    _, logits = net(image)
    (x,) = seen["tapped"]
    head = net.auxiliary
    x = F.avg_pool2d(F.relu(x), 5, stride=2)
    x = F.relu(F.batch_norm(head[2](x), None, None, head[3].weight, head[3].bias, True))
    x = F.relu(head[5](x)).flatten(1)
    torch.testing.assert_close(logits, head[-1](x))
