"""What a pass keeps, and when it lets go: nothing is there that no gradient asked for needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support import CIFAR, PROGRAMS, images, space

import compiler
from compiler import Supernet
from compiler.engine import execute
from compiler.engine.elementwise import Relu
from compiler.engine.layers import Convolution, Depthwise, Linear
from compiler.engine.mixing import Mixture
from compiler.engine.network import Engine
from compiler.engine.operation import Operation
from compiler.engine.plan import Compute, Contribute, Plan, Policy, Step, plan
from compiler.engine.recompute import DEAREST, is_paid
from compiler.engine.run import Run
from compiler.flat.nodes import MixingWeights, sizes

Asked = tuple[frozenset[int], frozenset[str]]
CHAIN = """
    network from image[2, 6, 6] to class[3] =
        image -> conv(3, out: 4) -> conv(3) -> relu -> depthwise(3)
        -> global_pool(mean) -> linear(3)
"""
PATHS = [path for path in PROGRAMS if path.stem != "imagenet"]  # much like another, and large
POLICIES: dict[str, Policy] = {
    "everything kept": lambda operation: False,
    "the cheapest computed again": lambda operation: is_paid(operation, 0),
    "all computed again that can be": lambda operation: is_paid(operation, DEAREST),
}


def engine(source: Any, **overrides: int) -> tuple[Supernet, Engine]:
    net = compiler.build(source, passes="fast", **overrides)
    return net, net.optimised.engine


def asked(engine: Engine) -> dict[str, Asked]:
    inputs = [number for number, node in engine.region.inputs if node.below is None]
    alphas = [n for n in inputs if isinstance(engine.region.node(n), MixingWeights)]
    weights = frozenset(engine.weights)
    return {
        "alphas": (frozenset(alphas), frozenset()),
        "weights": (frozenset(), weights),
        "both": (frozenset(alphas), weights),
        "image": (frozenset(inputs[:1]), frozenset()),
        "all": (frozenset(inputs), weights),
        "nothing": (frozenset(), frozenset()),
    }


def planned(engine: Engine, wanted: Asked, policy: Policy = POLICIES["everything kept"]) -> Plan:
    return plan(engine.region, engine.operations, *wanted, policy)


def kept(engine: Engine, wanted: str) -> set[type[Operation]]:
    """The kinds of the values that are kept."""
    found = planned(engine, asked(engine)[wanted]).kept
    return {type(engine.operations[n]) for n in found if n in engine.operations}


# -- what is kept


def test_for_alphas_alone_no_operand_of_a_convolution_is_kept() -> None:
    """But for those that a relu or a mixture reads as well."""
    _, made = engine(CIFAR, C=2, N=3, size=16)
    found = planned(made, asked(made)["alphas"]).kept
    assert Depthwise not in kept(made, "alphas")
    assert not found & (read_by(made, Convolution) - read_by(made, Relu) - read_by(made, Mixture))
    assert not found & (read_by(made, Depthwise) - read_by(made, Relu) - read_by(made, Mixture))
    assert {Depthwise, Relu} <= kept(made, "weights")


def read_by(made: Engine, kind: type[Operation]) -> set[int]:
    """The operands of all operations of a kind."""
    return {n for o in made.operations.values() if isinstance(o, kind) for n in o.operands}


def test_a_linear_chain_keeps_nothing_for_its_input() -> None:
    """But for what the relu reads."""
    _, made = engine(space(CHAIN))
    found = planned(made, asked(made)["image"]).kept
    relu = next(o for o in made.operations.values() if isinstance(o, Relu))
    assert found == {*relu.operands}


def test_one_layer_alone_keeps_what_it_reads() -> None:
    _, made = engine(space(CHAIN))
    linear = next(o for o in made.operations.values() if isinstance(o, Linear))
    last = planned(made, (frozenset(), frozenset(linear.parameters)))
    assert last.kept == {*linear.operands}
    assert [step.instruction.operation for step in last.backward] == [linear]


def test_nothing_is_kept_for_nothing() -> None:
    for path in PATHS:
        _, made = engine(path)
        found = planned(made, asked(made)["nothing"])
        assert (found.kept, found.backward) == (frozenset(), ())
        assert all(not inner.kept for inner in found.inner.values())


def test_what_nothing_depends_on_is_not_asked_for() -> None:
    _, made = engine(space("""
        cell u from x { unread = x -> conv(3) \n return x -> choose { skip, relu } }
        network from image[2, 4, 4] to class[2] = image -> u -> flatten -> linear(2)
    """))  # fmt: skip
    found = planned(made, (frozenset(), frozenset({"u.unread.weight"})))
    assert (found.kept, found.backward) == (frozenset(), ())


def test_what_is_computed_again_is_not_kept() -> None:
    _, made = engine(CIFAR, C=2, N=3, size=16)
    found = planned(made, asked(made)["weights"], POLICIES["the cheapest computed again"])
    again = {s.instruction.operation.number for s in found.backward
             if isinstance(s.instruction, Compute)}  # fmt: skip
    assert again and not again & found.kept
    assert all(isinstance(made.operations[number], Relu) for number in again)


# -- when it is there, and until when


@pytest.mark.parametrize("name", ["everything kept", "all computed again that can be"])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_all_is_there_when_it_is_read_and_goes_after_its_last_use(path: Path, name: str) -> None:
    _, made = engine(path)
    every = asked(made)
    for wanted in ("alphas", "weights", "all"):
        found = planned(made, every[wanted], POLICIES[name])
        follow(found)
        for inner in found.inner.values():
            follow(inner)


def follow(found: Plan) -> None:
    """Goes through a plan, noting what is there and how long it is read."""
    there = {*found.inputs}
    stays = {*found.inputs, *found.outputs, *found.kept}
    lasts = last_read(found.forward)
    for position, step in enumerate(found.forward):
        assert {*step.instruction.reads} <= there
        there.add(step.instruction.operation.number)
        assert {*step.values} <= there
        there -= {*step.values}
        assert all(lasts.get(n, -1) > position for n in there - stays)
    assert there >= {*found.outputs, *found.kept}
    there &= {*found.inputs, *found.kept}
    lasts = last_read(found.backward)
    for position, step in enumerate(found.backward):
        assert {*step.instruction.reads} <= there
        if isinstance(step.instruction, Compute):
            there.add(step.instruction.operation.number)
        there -= {*step.values}
        assert all(lasts.get(n, -1) > position for n in there - {*found.inputs})
    assert there <= {*found.inputs}


def last_read(steps: tuple[Step, ...]) -> dict[int, int]:
    """The positions of the steps that read values last."""
    return {n: position for position, step in enumerate(steps) for n in step.instruction.reads}


def test_gradients_are_whole_before_they_are_handed_on() -> None:
    """All that adds to the gradient by a value comes before what reads it, whose last frees it."""
    for path in PATHS:
        _, made = engine(path)
        found = planned(made, asked(made)["all"])
        for each in (found, *found.inner.values()):
            gone: set[int] = set()
            begun: set[int] = set()
            for step in each.backward:
                instruction = step.instruction
                if isinstance(instruction, Contribute):
                    assert instruction.target not in gone | begun
                if not isinstance(instruction, Compute):
                    assert instruction.operation.number not in gone
                    begun.add(instruction.operation.number)
                gone |= {*step.gradients}
            assert begun == gone


# -- the same while it runs


@pytest.mark.parametrize("wanted", ["alphas", "weights", "all", "nothing"])
@pytest.mark.parametrize("stem", ["one_kind", "reckoning", "lstm", "words"])
def test_a_run_holds_what_the_plan_says(stem: str, wanted: str) -> None:
    net, made = engine(next(path for path in PROGRAMS if path.stem == stem))
    found = planned(made, asked(made)[wanted], POLICIES["the cheapest computed again"])
    run = Run(found, {path: holder[name] for path, (holder, name) in made.weights.items()})
    with torch.no_grad():
        outputs = execute.forward(found, run, list(given(net, made)))
        inputs = {*found.inputs}
        assert held(run.values) == inputs | found.kept
        if wanted != "nothing":
            execute.backward(found, run, [torch.ones_like(output) for output in outputs])
    assert held(run.values) <= inputs | (found.kept if wanted == "nothing" else frozenset())
    assert held(run.gradients) <= inputs
    assert not run.weight_gradients or wanted not in ("alphas", "nothing")


def held(values: list[Any]) -> set[int]:
    return {number for number, value in enumerate(values) if value is not None}


def given(net: Supernet, made: Engine) -> Iterator[torch.Tensor]:
    """The image or sequence, the mixing weights, and states."""
    batch = 5
    for number, (_, node) in enumerate(made.region.inputs):
        if number == 0:
            yield images(net.program, batch)
        elif isinstance(node, MixingWeights):
            yield torch.rand(*sizes(node))
        else:
            yield torch.randn(batch, *sizes(node))


def test_plans_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = compiler.build(space(CHAIN), passes="fast")
    calls = []
    original = compiler.engine.network.plan
    monkeypatch.setattr(
        compiler.engine.network, "plan", lambda *a: (calls.append(1), original(*a))[1]
    )
    for _ in range(3):
        net(images(net.program, 2)).sum().backward()
    assert len(calls) == 1
