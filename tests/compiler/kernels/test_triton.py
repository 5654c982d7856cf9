"""The kernels in Triton against plain sums in float64: on a device, and by Triton's interpreter."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from compiler.kernels import mixtures, statistics
from compiler.kernels.where import in_triton

ROOT = Path(__file__).parents[3]
SHAPES = [(3, 5, 7, 3), (2, 3, 9, 17), (2, 70, 9, 9), (4, 16, 8, 8), (300, 17), (6, 1)]
DTYPES = [torch.float32, torch.float64, torch.bfloat16]
SOME = 3  # terms


def values(shape: Sequence[int], dtype: torch.dtype, device: str) -> tuple[list[Tensor], Tensor]:
    """Terms whose means are far from zero, and numbers for each of their channels."""
    torch.manual_seed(0)
    terms = [(torch.randn(shape) + 5 * k).to(device, dtype) for k in range(SOME)]
    if len(shape) == 4:
        terms = [term.contiguous(memory_format=torch.channels_last) for term in terms]
    wide = torch.float32 if dtype == torch.bfloat16 else dtype
    return terms, torch.randn(SOME, shape[1], dtype=torch.float64).to(device, wide)


def compare(kernels: object, shape: Sequence[int], dtype: torch.dtype, device: str) -> None:
    """Sums, sums of products and moments of these kernels with those written out."""
    terms, scales = values(shape, dtype, device)
    exact, row = [term.double() for term in terms], (1, -1, *[1] * (len(shape) - 2))
    axes = [0, *range(2, len(shape))]
    close = 1e-10 if dtype == torch.float64 else 2e-5

    # stored in half precision, a sum is a last place off, or two where the rest is cut off
    last = 2**-7 if dtype == torch.bfloat16 else close
    total = sum(t * s.double().view(row) for t, s in zip(exact, scales, strict=True))
    for shift in (None, scales[0]):
        expected = total if shift is None else total + shift.double().view(row)
        found = kernels.weighted_sum(terms, scales, shift)
        assert (found.dtype, found.stride()) == (dtype, terms[0].stride())
        torch.testing.assert_close(found.double(), expected, rtol=last, atol=last)

    g, (means, rstds) = terms[0] - 0.5, (scales[:2], scales[1:])
    products, sums = kernels.norm_sums(g, terms[1:], means, rstds)
    for found, value, mean, rstd in zip(products, exact[1:], means, rstds, strict=True):
        each = g.double() * (value - mean.double().view(row)) * rstd.double().view(row)
        torch.testing.assert_close(
            found.double(), each.sum(axes), rtol=close, atol=close * float(each.abs().sum())
        )
    torch.testing.assert_close(
        sums.double(), g.double().sum(axes), rtol=close, atol=close * float(g.double().abs().sum())
    )

    means, variances = kernels.moments(terms)
    for value, mean, variance in zip(exact, means, variances, strict=True):
        torch.testing.assert_close(mean.double(), value.mean(axes), rtol=close, atol=close)
        expected = value.var(axes, correction=0)
        torch.testing.assert_close(variance.double(), expected, rtol=close, atol=close)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_on_a_device(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    class Chosen:
        weighted_sum = staticmethod(mixtures.weighted_sum)
        norm_sums = staticmethod(mixtures.norm_sums)
        moments = staticmethod(statistics.moments)

    terms, _ = values(shape, dtype, "cuda")
    assert in_triton(terms) is not None
    compare(Chosen, shape, dtype, "cuda")


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_by_the_interpreter() -> None:
    """What the kernels compute, on a CPU; in a process of its own, as Triton asks at the import."""
    environment = {
        **os.environ,
        "TRITON_INTERPRET": "1",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests"))),
    }
    done = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_cpu_takes_the_plain_forms() -> None:
    assert in_triton([torch.ones(2, 3)]) is None


if __name__ == "__main__":
    from compiler.kernels import mixtures_triton

    for dtype in DTYPES:
        for shape in SHAPES:
            compare(mixtures_triton, shape, dtype, "cpu")
