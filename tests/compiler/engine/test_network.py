"""An optimised supernet gives what the plain one gives: outputs, gradients, running statistics."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from random_spaces import random_space
from support import CIFAR, PROGRAMS, RNN, SPACES, images, space
from torch import Tensor, nn

import compiler
from compiler import Supernet
from compiler.engine.network import rounds, sizes_of
from compiler.engine.run import Statistics
from dsl import load_text

CHUNK = 10
CHAOS = 1e3
SHIPPED: dict[str, dict[str, int]] = {
    "cifar_cell": {"C": 2, "N": 3, "size": 16},
    "imagenet_cell": {"C": 2, "N": 3, "size": 32, "classes": 5},
    "nas_bench_201": {"C": 3, "N": 1, "size": 8},
    "rnn_cell": {"V": 11, "H": 4},
}
TRAINED = [
    *(p for p in PROGRAMS if p.stem in ("dense", "lstm", "reckoning", "vectors", "words")),
    *(SPACES / f"{name}.darts" for name in ("nas_bench_201", "rnn_cell")),
]
SMALL = """
    cell u from x = x -> choose { relu_conv_bn(3), max_pool(3), skip }
    network(C = 4) from image[3, 6, 6] to class[3] =
        image -> conv(3, out: C) -> repeat 2 { u } -> global_pool(mean) -> linear(3)
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "numbers" in metafunc.fixturenames:
        count = metafunc.config.getoption("--random-spaces")
        chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
        ids = [f"{chunk.start}-{chunk.stop - 1}" for chunk in chunks]
        metafunc.parametrize("numbers", chunks, ids=ids)


# -- the same numbers as the plain supernet


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs(path: Path, pair: Any, check: Any) -> None:
    check(pair(path))


@pytest.mark.parametrize("name", SHIPPED)
def test_spaces_that_come_along(name: str, pair: Any, check: Any) -> None:
    check(pair(SPACES / f"{name}.darts", **SHIPPED[name]))


def test_random_spaces(numbers: range, pair: Any, check: Any) -> None:
    chaotic = []
    for number in numbers:
        torch.manual_seed(number)
        text = random_space(number)
        two = pair(load_text(text))
        plain, is_chaotic = watched(two)
        if is_chaotic:
            chaotic.append(number)
            continue
        try:
            check(two, plain, alone=("alphas",))
        except Exception as error:
            error.add_note(f"space {number}:\n{text}")
            raise
    assert len(chaotic) <= len(numbers) // 3


