"""The IR as text, for programs that have a node of every kind between them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import PROGRAMS, space

from compiler.compile import compile_space
from compiler.dump import dump

GOLDEN = Path(__file__).with_name("golden")

IMAGES = """
    set ops = { sink none, skip, relu -> conv(3) as plain }
    op f(s = 1) from x = x -> (conv(3, stride: s) -> relu when s > 1 else bn)
    cell u(C) from x {
        y = x -> conv(1, out: C) -> bn
        node n[2] = sum(each (y, earlier n) -> choose ops)
        keep 1 edge per node by alpha
        return concat(n)
    }
    network(C = 2, N = 3) from image[3, 8, 8] to class[2] {
        cells = image -> repeat N { u(C) at 1: u(2 * C) }
        side = cells[0] -> f(s: C) -> f -> global_pool(mean)
        return concat(cells -> f(s: C) -> global_pool(max), side) -> linear(2)
    }
"""


WORDS = """
    op gate(f) from s, ch { c, h = split(ch, 2)  return s + (c -> sigmoid) * ((h -> f) - s) }
    op link(W) from s = (s, s -> W) -> choose { gate(f) for f in (tanh, relu) as f }
    cell u(H) from x, h[H] {
        shared m = dropout(0.5, per: sequence)
        a = x -> linear(H)
        node s[2] {
            shared W = m -> linear(2 * H, bias: no)
            return sum(each (a, earlier s) -> link(W))
        }
        return 1 - s[1] / 2 + h
    }
    network(V = 5, H = 4) from word[T] below V to word[T, V] {
        shared table = embedding(V, H)
        return word -> table -> u(H) over T -> linear(V, tied: table)
    }
"""
TEXTS = {"dump": IMAGES, "dump_words": WORDS}


@pytest.mark.parametrize("name", TEXTS)
def test_golden(name: str, request: pytest.FixtureRequest) -> None:
    path, text = GOLDEN / f"{name}.txt", dump(compile_space(space(TEXTS[name])).program)
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_declared_region_and_decision_is_there(path: Path) -> None:
    program = compile_space(path).program
    text = dump(program)
    for region in program.regions():
        if not region.is_branch:
            assert f"{region.kind} {region.name}(" in text
        for decision in region.decisions:
            assert f"`{decision.path}`" in text
