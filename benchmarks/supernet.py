"""Times one bilevel step of generated supernets against the paper's network written by hand.

A step is the alphas' gradient on one batch and the weights' gradient on another, first order,
without the optimisers. The rounds are interleaved, so that a busy machine slows all alike.

    python benchmarks/supernet.py -C 16 -N 8 --batch 64
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from reference.darts import SearchNetwork  # noqa: E402

import compiler  # noqa: E402

REFERENCE = "reference"
PIPELINES = ("none", "simple")
CLASSES = 10
MIB = 2**20


class Reference(nn.Module):
    """The hand-written network with alphas of its own."""

    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        self.net = SearchNetwork(width, cells, classes=CLASSES)
        self.alphas = nn.ParameterList(1e-3 * torch.randn(14, 8) for _ in range(2))

    def forward(self, images: Tensor) -> Tensor:
        normal, reduce = (alphas.softmax(-1) for alphas in self.alphas)
        logits: Tensor = self.net(images, {"normal": normal, "reduce": reduce})
        return logits


def build(name: str, options: argparse.Namespace) -> tuple[nn.Module, Callable[[], None]]:
    """A network and its step."""
    torch.manual_seed(0)
    if name == REFERENCE:
        made = Reference(options.C, options.N)
        alphas, weights = list(made.alphas), list(made.net.parameters())
        net: nn.Module = made
    else:
        net = compiler.build(
            "spaces/cifar_cell.darts", passes=name, C=options.C, N=options.N, size=options.size
        )
        assert isinstance(net, compiler.Supernet)
        alphas, weights = list(net.arch_parameters()), list(net.weight_parameters())
    net.to(options.device).train()
    images = torch.randn(options.batch, 3, options.size, options.size, device=options.device)
    labels = torch.randint(CLASSES, (options.batch,), device=options.device)

    def step() -> None:
        if name == REFERENCE:  # as the paper's program has it: both levels through `backward`
            for _ in range(2):
                F.cross_entropy(net(images), labels).backward()
            net.zero_grad()
        else:
            torch.autograd.grad(F.cross_entropy(net(images), labels), alphas)
            torch.autograd.grad(F.cross_entropy(net(images), labels), weights)
        if options.device.startswith("cuda"):
            torch.cuda.synchronize()

    return net, step


def peak(name: str, options: argparse.Namespace, found: multiprocessing.SimpleQueue[float]) -> None:
    """The most memory, in MiB, that a step needs: of the device, or of a process of its own."""
    _, step = build(name, options)
    step()
    if options.device.startswith("cuda"):
        found.put(torch.cuda.max_memory_allocated() / MIB)
    else:
        found.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(name: str, options: argparse.Namespace) -> float:
    context = multiprocessing.get_context("spawn")
    found: multiprocessing.SimpleQueue[float] = context.SimpleQueue()
    process = context.Process(target=peak, args=(name, options, found))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the step of `{name}` failed")
    return found.get()


def main() -> None:
    parser = argparse.ArgumentParser(description="Times one bilevel step of the supernets.")
    parser.add_argument("-C", type=int, default=16, help="channels of the first cells")
    parser.add_argument("-N", type=int, default=8, help="cells")
    parser.add_argument("--batch", type=int, default=64, help="images in a batch")
    parser.add_argument("--size", type=int, default=32, help="height and width of the images")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps of each network")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()

    names = (REFERENCE, *PIPELINES)
    memory = {name: measure(name, options) for name in names}
    steps = {name: build(name, options)[1] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(options.rounds + 1):  # the first round warms up
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            if number:
                seconds[name].append(time.perf_counter() - begun)

    print(f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads")
    print(f"{'network':<10} {'s/step':>8} {'faster':>8} {'peak MiB':>9} {'of it':>6}")
    base = statistics.median(seconds[REFERENCE])
    for name in names:
        median = statistics.median(seconds[name])
        print(
            f"{name:<10} {median:>8.3f} {base / median:>7.2f}x "
            f"{memory[name]:>9.0f} {memory[name] / memory[REFERENCE]:>6.2f}"
        )


if __name__ == "__main__":
    main()
