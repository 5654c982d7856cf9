"""Captured steps: what is kept in place, when a step stays ordinary, and that nothing is waited
for. Without a CUDA device a graph is played by one that does its work anew."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
import torch
from support import space
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import compiler
from compiler.engine import execute
from compiler.engine.network import sizes_of
from compiler.engine.run import Run, gathered
from runtime.bilevel import BilevelStep, StepLosses, laid_out
from runtime.captured import WARM, CapturedStep, capturable
from runtime.objective import Outcome

aten = torch.ops.aten
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Replayed:
    """A graph whose replays do the work once more, with results where a graph leaves them."""

    def __init__(self, fails: bool = False, draws: bool = False) -> None:
        self.fails, self.draws = fails, draws
        self.warmed = self.replays = 0

    def warm(self, work: Any) -> StepLosses:
        self.warmed += 1
        return work()

    def capture(self, work: Any) -> StepLosses:
        if self.fails:
            raise RuntimeError("operation not permitted\nmore about it")
        self.work = work
        places = [Outcome(torch.zeros(()), 4, torch.zeros((), dtype=torch.int64)) for _ in "tv"]
        self.results = StepLosses(*places)
        return self.results

    def replay(self) -> None:
        self.replays += 1
        found = self.work()
        for half in ("training", "validation"):
            place, outcome = getattr(self.results, half), getattr(found, half)
            place.loss.copy_(outcome.loss)
            place.correct.copy_(outcome.correct)

    def random_state(self) -> Tensor:
        return torch.rand(1) if self.draws else torch.zeros(1)


SMALL = """
    set candidates = {
        none, max_pool(3), avg_pool(3), skip, sep_conv(3), dil_conv(5), plain(3),
    }
    op plain(k, stride = 1) = conv(k, stride: stride) -> bn
    cell normal(C, stride = 1) from x[_, h, _] {
        node n[2] = sum(
            x -> choose candidates(stride: stride), each earlier n -> choose candidates,
        )
        return concat(n)
    }
    network(C = 2) from image[3, 8, 8] to class[10] {
        stem = image -> conv(3, out: 2 * C) -> bn
        cells = stem -> normal(C * 2) -> normal(C * 4, stride: 2)
        return cells -> global_pool(mean) -> linear(10)
    }
