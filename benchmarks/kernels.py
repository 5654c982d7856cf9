"""Times the CPU kernels of supernets against torch's own operators, in float32.

For every kernel and shape it prints the milliseconds of both, how many times as fast ours is, and
the largest difference in float64 relative to the largest number. The two are timed in turn, so
that a busy machine slows both alike. Each time is a lower quartile: what else runs on the cores
only ever adds to it, and a pair of threads waits for the slower one.

    OMP_NUM_THREADS=2 python benchmarks/kernels.py --only weight
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from compiler.kernels.depthwise import input_gradient, weight_gradient
from compiler.kernels.mixtures import weighted_sum
from compiler.kernels.pools import mean_pool, mean_pool_gradient
from compiler.kernels.statistics import moments, norm_gradient

SHAPES = ((16, 32), (32, 16), (64, 8))  # channels, and height and width
EPS = 1e-5
aten = torch.ops.aten

Result = Tensor | tuple[Tensor, ...]
Run = Callable[..., Result]


@dataclass(frozen=True)
class Comparison:
    """Two functions of the same tensors."""

    name: str
    tensors: tuple[Tensor, ...]
    standard: Run
    ours: Run


def tensor(*shape: int) -> Tensor:
    return torch.randn(shape).contiguous(memory_format=torch.channels_last)


def convolutions(batch: int) -> Iterator[Comparison]:
    """The gradients of the depthwise convolutions of search spaces."""
    for (channels, size), stride, k, dilation in itertools.product(SHAPES, (1, 2), (3, 5), (1, 2)):
        padding = dilation * (k // 2)
        x, weight = tensor(batch, channels, size, size), torch.randn(channels, 1, k, k)
        g = torch.randn_like(F.conv2d(x, weight, None, stride, padding, dilation, channels))
        sizes = ([stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], channels)

        def standard(wanted: int, sizes: tuple = sizes) -> Run:
            mask = [wanted == i for i in range(3)]
            return lambda *three: aten.convolution_backward(*three, None, *sizes, mask)[wanted]

        numbers = (stride, padding, dilation)

        def by_x(g: Tensor, x: Tensor, w: Tensor, numbers: tuple = numbers) -> Tensor:
            return input_gradient(g, w, x.shape, *numbers)

        def by_weight(g: Tensor, x: Tensor, w: Tensor, numbers: tuple = numbers) -> Tensor:
            return weight_gradient(g, x, w.shape[2], *numbers)

        name = f"{channels}x{size}x{size} {k}x{k} stride {stride} dilation {dilation}"
        yield Comparison(f"input gradient  {name}", (g, x, weight), standard(0), by_x)
        yield Comparison(f"weight gradient {name}", (g, x, weight), standard(1), by_weight)


def pools(batch: int) -> Iterator[Comparison]:
    """Mean pools of three by three pixels; maxima are torch's."""
    for (channels, size), stride in itertools.product(SHAPES, (1, 2)):
        x = tensor(batch, channels, size, size)
        sizes = ((3, 3), stride, (1, 1))

        def standard(x: Tensor, g: Tensor, sizes: tuple = sizes) -> Tensor:
            return F.avg_pool2d(x, *sizes, count_include_pad=False)

        def standard_gradient(x: Tensor, g: Tensor, sizes: tuple = sizes) -> Tensor:
            k, stride, padding = sizes
            pairs = list(k), [stride, stride], list(padding)
            return aten.avg_pool2d_backward(g, x, *pairs, False, False, None)

        def ours(x: Tensor, g: Tensor, sizes: tuple = sizes) -> Tensor:
            return mean_pool(x, *sizes)

        def our_gradient(x: Tensor, g: Tensor, sizes: tuple = sizes) -> Tensor:
            return mean_pool_gradient(g, x.shape, *sizes)

        tensors = (x, torch.randn_like(standard(x, x)))
        name = f"{channels}x{size}x{size} stride {stride}"
        yield Comparison(f"mean pool {name}", tensors, standard, ours)
        yield Comparison(f"mean pool's gradient {name}", tensors, standard_gradient, our_gradient)