def watched(two: Any) -> tuple[Any, bool]:
    """The plain pass, and whether rounding alone may change what it gives.

    A recurrence can multiply a difference in the last bit at every step; its gradients are large
    then. And a norm of a channel that has one value throughout, as of a bias after zeros, divides
    rounding errors by √ε, some 300 times what they were, and the next norm does so again.
    """
    constant = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        channels = inputs[0].detach().transpose(0, 1).flatten(1)
        mean = channels.mean(1).abs()
        constant.append(bool(((channels.std(1) < 1e-9 * mean) & (mean > 1e-12)).any()))

    norms = [m for m in two.plain.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    handles = [norm.register_forward_pre_hook(look) for norm in norms]
    plain = two.run(two.plain)
    for handle in handles:
        handle.remove()
    largest = max(float(g.abs().max()) for g in plain.gradients.values() if g is not None)
    return plain, largest > CHAOS or any(constant)


@pytest.mark.parametrize("path", TRAINED, ids=lambda path: path.stem)
def test_three_steps_of_training_end_in_the_same_state(path: Path, pair: Any) -> None:
    """Weights, alphas and all running statistics, those of norms used several times too."""
    two = pair(path, **SHIPPED.get(path.stem, {}))
    batches = [images(two.plain.program, 7) for _ in range(3)]
    states = []
    for net in (two.plain, two.fast):
        optimiser = torch.optim.SGD(net.parameters(), lr=1e-3)
        for number, x in enumerate(batches):
            torch.manual_seed(number)
            result = net(x)
            output = result[0] if isinstance(result, tuple) else result
            optimiser.zero_grad()
            output.pow(2).mean().backward()
            optimiser.step()
        states.append(net.state_dict())
    for name, value in states[0].items():
        size = max(1.0, float(value.abs().max()))
        torch.testing.assert_close(states[1][name], value, rtol=0, atol=1e-8 * size, msg=name)


@pytest.mark.parametrize("stem", ["lstm", "one_kind", "reckoning", "words"])
def test_gradients_by_any_of_the_parameters(stem: str, pair: Any, agree: Any) -> None:
    two = pair(next(path for path in PROGRAMS if path.stem == stem))
    expected = two.run(two.plain)
    chosen = Random(1)
    for count in (1, 1, 2, 3, 5, 8):
        asked = chosen.sample(sorted(expected.gradients), count)
        found = two.run(two.fast, asked)
        assert set(found.gradients) == set(asked)
        agree(found, expected)


def test_what_nothing_depends_on_has_no_gradient_in_either(pair: Any) -> None:
    two = pair(space("""
        cell u(C) from x {
            unread = x -> conv(3)
            return x -> choose { skip, conv(1) }
        }
        cell v from x = x -> choose { skip, relu }
        network(C = 2) from image[2, 4, 4] to class[2] {
            unread = image -> v
            return image -> u(C) -> flatten -> linear(2)
        }
    """))  # fmt: skip
    for net in (two.plain, two.fast):
        found = two.run(net).gradients
        missing = {name for name, gradient in found.items() if gradient is None}
        assert missing == {"model.u.unread.weight", "alphas.v_0"}


def test_two_passes_at_once_do_not_disturb_each_other(pair: Any) -> None:
    two = pair(space(SMALL))
    other = torch.randn_like(two.x)
    found = []
    for net in (two.plain, two.fast):
        losses = [net(x).pow(2).sum() for x in (two.x, other)]
        found.append([torch.autograd.grad(loss, list(net.parameters())) for loss in losses])
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9)


