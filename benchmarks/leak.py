"""Whether memory grows from step to step: what a process holds after 50 and after 500 of them.

    python benchmarks/leak.py
    python benchmarks/leak.py --space rnn_cell --steps 10 100

Each network takes one search step after another in a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from commands import add_space, chosen, parser
from networks import FAST, LEAN, PLAIN, Subject, maker
from pairs import circumstances, elsewhere, memory

STEPS, QUICK_STEPS = (50, 500), (5, 10)
SHORT = {
    "cifar_cell": {"C": 4, "N": 5, "batch": 16},
    "nas_bench_201": {"C": 8, "N": 2, "batch": 16},
    "rnn_cell": {"V": 1000, "H": 64, "bptt": 10, "batch": 16},
}
"""Sizes in which 500 steps take some minutes."""


def held(name: str, of: Subject, counts: Sequence[int]) -> list[float]:
    """The MiB that the process holds when it has taken so many steps."""
    step = maker(name, of)()
    found = []
    for number in range(1, max(counts) + 1):
        step()
        if number in counts:
            found.append(memory("VmRSS"))
    return found


def main() -> None:
    options = parser("Memory of a process after few and after many search steps.")
    add_space(options, SHORT)
    options.add_argument(
        "--steps", type=int, nargs=2, metavar=("FEW", "MANY"), help="50 and 500 if left out"
    )
    asked = options.parse_args()

    of = chosen(asked)
    few, many = sorted(asked.steps or (QUICK_STEPS if asked.quick else STEPS))
    print(of)
    print(circumstances())
    print(f"{'network':<10} {f'MiB after {few}':>14} {f'after {many}':>12} {'grown by':>9}")
    for name in (PLAIN, FAST, LEAN):
        first, last = elsewhere(partial(held, name, of, (few, many)))
        print(f"{name:<10} {first:>14.1f} {last:>12.1f} {last / first - 1:>9.2%}", flush=True)


if __name__ == "__main__":
    main()
