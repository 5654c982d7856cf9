"""The final model is that of the paper, and the file that is written is the model."""

from __future__ import annotations

import ast
import copy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from reference.darts import DARTS_V2 as CELL
from reference.darts import FinalNetwork, derive
from safetensors.torch import load_file, load_model, save_file, save_model
from support import (
    CIFAR,
    DARTS_V2,
    PROGRAMS,
    RNN,
    carry_over,
    gradients,
    images,
    in_program_order,
    output,
    randomise,
    sources,
    weights,
)

import compiler
from compiler import Genotype
from compiler.compile import compile_space, execute
from dsl import DartsError

PC_DARTS = """Genotype(
    normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1),
            ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)],
    normal_concat=range(2, 6),
    reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2),
            ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)],
    reduce_concat=range(2, 6))"""
"""The cell that Xu et al. (ICLR 2020) found on CIFAR-10."""
SMALL = {"C": 4, "N": 3, "size": 16, "auxiliary_weight": 0}


def random_genotype(seed: int) -> tuple[Genotype, dict]:
    """What a supernet with random alphas derives, and what the paper's rule makes of these."""
    torch.manual_seed(seed)
    net = compiler.build(CIFAR, C=2, N=2, size=8)
    randomise(net)
    kinds = ("normal", "reduce")
    return net.genotype(), {
        kind: derive(alphas.detach())
        for kind, alphas in zip(kinds, net.arch_parameters(), strict=True)
    }


@pytest.mark.parametrize("seed", range(6))
def test_final_models_are_those_of_the_reference(seed: int) -> None:
    genotype, cells = random_genotype(seed)
    assert {kind: sources(genotype, kind) for kind in cells} == cells
    net = compiler.build(CIFAR, genotype=genotype, auxiliary_weight=0, C=4, N=4, size=16)
    reference = FinalNetwork(cells, C=4, N=4)
    randomise(net)
    carry_over(net, reference)
    x = torch.randn(3, 3, 16, 16)
    net.eval(), reference.eval()
    torch.testing.assert_close(net(x), reference(x), rtol=1e-9, atol=1e-9)
    net.train(), reference.train()
    ours, theirs = net(x), reference(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    pairs = zip(in_program_order(net), in_program_order(reference), strict=True)
    for (name, own), (_, other) in pairs:  # statistics after the pass
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9, msg=name)
    grads = gradients(ours.square().sum(), list(net.parameters()))
    expected = gradients(theirs.square().sum(), list(reference.parameters()))
    for own, other in zip(grads, expected, strict=True):
        if own is None or other is None:
            assert own is other
        else:
            torch.testing.assert_close(own, other, rtol=1e-7, atol=1e-9)


def test_the_auxiliary_head_is_that_of_the_reference() -> None:
    genotype = Genotype.parse(DARTS_V2)
    net = compiler.build(CIFAR, genotype=genotype, auxiliary=True, C=2, N=3)
    reference = FinalNetwork(CELL, C=2, N=3, auxiliary=True)
    randomise(net)
    carry_over(net, reference)
    x = torch.randn(4, 3, 32, 32)
    for own, other in zip(net(x), reference(x), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)
    net.eval(), reference.eval()
    torch.testing.assert_close(net(x), reference(x), rtol=1e-9, atol=1e-9)


def test_without_its_head_a_network_gives_logits_while_training() -> None:
    net = compiler.build(CIFAR, genotype=Genotype.parse(DARTS_V2), C=2, N=3)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert net.auxiliary is None


@pytest.mark.parametrize(("cell", "parameters"), [(DARTS_V2, 3_349_342), (PC_DARTS, 3_634_678)])
def test_the_published_number_of_parameters(cell: str, parameters: int) -> None:
    assert weights(compiler.build(CIFAR, genotype=Genotype.parse(cell))) == parameters


