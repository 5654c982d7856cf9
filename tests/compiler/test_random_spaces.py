"""Five writings of one network agree, on random spaces.

With all mass on the options of a genotype, the search program is the network specialised to it. So
five things compute the same, forwards and backwards: the interpreted search program, its generated
supernet under every pipeline, the interpreted specialised program, and the network generated from
that one, which runs in a namespace of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from constructs import EVERY, constructs
from inheritance import decided, shared_paths, watched
from random_genotypes import every_choice, random_genotype
from random_spaces import random_space
from support import inputs, randomise
from torch import Tensor, nn

import compiler
from compiler.codegen.module import generate
from compiler.compile import compile_space, execute
from compiler.counting.architectures import architectures
from compiler.decision import winners
from compiler.derive import Derivation
from compiler.fitting import resolve
from compiler.genotype import CellGenotype, Genotype
from compiler.instantiate import instantiate
from compiler.interpret import interpret
from compiler.ir import Region
from compiler.measure import measure
from compiler.passes import PIPELINES
from compiler.program import Program, is_fixed, stacks
from compiler.specialise import specialise
from compiler.supernet import Supernet
from compiler.verify import verify
from dsl import Space, load_text
from dsl.parse import parse
from dsl.source import Source

CHUNK = 10
NETWORK = """
    op f = linear(4) -> tanh
    network(N = 2) from x[5] to class[3] {{
        stem = x -> linear(4)
        {}
        return z -> linear(3)
    }}
