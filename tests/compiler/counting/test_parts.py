"""What cells and options are made of, and what each part comes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from costly_spaces import HAND_MADE
from support import CIFAR, RNN, space

from compiler.counting.parts import Entry, Part, Some, entries, network_and_cells, total
from compiler.ir import Choice, is_open
from compiler.measure import measure
from dsl import Space, load


def found(loaded: Space) -> list[Entry]:
    program = measure(loaded, "final", None, {})[1]
    return entries(program, network_and_cells(program))


@pytest.mark.parametrize("path", [CIFAR, RNN], ids=lambda path: path.stem)
def test_callers_come_before_what_they_use(path: Path) -> None:
    program = measure(load(path), "final", None, {})[1]
    first, *cells = network_and_cells(program)
    assert first is program.network
    assert [cell for cell in cells if is_open(cell)] == program.kinds[::-1]


def test_an_inner_cell_comes_after_the_outer_one() -> None:
    assert [entry.kind.name for entry in found(space(HAND_MADE["nested"]))][1:] == ["u", "motif"]


OPTIONS = """
    cell u(C) from x {
        shared W = conv(3)
        return x -> choose { relu, conv(5), conv(1) -> bn as b, W -> conv(1) -> bn as c } -> conv(7)
    }
    network(C = 2) from image[2, 4, 4] to out[2, 4, 4] =
        image -> u(C) -> conv(1, out: 2 * C) -> u(2 * C) -> u(2 * C) -> conv(1, out: C)
"""


def test_options_come_in_parts_that_pruning_may_leave_alone() -> None:
    """A flow of several modules is one part; one that shares something is written out."""
    network, cell = found(space(OPTIONS))
    (number,) = (number for number, node in cell.kind.nodes() if isinstance(node, Choice))
    assert len(cell.uses) == 2
    for C, amounts in zip((2, 4), cell.uses.values(), strict=True):
        assert {part: amount.parameters for part, amount in amounts.items()} == {
            Part(number, "conv_5"): 25 * C * C,
            Part(number, "b"): C * C + 2 * C,
            Part(number, "c", 0): 0,
            Part(number, "c", 1): C * C,
            Part(number, "c", 2): 2 * C,
            Part(number + 1): 49 * C * C,
        }
        shared = amounts[Part(number, "c", 0)].shared
        assert [made.parameters for made in shared.values()] == [9 * C * C]
    assert sum(amount.parameters for amount in network.uses.popitem()[1].values()) == 2 * 2 * 2 * 2


def test_a_cell_counts_as_often_as_it_is_used() -> None:
    both = found(space(OPTIONS))
    (number,) = (number for number, node in both[1].kind.nodes() if isinstance(node, Choice))
    convs = frozenset(Part(number) for number in both[0].kind.values)
    whole = total(both, [Some(convs, ()), Some(frozenset([Part(number, "conv_5")]), ())])
    assert whole.parameters == 16 + 25 * (4 + 16 + 16)
    assert whole.macs == 16 * whole.parameters
