"""Computing again instead of keeping changes no gradient, and memory stays within its budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support import PROGRAMS, space

import compiler
from compiler.engine.memory import Sizes, peak
from compiler.engine.network import Engine
from compiler.engine.plan import Compute, Plan
from compiler.engine.recompute import DEAREST, LEAN, Budget, budget_of
from compiler.flat.nodes import MixingWeights
from dsl import DartsError

PRICES = range(-1, DEAREST + 1)
ONE_KIND = next(path for path in PROGRAMS if path.stem == "one_kind")


def paths(*stems: str) -> list[Path]:
    return [path for path in PROGRAMS if path.stem in stems]


def with_budget(two: Any, budget: Budget) -> Engine:
    """The optimised supernet, with another budget."""
    net = two.fast
    net.optimised.engine = Engine(net.optimised.engine.region, net.model, budget)
    engine: Engine = net.optimised.engine
    return engine


@pytest.mark.parametrize("path", paths("dense", "lstm", "reckoning", "vectors", "words"),
                         ids=lambda path: path.stem)  # fmt: skip
def test_gradients_are_the_same_at_every_price(path: Path, pair: Any) -> None:
    two = pair(path)
    with_budget(two, Budget(price=PRICES[0]))
    expected = two.run(two.fast)
    for price in PRICES[1:]:
        with_budget(two, Budget(price=price))
        same(two.run(two.fast), expected)


@pytest.mark.parametrize("path", paths("dense", "lstm", "reckoning", "words"),
                         ids=lambda path: path.stem)  # fmt: skip
def test_gradients_are_the_same_within_a_budget(path: Path, pair: Any) -> None:
    two = pair(path)
    with_budget(two, Budget(price=-1))
    expected = two.run(two.fast)
    for budget in (0, 10_000, 30_000, 100_000, 10**9):
        with_budget(two, Budget(bytes=budget))
        same(two.run(two.fast), expected)


def same(found: Any, expected: Any) -> None:
    """To 1e-12 at the scale of all gradients."""
    gradients = [g for g in expected.gradients.values() if g is not None]
    size = max(1.0, *(float(g.abs().max()) for g in gradients))
    for name, gradient in found.gradients.items():
        other = expected.gradients[name]
        assert (gradient is None) == (other is None), name
        if other is not None:
            torch.testing.assert_close(gradient, other, rtol=0, atol=1e-12 * size, msg=name)
    torch.testing.assert_close(found.values, expected.values, rtol=0, atol=0)
    torch.testing.assert_close(found.buffers, expected.buffers, rtol=0, atol=0)


def test_what_is_drawn_is_not_drawn_again(pair: Any) -> None:
    """Masks of a step, where operations around the loop are computed again."""
    two = pair(space("""
        cell r(H) from x, h[H] {
            shared m = dropout(0.5)
            y = concat(x, h) -> linear(H)
            return (y -> m) * (h -> m) + x * (x -> m)
        }
        network(H = 3) from x[T, 3] to y[T, 4] =
            x -> relu -> dropout(0.2) -> relu -> tanh -> relu -> relu -> relu
            -> r(H) over T -> relu -> linear(4)
    """))  # fmt: skip
    with_budget(two, Budget(price=-1))
    expected = two.run(two.fast)
    for budget in (Budget(price=DEAREST), Budget(bytes=0), Budget(bytes=1000)):
        with_budget(two, budget)
        same(two.run(two.fast), expected)


# -- budgets by name


def test_budgets_are_told_as_amounts_or_as_lean() -> None:
    assert budget_of(None) == Budget()
    assert budget_of("lean") == Budget(share=LEAN)
    amounts: dict[Any, int] = {
        "3 GB": 3 * 2**30, "800mb": 800 * 2**20, "1.5 KB": 1536, 4096: 4096, "4096": 4096,
        " 2 tb ": 2 * 2**40,
    }  # fmt: skip
    for told, size in amounts.items():
        assert budget_of(told) == Budget(bytes=size)


@pytest.mark.parametrize("told", ["fat", "", "3 G", "-1", "0", "1e9", "3 GB 4", "nan"])
def test_what_is_no_amount_is_a_fault(told: str) -> None:
    with pytest.raises(DartsError) as raised:
        budget_of(told)
    assert raised.value.diagnostics[0].code == "E0902"


def test_networks_are_built_within_a_budget() -> None:
    text = "network from image[2, 4, 4] to class[2] = image -> conv(3) -> flatten -> linear(2)"
    for memory in (None, "lean", "1 MB"):
        net = compiler.build(space(text), passes="fast", memory=memory)
        assert net.optimised.engine.budget == budget_of(memory)


# -- plans


def plans(engine: Engine, sizes: Sizes) -> dict[str, Plan]:
    """For the gradients of an architecture step and of a weight step."""
    inputs = [n for n, node in engine.region.inputs if isinstance(node, MixingWeights)]
    return {
        "alphas": engine.plan(frozenset(inputs), frozenset(), sizes),
        "weights": engine.plan(frozenset(), frozenset(engine.weights), sizes),
    }


def again(plan: Plan) -> int:
    return sum(isinstance(step.instruction, Compute) for step in plan.backward)


def test_a_higher_price_computes_more_again_and_takes_less_memory(pair: Any) -> None:
    two = pair(ONE_KIND)
    sizes = Sizes(batch=4)
    before: dict[str, tuple[int, int]] = {}
    for price in PRICES:
        engine = with_budget(two, Budget(price=price))
        for asked, plan in plans(engine, sizes).items():
            count, memory = again(plan), peak(plan, engine.region, sizes)
            if asked in before:
                assert count >= before[asked][0] and memory <= before[asked][1]
            else:
                assert count == 0
            before[asked] = count, memory


@pytest.mark.parametrize("asked", ["alphas", "weights"])
def test_plans_stay_within_their_budget(asked: str, pair: Any) -> None:
    """Where there is such a plan; and the less there is, the more is computed again.

    The gradients by weights take their part of it.
    """
    two = pair(ONE_KIND)
    sizes = Sizes(batch=4)
    weights = two.fast.weight_parameters() if asked == "weights" else []
    taken = sum(weight.numel() * weight.element_size() for weight in weights)
    least, most = (
        peak(plans(with_budget(two, Budget(price=price)), sizes)[asked],
             two.fast.optimised.engine.region, sizes)
        for price in (DEAREST, -1)
    )  # fmt: skip
    counts = []
    for tenths in range(0, 11, 5):
        budget = least + (most - least) * tenths // 10
        engine = with_budget(two, Budget(bytes=budget + taken))
        plan = plans(engine, sizes)[asked]
        assert peak(plan, engine.region, sizes) <= budget
        counts.append(again(plan))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[1] > counts[2] == 0


def test_no_plan_but_the_closest_where_none_stays_within(pair: Any) -> None:
    two = pair(ONE_KIND)
    sizes = Sizes(batch=4)
    closest = plans(with_budget(two, Budget(bytes=1)), sizes)["weights"]
    lean = plans(with_budget(two, Budget(price=DEAREST)), sizes)["weights"]
    region = two.fast.optimised.engine.region
    assert 1 < peak(closest, region, sizes) <= peak(lean, region, sizes)


def test_a_budget_counts_for_the_sizes_of_each_pass(pair: Any) -> None:
    """The same bytes are plenty for a small batch and little for a large one."""
    two = pair(ONE_KIND)
    small, large = Sizes(batch=2), Sizes(batch=32)
    keeping = plans(with_budget(two, Budget(price=-1)), small)["weights"]
    region = two.fast.optimised.engine.region
    taken = sum(weight.numel() * weight.element_size() for weight in two.fast.weight_parameters())
    engine = with_budget(two, Budget(bytes=peak(keeping, region, small) + taken))
    assert again(plans(engine, small)["weights"]) == 0
    assert again(plans(engine, large)["weights"]) > 0