"""
BODIES = {
    "one value side by side": "z = concat(choose 1 of { stem -> f as a, stem -> tanh as b })",
    "zeros side by side": "z = concat(choose 1 of { stem -> zero as a, stem -> f as b, stem })",
    "a repeat in a set": "z = choose { stem -> repeat N { f } as a, stem }",
    "steps in a set": "y = stem -> repeat N { f }  z = choose { y[0], y[1] -> relu as b }",
    "edges of the network": "z = sum(each (stem, stem) -> choose { f, relu } -> drop_path)",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "numbers" in metafunc.fixturenames:
        count = metafunc.config.getoption("--random-spaces")
        chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
        ids = [f"{chunk.start}-{chunk.stop - 1}" for chunk in chunks]
        metafunc.parametrize("numbers", chunks, ids=ids)


def test_all_writings_of_a_space_agree(numbers: range, tmp_path: Path) -> None:
    for number in numbers:
        text = random_space(number)
        try:
            check(number, text, tmp_path)
        except Exception as error:
            error.add_note(f"space {number}:\n{text}")
            raise


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_all_writings_of_chosen_values_agree(body: str, tmp_path: Path) -> None:
    check(0, f"language 1\n{NETWORK.format(body)}", tmp_path)


def test_every_construct_occurs_in_twenty_spaces_of_500() -> None:
    texts = (Source(f"<space {i}>", random_space(i)) for i in range(500))
    found = Counter(name for text in texts for name in constructs(parse(text)))
    assert {name: found[name] for name in EVERY if found[name] < 20} == {}


def test_a_space_is_a_function_of_its_number() -> None:
    assert random_space(7) == random_space(7) != random_space(8)


def check(number: int, text: str, folder: Path) -> None:
    torch.manual_seed(number)
    space = load_text(text)
    nets = {passes: supernet(space, passes) for passes in PIPELINES}
    net = nets["none"]
    derivation = net.derive()
    read_back(derivation, net.program.kinds, folder)
    counts(net.program.kinds)
    state = {name: value.clone() for name, value in net.model.state_dict().items()}
    read = read_by(net.program, net.model)
    alike(nets, state, read)
    by_lot = [random_genotype(net.program.kinds, number)] if number % 3 == 0 else []
    for genotype in (derivation.genotype, *by_lot):
        chosen = resolve(genotype, net.program.kinds)
        program = specialise(net.program, chosen)
        verify(program, after="specialising")
        network = written(program)
        randomise(network)
        for made, of in ((net.model, net.program), (network, program)):
            assert instantiate(of).weights == sum(p.numel() for p in made.parameters())
        mix = hot(net.program.kinds, chosen)
        heirs = inherited(net.program, program, network, chosen, state, mix, read)
        for training in (True, False):
            agree(net, program, network, heirs, mix, state, read, training)
        meant(net.program, program, chosen, heirs.state, read)
    final(space, genotype)


def read_back(derivation: Derivation, kinds: Sequence[Region], folder: Path) -> None:
    """A genotype is the same in every form, where numbers of edges tell what is decided."""
    genotype = derivation.genotype
    genotype.save(folder / "genotype.yaml", derivation.audit)
    assert Genotype.load(folder / "genotype.yaml") == genotype
    chosen = resolve(genotype, list(kinds))
    assert chosen == {kind.name: dict(genotype.cells[kind.name].decisions) for kind in kinds}
    nested = any(d.within for kind in kinds for d in kind.decisions)
    if all(map(is_fixed, kinds)) and not nested:
        assert resolve(Genotype.parse(str(genotype)), list(kinds)) == chosen


def supernet(space: Space, passes: str) -> Supernet:
    net = compiler.build(space, passes=passes)
    assert isinstance(net, Supernet)
    randomise(net)
    return net


def written(program: Program) -> nn.Module:
    """The network of a program without choices, its text executed in a namespace of its own."""
    source = generate(program, instantiate(program), "A network.")
    made: nn.Module = execute(source, "<random>")["Supernet"]()
    return made


def counts(kinds: Sequence[Region]) -> None:
    """The number of architectures is that of what can be listed, where that is short; the first of
    these are genotypes of the space."""
    found = architectures(kinds)
    if found < 2000:
        listed = {kind.name: list(every_choice(kind)) for kind in kinds}
        assert found == prod(len(choices) for choices in listed.values())
    for kind in kinds:
        for chosen in islice(every_choice(kind), 20):
            cell = CellGenotype(tuple(chosen.items()))
            assert resolve(Genotype({kind.name: cell}), [kind]) == {kind.name: chosen}


@dataclass(frozen=True)
class Result:
    """What a network gives back (outputs, then states), and the gradients of a sum over it."""

    values: list[Tensor]
    gradients: dict[str, Tensor | None]


Run = Callable[[list[Tensor], list[Tensor]], Any]
Read = Mapping[str, Tensor]
"""What a network reads: its inputs, `x0` and so on, and its states by their numbers."""


def read_by(program: Program, network: nn.Module, batch: int = 3) -> Read:
    hidden = list(flat(network.init_hidden(batch))) if hasattr(network, "init_hidden") else []
    states = {str(number): torch.randn_like(value) for number, value in enumerate(hidden)}
    return {**{f"x{n}": x for n, x in enumerate(inputs(program, batch))}, **states}


def measured(run: Run, read: Read, leaves: Mapping[str, Tensor]) -> Result:
    read = {n: v.clone().requires_grad_(v.is_floating_point()) for n, v in read.items()}
    leaves = {**leaves, **{n: v for n, v in read.items() if v.requires_grad}}
    values = list(flat(run(*parted(read))))
    torch.manual_seed(1)
    loss = torch.stack([(torch.randn_like(value) * value).sum() for value in values]).sum()
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return Result([v.detach() for v in values], dict(zip(leaves, found, strict=True)))


def parted(read: Read) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and states."""
    given = [value for name, value in read.items() if name.startswith("x")]
    return given, list(read.values())[len(given) :]


