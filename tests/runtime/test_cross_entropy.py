"""The cross-entropy of words is torch's, with its first and second derivatives."""

import math

import pytest
import torch
import torch.nn.functional as F

from runtime.cross_entropy import ROWS, cross_entropy


def test_it_is_the_mean_of_minus_the_logarithms_of_the_targets_probabilities() -> None:
    logits, targets = torch.randn(4, 3, 7, dtype=torch.float64), torch.randint(7, (4, 3))
    each = [
        -math.log(row.exp()[target] / row.exp().sum())
        for row, target in zip(logits.flatten(0, 1), targets.flatten(), strict=True)
    ]
    assert cross_entropy(logits, targets).item() == pytest.approx(sum(each) / 12, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_that_of_torch_over_several_pieces(dtype: torch.dtype) -> None:
    logits = (20 * torch.randn(5, ROWS // 2, 11, dtype=dtype)).requires_grad_()
    targets = torch.randint(11, (5, ROWS // 2))
    ours = torch.autograd.grad(3 * cross_entropy(logits, targets), logits)[0]
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    theirs = torch.autograd.grad(3 * loss, logits)[0]
    close = {torch.float32: 1e-6, torch.float64: 1e-14}[dtype]
    torch.testing.assert_close(ours, theirs, rtol=10 * close, atol=close)


def test_derivatives_are_right_twice() -> None:
    logits = torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(5, (3, 2))
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, targets), logits)
    assert torch.autograd.gradgradcheck(lambda x: cross_entropy(x, targets), logits)
