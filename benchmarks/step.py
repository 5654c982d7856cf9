"""Times one step of a search: the optimised supernet against the plain one and the paper's.

    python benchmarks/step.py
    python benchmarks/step.py --order 2
    python benchmarks/step.py --space nas_bench_201
    python benchmarks/step.py --space rnn_cell
    python benchmarks/step.py --set C=8 --set N=5 --set batch=16

`faster` is against the plain supernet, by the medians and by single rounds. `peak MiB` is that of a
process in which nothing else happens, on a GPU of its memory. `start s` is what loading the file,
building and the first step take together. See `networks.py` for what is compared.
"""

from __future__ import annotations

from commands import PAPER, add_space, chosen, parser
from networks import PLAIN, Subject, maker
from pairs import alone, circumstances, compared


def report(of: Subject, rounds: int) -> None:
    makes = {name: maker(name, of) for name in of.networks}
    found = {name: alone(make) for name, make in makes.items()}
    pairs = compared(makes, PLAIN, rounds)
    print(f"{of}, order {of.order}")
    print(f"{circumstances()}, {of.device}, medians of {rounds} rounds")
    print(
        f"{'network':<10} {'s/step':>8} {'faster':>8} {'by rounds':>14} {'peak MiB':>9} "
        f"{'of plain':>9} {'start s':>8}"
    )
    for name, pair in pairs.items():
        least, most = pair.range
        print(
            f"{name:<10} {pair.median:>8.4f} {pair.ratio:>7.2f}x {f'{least:.2f}–{most:.2f}':>14} "
            f"{found[name].peak:>9.0f} {found[name].peak / found[PLAIN].peak:>9.2f} "
            f"{found[name].seconds:>8.2f}"
        )


def main() -> None:
    options = parser("Times one step of a search.", rounds=5)
    add_space(options, PAPER)
    options.add_argument("--order", type=int, choices=(1, 2), default=1, help="of the step")
    options.add_argument("--device", default="cpu", help="cpu or cuda")
    asked = options.parse_args()
    report(chosen(asked, order=asked.order, device=asked.device), asked.rounds)


if __name__ == "__main__":
    main()
