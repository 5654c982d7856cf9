"""`compiler.estimate`: times against steps that were taken, and what is said of a shortage."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import pytest
import torch
from support import CIFAR, RNN, SPACES, space
from torch.nn.functional import cross_entropy

import compiler
from compiler.estimating import machine, memory, overhead, shortage
from compiler.estimating.prediction import step_seconds
from compiler.estimating.workload import Workload
from dsl.settings import Settings

CPU = torch.device("cpu")
TINY = {"C": 4, "N": 1, "batch": 8}
NAS = SPACES / "nas_bench_201.darts"
GB = 2**30


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch):
    """Sets how many bytes there are for a search."""

    def there(size: int) -> None:
        monkeypatch.setattr(machine, "available", lambda device: size)

    return there


def needed(**values: object) -> int:
    found = compiler.estimate(CIFAR, **values).memory
    assert found is not None
    return found


def taken(net: torch.nn.Module, batch: int) -> float:
    """Seconds of both passes of a step, the least of some."""
    x, y = torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,))
    sides = [list(net.arch_parameters()), list(net.weight_parameters())]
    times = []
    for _ in range(5):
        begun = perf_counter()
        for asked, held in (sides, sides[::-1]):
            for parameter in asked:
                parameter.requires_grad_(True)
            for parameter in held:
                parameter.requires_grad_(False)
            torch.autograd.grad(cross_entropy(net(x), y), asked)
        times.append(perf_counter() - begun)
    return min(times)


@pytest.mark.slow  # clocks are asked, so on a quiet machine alone
def test_time_of_a_step() -> None:
    """Within a factor of two, as other processes may run: the optimisers' part is left out."""
    net = compiler.build(NAS, passes="fast", C=8, N=1).train()
    work = Workload(net, Settings(batch=16), None, 1)
    told = step_seconds(work, CPU) - overhead.of_step(work, CPU)
    assert 0.5 < told / taken(net, 16) < 2


def test_memory_grows_with_the_order() -> None:
    first, second = (compiler.estimate(NAS, order=order, **TINY) for order in (1, 2))
    assert second.step_memory > first.step_memory


@pytest.mark.slow  # clocks are asked, so on a quiet machine alone
def test_time_grows_with_the_order_and_the_epochs() -> None:
    first, second = (compiler.estimate(NAS, order=order, **TINY) for order in (1, 2))
    assert 1.5 < second.step_seconds / first.step_seconds < 5
    longer = compiler.estimate(NAS, epochs=100, **TINY)
    assert 1.2 < longer.search_seconds / first.search_seconds < 3.5


def test_words() -> None:
    found = compiler.estimate(RNN, H=4, batch=4, bptt=20, data="topics", epochs=1)
    assert found.fits and found.step_seconds > 0 and found.search_seconds > found.step_seconds


def test_random_numbers_and_threads_are_left_alone() -> None:
    before = torch.random.get_rng_state()
    compiler.estimate(NAS, **TINY)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_lines() -> None:
    step, search = compiler.estimate(NAS, epochs=1, **TINY).lines()
    assert step.startswith("step      ") and step.endswith(" for batch 8 on cpu")
    assert search.startswith("search    ") and search.endswith(" for 1 epoch")


@pytest.mark.parametrize("passes", ["none", "simple"])
def test_other_passes_are_not_known(passes: str) -> None:
    found = compiler.estimate(NAS, passes=passes, **TINY)
    assert found.memory is None and found.available and not found.lines() and found.fits


def test_nothing_to_decide() -> None:
    found = compiler.estimate(
        space("network from image[3, 8, 8] to class[4] = image -> flatten -> linear(4)")
    )
    assert not found.lines()


@pytest.mark.slow
def test_shortage_says_what_fits(little) -> None:
    """Every way that is named does fit, by the same estimate, and one a little larger does not."""
    asked = {"C": 8, "N": 3, "data": "digits", "batch": 256}
    whole, small = needed(**asked), needed(**{**asked, "batch": 16})
    little((whole + small) // 2)
    found = compiler.estimate(CIFAR, **asked)
    assert not found.fits and found.step_seconds is None and len(found.lines()) == 3
    ways = dict(way.strip("`").removeprefix("--set ").replace("--memory ", "memory=").split("=")
                for way in found.ways)  # fmt: skip
    assert set(ways) == {"batch", "memory", "C"}
    assert compiler.estimate(CIFAR, **{**asked, "batch": int(ways["batch"])}).fits
    assert not compiler.estimate(CIFAR, **{**asked, "batch": int(ways["batch"]) + 1}).fits
    assert compiler.estimate(CIFAR, memory=ways["memory"].strip('"'), **asked).fits
    assert compiler.estimate(CIFAR, **{**asked, "C": int(ways["C"])}).fits


def test_shortage_is_one_line(little) -> None:
    asked = {"C": 8, "N": 3, "data": "digits", "batch": 256}
    little(100 * GB)
    assert shortage(CIFAR, **asked) is None
    little(memory.MB)
    told = shortage(CIFAR, **asked)
    assert told is not None and "\n" not in told and "no smaller batch or width" in told


def test_what_is_too_much_to_build_is_not_built(little, monkeypatch: pytest.MonkeyPatch) -> None:
    little(GB)
    monkeypatch.setattr("compiler.estimating.prediction.build", None)
    assert not compiler.estimate(CIFAR, C=4096).fits


def test_limits_of_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tightest limit of a group and of those around it, less what is used, counts."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    for group, most, used in (("a", "5000", "1000"), ("a/b", "max", "700")):
        (tmp_path / group / "memory.max").write_text(f"{most}\n")
        (tmp_path / group / "memory.current").write_text(f"{used}\n")
        (tmp_path / group / "memory.stat").write_text("anon 300\ninactive_file 200\n")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    read = machine._text
    monkeypatch.setattr(
        machine, "_text",
        lambda path: "0::/a/b\n" if path == Path("/proc/self/cgroup") else read(path),
    )  # fmt: skip
    assert list(machine._of_groups()) == [4200]
