"""Zeros are counted in the softmax and not computed."""

from __future__ import annotations

import pytest
import torch
from support import CIFAR, compiled, space

import compiler
from compiler.compile import compile_space
from compiler.passes import PIPELINES, pipeline
from dsl import DartsError

TEXT = """
    cell u from x = x -> choose {{ {options} }}
    network(C = 3) from image[3, 8, 8] to class[2] = image -> u -> flatten -> linear(2)
"""


def idle(options: str) -> list[bool]:
    program = compiled(TEXT.format(options=options), passes="simple").program
    found = [
        [option.idle for option in region.options] for region in program.regions() if region.options
    ]
    if not found:
        choices = [n for r in program.regions() for _, n in r.nodes() if hasattr(n, "decision")]
        found = [[option.idle for option in choices[0].region.options]]
    return found[0]


def test_options_of_zeros_are_marked() -> None:
    assert idle("none, skip, sep_conv(3)") == [True, False, False]
    assert idle("skip, zero as a, zero(stride: 1) as b") == [False, True, True]


def test_what_only_ends_in_zeros_is_computed() -> None:
    assert idle("conv(3) -> zero as a, skip") == [False, False]


def test_something_is_left() -> None:
    assert idle("zero as a, zero as b") == [False, False]


def test_the_program_is_not_changed_in_place() -> None:
    plain = compile_space(CIFAR)
    (made,) = pipeline("simple")
    made.apply(plain.program)
    assert not any(o.idle for r in plain.program.regions() for o in r.options)


def test_zeros_are_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = torch.zeros_like
    monkeypatch.setattr(torch, "zeros_like", lambda x: (calls.append(1), original(x))[1])
    x = torch.randn(2, 3, 8, 8)
    loaded = space(TEXT.format(options="none, skip, sep_conv(3)"))
    for passes, expected in (("none", 1), ("simple", 0)):
        calls.clear()
        compiler.build(loaded, passes=passes)(x)
        assert len(calls) == expected


def test_pipelines_are_known_by_name() -> None:
    assert next(iter(PIPELINES)) == "none"
    assert pipeline("none") == ()
    with pytest.raises(DartsError) as raised:
        pipeline("simpel")
    assert raised.value.diagnostics[0].code == "E0901"
    assert raised.value.diagnostics[0].help == "did you mean `simple`?"
