"""Every shipped space of images goes the whole way, at a small size: searched, derived, emitted."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support import ROOT, SPACES, gradients, output, randomise, weights
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

import compiler
from compiler import Genotype
from compiler.compile import specialised
from compiler.counting.architectures import architectures
from compiler.describe import check
from dsl import load, load_text
from dsl.flatten import flattened
from dsl.layout.format import formatted, printed
from dsl.source import Source
from runtime import BilevelStep

README = ROOT / "README.md"
NASNET = math.prod((5 * i) ** 2 for i in (2, 3, 4, 5, 6))
DARTS = math.prod(math.comb(i, 2) for i in (2, 3, 4, 5))
ARCHITECTURES = {
    "cifar_cell": (DARTS * 7**8) ** 2,
    "hierarchical": 7**36 * 7**10,
    "imagenet_cell": (DARTS * 7**8) ** 2,
    "nas_bench_201": 5**6,
    "nasnet": NASNET**2,
    "nats_size": 8**5,
    "one_shot_1": 3**4 * math.comb(3, 2) * math.comb(4, 2) * math.comb(5, 2),
    "one_shot_2": 3**4 * 2 * 3 * math.comb(4, 2) * math.comb(5, 3),
    "proxyless": 6**6 * 7**15,
    "rnn_cell": math.factorial(8) * 4**8,
    "robust_s1": (DARTS * 2**8) ** 2,
    "robust_s2": (DARTS * 2**8) ** 2,
    "robust_s3": (DARTS * 2**8) ** 2,
    "robust_s4": (DARTS * 2**8) ** 2,
    "vit": 3 * (9**4 + 9**5 + 9**6),
}
"""How many architectures every space describes, by hand."""
CELLS = {"C": 4, "N": 3, "size": 8, "auxiliary_weight": 0}
PROXYLESS = {
    "stem": 4, "first": 4, "w1": 4, "w2": 6, "w3": 6, "w4": 8, "w5": 8, "w6": 12, "head": 16,
}  # fmt: skip
SMALL: dict[str, dict[str, int]] = {
    "cifar_cell": CELLS,
    "hierarchical": {"C": 2, "size": 8},
    "imagenet_cell": {**CELLS, "size": 32},
    "nas_bench_201": {"C": 4, "N": 1, "size": 8},
    "nasnet": CELLS,
    "nats_size": {"size": 8},
    "one_shot_1": {"C": 6, "N": 1, "size": 8},
    "one_shot_2": {"C": 6, "N": 1, "size": 8},
    "proxyless": {**PROXYLESS, "size": 32},
    **{f"robust_s{i}": CELLS for i in (1, 2, 3, 4)},
    "vit": {"size": 8},
}
"""Sizes at which the spaces of images take moments."""
FAST = sorted({*SMALL} - {"hierarchical"})
of_images = pytest.mark.parametrize(
    "name", [*FAST, pytest.param("hierarchical", marks=pytest.mark.slow)]
)


def path(name: str) -> Path:
    return SPACES / f"{name}.darts"


def small(name: str, **options: Any) -> Any:
    return compiler.build(path(name), classes=3, **SMALL[name], **options)


def image(name: str) -> tuple[int, int, int]:
    """The channels, height and width that a space reads at its small size."""
    return 3, SMALL[name]["size"], SMALL[name]["size"]


def batch(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(4, *image(name)), torch.randint(3, (4,))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_every_shipped_space_is_here() -> None:
    names = {p.stem for p in SPACES.glob("*.darts")}
    assert names == {*ARCHITECTURES, "std"}
    assert {*SMALL, "rnn_cell"} == {*ARCHITECTURES}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_number_of_architectures(name: str) -> None:
    _, program, _ = specialised(path(name))
    assert architectures(program.kinds) == ARCHITECTURES[name]


def counted(number: int) -> str:
    """All digits of a number, or the first two and a power of ten."""
    if number < 10**12:
        return f"{number:,}"
    power = len(str(number)) - 1
    digits = str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{number / 10**power:.1f} · 10{digits}"


def test_the_readme_lists_them(request: pytest.FixtureRequest) -> None:
    """With the first line of each file; `--update-golden` writes the table anew."""
    rows = ["| space | is | architectures |", "| --- | --- | --- |"]
    for name, number in ARCHITECTURES.items():
        title = path(name).read_text().splitlines()[0].removeprefix("# ")
        rows.append(f"| `{name}` | {title} | {counted(number)} |")
    section = re.compile(r"(<!-- spaces -->\n).*?(<!-- end -->)", re.DOTALL)
    written = README.read_text(encoding="utf-8")
    table = "\n".join(rows) + "\n"
    expected, found = section.subn(lambda match: match[1] + table + match[2], written)
    assert found == 1
    if request.config.getoption("--update-golden"):
        README.write_text(expected, encoding="utf-8")
    else:
        assert written == expected


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_file_has_no_warnings_is_laid_out_and_says_where_it_is_from(name: str) -> None:
    assert check(load(path(name))) == ()
    text = path(name).read_text()
    assert formatted(Source(path(name).name, text)) == text
    assert text.startswith("# ")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_in_one_file_it_describes_the_same(name: str) -> None:
    flat = load_text(printed(flattened(load(path(name)))), path(name).name)
    assert [k.decisions for k in specialised(flat)[1].kinds] == [
        k.decisions for k in specialised(path(name))[1].kinds
    ]


@of_images
def test_steps_of_both_orders_move_the_alphas(name: str) -> None:
    net = small(name)
    sgd = torch.optim.SGD(net.weight_parameters(), lr=0.025, momentum=0.9)
    adam = torch.optim.Adam(net.arch_parameters(), lr=3e-4)
    for order in (1, 2):
        before = [alphas.detach().clone() for alphas in net.arch_parameters()]
        losses = BilevelStep(net, sgd, adam, order=order)(batch(name), batch(name))
        assert losses.train.isfinite() and losses.valid.isfinite()
        for old, alphas in zip(before, net.arch_parameters(), strict=True):
            assert alphas.isfinite().all() and (alphas != old).any()


@of_images
def test_plain_and_fast_agree(name: str) -> None:
    plain, fast = (small(name, passes=passes).double() for passes in ("none", "fast"))
    randomise(plain)
    fast.load_state_dict(plain.state_dict())
    x, labels = batch(name)
    found = []
    for net in (plain, fast):
        parameters = [*net.arch_parameters(), *net.weight_parameters()]
        loss = cross_entropy(output(net, x.double()), labels)
        found.append([loss, *gradients(loss, parameters)])
    for ours, theirs in zip(*found, strict=True):
        if ours is None or theirs is None:
            assert all(g is None or not g.any() for g in (ours, theirs))
        else:
            torch.testing.assert_close(ours, theirs)


def derived(name: str, folder: Path) -> Genotype:
    """What a supernet of random alphas would derive, written down and read again."""
    net = small(name)
    for alphas in net.arch_parameters():
        alphas.data.normal_()
    genotype = net.genotype()
    file = folder / f"{name}.yaml"
    genotype.save(file)
    assert Genotype.load(file).cells == genotype.cells
    return Genotype.load(file)


@of_images
@torch.no_grad()
def test_what_is_derived_costs_what_is_counted(name: str, tmp_path: Path) -> None:
    genotype = derived(name, tmp_path)
    found = compiler.cost(path(name), genotype, classes=3, **SMALL[name])
    assert found.parameters == weights(small(name, genotype=genotype))
    pruned = small(name, genotype=genotype, prune=True)
    assert found.pruned_parameters == weights(pruned)
    # What attention multiplies is only counted where it is made of multiplications.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        pruned.eval()(torch.randn(1, *image(name)))
    assert found.pruned_macs == counter.get_total_flops() // 2


ALONE = """
import runpy, sys
import torch
torch.set_num_threads(1)
for argument in sys.argv[1:]:
    file, *shape = argument.split(",")
    net = runpy.run_path(file)["Network"]().train()
    before = [p.detach().clone() for p in net.parameters()]
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    logits = net(torch.randn(4, *map(int, shape)))
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0]))
    loss.backward()
    optimiser.step()
    assert loss.isfinite(), file
    assert any((p != b).any() for p, b in zip(net.parameters(), before)), file
assert not {"compiler", "dsl", "runtime", "lark", "networkx"} & set(sys.modules)
"""


def test_emitted_models_train_where_there_is_only_torch(tmp_path: Path) -> None:
    arguments = []
    for name in FAST:
        file = f"{name}.py"
        genotype, sizes = derived(name, tmp_path), SMALL[name]
        compiler.emit(path(name), genotype=genotype, path=tmp_path / file, classes=3, **sizes)
        arguments.append(",".join([file, *map(str, image(name))]))
    run = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
