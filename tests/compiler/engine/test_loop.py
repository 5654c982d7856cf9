"""Recurrences: against the plain module, and one against its formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import space

import compiler
from compiler.engine.loop import Loop, Members

NETWORK = "network(H = 3) from x[T, 2] to y[T, 4] = x -> {} over T -> linear(4)"
BODIES = {
    "one state": "cell r(H) from x, h[H] = concat(x, h) -> linear(H) -> tanh",
    "a state that is handed on": "cell r(H) from x, h[H] = h",
    "a state that is not read": "cell r(H) from x, h[H] = x -> linear(H)",
    "two states": """cell r(H) from x, h[H], c[H] {
        y = x -> linear(H)
        new = c * (h -> sigmoid) + y
        return (new -> tanh, new - h)
    }""",
    "a state that only leaves": """cell r(H) from x, h[H], c[H] {
        y = concat(x, h) -> linear(H)
        return (y -> tanh, (y -> gelu) + 1)
    }""",
    "states that change places": "cell r(H) from x, h[H], c[H] = (c + (x -> linear(H)), h)",
    "a choice": """cell r(H) from x, h[H] {
        y = concat(x, h) -> linear(H)
        node n[2] = sum(each (y, h, earlier n) -> choose { tanh, relu, linear(H) })
        return mean(n)
    }""",
    "norms, one of them several times": """cell r(H) from x, h[H] {
        shared w = bn(affine: no)
        y = concat(x, h) -> linear(H) -> bn -> tanh
        return sum(y -> w, h -> linear(H) -> w) -> choose { tanh, skip_ }
    }
    op skip_ from x = x""",
    "masks": """cell r(H) from x, h[H] {
        shared m = dropout(0.4, per: sequence)
        return concat(x -> dropout(0.3, per: sequence), h -> m) -> linear(H) -> m -> dropout(0.2)
    }""",
    "lanes": """cell r(H) from x, h[H] {
        y = concat(x, h) -> linear(H)
        a = y -> linear(H) -> tanh
        b = y -> linear(H) -> tanh
        return (a + h) * b - a
    }""",
    "gates behind a choice": """op gate(f) from s, ch {
        c, h = split(ch, 2)
        return s + (c -> sigmoid) * ((h -> f) - s)
    }
    cell r(H) from x, h[H] {
        y = concat(x, h) -> linear(2 * H)
        s = (h, y) -> gate(tanh)
        return (s, y) -> choose { gate(tanh) as a, gate(relu) as b, gate(identity) as c }
    }""",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_recurrences(body: str, runs: Any) -> None:
    """Gradients come by the outputs and by the states after the last step."""
    runs(f"{body}\n{NETWORK.format('r(H)')}", Loop)


def test_without_a_state(runs: Any) -> None:
    runs(f"op r(H) from x = x -> linear(H) -> tanh -> linear(H)\n{NETWORK.format('r(H)')}", Loop)


def test_one_after_another_with_states_of_their_own(runs: Any) -> None:
    runs("""
        cell r(H) from x, h[H] = concat(x, h) -> linear(H) -> choose { tanh, relu }
        cell s(H) from x, y, h[H], c[H] = ((x -> linear(H)) * h + (y -> linear(H)), c - h)
        network(H = 3) from x[T, 2] to y[T, 4] {
            a = x -> r(H) over T
            b = (a, x) -> s(H) over T
            c = b + a -> r(H) over T
            return concat(a, c) -> linear(4)
        }
    """, Loop)  # fmt: skip


@pytest.mark.parametrize("wanted", ["output", "state"])
@pytest.mark.parametrize("length", [1, 2, 6])
def test_by_the_formula(length: int, wanted: str) -> None:
    """h' = Σ w f(A (x, h) + a), y = B h' + b, differentiated by torch; by either result alone."""
    net = compiler.build(space(f"""
        cell r(H) from x, h[H] = (concat(x, h) -> linear(H)) -> choose {{ tanh, relu, sigmoid }}
        {NETWORK.format("r(H)")}
    """), passes="fast")  # fmt: skip
    matrix, a, readout, b = net.weight_parameters()
    (alphas,) = net.arch_parameters()
    alphas.data.normal_()
    x = torch.randn(length, 5, 2, requires_grad=True)
    start = torch.randn(5, 3, requires_grad=True)
    w = alphas.softmax(-1)[0]
    h, outputs = start, []
    for now in x:
        y = torch.cat([now, h], -1) @ matrix.t() + a
        h = w[0] * y.tanh() + w[1] * y.relu() + w[2] * y.sigmoid()
        outputs.append(h @ readout.t() + b)
    expected = {"output": torch.stack(outputs), "state": h}[wanted]
    output, state = net(x, start)
    found = {"output": output, "state": state}[wanted]
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    g = torch.randn_like(found)
    by = [x, start, matrix, a, alphas, *([readout, b] if wanted == "output" else [])]
    torch.testing.assert_close(
        torch.autograd.grad(found, by, g), torch.autograd.grad(expected, by, g),
        rtol=1e-9, atol=1e-10,
    )  # fmt: skip


def test_a_pass_in_parts_is_a_pass() -> None:
    """From the state after the first part, and with gradients through it."""
    net = compiler.build(space(f"{BODIES['two states']}\n{NETWORK.format('r(H)')}"), passes="fast")
    x = torch.randn(7, 2, 2)
    whole, after = net(x)
    first, state = net(x[:3])
    second, last = net(x[3:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last, after)
    weights = list(net.weight_parameters())
    found = torch.autograd.grad(first.sum() + second.sum(), weights)
    expected = torch.autograd.grad(whole.sum(), weights)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


def test_gradients_by_members_add_up() -> None:
    found = Members({0: torch.ones(2)}).add_(Members({0: torch.ones(2), 2: torch.zeros(1)}))
    assert {index: gradient.tolist() for index, gradient in found.items()} == {0: [2, 2], 2: [0]}