def test_gradients_add_up_in_parameters(pair: Any) -> None:
    two = pair(space(SMALL))
    for net in (two.plain, two.fast):
        for scale in (1, 2):
            (net(two.x) * scale).sum().backward()
    pairs = zip(two.plain.parameters(), two.fast.parameters(), strict=True)
    for plain, fast in pairs:
        torch.testing.assert_close(fast.grad, plain.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("convert", [
    lambda x: x.contiguous(memory_format=torch.channels_last),
    lambda x: x.flip(3).flip(3),
    lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    lambda x: torch.stack([x, x], -1)[..., 0],
])  # fmt: skip
def test_layouts_of_images(convert: Callable[[Tensor], Tensor], pair: Any) -> None:
    two = pair(space(SMALL))
    expected, found = two.plain(two.x), two.fast(convert(two.x))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_without_gradients(pair: Any) -> None:
    """Nothing is kept, statistics move all the same."""
    two = pair(space(SMALL))
    two.plain(two.x)
    with torch.no_grad():
        output = two.fast(two.x)
    assert output.grad_fn is None
    for (name, value), other in zip(two.plain.named_buffers(), two.fast.buffers(), strict=True):
        torch.testing.assert_close(other, value, rtol=1e-9, atol=1e-9, msg=name)


# -- its parts


def fast(text: str = SMALL, **overrides: Any) -> tuple[Supernet, Tensor]:
    net = compiler.build(space(text), passes="fast", **overrides)
    assert isinstance(net, Supernet)
    return net, images(net.program, 3)


def test_statistics_are_told_in_rounds() -> None:
    """In the order they were seen, no norm twice in one round."""
    seen = [
        Statistics(paths, torch.tensor([float(i)]), torch.ones(1), 2)
        for i, paths in enumerate([("a",), ("b", "c"), ("a", "c"), ("a",)])
    ]
    found = [[(path, int(s.mean)) for path, s in batch] for batch in rounds(seen)]
    assert found == [[("a", 0), ("b", 1), ("c", 1)], [("a", 2), ("c", 2)], [("a", 3)]]


def test_sizes_are_told_from_the_input() -> None:
    def found(text: str, x: Tensor) -> tuple[int, int, int]:
        net, _ = fast(text)
        sizes = sizes_of(net.optimised.engine.region, [x], list(net.parameters()))
        return sizes.batch, sizes.length, sizes.width

    assert found(SMALL, torch.randn(5, 3, 6, 6)) == (5, 1, 8)
    assert found(WORDS, torch.zeros(6, 4, dtype=torch.int64)) == (4, 6, 8)
    series = "network from x[T, 2] to y[T, 3] = x -> linear(3)"
    assert found(series, torch.randn(6, 4, 2)) == (4, 6, 8)
    vector = "network from x[2] to class[3] = x -> linear(3)"
    assert found(vector, torch.randn(5, 2)) == (5, 1, 8)


# -- float32 and memory


@pytest.mark.parametrize("name", ["cifar_cell", "rnn_cell"])
def test_float32_gradients_are_as_exact_as_the_plain_ones(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The relative distance of the alphas' gradients from float64, in the 2-norm: of two seeds.

    The smaller one counts: where a maximum is all but shared, rounding may choose the other.
    """
    overrides = {"cifar_cell": {"C": 8, "N": 5, "size": 8}, "rnn_cell": {"V": 50, "H": 16}}[name]
    nets = {p: compiler.build(SPACES / f"{name}.darts", passes=p, **overrides)
            for p in ("none", "fast")}  # fmt: skip
    distances: dict[str, list[float]] = {passes: [] for passes in nets}
    for seed in range(2):
        torch.manual_seed(seed)
        x = images(nets["none"].program, 16)
        x = x.float().double() if x.is_floating_point() else x
        state = {n: torch.randn_like(v) * 0.2 if n.endswith(".weight") else v
                 for n, v in nets["none"].state_dict().items()}  # fmt: skip
        exact = alpha_gradients(nets["none"].double(), state, x)
        for passes, net in nets.items():
            found = alpha_gradients(net.float(), state, x if name == "rnn_cell" else x.float())
            distances[passes].append(float((found - exact).norm() / exact.norm()))
    plain, fast = (min(found) for found in distances.values())
    with capsys.disabled():
        print(f"\n{name}: distance from float64: plain {plain:.1e}, optimised {fast:.1e}")
    assert fast <= 3 * plain < 1e-3


def alpha_gradients(net: Supernet, state: dict[str, Tensor], x: Tensor) -> Tensor:
    """In one vector of float64."""
    net.load_state_dict(state)
    torch.manual_seed(7)
    result = net(x)
    output = result[0] if isinstance(result, tuple) else result
    targets = torch.arange(output[..., 0].numel()) % output.shape[-1]
    loss = F.cross_entropy(output.flatten(0, -2), targets)
    found = torch.autograd.grad(loss, list(net.arch_parameters()))
    return torch.cat([gradient.flatten().double() for gradient in found])


@pytest.mark.parametrize("path", [CIFAR, RNN], ids=lambda path: path.stem)
def test_passes_leave_nothing_behind(path: Path) -> None:
    """No tensor more after 300 passes than after a few, with gradients of one kind and another."""
    text = SMALL if path is CIFAR else WORDS
    net, x = fast(text)
    alphas, weights = list(net.arch_parameters()), list(net.weight_parameters())
    counts = []
    for step in range(300):
        for parameter in alphas + weights:
            parameter.requires_grad_(step % 3 == 2 or (parameter is alphas[0]) == (step % 3 == 0))
        result = net(x)
        (result[0] if isinstance(result, tuple) else result).sum().backward()
        net.zero_grad()
        del result
        if step in (9, 299):
            gc.collect()
            counts.append(sum(issubclass(type(each), Tensor) for each in gc.get_objects()))
    assert counts[1] <= counts[0]


WORDS = """
    cell r(H) from x, h[H] = (concat(x, h) -> linear(H)) -> choose { tanh, relu, sigmoid } -> bn
    network(H = 3) from word[T] below 5 to word[T, 5] =
        word -> embedding(5, H) -> r(H) over T -> linear(5)
"""


@pytest.mark.slow
def test_resident_memory_does_not_grow() -> None:
    net = compiler.build(CIFAR, passes="fast", C=8, N=5).float()
    x = torch.randn(16, 3, 32, 32, dtype=torch.float32)
    found = {}
    for step in range(501):
        net.zero_grad()
        net(x).sum().backward()
        if step in (50, 500):
            found[step] = resident()
    assert found[500] <= 1.02 * found[50]


def resident() -> int:
    """The bytes of the process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
