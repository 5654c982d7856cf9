"""Weighted sums against the plain sum, written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from compiler.kernels.mixtures import weighted_sum

FORMATS = (torch.channels_last, torch.contiguous_format)


def values(shape: tuple[int, ...], memory_format: torch.memory_format) -> Tensor:
    x = torch.randn(shape)
    return x.contiguous(memory_format=memory_format) if x.dim() == 4 else x


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize(
    "shape", [(2, 16, 8, 8), (3, 5, 7, 3), (2, 700, 2, 2), (2, 32, 4, 4), (6, 8), (3, 32)]
)
@pytest.mark.parametrize("number", [1, 2, 7])
def test_against_the_plain_sum(
    number: int, shape: tuple[int, ...], memory_format: torch.memory_format, shifted: bool
) -> None:
    terms = [values(shape, memory_format) for _ in range(number)]
    before = [term.clone() for term in terms]
    scales = torch.randn(number, shape[1])
    shift = torch.randn(shape[1]) if shifted else None
    row = (1, -1, *[1] * (len(shape) - 2))
    expected = sum(term * scale.view(row) for term, scale in zip(terms, scales, strict=True))
    if shift is not None:
        expected = expected + shift.view(row)
    torch.testing.assert_close(weighted_sum(terms, scales, shift), expected)
    torch.testing.assert_close(terms, before, rtol=0, atol=0)


@pytest.mark.parametrize("channels", [6, 32])
def test_terms_in_different_layouts(channels: int) -> None:
    terms = [values((2, channels, 4, 5), memory_format) for memory_format in FORMATS]
    total = weighted_sum(terms, torch.ones(2, channels), torch.zeros(channels))
    torch.testing.assert_close(total, terms[0] + terms[1])
    assert total.is_contiguous(memory_format=torch.channels_last)