def test_drop_path_drops_edges_of_whole_samples_and_only_while_training() -> None:
    net = compiler.build(CIFAR, genotype=Genotype.parse(DARTS_V2), **SMALL)
    x = torch.randn(1, 3, 16, 16).expand(8, -1, -1, -1)
    plain = net(x)
    torch.testing.assert_close(plain, plain[:1].expand_as(plain))
    net.set_drop_path(0.5)
    dropped = net(x)
    assert len({tuple(row.tolist()) for row in dropped}) > 1
    net.eval()
    torch.testing.assert_close(net(x), net(x)[:1].expand(8, -1))


def test_drop_path_keeps_the_mean_and_drops_samples_as_a_whole() -> None:
    source = compile_space(CIFAR, genotype=Genotype.parse(DARTS_V2)).source
    drop_path = execute(source, "model")["DropPath"](0.3)
    torch.manual_seed(0)
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64).expand(40_000, -1, -1, -1)
    dropped = drop_path(x)
    kept = dropped.flatten(1).abs().sum(1) > 0
    torch.testing.assert_close(dropped[kept], x[kept] / 0.7)
    assert abs(kept.double().mean() - 0.7) < 4 * (0.3 * 0.7 / 40_000) ** 0.5
    torch.testing.assert_close(dropped.mean(0), x[0], atol=0.05, rtol=0)
    assert drop_path.eval()(x) is x


def test_drop_path_drops_sequences_as_a_whole() -> None:
    """The batch comes second in them."""
    source = compile_space(CIFAR, genotype=Genotype.parse(DARTS_V2)).source
    drop_path = execute(source, "model")["DropPath"](0.3)
    dropped = drop_path(torch.ones(5, 200, 3))
    assert torch.equal(dropped, dropped[:1, :, :1].expand(5, 200, 3))
    assert 0.15 < float((dropped == 0).double().mean()) < 0.45


@contextmanager
def cell_outputs(net: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """What the cells of a network give while it runs, in their order."""
    outputs: list[torch.Tensor] = []
    hooks = [
        cell.register_forward_hook(lambda cell, inputs, out: outputs.append(out.detach()))
        for cell in net.cells
    ]
    yield outputs
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("option", ["sep_conv_3x3", "dil_conv_5x5", "max_pool_3x3", "avg_pool_3x3"])
def test_drop_path_touches_every_edge_but_identity(option: str) -> None:
    """With all edges dropped, a cell gives what its identities let through: a strided skip is no
    identity."""
    for skipped in (0, 1, 2):
        edges = ["skip_connect"] * skipped + [option] * (2 - skipped)
        pairs = [(label, source) for _ in range(4) for source, label in enumerate(edges)]
        genotype = Genotype.parse(
            f"Genotype(normal={pairs}, normal_concat=[2, 3, 4, 5], "
            f"reduce={pairs}, reduce_concat=[2, 3, 4, 5])"
        )
        net = compiler.build(CIFAR, genotype=genotype, **SMALL)
        net.set_drop_path(1 - 1e-12)
        with cell_outputs(net) as outputs:
            net(torch.randn(2, 3, 16, 16))
        normal, *reduced = (bool(out.any()) for out in outputs)
        assert normal == (skipped > 0)
        assert reduced == [False, False]


# ---- the file ------------------------------------------------------------------------------------


def imported(source: str) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).split(".")[0])
    return modules


RUN = """\
import runpy
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
for folder in sorted(Path.cwd().iterdir()):
    net = runpy.run_path(str(folder / "model.py"))["Network"]()
    tensors = load_file(folder / "tensors.safetensors")
    net.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("state.")})
    for mode in ("eval", "train"):
        net.train(mode == "train")
        torch.manual_seed(1)
        output = net(tensors["x"])
        output = output[0] if isinstance(output, tuple) else output
        torch.testing.assert_close(output, tensors[mode], rtol=1e-12, atol=1e-12)
    print(folder.name)
assert not {"compiler", "dsl", "runtime", "lark", "networkx"} & set(sys.modules)
"""


