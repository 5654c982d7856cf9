"""How far float32 gradients of the alphas are from float64 ones, plain and optimised.

    python benchmarks/accuracy.py
    python benchmarks/accuracy.py --space nas_bench_201 --seeds 20

An error is the norm of the difference to the plain supernet's gradient in float64, by the norm of
that gradient, all alphas together. Weights, alphas and batch are drawn anew for each seed and are
the same for all, nothing is dropped.

Where an activation is next to zero, or two maxima are next to each other, rounding decides which
way the gradient takes. Without such a place an error is near 1e-6, with one near 1e-3, whichever
network it is; so single seeds tell little, least of all in small sizes, and medians count.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import torch
from commands import add_space, chosen, parser
from networks import FAST, LEAN, PLAIN, Subject, batch, network, objective
from pairs import circumstances
from torch import Tensor

from runtime.objective import gradients, held
from runtime.text_task import Passage

NETWORKS = (PLAIN, FAST, LEAN)
HALVED = {
    "cifar_cell": {"C": 8, "batch": 32},
    "nas_bench_201": {"batch": 32},
    "rnn_cell": {"batch": 32},
}
"""Half of the paper's sizes, for numbers in float64 are twice as large."""


def gradient(net: Any, of: Subject, data: tuple) -> Tensor:
    """That of all alphas in one row, in float64."""
    alphas = list(net.arch_parameters())
    with held(net.weight_parameters()):
        loss = objective(FAST, net, of)(data).loss
    return torch.cat([g.flatten() for g in gradients(loss, alphas) if g is not None]).double()


def errors(nets: Mapping[str, Any], of: Subject, seed: int) -> dict[str, float]:
    state = network(PLAIN, of, seed).state_dict()
    data = batch(of, seed)
    for net in nets.values():
        net.load_state_dict(state)
    exact = nets[PLAIN].double()
    expected = gradient(exact, of, widened(data))
    exact.float().load_state_dict(state)
    found = {name: gradient(net, of, data) for name, net in nets.items()}
    return {name: float((g - expected).norm() / expected.norm()) for name, g in found.items()}


def widened(data: tuple) -> tuple:
    """A batch in float64; words have no precision."""
    if isinstance(data, Passage):
        return data
    images, labels = data
    return images.double(), labels


def main() -> None:
    options = parser("Accuracy of float32 gradients of the alphas.")
    add_space(options, HALVED)
    options.add_argument("--seeds", type=int, default=5, help="how many to try")
    asked = options.parse_args()

    of = chosen(asked).without_noise()
    nets = {name: network(name, of) for name in NETWORKS}
    print(of)
    print(circumstances())
    print(f"{'seed':<8}" + "".join(f"{name:>10}" for name in NETWORKS) + f"{'fast/plain':>12}")
    rows = []
    for seed in range(asked.seeds):
        rows.append(errors(nets, of, seed))
        print(line(str(seed), rows[-1]), flush=True)
    medians = {name: statistics.median(row[name] for row in rows) for name in NETWORKS}
    print(f"{line('median', medians)}{medians[FAST] / medians[PLAIN]:>12.2f}")


def line(head: str, row: Mapping[str, float]) -> str:
    return f"{head:<8}" + "".join(f"{row[name]:>10.1e}" for name in NETWORKS)


if __name__ == "__main__":
    main()