"""


@cache
def built() -> Any:
    torch.manual_seed(0)
    return compiler.build(space(SMALL), passes="fast")


def network() -> Any:
    return copy.deepcopy(built())


def step_of(net: Any, kind: Any = BilevelStep, device: str = "cpu", **options: Any) -> Any:
    for_sgd, for_adam = capturable(torch.device(device), 0.1)
    sgd = torch.optim.SGD(net.weight_parameters(), momentum=0.9, weight_decay=3e-4, **for_sgd)
    adam = torch.optim.Adam(net.arch_parameters(), 3e-3, (0.5, 0.999), **for_adam)
    return kind(net, sgd, adam, **options)


def batches(count: int, sizes: tuple[int, ...] = (4,), device: str = "cpu") -> list[Any]:
    draw = torch.Generator().manual_seed(1)
    found = []
    for i in range(count):
        pair = []
        for _ in range(2):
            size = sizes[i % len(sizes)]
            images = torch.randn(size, 3, 8, 8, generator=draw).to(device)
            pair.append((images, torch.randint(10, (size,), generator=draw).to(device)))
        found.append(tuple(pair))
    return found


def run(step: Any, pairs: list[Any]) -> list[tuple[float, float, int]]:
    found = []
    for i, pair in enumerate(pairs):
        step.set_lr(0.1 / (1 + i))
        found.append(step(*pair))  # read only when all are done: no step may touch another's
    return [(float(s.train), float(s.valid), int(s.training.correct)) for s in found]


def captured(graph: Any, **options: Any) -> tuple[Any, list[str]]:
    told: list[str] = []
    return step_of(network(), CapturedStep, tell=told.append, graph=graph, **options), told


def same_state(one: Any, other: Any) -> bool:
    pairs = zip(one.net.state_dict().values(), other.net.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("order", [1, 2])
def test_a_replayed_step_is_the_ordinary_one(order: int) -> None:
    graph = Replayed()
    step, told = captured(graph, order=order)
    plain = step_of(network(), order=order)
    pairs = batches(6)
    given = copy.deepcopy(pairs)
    assert run(step, pairs) == run(plain, given)
    assert same_state(step, plain)
    assert (graph.warmed, graph.replays, told) == (WARM, 6 - WARM, [])
    for one, other in zip(pairs, given, strict=True):
        assert all(torch.equal(a, b) for x, y in zip(one, other, strict=True)
                   for a, b in zip(x, y, strict=True))  # fmt: skip


def test_batches_of_another_shape_are_ordinary_steps() -> None:
    graph = Replayed()
    step, told = captured(graph)
    plain, pairs = step_of(network()), batches(9, sizes=(4, 4, 3))
    assert run(step, pairs) == run(plain, pairs)
    assert graph.warmed + graph.replays == 6
    assert told == ["a batch of another shape is computed without the captured step"]


def test_where_the_capture_fails_steps_go_on() -> None:
    step, told = captured(Replayed(fails=True))
    plain, pairs = step_of(network()), batches(5)
    assert run(step, pairs) == run(plain, pairs)
    assert told == ["the step is not captured as a CUDA graph: operation not permitted"]


@pytest.mark.parametrize(
    "options, graph, reason",
    [
        ({"penalty": lambda: 0.0}, Replayed(), "penalties are read by hooks"),
        ({"order": 2, "hessian": "exact"}, Replayed(), "the exact Hessian differentiates twice"),
        ({"order": 2}, Replayed(draws=True), "the second order draws its random numbers twice"),
    ],
)
def test_what_cannot_be_captured(options: dict[str, Any], graph: Any, reason: str) -> None:
    step, told = captured(graph, **options)
    if options.get("hessian") != "exact":  # which this network refuses in any step
        run(step, batches(5))
    assert told == [f"the step is not captured as a CUDA graph: {reason}"]
    assert graph.replays == 0


def test_batches_that_are_no_tensors() -> None:
    graph = Replayed()
    step, told = captured(graph)
    pair = batches(1)[0]
    step.objective.loss = step.unrolled.objective.loss = lambda forward, batch: Outcome(
        forward(batch[0]).sum(), 4
    )
    step((*pair[0], None), (*pair[1], None))
    assert told == ["the step is not captured as a CUDA graph: its batches are not of one shape"]


class NothingRead(TorchDispatchMode):
    """Fails where a number is brought to the host."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        refused = {
            aten._local_scalar_dense.default, aten.nonzero.default,
            aten.masked_select.default, aten.equal.default,
        }  # fmt: skip
        assert func not in refused, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("order", [1, 2])
def test_a_step_reads_no_tensor(order: int) -> None:
    """With optimisers as on CUDA, where Adam is capturable besides."""
    net = network()
    sgd = torch.optim.SGD(net.weight_parameters(), lr=torch.tensor(0.1), momentum=0.9, fused=True)
    adam = torch.optim.Adam(net.arch_parameters(), fused=True)
    step = BilevelStep(net, sgd, adam, order=order)
    first, second = batches(2)
    step(*first)  # makes the constants and the optimisers' state
    with NothingRead():
        step(*second)


class Imagined(NothingRead):
    """Watches imagined tensors of a CUDA device: nothing may pass between it and the host."""

    crossings = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        x = args[0] if args else None
        if func is aten.batch_norm_update_stats.default:  # these two know no imagined tensors
            wide = torch.promote_types(x.dtype, torch.float32)
            return tuple(x.new_empty(x.shape[1], dtype=wide) for _ in "mv")
        if func is aten.batch_norm_elemt.default:
            return torch.empty_like(x)
        found = super().__torch_dispatch__(func, types, args, kwargs)
        tensors = [t for t in tree_leaves((args, kwargs, found)) if isinstance(t, Tensor)]
        self.crossings += len({t.device.type for t in tensors}) > 1
        return found