def norms(batch: int) -> Iterator[Comparison]:
    """Statistics of a mixture's terms, and the gradient by one of them."""
    for channels, size in (*SHAPES, (24, 32)):
        name = f"{channels}x{size}x{size}"
        values = tuple(tensor(batch, channels, size, size) for _ in range(12))

        def standard(*values: Tensor) -> Result:
            pairs = [aten.batch_norm_update_stats(value, None, None, 0.0) for value in values]
            return torch.stack([a for a, _ in pairs]), torch.stack([b for _, b in pairs])

        yield Comparison(f"moments of 12 {name}", values, standard, lambda *v: moments(v))
        g, z = values[:2]
        means, variances = moments([z])
        tensors = (g, z, means[0], (variances[0] + EPS).rsqrt())
        for sums in (False, True):

            def gradient(g: Tensor, z: Tensor, *of_z: Tensor, sums: bool = sums) -> Result:
                mask = [not sums, True, True]
                found = aten.native_batch_norm_backward(
                    g, z, None, None, None, *of_z, True, EPS, mask
                )
                return found[sums:]

            def ours(g: Tensor, z: Tensor, *of_z: Tensor, sums: bool = sums) -> Result:
                return norm_gradient(g, z, *of_z, None, sums)[sums:]

            kind = "norm's sums" if sums else "norm's gradient"
            yield Comparison(f"{kind} {name}", tensors, gradient, ours)


def mixtures(batch: int) -> Iterator[Comparison]:
    for (channels, size), number in itertools.product(SHAPES, (12, 40)):
        terms = tuple(tensor(batch, channels, size, size) for _ in range(number))
        tensors = (torch.randn(number, channels), torch.randn(channels), *terms)

        def standard(scales: Tensor, shift: Tensor, *terms: Tensor) -> Tensor:
            rows = scales[:, None, :, None, None]
            total = torch.addcmul(shift[:, None, None], terms[0], rows[0])
            for term, row in zip(terms[1:], rows[1:], strict=True):
                total.addcmul_(term, row)
            return total

        def ours(scales: Tensor, shift: Tensor, *terms: Tensor) -> Tensor:
            return weighted_sum(terms, scales, shift)

        yield Comparison(f"sum of {number} {channels}x{size}x{size}", tensors, standard, ours)


def milliseconds(comparison: Comparison, rounds: int) -> tuple[float, float]:
    """The lower quartiles of both, after two rounds to warm up."""
    runs = (comparison.standard, comparison.ours)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 2):
        for run, taken in zip(runs, times, strict=True):
            begun = time.perf_counter()
            run(*comparison.tensors)
            if number >= 2:
                taken.append((time.perf_counter() - begun) * 1e3)
    first, second = (statistics.quantiles(taken, n=4)[0] for taken in times)
    return first, second


def difference(comparison: Comparison) -> float:
    """In float64: the largest difference by the largest number of torch's."""
    wide = [value.double() for value in comparison.tensors]
    pairs = [run(*wide) for run in (comparison.standard, comparison.ours)]
    first, second = ([pair] if isinstance(pair, Tensor) else pair for pair in pairs)
    return max(
        float((a - b).abs().max() / a.abs().max()) for a, b in zip(first, second, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the CPU kernels of supernets.")
    parser.add_argument("--batch", type=int, default=64, help="images in a batch")
    parser.add_argument("--rounds", type=int, default=31, help="timed calls of each kernel")
    parser.add_argument("--only", default="", help="words that the names must contain")
    options = parser.parse_args()

    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {options.batch}")
    print(f"{'kernel':<52} {'standard':>8} {'ours':>8} {'faster':>7} {'float64':>8}")
    for group in (convolutions, pools, norms, mixtures):
        for comparison in group(options.batch):
            if options.only not in comparison.name:
                continue
            standard, ours = milliseconds(comparison, options.rounds)
            print(
                f"{comparison.name:<52} {standard:>8.3f} {ours:>8.3f} "
                f"{standard / ours:>6.2f}x {difference(comparison):>8.0e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
