"""The spaces of RobustDARTS: the cells of DARTS with the candidates that its authors list."""

from __future__ import annotations

from math import comb, prod
from pathlib import Path

import pytest
import torch
from support import CIFAR, SPACES
from tiny import StopAt

from compiler import Genotype
from compiler.compile import compile_space, execute, specialised
from compiler.counting.architectures import architectures
from compiler.describe import check
from dsl import load
from dsl.layout.format import formatted
from dsl.source import Source
from runtime.bilevel_search import search
from runtime.guard import Interrupted
from runtime.jobs import resume

OPTIONS = {
    "robust_s2": (("skip_connect", "sep_conv_3x3"), ()),
    "robust_s3": (("skip_connect", "sep_conv_3x3"), ("none",)),
    "robust_s4": (("noise", "sep_conv_3x3"), ()),
}
"""What may be selected in the spaces of one set, and what only shares in the mixture."""
S1 = {
    "normal": "skip/dil3 skip/dil5 | skip/dil5 skip/sep3 skip/dil3"
    " | max/skip skip/sep3 skip/sep3 skip/dil3"
    " | skip/sep3 max/skip skip/dil3 dil3/dil5 dil3/dil5",
    "reduce": "max/avg max/dil3 | max/avg max/avg skip/dil5"
    " | max/avg max/sep3 skip/dil3 skip/dil5"
    " | max/avg max/avg skip/dil5 skip/dil5 skip/dil5",
}
"""The two candidates of every edge in S1, node by node."""
LABELS = {
    "skip": "skip_connect", "max": "max_pool_3x3", "avg": "avg_pool_3x3",
    "sep3": "sep_conv_3x3", "dil3": "dil_conv_3x3", "dil5": "dil_conv_5x5",
}  # fmt: skip
SMALL = {"profile": "demo", "epochs": 2, "subset": 32, "batch": 16, "C": 2}
each = pytest.mark.parametrize("name", OPTIONS)


def path(name: str) -> Path:
    return SPACES / f"{name}.darts"


@each
def test_the_file_has_no_warnings_and_is_laid_out(name: str) -> None:
    assert check(load(path(name))) == ()
    text = path(name).read_text()
    assert formatted(Source(name, text)) == text


@each
def test_all_edges_have_the_candidates(name: str) -> None:
    _, program, _ = specialised(path(name))
    assert [kind.name for kind in program.kinds] == ["normal", "reduce"]
    selectable, sinks = OPTIONS[name]
    for kind in program.kinds:
        assert len(kind.decisions) == 14
        for decision in kind.decisions:
            assert decision.selectable == selectable
            assert tuple(label for label, is_sink in decision.options if is_sink) == sinks


@pytest.mark.parametrize("kind", [0, 1])
def test_edges_of_s1_have_the_candidates_that_are_listed_for_them(kind: int) -> None:
    region = specialised(path("robust_s1"))[1].kinds[kind]
    values = ["a", "b", "n[0]", "n[1]", "n[2]"]
    expected = [
        (f"n[{node}] from {source}", tuple(LABELS[option] for option in edge.split("/")))
        for node, edges in enumerate(S1[region.name].split("|"))
        for source, edge in zip(values[: node + 2], edges.split(), strict=True)
    ]
    assert [(decision.path, decision.selectable) for decision in region.decisions] == expected


@each
def test_the_number_of_architectures(name: str) -> None:
    """Two of the i edges of each node, and one of two options on both."""
    _, program, _ = specialised(path(name))
    of_one_kind = prod(comb(i, 2) * 2**2 for i in (2, 3, 4, 5))
    assert of_one_kind == 180 * 2**8
    assert architectures(program.kinds) == of_one_kind**2


@each
def test_the_rest_is_that_of_the_paper(name: str) -> None:
    """Of a genotype that both spaces know, the final networks are the same, text by text."""
    pairs = [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)] * 4
    both = ", ".join(f"{k}={pairs}, {k}_concat=[2, 3, 4, 5]" for k in ("normal", "reduce"))
    genotype = Genotype.parse(f"Genotype({both})")
    ours, theirs = (compile_space(p, genotype=genotype) for p in (path(name), CIFAR))
    assert ours.values.settings == theirs.values.settings
    assert ours.source.replace(f"{name}.darts", "cifar_cell.darts") == theirs.source


@each
def test_search_resume_derive_and_emit(name: str, tmp_path: Path) -> None:
    """A search that is cut off and goes on ends in a model that runs by itself."""
    with pytest.raises(Interrupted):
        search(path(name), None, tmp_path / "run", device="cpu", progress=StopAt(2), **SMALL)
    found = resume(tmp_path / "run", device="cpu")
    decided = [option for cell in found.genotype.cells.values() for _, option in cell.decisions]
    assert len(decided) == 16 and set(decided) <= set(OPTIONS[name][0])
    network = execute(found.model.read_text(), f"<{name}>")["Network"]()
    assert network.eval()(torch.rand(2, 1, 8, 8)).shape == (2, 10)
