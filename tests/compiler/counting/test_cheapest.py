"""The cheapest decisions of a kind, against all that there are, at prices drawn by lot."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_genotypes import every_genotype
from support import compiled

import compiler.counting.cheapest
from compiler.counting.cheapest import Prices, best
from compiler.ir import Region
from dsl import DartsError

CELL = """
    cell u from x {{
        y = x -> choose {{ relu, tanh }}
        node n[2] = sum(
            each (x, y) -> choose {{ sink none, relu, tanh, skip }},
            each earlier n -> choose {{ relu, skip }},
        )
        {keep}
        return sum(n)
    }}
    network from image[2, 4, 4] to out[2, 4, 4] = image -> u
"""
RULES = ("", "keep 1 edge per node by weight", "keep 2 edges per node by weight")
KINDS = [compiled(CELL.format(keep=rule)).program.kinds[0] for rule in RULES]
NAMES = ("W", "V", "U")


def drawn(kind: Region, lot: Random, shares: float) -> Prices:
    """Prices by lot; so many of the options use something shared."""
    prices = Prices(shared={name: lot.randrange(-5, 40) for name in NAMES})
    prices.add(None, lot.randrange(100), [n for n in NAMES if lot.random() < shares / 4])
    for decision in kind.decisions:
        for label in (None, *decision.selectable):
            uses = [name for name in NAMES if lot.random() < shares]
            prices.add((decision.path, label), lot.randrange(20), uses)
    return prices


def cost(prices: Prices, chosen: dict[str, str]) -> int:
    """What a genotype comes to, thing by thing."""
    total, made = prices.own[None], set(prices.uses[None])
    for path, label in chosen.items():
        for key in ((path, None), (path, label)):
            total += prices.own[key]
            made |= prices.uses[key]
    return total + sum(prices.shared[name] for name in made)


@pytest.mark.parametrize("kind", KINDS, ids=["all", "one", "two"])
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), shares=st.sampled_from([0, 0.1, 0.5]), fixed=st.booleans())
def test_against_all_there_are(kind: Region, seed: int, shares: float, fixed: bool) -> None:
    lot = Random(seed)
    prices = drawn(kind, lot, shares)
    edges = [d.path for d in kind.decisions if d.source is not None and d.node]
    assumed = {path: lot.random() < 0.5 for path in lot.sample(edges, 2)} if fixed else {}
    fitting = [
        chosen
        for genotype in every_genotype([kind])
        if (chosen := dict(genotype.cells["u"].decisions))
        if all((path in chosen) == is_kept for path, is_kept in assumed.items())
    ]
    for sign in (1, -1):
        found = best(kind, prices, sign, assumed)
        if not fitting:
            assert found is None
            continue
        assert found is not None
        value, picks = found
        assert value == sign * min(sign * cost(prices, chosen) for chosen in fitting)
        assert cost(prices, dict(picks)) == value and dict(picks) in fitting


def test_decisions_come_in_the_order_of_the_file() -> None:
    kind = KINDS[0]
    found = best(kind, drawn(kind, Random(0), 0.5), 1, {})
    assert found is not None
    assert [path for path, _ in found[1]] == [d.path for d in kind.decisions]


def test_among_equals_the_first_is_taken() -> None:
    kind = KINDS[1]
    free = Prices()
    for sign in (1, -1):
        found = best(kind, free, sign, {})
        assert found is not None
        assert found[1] == (("y", "relu"), ("n[0] from x", "relu"), ("n[1] from x", "relu"))


def test_too_many_shared_things_to_tell_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.counting.cheapest, "MOST_STATES", 3)
    kind = KINDS[0]
    with pytest.raises(DartsError) as raised:
        best(kind, drawn(kind, Random(0), 0.5), 1, {})
    assert [d.code for d in raised.value.diagnostics] == ["E0103"]
