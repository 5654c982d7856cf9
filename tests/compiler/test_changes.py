"""The file is the program: what changes in it changes in the network, and nothing need follow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from support import CIFAR, SPACES, randomise

import compiler
from compiler import Supernet
from compiler.compile import compile_space

SMALL = {"C": 2, "N": 3, "size": 8, "auxiliary_weight": 0}


def changed(folder: Path, *changes: tuple[str, str], file: str = "cifar_cell") -> Path:
    """A copy of the shipped space with texts replaced."""
    for name in ("cifar_cell", "std"):
        shutil.copy(SPACES / f"{name}.darts", folder)
    path = folder / f"{file}.darts"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return folder / "cifar_cell.darts"


def built(path: Path) -> Supernet:
    net = compiler.build(path, **SMALL)
    assert isinstance(net, Supernet)
    randomise(net)
    return net


def alphas(net: Supernet) -> list[tuple[int, ...]]:
    return [tuple(a.shape) for a in net.arch_parameters()]


def runs(net: Supernet, path: Path) -> None:
    """Search network and final model compute and train."""
    x = torch.randn(2, 3, 8, 8)
    net(x).sum().backward()
    final = compiler.build(path, genotype=net.genotype(), **SMALL)
    assert final(x).shape == net(x).shape


def test_renaming_a_label_renames_it_everywhere(tmp_path: Path) -> None:
    path = changed(tmp_path, ("as sep_conv_3x3", "as separable"))
    net = built(path)
    runs(net, path)
    assert any(".separable." in name for name in net.state_dict())
    assert not any("sep_conv_3x3" in name for name in net.state_dict())
    labels = {option for cell in net.genotype().cells.values() for _, option in cell.decisions}
    assert "sep_conv_3x3" not in labels


def test_renaming_an_op_changes_names_alone(tmp_path: Path) -> None:
    before = compile_space(CIFAR).source
    path = changed(tmp_path, ("sep_conv(k", "separable(k"), file="std")
    text = path.read_text().replace("sep_conv(3)", "separable(3)")
    path.write_text(text.replace("sep_conv(5)", "separable(5)"))
    after = compile_space(path).source
    assert after != before
    assert "def separable(" in after
    assert after.replace("separable(", "sep_conv(") == before
    runs(built(path), path)


def test_renaming_a_cell_and_its_nodes(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ("normal", "usual"),
        ("n[4]", "member[4]"),
        ("earlier n", "earlier member"),
        ("concat(n)", "concat(member)"),
    )
    net = built(path)
    runs(net, path)
    assert list(net.genotype().cells) == ["usual", "reduce"]
    assert net.program.kinds[0].decisions[-1].path == "member[3] from member[2]"
    assert "class Usual(nn.Module)" in compile_space(path).source


def test_another_candidate(tmp_path: Path) -> None:
    path = changed(
        tmp_path, ("sink none,", "sink none, relu_conv_bn(1) as conv_1x1, sep_conv(7) as sep_7x7,")
    )
    net = built(path)
    runs(net, path)
    assert alphas(net) == [(14, 10), (14, 10)]
    labels = [label for label, _ in net.program.kinds[0].decisions[0].options]
    assert labels[:3] == ["none", "conv_1x1", "sep_7x7"]


@pytest.mark.parametrize(("nodes", "edges"), [(1, 2), (2, 5), (6, 27)])
def test_another_number_of_nodes(nodes: int, edges: int, tmp_path: Path) -> None:
    path = changed(tmp_path, ("n[4]", f"n[{nodes}]"))
    net = built(path)
    runs(net, path)
    assert alphas(net) == [(edges, 8), (edges, 8)]
    assert len(net.genotype().cells["normal"].decisions) == 2 * nodes
    final = compiler.build(path, genotype=net.genotype(), **SMALL)
    assert final.linear.in_features == nodes * 2 * 4


@pytest.mark.parametrize(("kept", "total"), [(1, 4), (3, 2 + 3 + 3 + 3), (9, 14)])
def test_another_number_of_edges_kept(kept: int, total: int, tmp_path: Path) -> None:
    path = changed(tmp_path, ("keep 2 edges", f"keep {kept} edges"))
    net = built(path)
    runs(net, path)
    assert len(net.genotype().cells["normal"].decisions) == total


@pytest.mark.parametrize("places", ["0", "1", "0, 1, 2", "N - 1"])
def test_other_places_of_reduction(places: str, tmp_path: Path) -> None:
    path = changed(
        tmp_path, ("at N // 3, 2 * N // 3:", f"at {places}:"), ("cells[2 * N // 3]", "cells[0]")
    )
    net = built(path)
    runs(net, path)
    count = len(places.split(","))
    assert net.model.linear.in_features == 4 * 2 * 2**count
    assert sum(type(cell).__name__ == "Reduce" for cell in net.model.cells) == count


@pytest.mark.parametrize(
    ("rule", "width"),
    [("sum(n)", 1), ("mean(n)", 1), ("n[-1]", 1), ("concat(n[2], n[3], n[0])", 3)],
)
def test_another_output(rule: str, width: int, tmp_path: Path) -> None:
    path = changed(tmp_path, ("concat(n)", rule))
    net = built(path)
    runs(net, path)
    assert net.model.linear.in_features == width * 8


def test_another_rule_of_derivation(tmp_path: Path) -> None:
    net = built(changed(tmp_path, ("by weight", "by alpha")))
    for parameters in net.arch_parameters():
        parameters.data.zero_()
        parameters.data[0] += 5  # a constant on an edge changes its alphas and not its weights
        parameters.data[11:] += 1
    chosen = dict(net.genotype().cells["normal"].decisions)
    assert "n[3] from n[1]" in chosen
    other = built(CIFAR)
    for parameters, same in zip(other.arch_parameters(), net.arch_parameters(), strict=True):
        parameters.data.copy_(same.data)
    assert "n[3] from n[1]" not in dict(other.genotype().cells["normal"].decisions)


def test_a_macro_network_of_its_own(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ("conv(3, out: 3 * C) -> bn", "conv(3, out: 5 * C) -> bn -> relu -> conv(3) -> bn"),
        (
            "global_pool(mean) -> linear(classes)\n}",
            "global_pool(max) -> linear(7) -> relu -> linear(classes)\n}",
        ),
    )
    net = built(path)
    runs(net, path)
    assert net.model.stem[0].out_channels == 10


def test_an_op_s_body(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ("relu -> depthwise(k, stride: stride, dil", "gelu -> depthwise(k, stride: stride, dil"),
        file="std",
    )
    net = built(path)
    runs(net, path)
    assert any(isinstance(m, torch.nn.GELU) for m in net.modules())
