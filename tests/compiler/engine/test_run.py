"""Gradients add up in a run, and never in memory that others may read."""

from __future__ import annotations

import pytest
import torch

from compiler.engine.plan import Plan
from compiler.engine.run import Run


def run(around: Run | None = None) -> Run:
    plan = Plan(3, (), (), frozenset(), (), (), True, (), {})
    return Run(plan, {"m": torch.zeros(2, 3)}, around)


@pytest.mark.parametrize("owned", [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)])
def test_gradients_add_up(owned: tuple[int, int, int]) -> None:
    """What is not owned stays as it was."""
    made = run()
    parts = [torch.full((2,), float(10**i)) for i in range(3)]
    for part, own in zip(parts, owned, strict=True):
        made.add_gradient(1, part, bool(own))
    assert made.gradients[1].tolist() == [111, 111]
    for i, (part, own) in enumerate(zip(parts, owned, strict=True)):
        assert own or part.tolist() == [10**i] * 2


def test_gradients_by_weights_add_up_in_the_run_around() -> None:
    around = run()
    inner = run(around)
    inner.add_weight_gradient("a", torch.ones(2))
    around.add_weight_gradient("a", torch.ones(2))
    assert around.weight_gradients["a"].tolist() == [2, 2]


def test_products_are_multiplied_at_once_or_when_all_are_there() -> None:
    left, right = torch.randn(4, 5, 2).unbind(0), torch.randn(4, 5, 3).unbind(0)
    expected = sum(one.t() @ other for one, other in zip(left, right, strict=True))
    direct, later = run(), run()
    later.products = {}
    for one, other in zip(left, right, strict=True):
        direct.add_product("m", one, other)
        later.add_product("m", one, other)
    assert later.weight_gradients == {}
    later.multiply_products()
    for made in (direct, later):
        torch.testing.assert_close(made.weight_gradients["m"], expected)
