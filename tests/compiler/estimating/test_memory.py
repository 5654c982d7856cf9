"""The memory of a search: against tensors counted by hand, and against processes that searched."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from support import ROOT, SPACES, space

import compiler
from compiler.estimating import DataSizes, evaluation, memory
from compiler.estimating.workload import OF_ORDER, Workload
from compiler.supernet import Supernet
from dsl import Space
from dsl.settings import Settings

CPU = torch.device("cpu")
MB = 2**20
DATA = DataSizes(100, 50, (2, 4, 4), 3)
PROGRAM = """
cell unit from x = x -> choose { skip, sigmoid as gate }
network from image[2, 4, 4] to class[3] {
    y = image -> conv(1, out: 8, bias: no) -> unit
    return y -> global_pool(mean) -> linear(3)
}
"""
SEARCH = """
import json, re, sys
import runtime
asked = json.loads(sys.argv[1])
runtime.search(asked.pop("space"), asked.pop("data"), asked.pop("out"), **asked)
status = open("/proc/self/status").read()
print("peak", int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) * 1024)
"""


def workload(program: Space, order: int = 1, **settings: object) -> Workload:
    net = compiler.build(program, passes="fast")
    assert isinstance(net, Supernet)
    return Workload(net.train(), Settings(**settings), DATA, order)  # type: ignore[arg-type]


def test_tensors_by_hand() -> None:
    """A batch of five, of floats: the step of the architecture holds at most the mixture's two
    values, its sum or the gradient by it, and little else."""
    work = workload(space(PROGRAM), batch=5)
    image, value = 5 * 2 * 4 * 4 * 4, 5 * 8 * 4 * 4 * 4
    found = memory.tensors(work, work.sizes())
    assert image + 2 * value < found <= image + 5 * value
    assert memory.tensors(work, work.sizes(50)) == 10 * found - 9 * constant(work)


def constant(work: Workload) -> int:
    """What does not grow with the batch: two rows of mixing weights and the like."""
    one, two = (memory.tensors(work, work.sizes(batch)) for batch in (1, 2))
    return 2 * one - two


def test_evaluation_by_hand() -> None:
    """All 50 images at once: beside them the mixture's operands, both options and a term."""
    work = workload(space(PROGRAM))
    image, value = 50 * 2 * 4 * 4 * 4, 50 * 8 * 4 * 4 * 4
    assert image + 2 * value <= evaluation.tensors(work) <= image + 5 * value
    assert work.net.training


def test_data_are_held_twice() -> None:
    bytes_of_image = 2 * 4 * 4
    assert DATA.bytes(Settings()) == bytes_of_image * (100 + 50 + 100)
    assert DATA.bytes(Settings(subset=40, test_subset=10)) == bytes_of_image * (150 + 40 + 10)
    assert DATA.steps(Settings(batch=8)) == 6
    assert DataSizes(1000, 100, words=9).steps(Settings(batch=10, bptt=7)) == 14


def test_orders_take_the_passes_of_a_step() -> None:
    assert [sum(passes.values()) for passes in OF_ORDER.values()] == [2, 5]


def test_what_is_left_for_tensors_is_what_fits() -> None:
    model = memory.model(workload(space(PROGRAM)), CPU)
    most = model.of(0).search + 100 * MB
    assert model.of(model.left(most)).search <= most < model.of(model.left(most) + MB).search


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("name", "data", "values"),
    [
        ("nas_bench_201", "digits", {"C": 32, "N": 1, "batch": 256, "subset": 1024}),
        ("rnn_cell", "topics", {"H": 100, "batch": 64, "subset": 5000}),
    ],
)
def test_against_a_search(name: str, data: str, values: dict[str, int], tmp_path) -> None:
    """The highest resident memory of a process, which must not hang on what ran before in this."""
    file = str(SPACES / f"{name}.darts")
    asked = {"space": file, "data": data, "out": str(tmp_path / "run"), "epochs": 1, **values}
    peak = int(child(SEARCH, asked).split()[-1])
    told = {**asked, "passes": "fast"}
    del told["out"]
    assert int(child(ESTIMATE, told).split()[-1]) == pytest.approx(peak, rel=0.15)


ESTIMATE = """
import json, sys
import compiler
asked = json.loads(sys.argv[1])
print(compiler.estimate(asked.pop("space"), **asked).memory)
"""


def child(program: str, asked: dict[str, object]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(asked)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