@pytest.mark.filterwarnings("ignore:Accessing the data pointer")
@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=str)
@pytest.mark.parametrize("by_alphas", [True, False])
def test_a_pass_on_cuda_stays_there(monkeypatch: Any, by_alphas: bool, dtype: Any) -> None:
    """The engine's passes in the forms that CUDA takes, without Triton and without numbers.

    They are run by hand, as torch's autograd wants a device that is there.
    """
    monkeypatch.setattr("compiler.kernels.where._kernels", lambda: None)
    with FakeTensorMode(), torch.no_grad():
        with torch.device("cuda"):
            net = compiler.build(space(SMALL), passes="fast")
            images = torch.empty(4, 3, 8, 8)
        engine = net.optimised.engine
        mixing = [t for kind in net.mixing_weights().values()
                  for t in (kind if isinstance(kind, tuple) else (kind,))]  # fmt: skip
        weights = {path: holder[name] for path, (holder, name) in engine.weights.items()}
        _, *rest = (number for number, _ in engine.region.inputs)
        asked = (rest, ()) if by_alphas else ((), weights)
        sizes = sizes_of(engine.region, [images], list(weights.values()), dtype)
        plan = engine.plan(*map(frozenset, asked), sizes)
        for watch in (Imagined(), Imagined()):  # the first pass makes constants
            with watch:
                run = Run(plan, weights, factors=engine.lowered(weights, dtype))
                outputs = execute.forward(plan, run, [images, *mixing])
                engine.move_statistics(run.statistics)
                execute.backward(plan, run, [torch.empty_like(outputs[0])])
                found = [gathered(run.mixing, n, t) for n, t in zip(rest, mixing, strict=True)]
                run.widen()
    assert watch.crossings == 0
    assert outputs[0].dtype == (dtype or torch.float32)
    gradients = [g for g in found if g is not None] if by_alphas else run.weight_gradients.values()
    assert gradients and all(g.dtype == torch.float32 and g.is_cuda for g in gradients)


@pytest.mark.parametrize("order", [1, 2])
def test_a_learning_rate_may_be_a_tensor(order: int) -> None:
    plain, pairs = step_of(network(), order=order), batches(4)
    net = network()
    lr = torch.tensor(0.5)
    sgd = torch.optim.SGD(
        net.weight_parameters(), lr=lr, momentum=0.9, weight_decay=3e-4, fused=True
    )
    adam = torch.optim.Adam(net.arch_parameters(), 3e-3, (0.5, 0.999))
    found = run(BilevelStep(net, sgd, adam, order=order), pairs)
    torch.testing.assert_close(
        torch.tensor(found), torch.tensor(run(plain, pairs)), rtol=1e-3, atol=1e-3
    )
    assert sgd.param_groups[0]["lr"] is lr and float(lr) == pytest.approx(0.1 / 4)


@pytest.mark.parametrize(
    "shape, moves", [((6, 4, 1, 1), False), ((6, 1, 3, 3), False), ((6, 4, 3, 3), True)]
)
def test_gradients_are_laid_out_as_their_parameters(shape: tuple[int, ...], moves: bool) -> None:
    parameter = torch.zeros(shape)
    gradient = torch.randn(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2)
    found = laid_out(gradient, parameter)
    assert torch.equal(found, gradient) and found.stride() == parameter.stride()
    assert (found.data_ptr() != gradient.data_ptr()) == moves


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("order", [1, 2])
def test_a_graph_computes_the_ordinary_step(order: int) -> None:
    told: list[str] = []
    device, pairs = "cuda", batches(8, device="cuda")
    step = step_of(network().to(device), CapturedStep, device, tell=told.append, order=order)
    plain = step_of(network().to(device), device=device, order=order)
    torch.testing.assert_close(run(step, pairs), run(plain, pairs), rtol=1e-2, atol=1e-2)
    assert told == []


@pytest.mark.gpu
@needs_cuda
def test_a_step_never_waits_for_the_device() -> None:
    pairs = batches(WARM + 4, device="cuda")
    for kind, options in ((BilevelStep, {}), (CapturedStep, {"tell": print})):
        step = step_of(network().to("cuda"), kind, "cuda", **options)
        for pair in pairs[: WARM + 1]:
            step(*pair)
        torch.cuda.set_sync_debug_mode("error")
        try:
            for pair in pairs[WARM + 1 :]:
                step(*pair)
        finally:
            torch.cuda.set_sync_debug_mode("default")