def flat(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    else:
        for part in result:
            yield from flat(part)


Mix = Mapping[str, tuple[Tensor, ...]]
"""By kind, mixing weights as a supernet takes them: [decisions, options] for every stack."""


def interpreted(
    program: Program,
    network: nn.Module,
    state: Mapping[str, Tensor],
    mix: Mix,
    training: bool,
    read: Read,
) -> Result:
    """What the interpreter makes of it; tied weights, one parameter of `network`, are one leaf."""
    leaves: dict[str, Tensor] = {}
    numbers = dict(state)
    first: dict[int, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        same = first.setdefault(id(parameter), name)
        if same == name:
            leaves[name] = state[name].clone().requires_grad_()
        numbers[name] = leaves[same]
    mix = fresh(mix)
    rows = {kind: rows_of(program, kind, stacked) for kind, stacked in mix.items()}

    def run(given: list[Tensor], hidden: list[Tensor]) -> Any:
        return interpret(program, given, numbers, rows, training, hidden or None)

    return measured(run, read, leaves | named(mix))


def generated(
    network: nn.Module, state: Mapping[str, Tensor], mix: Mix, training: bool, read: Read
) -> Result:
    network.load_state_dict(state)
    network.train(training)
    mix = fresh(mix)
    weights = [{kind: s[0] if len(s) == 1 else s for kind, s in mix.items()}] if mix else []

    def run(given: list[Tensor], hidden: list[Tensor]) -> Any:
        state = hidden[0] if len(hidden) == 1 else tuple(hidden)
        return network(*given, *weights, *([state] if hidden else []))

    return measured(run, read, dict(network.named_parameters()) | named(mix))


def fresh(mix: Mix) -> Mix:
    return {k: tuple(s.clone().requires_grad_() for s in stacked) for k, stacked in mix.items()}


def named(mix: Mix) -> dict[str, Tensor]:
    """The stacks by names that no weights bear."""
    return {f"mix of {k} {i}": s for k, stacked in mix.items() for i, s in enumerate(stacked)}


def rows_of(program: Program, kind: str, stacked: Sequence[Tensor]) -> list[Tensor]:
    """The rows of stacks, in the order of the decisions."""
    decisions = next(k for k in program.kinds if k.name == kind).decisions
    pairs = zip(stacks(decisions), stacked, strict=True)
    rows = {number: row for group, stack in pairs for number, row in zip(group, stack, strict=True)}
    return [rows[number] for number in range(len(decisions))]


def random_mix(kinds: Sequence[Region]) -> Mix:
    return {
        kind.name: tuple(
            torch.rand(len(group), len(kind.decisions[group[0]].options))
            for group in stacks(kind.decisions)
        )
        for kind in kinds
    }


def hot(kinds: Sequence[Region], chosen: Mapping[str, Mapping[str, str]]) -> Mix:
    """Mixing weights that are 1 for what is chosen and 0 for all else."""

    def row(kind: Region, number: int) -> Tensor:
        decision = kind.decisions[number]
        labels = winners(chosen[kind.name].get(decision.path, ""))
        return torch.tensor([float(label in labels) for label, _ in decision.options])

    return {
        kind.name: tuple(
            torch.stack([row(kind, number) for number in group]) for group in stacks(kind.decisions)
        )
        for kind in kinds
    }


@dataclass(frozen=True)
class Inherited:
    """By the names of a final network: those of its weights in the supernet, the weights, and of
    some the columns of the supernet's that they are."""

    names: dict[str, str]
    state: dict[str, Tensor]
    columns: dict[str, Tensor]


def inherited(
    program: Program,
    final: Program,
    network: nn.Module,
    chosen: Mapping[str, Mapping[str, str]],
    state: Mapping[str, Tensor],
    mix: Mix,
    read: Read,
) -> Inherited:
    """The weights of a supernet in a final network.

    Where only some of several values are there in the end, a matrix behind them loses the columns
    of the others: what is read here and there says which.
    """
    given, hidden = parted(read)
    rows = {kind: rows_of(program, kind, stacked) for kind, stacked in mix.items()}
    own = dict(network.state_dict())
    _, paths = decided(program, chosen, final, own, given, True, hidden)
    seen = watched(program, given, state, rows, hidden)
    names, columns = {}, {}
    for name in own:
        path = next(path for path in paths if name.startswith(f"{path}."))
        names[name] = paths[path] + name.removeprefix(path)
        if own[name].shape == state[names[name]].shape:
            own[name] = state[names[name]].clone()
            continue
        now = watched(final, given, own, {}, hidden).visits[path]
        columns[name] = seen.channels_of(paths[path], now)
        own[name] = state[names[name]].index_select(1, columns[name]).clone()
    return Inherited(names, own, columns)


def agree(
    net: Supernet,
    program: Program,
    network: nn.Module,
    heirs: Inherited,
    mix: Mix,
    state: Mapping[str, Tensor],
    read: Read,
    training: bool,
) -> None:
    """With all mass on what is chosen, the search program is the network made of that."""
    expected = interpreted(net.program, net.model, state, mix, training, read)
    of_weights = {n: g for n, g in expected.gradients.items() if not n.startswith("mix of ")}
    expected = Result(expected.values, of_weights)
    names = {**heirs.names, **{name: name for name in read}}
    same(interpreted(program, network, heirs.state, {}, training, read), expected, names, heirs)
    same(generated(network, heirs.state, {}, training, read), expected, names, heirs)
    generated(net.model, state, mix, training, read)
    shared = tuple(shared_paths(program, network))
    statistics(net, network, {n: of for n, of in heirs.names.items() if not n.startswith(shared)})


def meant(
    program: Program,
    final: Program,
    chosen: Mapping[str, Mapping[str, str]],
    state: Mapping[str, Tensor],
    read: Read,
) -> None:
    """A final program is what an open one comes to if what is not chosen is not computed."""
    given, hidden = parted(read)
    expected = list(flat(interpret(final, given, state, {}, False, hidden or None)))
    outputs, _ = decided(program, chosen, final, state, given, False, hidden)
    for value, other in zip(flat(outputs), expected, strict=True):
        close(value, other, scale(expected))


def alike(nets: Mapping[str, Supernet], state: Mapping[str, Tensor], read: Read) -> None:
    """With random mixing weights, the supernets of all pipelines are the search program."""
    net = nets["none"]
    mix = random_mix(net.program.kinds)
    for training in (True, False):
        expected = interpreted(net.program, net.model, state, mix, training, read)
        for each in nets.values():
            result = generated(each.model, state, mix, training, read)
            same(result, expected, {name: name for name in expected.gradients})
        first = dict(net.model.named_buffers())
        for each in nets.values():
            for name, value in each.model.named_buffers():
                close(value.double(), first[name].double(), scale([first[name]]))


def same(
    result: Result, expected: Result, names: Mapping[str, str], heirs: Inherited | None = None
) -> None:
    """Values and gradients are the same; what has no like has no gradient."""
    for value, other in zip(result.values, expected.values, strict=True):
        close(value, other, scale(expected.values))
    size = scale([g for g in expected.gradients.values() if g is not None])
    rest = dict(expected.gradients)
    for name, gradient in result.gradients.items():
        other = rest.pop(names[name])
        if heirs is not None and name in heirs.columns and other is not None:
            other = other.index_select(1, heirs.columns[name])
        close(gradient, other, size)
    for gradient in rest.values():
        close(None, gradient, size)


def scale(tensors: Sequence[Tensor]) -> float:
    return max([1.0, *(float(t.abs().max()) for t in tensors)])


def close(value: Tensor | None, other: Tensor | None, size: float) -> None:
    """Equal up to rounding at this scale; None is zeros."""
    first, second = (torch.zeros(()) if v is None else v for v in (value, other))
    torch.testing.assert_close(*torch.broadcast_tensors(first, second), rtol=0, atol=1e-9 * size)


def statistics(net: Supernet, network: nn.Module, names: Mapping[str, str]) -> None:
    """Running statistics moved alike; a norm that nothing reads is not run in the end.

    What is shared also sees the values of losing options in a supernet.
    """
    first = dict(net.model.named_buffers())
    for name in names.keys() & dict(network.named_buffers()).keys():
        batches = f"{name.rpartition('.')[0]}.num_batches_tracked"
        if network.get_buffer(batches) == first[names[batches]]:
            value, other = network.get_buffer(name).double(), first[names[name]].double()
            close(value, other, scale([other]))


def final(space: Space, genotype: Genotype) -> None:
    """The network in its final profile computes what its own program says, with a head or not, and
    what the open program comes to."""
    compiled = compile_space(space, genotype=genotype)
    program = measure(space, "final", None, {})[1]
    make = execute(compiled.source, "<random>")["Network"]
    network = make()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    read = read_by(compiled.program, network)
    for training in (True, False):
        expected = interpreted(compiled.program, network, state, {}, training, read)
        result = generated(network, state, {}, training, read)
        same(result, expected, {name: name for name in expected.gradients})
    meant(program, compiled.program, resolve(genotype, program.kinds), state, read)
    if compiled.program.network.auxiliary:
        headed = make(auxiliary=True)
        headed.load_state_dict(state, strict=False)
        network.load_state_dict(state)
        *outputs, auxiliary = headed(*read.values())
        for own, other in zip(outputs, flat(network.train()(*read.values())), strict=True):
            close(own, other, 1.0)
        assert auxiliary.shape == outputs[0].shape