def test_written_files_run_by_themselves_and_are_the_models(tmp_path: Path) -> None:
    spaces = [CIFAR, *PROGRAMS]
    for path in spaces:
        small = SMALL if path == CIFAR else {}
        genotype = compiler.build(path, **small).genotype()
        net = compiler.build(path, genotype=genotype, **small)
        folder = tmp_path / path.stem
        folder.mkdir()
        compiler.emit(path, genotype=genotype, path=folder / "model.py", **small)
        source = (folder / "model.py").read_text(encoding="utf-8")
        assert imported(source) <= {"torch", "collections"}
        assert ast.get_docstring(ast.parse(source))

        randomise(net)
        state = {f"state.{name}": value.clone() for name, value in net.state_dict().items()}
        x = images(compile_space(path, genotype=genotype, overrides=small).program)
        outputs = {"eval": output(net.eval(), x), "train": output(net.train(), x)}
        save_file(
            {**state, "x": x, **{k: v.detach().contiguous() for k, v in outputs.items()}},
            folder / "tensors.safetensors",
        )
    result = subprocess.run(
        [sys.executable, "-I", "-c", RUN], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == sorted(path.stem for path in spaces)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_final_model_is_copied_and_saved(path: Path, tmp_path: Path) -> None:
    genotype = compiler.build(path).genotype()
    net = compiler.build(path, genotype=genotype).eval()
    x = images(compile_space(path, genotype=genotype).program)
    expected = output(net, x)
    assert torch.equal(output(copy.deepcopy(net), x), expected)
    save_model(net, str(tmp_path / "weights.safetensors"))  # which knows of tied weights
    other = compiler.build(path, genotype=genotype).eval()
    assert not torch.equal(output(other, x), expected)
    load_model(other, tmp_path / "weights.safetensors")
    assert torch.equal(output(other, x), expected)


def test_a_final_model_is_exported() -> None:
    genotype = Genotype.parse(DARTS_V2)
    net = compiler.build(CIFAR, genotype=genotype, **SMALL).eval()
    x = torch.randn(2, 3, 16, 16)
    exported = torch.export.export(net, (x,))
    torch.testing.assert_close(exported.module()(x), net(x))


def test_a_recurrent_final_model_is_exported_and_saved(tmp_path: Path) -> None:
    """For inference, from any state; its weights come back by every name they have."""
    genotype = compiler.build(RNN, H=6, V=9).genotype()
    net = compiler.build(RNN, genotype=genotype, H=6, V=9).eval()
    words, state = torch.randint(9, (4, 3)), torch.randn(3, 6)
    exported = torch.export.export(net, (words, state)).module()
    for own, other in zip(net(words, state), exported(words, state), strict=True):
        torch.testing.assert_close(own, other)
    streams = torch.export.Dim("streams", min=2, max=64)
    dynamic = torch.export.export(net, (words, state), dynamic_shapes=({1: streams}, {0: streams}))
    assert dynamic.module()(torch.randint(9, (4, 11)), torch.randn(11, 6))[0].shape == (4, 11, 9)
    save_file({k: v.clone() for k, v in net.state_dict().items()}, tmp_path / "weights.safetensors")
    other = compiler.build(RNN, genotype=genotype, H=6, V=9).eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert other.linear.weight is other.table.weight
    assert torch.equal(other(words)[0], net(words)[0])


def test_nothing_is_written_for_a_genotype_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("mine")
    with pytest.raises(DartsError):
        compiler.emit(CIFAR, genotype=Genotype({}), path=path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.py"]
    assert path.read_text() == "mine"


def test_a_traceback_shows_the_generated_line() -> None:
    net = compiler.build(CIFAR, C=2, N=3)
    with pytest.raises(RuntimeError) as raised:
        net(torch.randn(2, 7, 32, 32))
    shown = [str(entry) for entry in raised.traceback]
    assert any("self.stem(image)" in line for line in shown)
