"""What notebooks show of spaces, genotypes and supernets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from support import CIFAR, DARTS_V2, ROOT, SPACES, space

import compiler
from compiler.genotype import Genotype
from compiler.pictures import draw, of_genotype, together
from dsl import Space, load


def test_a_space_shows_its_cells() -> None:
    assert load(CIFAR)._repr_svg_() == together(draw(CIFAR))


def test_spaces_with_nothing_to_show() -> None:
    plain = "network from image[3, 4, 4] to class[2] = image -> flatten -> linear(2)"
    assert space(plain)._repr_svg_() is None
    assert load(SPACES / "std.darts")._repr_svg_() is None


def test_a_space_with_a_fault_is_shown_without_one() -> None:
    assert (
        space("""
        cell u from x = x -> choose { skip, conv(9, padding: 0) }
        network from image[3, 4, 4] to class[2] = image -> u -> global_pool(mean) -> linear(2)
    """)._repr_svg_()
        is None
    )


def test_a_space_alone_knows_no_picture(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(Space, "picture", None)
    assert load(CIFAR)._repr_svg_() is None


def test_a_genotype_shows_its_cells() -> None:
    genotype = Genotype.parse(DARTS_V2)
    assert genotype._repr_svg_() == of_genotype(genotype)


def test_a_supernet_shows_what_would_be_derived() -> None:
    net = compiler.build(CIFAR, C=2, N=2, size=8)
    before = net._repr_svg_()
    with torch.no_grad():
        for alphas in net.arch_parameters():
            alphas.zero_()
            alphas[:, 3] = 1  # skip_connect, everywhere
    after = net._repr_svg_()
    assert before != after
    assert after.count(">skip_connect<") == 16
    assert after == together(draw(CIFAR, net.genotype()))


def test_a_network_without_decisions_shows_nothing() -> None:
    plain = "network from image[3, 4, 4] to class[2] = image -> flatten -> linear(2)"
    assert compiler.build(space(plain))._repr_svg_() is None


def test_importing_the_compiler_imports_nothing_heavy() -> None:
    program = (
        "import sys, compiler\n"
        "from dsl import load\n"
        f"space = load({str(CIFAR)!r})\n"
        "assert not {'torch', 'networkx', 'compiler.pictures'} & set(sys.modules)\n"
        "assert space._repr_svg_().startswith('<svg')\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=Path(ROOT), check=True)
